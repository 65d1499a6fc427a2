//! Views and selections: `flatten`, `squeeze`, `concat`, `unstack`, `first`, `last`, `one_hot`, `order`, `coord`, `causal_mask`.

use crate::base::{Diagnostic, Span};
use crate::hir::args::{Call, Given};
use crate::hir::elab::{Elab, Res};
use crate::hir::layer::What;
use crate::hir::shape::product;
use crate::hir::value::{Axis, Element, LayerId, Size, Table, Val, opaque};
use crate::loops::Binary;

/// All axes become `c`.
pub fn flatten<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, span) = e.take_real_table(c, "x")?;
    let ty = e.number_type(x, span)?;
    e.splits_alone("flatten", &ty.axes, c.span)?;
    let axes = vec![Axis::new("c", product(&ty.axes))];
    e.push(What::Reshape, &[x], Table { axes, ..ty }, c.span).map(Val::Table)
}

/// The next bare argument as the name of an axis.
fn axis_word<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<(String, Span)> {
    match c.queue.pop_front() {
        Some(Given::Expr(expr)) => match e.axes_of(expr)?.into_iter().next() {
            Some(first) => Ok(first),
            None => e.fail("E0303", expr.span, "the name of an axis is needed"),
        },
        _ => one_over(e, c),
    }
}

/// `over = axis`, exactly one.
fn one_over<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<(String, Span)> {
    match e.take_axes(c, "over")?.as_deref() {
        Some([one]) => Ok(one.clone()),
        Some(_) => e.fail("E0303", c.span, format!("`{}` works over one axis", c.name)),
        None => e.fail("E0407", c.span, format!("`{0}` needs an axis: `{0}(over = axis)`", c.name)),
    }
}

/// Takes away an axis of size 1.
pub fn squeeze<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, _) = e.take_real_table(c, "x")?;
    let (name, span) = axis_word(e, c)?;
    let ty = e.ty(x).clone();
    let Some(axis) = ty.axis(&name) else { return e.no_axis(&name, &ty, span) };
    if axis.size != Size::Known(1) {
        let message = format!("axis `{name}` is {}, only an axis of size 1 can be squeezed", axis.size);
        return e.fail("E0309", span, message);
    }
    e.push(What::Reshape, &[x], ty.without(&[name]), c.span).map(Val::Table)
}

fn end<'a>(e: &mut Elab<'a>, c: &mut Call<'a>, last: bool) -> Res<Val<'a>> {
    let (x, _) = e.take_real_table(c, "x")?;
    let (name, span) = one_over(e, c)?;
    let ty = e.ty(x).clone();
    let Some(axis) = ty.axis(&name) else { return e.no_axis(&name, &ty, span) };
    if last && axis.size.variable().is_some() {
        return e.true_last(x, &name, c.span).map(Val::Table);
    }
    let at = if last { axis.size.known().map_or(0, |n| n.saturating_sub(1)) } else { 0 };
    e.slice(x, &name, at, 1, false, c.span).map(Val::Table)
}

pub fn first<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    end(e, c, false)
}

pub fn last<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    end(e, c, true)
}

/// The parts along an axis.
pub fn unstack<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, _) = e.take_real_table(c, "x")?;
    let (name, span) = one_over(e, c)?;
    let ty = e.ty(x).clone();
    let Some(axis) = ty.axis(&name) else { return e.no_axis(&name, &ty, span) };
    if axis.size.variable().is_some() {
        return e.no_cut("unstack", &name, &ty, span);
    }
    let Some(n) = axis.size.known() else {
        return e.fail("E0403", span, format!("the number of parts, `{name}`, is not known without the data"));
    };
    if n > 4096 {
        return e.fail("E0410", span, format!("`unstack` would make {n} parts, at most 4096"));
    }
    let parts: Res<Vec<LayerId>> = (0..n).map(|i| e.slice(x, &name, i, 1, false, c.span)).collect();
    let parts = parts?;
    Ok(if let [one] = parts[..] { Val::Table(one) } else { Val::Parts(parts) })
}

/// `concat(x, y, ..., over = a)`: all other axes equal; sizes of `a` add.
pub fn concat<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (mut x, mut span) = e.take_real_table(c, "x")?;
    let mut others = vec![];
    while !c.queue.is_empty() {
        others.push(e.take_real_table(c, "y")?);
    }
    let (name, at) = one_over(e, c)?;
    if others.is_empty() {
        return e.fail("E0407", c.span, "`concat` needs at least two tables");
    }
    for (y, sy) in others {
        x = join_two(e, (x, span), (y, sy), &name, at, c.span)?;
        span = span.to(sy);
    }
    Ok(Val::Table(x))
}

fn join_two(
    e: &mut Elab<'_>,
    (x, sx): (LayerId, Span),
    (y, sy): (LayerId, Span),
    name: &str,
    at: Span,
    span: Span,
) -> Res<LayerId> {
    let (tx, ty) = (e.number_type(x, sx)?, e.number_type(y, sy)?);
    let Some(ax) = tx.axis(name) else { return e.no_axis(name, &tx, at) };
    let Some(ay) = ty.axis(name) else { return e.no_axis(name, &ty, at) };
    if ax.size.variable().or(ay.size.variable()).is_some() {
        return e.no_cut("concat", name, &tx, span);
    }
    for axis in tx.axes.iter().filter(|a| a.name != name) {
        match ty.axis(&axis.name) {
            Some(other) if other.size.agrees(&axis.size) => {}
            Some(other) => {
                let message =
                    format!("axis `{}` is {} on the left and {} on the right", axis.name, axis.size, other.size);
                let err = Diagnostic::error("E0304", span, message).here(format!("left is {tx}, right is {ty}"));
                return Err(e.report(err));
            }
            None => return e.no_axis(&axis.name, &ty, sy),
        }
    }
    if let Some(extra) = ty.axes.iter().find(|a| tx.axis(&a.name).is_none()) {
        return e.no_axis(&extra.name, &tx, sx);
    }
    let size = match (&ax.size, &ay.size) {
        (Size::Known(a), Size::Known(b)) => Size::Known(a.saturating_add(*b)),
        (a, b) => Size::Unknown(opaque(format!("{a} + {b}"))),
    };
    let mut result = Table { batched: tx.batched || ty.batched, ..tx.clone() };
    for axis in result.axes.iter_mut().filter(|a| a.name == name) {
        axis.size = size.clone();
    }
    e.push(What::Concat(name.to_string()), &[x, y], result, span)
}

/// `D[a...]` to `[a..., D]`: 1 at the index, 0 elsewhere.
pub fn one_hot<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, span) = e.take_real_table(c, "x")?;
    let ty = e.ty(x).clone();
    let Element::Index { dim, size } = ty.element.clone() else {
        return e.fail("E0401", span, format!("`one_hot` needs indices, found numbers: {ty}"));
    };
    let mut axes = ty.axes;
    axes.push(Axis::new(dim, size));
    e.push(What::OneHot, &[x], Table::numbers(axes, ty.batched), c.span).map(Val::Table)
}

/// The same values; no gradient flows back.
pub fn detach<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, span) = e.take_real_table(c, "x")?;
    let ty = e.number_type(x, span)?;
    e.push(What::Detach, &[x], ty, c.span).map(Val::Table)
}

/// `coord(x, over = a)`: the position along `a`, as numbers on the axis `a`.
pub fn coord<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, _) = e.take_real_table(c, "x")?;
    let (name, span) = one_over(e, c)?;
    let ty = e.ty(x).clone();
    let Some(axis) = ty.axis(&name) else { return e.no_axis(&name, &ty, span) };
    let result = Table::numbers(vec![axis.clone()], false);
    e.push(What::Coord(name), &[], result, c.span).map(Val::Table)
}

/// `causal_mask(scores, t, s)`: what stands later along `s` than along `t` is out of reach of a softmax.
pub fn causal_mask<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, span) = e.take_real_table(c, "x")?;
    let ty = e.number_type(x, span)?;
    let mut place = |e: &mut Elab<'a>| {
        let Some(Given::Expr(name)) = c.queue.pop_front() else {
            return e.fail("E0407", c.span, "`causal_mask` needs two axes: `scores |> causal_mask(t, s)`");
        };
        let names = e.axes_of(name)?;
        let [(axis, at)] = &names[..] else {
            return e.fail("E0303", name.span, "one axis is needed here");
        };
        let Some(axis) = ty.axis(axis).cloned() else { return e.no_axis(axis, &ty, *at) };
        let numbers = Table::numbers(vec![axis.clone()], false);
        Ok((e.push(What::Coord(axis.name.clone()), &[], numbers, *at)?, axis))
    };
    let ((here, row), (later, column)) = (place(e)?, place(e)?);
    if row.name == column.name {
        return e.fail("E0303", c.span, format!("an element sees itself along `{}`: two axes are needed", row.name));
    }
    let (one, far) = (e.constant(1.0, c.span)?, e.constant(-1e30, c.span)?);
    let here = e.push(What::Select, &[one, here, x], ty.clone(), c.span)?;
    let beyond = e.push(What::Binary(Binary::Gt), &[later, here], ty.clone(), c.span)?;
    e.push(What::Select, &[beyond, far, x], ty, c.span).map(Val::Table)
}

/// `order(x, [c, h, w])`: the same table with its axes in this order.
pub fn order<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, _) = e.take_real_table(c, "x")?;
    let Some(Given::Expr(list)) = c.queue.pop_front() else {
        return e.fail("E0407", c.span, "`order` needs all axes: `order([w, h, c])`");
    };
    let names = e.axes_of(list)?;
    let ty = e.ty(x).clone();
    let names = e.have_axes(&ty, &names)?;
    if names.len() != ty.axes.len() {
        let err =
            Diagnostic::error("E0303", list.span, "`order` names every axis once").here(format!("the table is {ty}"));
        return Err(e.report(err));
    }
    let axes = names.iter().filter_map(|n| ty.axis(n).cloned()).collect();
    e.push(What::Permute, &[x], Table { axes, ..ty }, c.span).map(Val::Table)
}

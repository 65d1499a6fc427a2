//! Contractions: `dense`, `dot`, `embed`.

use crate::base::{Diagnostic, Span};
use crate::hir::args::Call;
use crate::hir::elab::{Elab, Res};
use crate::hir::layer::{Start, What};
use crate::hir::shape::product;
use crate::hir::value::{Axis, Element, LayerId, Size, Table, Val};

/// The limit of Glorot's uniform start: `sqrt(6 / (fan_in + fan_out))`.
pub fn glorot(fan_in: Option<usize>, fan_out: Option<usize>) -> Start {
    let sum = fan_in.unwrap_or(1) as f64 + fan_out.unwrap_or(1) as f64;
    Start::Uniform((6.0 / sum.max(1.0)).sqrt())
}

/// Axes of a weight: names that occur twice get a prime, the first of them.
pub fn weight_type(inner: Vec<Axis>, outer: &[Axis]) -> Table {
    let mut axes: Vec<Axis> = inner
        .into_iter()
        .map(|a| {
            let clash = outer.iter().any(|o| o.name == a.name);
            Axis::new(if clash { format!("{}'", a.name) } else { a.name }, a.size)
        })
        .collect();
    axes.extend(outer.iter().cloned());
    Table::numbers(axes, false)
}

/// The last axis: the features.
pub fn features<'a>(e: &mut Elab<'a>, c: &Call<'a>, ty: &Table, span: Span) -> Res<Axis> {
    match ty.axes.last() {
        Some(axis) => Ok(axis.clone()),
        None => {
            let message = format!("`{}` needs a table with a feature axis, found a number", c.name);
            e.fail("E0303", span, message)
        }
    }
}

pub fn bias_of<'a>(e: &mut Elab<'a>, c: &Call<'a>, outs: &[Axis]) -> Res<LayerId> {
    let ty = Table::numbers(outs.to_vec(), false);
    e.weight(format!("{}.bias", c.path), ty, Start::Constant(0.0), c.span)
}

/// `dense(x, o...)`: `[..., f]` to `[..., o...]`.
pub fn dense<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, span) = e.take_real_table(c, "x")?;
    let ty = e.number_type(x, span)?;
    let feature = features(e, c, &ty, span)?;
    let mut outs = vec![e.take_out(c, "size")?];
    while !c.queue.is_empty() {
        outs.push(e.take_out(c, "size")?);
    }
    let bias = e.take_flag(c, "bias", true)?;
    let mut axes = ty.axes.clone();
    axes.pop();
    axes.extend(outs.iter().cloned());
    let result = Table { axes, ..ty };
    e.check_size(&result, c.span)?;
    let start = glorot(feature.size.known(), product(&outs).known());
    let weight = e.weight(format!("{}.weight", c.path), weight_type(vec![feature], &outs), start, c.span)?;
    let mut operands = vec![x, weight];
    if bias {
        operands.push(bias_of(e, c, &outs)?);
    }
    e.push(What::Dense, &operands, result, c.span).map(Val::Table)
}

/// `dot(x, y, over = a)`: multiply and sum; equal names are matched.
pub fn dot<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, sx) = e.take_real_table(c, "x")?;
    let (y, sy) = e.take_real_table(c, "y")?;
    let (tx, ty) = (e.number_type(x, sx)?, e.number_type(y, sy)?);
    let Some(names) = e.take_axes(c, "over")? else {
        let err = Diagnostic::error("E0407", c.span, "`dot` needs the axes to sum over");
        return Err(e.report(err.help("write `dot(a, b, over = axis)`")));
    };
    let over = e.have_axes(&tx, &names)?;
    e.have_axes(&ty, &names)?;
    for axis in &tx.axes {
        if let Some(other) = ty.axis(&axis.name)
            && !axis.size.agrees(&other.size)
        {
            let message = format!("axis `{}` is {} on the left and {} on the right", axis.name, axis.size, other.size);
            let err = Diagnostic::error("E0304", c.span, message);
            return Err(e.report(err.here(format!("left is {tx}, right is {ty}"))));
        }
    }
    let mut axes = tx.without(&over).axes;
    axes.extend(ty.axes.iter().filter(|a| tx.axis(&a.name).is_none()).cloned());
    let own = tx.variable().any(|(a, _)| over.contains(&a.name));
    let result = Table::numbers(axes, tx.batched || ty.batched || own);
    e.push(What::Dot(over), &[x, y], result, c.span).map(Val::Table)
}

/// `embed(x, o...)`: `D[a...]` to `[a..., o...]`; begins normal with deviation `1 / sqrt(size)`.
pub fn embed<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, span) = e.take_real_table(c, "x")?;
    let ty = e.ty(x).clone();
    let Element::Index { dim, size } = ty.element.clone() else {
        let err = Diagnostic::error("E0401", span, format!("`embed` needs indices, found numbers: {ty}"));
        return Err(e.report(err.help("for numbers write `dense(size)`")));
    };
    if matches!(&e.hir.layer(x).what, What::Input(name) if e.hir.ignoring.contains_key(name)) {
        let message = "`embed` needs a class at every point, and `ignore` leaves some without one";
        let err = Diagnostic::error("E0401", span, message);
        return Err(e.report(err.help("give every point a class, or write `one_hot(x)`: it is 0 where there is none")));
    }
    let mut outs = vec![e.take_out(c, "size")?];
    while !c.queue.is_empty() {
        outs.push(e.take_out(c, "size")?);
    }
    let mut axes = ty.axes.clone();
    axes.extend(outs.iter().cloned());
    let result = Table::numbers(axes, ty.batched);
    e.check_size(&result, c.span)?;
    // A row for every index that any example may have.
    let size = size.most().map_or(size, Size::Known);
    let width = product(&outs).known().unwrap_or(1).max(1) as f64;
    let start = Start::Normal(1.0 / width.sqrt());
    let weight =
        e.weight(format!("{}.weight", c.path), weight_type(vec![Axis::new(dim, size)], &outs), start, c.span)?;
    e.push(What::Embed, &[x, weight], result, c.span).map(Val::Table)
}

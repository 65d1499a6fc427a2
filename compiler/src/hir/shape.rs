//! Views, slices, and axes that are not there.

use super::elab::{Elab, Reported, Res};
use super::layer::What;
use super::near::nearest;
use super::value::{Axis, LayerId, Placed, Size, Table, Val, opaque, whole};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{self, AxisKind, Expr, Ident, Selection};

/// The product of sizes, as a size.
pub fn product(axes: &[Axis]) -> Size {
    if let Some(own) = axes.iter().find(|a| a.size.variable().is_some()) {
        // Beside axes of size 1: what else there may be was refused.
        return own.size.clone();
    }
    let mut number = 1usize;
    let mut texts = vec![];
    for a in axes {
        match &a.size {
            Size::Known(n) => number = number.saturating_mul(*n),
            Size::Unknown(t) => texts.push(t.clone()),
            Size::Variable(_) => {}
        }
    }
    if texts.is_empty() {
        return Size::Known(number);
    }
    if number != 1 {
        texts.push(number.to_string());
    }
    Size::Unknown(opaque(texts.join(" * ")))
}

impl<'a> Elab<'a> {
    pub fn no_axis<T>(&mut self, name: &str, ty: &Table, span: Span) -> Res<T> {
        let e =
            Diagnostic::error("E0303", span, format!("there is no axis `{name}`")).here(format!("the table is {ty}"));
        let near = nearest(name, ty.axes.iter().map(|a| a.name.as_str())).map(str::to_string);
        Err(self.report(match near {
            Some(near) => e.help(format!("an axis with a similar name exists: `{near}`")),
            None => e,
        }))
    }

    /// All of `names` are axes of `ty`, none twice.
    pub fn have_axes(&mut self, ty: &Table, names: &[(String, Span)]) -> Res<Vec<String>> {
        let mut found: Vec<String> = vec![];
        for (name, span) in names {
            if ty.axis(name).is_none() {
                return self.no_axis(name, ty, *span);
            }
            if found.contains(name) {
                return self.fail("E0306", *span, format!("the axis `{name}` is named twice"));
            }
            found.push(name.clone());
        }
        Ok(found)
    }

    /// `x[t: 0, h: 1..5]`
    pub fn index(&mut self, base: &'a Expr, axes: &'a [(Ident, Selection)], span: Span) -> Res<Val<'a>> {
        let value = self.eval(base)?;
        let mut x = self.real_table((value, base.span))?;
        for (name, selection) in axes {
            let ty = self.ty(x).clone();
            let axis = self.axis_name(&name.node);
            self.note_dim(&name.node);
            let Some(found) = ty.axis(&axis).cloned() else { return self.no_axis(&axis, &ty, name.span) };
            if found.size.variable().is_some() {
                x = self.end_of_variable(x, (&found, &ty), selection, name.span)?;
                continue;
            }
            let (start, len, keep) = self.selected(selection, &found)?;
            x = self.slice(x, &axis, start, len, keep, span)?;
        }
        Ok(Val::Table(x))
    }

    /// The first or the last element along an axis of variable length; others some example may not have.
    fn end_of_variable(
        &mut self,
        x: LayerId,
        (axis, ty): (&Axis, &Table),
        selection: &'a Selection,
        span: Span,
    ) -> Res<LayerId> {
        let at = match selection {
            Selection::At(e) => {
                let value = self.eval(e)?;
                Some(self.number((value, e.span))?)
            }
            Selection::Range(_) => None,
        };
        match at {
            Some(0.0) => self.slice(x, &axis.name, 0, 1, false, span),
            Some(-1.0) => self.true_last(x, &axis.name, span),
            _ => self.no_cut("[ ]", &axis.name, ty, span),
        }
    }

    /// First position, number of positions, and whether the axis stays.
    fn selected(&mut self, selection: &'a Selection, axis: &Axis) -> Res<(usize, usize, bool)> {
        let size = axis.size.known().unwrap_or(usize::MAX);
        let (start, end, keep, span) = match selection {
            Selection::At(e) => {
                let i = self.position(e, size)?;
                (i, i.saturating_add(1), false, e.span)
            }
            Selection::Range(r) => {
                let start = r.start.as_ref().map_or(Ok(0), |e| self.position(e, size))?;
                let end = match &r.end {
                    Some(e) => self.position(e, size)?,
                    None if size == usize::MAX => start.saturating_add(1),
                    None => size,
                };
                (start, end, true, r.span)
            }
        };
        if start >= end || end > size {
            let message =
                format!("positions {start}..{end} are not within axis `{}`, which has {}", axis.name, axis.size);
            return self.fail("E0410", span, message);
        }
        Ok((start, end - start, keep))
    }

    /// A position; negative ones count from the end.
    fn position(&mut self, e: &'a Expr, size: usize) -> Res<usize> {
        let value = self.eval(e)?;
        let x = self.number((value, e.span))?;
        let x = if x < 0.0 && size != usize::MAX { x + size as f64 } else { x };
        match whole(x) {
            Some(n) => Ok(n),
            None => self.fail("E0410", e.span, "a position is a whole number within the axis"),
        }
    }

    /// `len` positions along an axis; a single one may drop the axis.
    pub fn slice(&mut self, x: LayerId, axis: &str, start: usize, len: usize, keep: bool, span: Span) -> Res<LayerId> {
        let mut ty = self.ty(x).clone();
        for a in &mut ty.axes {
            if a.name == axis {
                a.size = Size::Known(len);
            }
        }
        let y = self.push(What::Slice { axis: axis.to_string(), start }, &[x], ty.clone(), span)?;
        if keep {
            return Ok(y);
        }
        self.push(What::Reshape, &[y], ty.without(&[axis.to_string()]), span)
    }
}

/// `x |> view(a, b -> c)`: rename, split, merge.
pub fn view<'a>(
    e: &mut Elab<'a>,
    (value, at): Placed<'a>,
    from: &'a [ast::Axis],
    to: &'a [ast::Axis],
    span: Span,
) -> Res<Val<'a>> {
    let x = e.real_table((value, at))?;
    let ty = e.ty(x).clone();
    let mut taken = vec![];
    for axis in from {
        let AxisKind::Named(name, _) = &axis.kind else {
            return e.fail("E0301", axis.span, "the left side of `->` names axes");
        };
        e.note_dim(&name.node);
        taken.push((e.axis_name(&name.node), name.span));
    }
    let taken = e.have_axes(&ty, &taken)?;
    let old: Vec<Axis> = taken.iter().filter_map(|n| ty.axis(n).cloned()).collect();
    e.splits_alone("view", &old, span)?;
    let new = new_axes(e, &old, to, span)?;
    e.splits_alone("view", &new, span)?;
    // The merged axes must lie side by side, in the order written.
    let first = ty.position(&taken[0]).unwrap_or(0);
    let mut order: Vec<Axis> = ty.axes.iter().filter(|a| !taken.contains(&a.name)).cloned().collect();
    let place = ty.axes[..first].iter().filter(|a| !taken.contains(&a.name)).count();
    order.splice(place..place, old.iter().cloned());
    let mut source = x;
    if order != ty.axes {
        source = e.push(What::Permute, &[x], Table { axes: order.clone(), ..ty.clone() }, span)?;
    }
    order.splice(place..place + old.len(), new.iter().cloned());
    let what = if old.len() == 1 && new.len() == 1 { What::Rename } else { What::Reshape };
    e.push(what, &[source], Table { axes: order, ..ty }, span).map(Val::Table)
}

/// The right side of `->`; one size may be left out.
fn new_axes<'a>(e: &mut Elab<'a>, old: &[Axis], to: &'a [ast::Axis], span: Span) -> Res<Vec<Axis>> {
    let mut new: Vec<(String, Option<Size>, Span)> = vec![];
    for axis in to {
        new.push(match &axis.kind {
            AxisKind::Rest => return e.fail("E0301", axis.span, "`..` has no meaning in a view"),
            AxisKind::Size(n) => match whole(*n) {
                Some(n) if n > 0 => ("c".to_string(), Some(Size::Known(n)), axis.span),
                _ => return e.not_whole(*n, axis.span, "c"),
            },
            AxisKind::Named(name, size) => {
                e.note_dim(&name.node);
                let size = match size {
                    Some(expr) => {
                        let value = e.eval(expr)?;
                        Some(e.size_of(&value, expr.span, &name.node)?)
                    }
                    None if to.len() == 1 => None,
                    None => e.dim(&name.node)?.map(|d| d.size),
                };
                (e.axis_name(&name.node), size, axis.span)
            }
        });
    }
    let whole_size = product(old);
    let open: Vec<usize> = (0..new.len()).filter(|i| new[*i].1.is_none()).collect();
    if let [_, second, ..] = open[..] {
        return e.fail("E0302", new[second].2, "only one size may be left out in a view");
    }
    let given: Vec<Axis> = new.iter().filter_map(|(n, s, _)| s.clone().map(|s| Axis::new(n.clone(), s))).collect();
    let rest = divide(&whole_size, &product(&given)).ok_or_else(|| misfit(e, old, &given, span))?;
    match open[..] {
        [i] => new[i].1 = Some(rest),
        _ if rest != Size::Known(1) && rest.known().is_some() => return Err(misfit(e, old, &given, span)),
        _ => {}
    }
    let mut axes = vec![];
    for (name, size, at) in new {
        let size = size.unwrap_or(Size::Known(1));
        e.agree_with_dim(&name, &size, at)?;
        axes.push(Axis::new(name, size));
    }
    Ok(axes)
}

fn divide(all: &Size, part: &Size) -> Option<Size> {
    match (all, part) {
        (Size::Known(a), Size::Known(p)) => (*p > 0 && a % p == 0).then(|| Size::Known(a / p)),
        (a, Size::Known(1)) => Some(a.clone()),
        (a, p) if a == p => Some(Size::Known(1)),
        (Size::Variable(_), _) | (_, Size::Variable(_)) => None,
        (a, p) => Some(Size::Unknown(opaque(format!("{a} / ({p})")))),
    }
}

fn misfit(e: &mut Elab<'_>, old: &[Axis], new: &[Axis], span: Span) -> Reported {
    let show = |axes: &[Axis]| super::value::show_axes(axes);
    let message = format!(
        "{} has {} elements, which {} with {} does not divide",
        show(old),
        product(old),
        show(new),
        product(new)
    );
    e.report(Diagnostic::error("E0308", span, message))
}

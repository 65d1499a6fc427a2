//! Reductions: `sum`, `mean`, `max`, `min` over axes, and `argmax`.

use super::pointwise::two;
use crate::hir::args::Call;
use crate::hir::elab::{Elab, Res};
use crate::hir::layer::What;
use crate::hir::shape::product;
use crate::hir::value::{Element, LayerId, Table, Val};
use crate::loops::{Binary, Fold, Unary};

/// The table, the axes to fold (all, where none are named), and the type that is left.
fn folded<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<(LayerId, Vec<String>, Table)> {
    let (x, span) = e.take_real_table(c, "x")?;
    let ty = e.number_type(x, span)?;
    let names = match e.take_axes(c, "over")? {
        Some(names) => e.have_axes(&ty, &names)?,
        None => ty.axes.iter().map(|a| a.name.clone()).collect(),
    };
    let mut left = ty.without(&names);
    // Where each example has its own length, it has its own result too.
    left.batched |= ty.variable().any(|(a, _)| names.contains(&a.name));
    Ok((x, names, left))
}

fn reduce<'a>(e: &mut Elab<'a>, c: &mut Call<'a>, fold: Fold) -> Res<Val<'a>> {
    let (x, names, left) = folded(e, c)?;
    if names.is_empty() {
        return Ok(Val::Table(x));
    }
    e.push(What::Reduce(fold), &[x], left, c.span).map(Val::Table)
}

pub fn sum<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    reduce(e, c, Fold::Add)
}

pub fn mean<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, names, left) = folded(e, c)?;
    if names.is_empty() {
        return Ok(Val::Table(x));
    }
    let gone: Vec<_> = e.ty(x).axes.iter().filter(|a| names.contains(&a.name)).cloned().collect();
    let total = e.push(What::Reduce(Fold::Add), &[x], left.clone(), c.span)?;
    if gone.iter().any(|a| a.size.variable().is_some()) {
        let count = e.count(gone.into_iter().map(|a| a.size).collect(), c.span)?;
        return e.push(What::Binary(Binary::Div), &[total, count], left, c.span).map(Val::Table);
    }
    let count = product(&gone).known().unwrap_or(1).max(1);
    let factor = e.constant(1.0 / count as f64, c.span)?;
    e.push(What::Binary(Binary::Mul), &[total, factor], left, c.span).map(Val::Table)
}

/// With two values the larger, with one the largest over axes.
pub fn max<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    if c.queue.len() >= 2 { two(e, c, Binary::Max, "max", f64::max) } else { reduce(e, c, Fold::Max) }
}

pub fn min<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    if c.queue.len() >= 2 {
        return two(e, c, Binary::Min, "min", f64::min);
    }
    let (x, names, left) = folded(e, c)?;
    if names.is_empty() {
        return Ok(Val::Table(x));
    }
    let minus = e.unary(Unary::Neg, x, c.span)?;
    let largest = e.push(What::Reduce(Fold::Max), &[minus], left, c.span)?;
    e.unary(Unary::Neg, largest, c.span).map(Val::Table)
}

/// `argmax(x, over = a)` gives indices into `a`.
pub fn argmax<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, names, left) = folded(e, c)?;
    let [name] = &names[..] else {
        return e.fail("E0303", c.span, "`argmax` needs one axis: `argmax(x, over = a)`");
    };
    let Some(axis) = e.ty(x).axis(name).cloned() else { return e.fail("E0303", c.span, "no such axis") };
    let element = Element::Index { dim: axis.name.clone(), size: axis.size };
    e.push(What::ArgMax(axis.name), &[x], Table { element, ..left }, c.span).map(Val::Table)
}

//! Layers that behave differently in training: `batch_norm`, `dropout`.

use super::dense::features;
use crate::hir::args::Call;
use crate::hir::elab::{Elab, Res};
use crate::hir::layer::{Start, What};
use crate::hir::value::{Table, Val};

/// Normalizes the feature axis over the batch and all other axes.
///
/// `(x - mean) / sqrt(variance + eps) * scale + shift`, with the batch's mean and (biased) variance in
/// training, the running ones elsewhere: `running += momentum * (batch - running)`, unbiased variance.
pub fn batch_norm<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, span) = e.take_real_table(c, "x")?;
    let ty = e.number_type(x, span)?;
    let feature = features(e, c, &ty, span)?;
    let (eps, at) = e.take_number(c, "eps", Some(1e-5))?;
    if eps <= 0.0 {
        return e.fail("E0410", at, format!("`eps` is {eps}, it must be above 0"));
    }
    let (momentum, at) = e.take_number(c, "momentum", Some(0.1))?;
    if !(0.0..=1.0).contains(&momentum) {
        return e.fail("E0410", at, format!("`momentum` is {momentum}, it must be within 0 and 1"));
    }
    e.outside_of_scans("`batch_norm`", c.span)?;
    if !ty.batched {
        return e.fail("E0402", span, "`batch_norm` needs a table that depends on a model input");
    }
    let one = Table::numbers(vec![feature], false);
    let scale = e.weight(format!("{}.scale", c.path), one.clone(), Start::Constant(1.0), c.span)?;
    let shift = e.weight(format!("{}.shift", c.path), one.clone(), Start::Constant(0.0), c.span)?;
    let mean = e.stored(format!("{}.mean", c.path), one.clone(), 0.0);
    let variance = e.stored(format!("{}.variance", c.path), one, 1.0);
    let what = What::BatchNorm { eps, momentum, mean, variance };
    e.push(what, &[x, scale, shift], ty, c.span).map(Val::Table)
}

/// In training each element is 0 with probability `p` and scaled by `1 / (1 - p)` otherwise.
pub fn dropout<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (x, span) = e.take_real_table(c, "x")?;
    let ty = e.number_type(x, span)?;
    let (p, at) = e.take_number(c, "p", None)?;
    if !(0.0..1.0).contains(&p) {
        return e.fail("E0410", at, format!("the probability is {p}, it must be at least 0 and below 1"));
    }
    if p == 0.0 {
        return Ok(Val::Table(x));
    }
    // A shared layer that is used twice draws twice.
    let n = e.repeats.entry(c.path.clone()).or_insert(0);
    let name = format!("{}#{n}", c.path);
    *n += 1;
    e.push(What::Dropout { p, name }, &[x], ty, c.span).map(Val::Table)
}

//! Words that the rules of several ops share.

use super::{Emit, Misfit};
use crate::base::{TensorType, Value};
use crate::loops::{Affine, Expr, Fold, Scope, expr};

/// A shape rule's refusal.
pub(super) fn misfit<T>(operand: usize, expected: impl Into<String>) -> Result<T, Misfit> {
    Err(Misfit { operand, expected: expected.into() })
}

/// Refuses unless `holds`.
pub(super) fn demand(holds: bool, operand: usize, expected: impl FnOnce() -> String) -> Result<(), Misfit> {
    if holds { Ok(()) } else { misfit(operand, expected()) }
}

/// Folds `body` over all coordinates of `extents`; an extent of 1 makes no loop.
pub(super) fn fold(
    s: &mut Scope,
    fold: Fold,
    extents: &[usize],
    body: impl FnOnce(&mut Scope, &[Affine]) -> Expr,
) -> Expr {
    let mut vars = vec![];
    let mut at = vec![];
    for &extent in extents {
        if extent == 1 {
            at.push(Affine::constant(0));
        } else {
            let var = s.var();
            vars.push((var, extent));
            at.push(Affine::from(var));
        }
    }
    let body = body(s, &at);
    match fold {
        Fold::ArgMax if vars.is_empty() => expr::constant(0.0),
        Fold::Add | Fold::Max if vars.is_empty() => body,
        Fold::Add | Fold::Max | Fold::ArgMax => expr::reduce(fold, vars, body),
    }
}

/// `body` where all of `inside` holds, 0 elsewhere; no guard if there is nothing to guard.
pub(super) fn where_inside(inside: Vec<(Affine, usize)>, body: Expr, otherwise: f32) -> Expr {
    if inside.is_empty() { body } else { expr::guard(inside, body, otherwise) }
}

/// `sum of at[i] * stride(i)` for the row-major strides of `shape`.
pub(super) fn flat(shape: &[usize], at: &[Affine]) -> Affine {
    shape.iter().zip(at).fold(Affine::constant(0), |sum, (n, i)| &(&sum * (*n as i64)) + i)
}

/// `3x3`
pub(super) fn by(extents: &[usize]) -> String {
    extents.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

/// The positions in `0..rank` that are not in `axes`.
pub(super) fn others(rank: usize, axes: &[usize]) -> Vec<usize> {
    (0..rank).filter(|i| !axes.contains(i)).collect()
}

pub(super) fn pick(shape: &[usize], axes: &[usize]) -> Vec<usize> {
    axes.iter().map(|&i| shape[i]).collect()
}

/// Strictly increasing positions below `rank`?
pub(super) fn are_axes(axes: &[usize], rank: usize) -> bool {
    axes.windows(2).all(|w| w[0] < w[1]) && axes.last().is_none_or(|&last| last < rank)
}

pub(super) fn same_shape(operand: usize, x: &TensorType, shape: &[usize]) -> Result<(), Misfit> {
    demand(x.shape == shape, operand, || format!("the shape {shape:?}"))
}

impl dyn Emit + '_ {
    pub fn shape(&self, x: Value) -> Vec<usize> {
        self.ty(x).shape.clone()
    }

    /// `value` everywhere.
    pub fn filled(&mut self, value: f32, shape: &[usize]) -> Value {
        let constant = self.constant(value);
        if shape.is_empty() { constant } else { self.broadcast(constant, shape, &[]) }
    }

    /// `value` in the shape of `x`.
    pub fn filled_like(&mut self, value: f32, x: Value) -> Value {
        let shape = self.shape(x);
        self.filled(value, &shape)
    }

    /// `x * factor`
    pub fn scale(&mut self, x: Value, factor: f32) -> Value {
        let factor = self.filled_like(factor, x);
        self.mul(x, factor)
    }
}

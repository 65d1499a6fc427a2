//! A sum is linear: where the sums of its parts are known, nothing needs to walk over the table again.
//!
//! The gradient of batch normalization sums `dy * a + (x - mean) * b` over the batch to reach the mean. `a` and `b` do
//! not vary along what is summed, the sum of `dy` is the gradient of the shift, and that of `x` made the mean.

use super::UpdateRule;
use super::algebra::splat;
use crate::base::Value;
use crate::graph::Graph;
use crate::loops::{Binary, Fold, Unary};
use crate::ops::{Broadcast, Map, Op, Reduce, Zip};
use std::collections::HashMap;

/// Sums by what they sum and over which axes.
type Known = HashMap<(Value, Vec<usize>), Value>;

/// A sum in parts.
enum Sum {
    Known(Value),
    /// What does not vary along the summed axes, so many times.
    Repeated(Value, f32),
    Negated(Box<Sum>),
    Combined(Binary, Box<Sum>, Box<Sum>),
    /// Times what does not vary along the summed axes.
    Scaled(Box<Sum>, Value),
    Times(Box<Sum>, f32),
}

/// Parts within parts are looked at to this depth.
const DEPTH: usize = 12;

pub(super) fn run(graph: &mut Graph, _: &dyn UpdateRule) {
    let known: Known = graph.order().into_iter().filter_map(|v| Some((summed(graph, v)?, v))).collect();
    for v in graph.order() {
        if let Some((x, axes)) = summed(graph, v)
            && let Some(sum) = parts(graph, x, &axes, &known, DEPTH)
        {
            graph.set_origin(graph.node(v).origin.clone());
            let total = made(graph, &sum, v);
            graph.replace_uses(v, total);
        }
    }
}

fn summed(graph: &Graph, v: Value) -> Option<(Value, Vec<usize>)> {
    match graph.op(v) {
        Some(Op::Reduce(Reduce { fold: Fold::Add, axes })) => Some((graph.operands(v)[0], axes.clone())),
        _ => None,
    }
}

/// The sum of `x` from what is known, if `x` is made of such parts; the sum of `x` itself does not count.
fn parts(graph: &Graph, x: Value, axes: &[usize], known: &Known, depth: usize) -> Option<Sum> {
    let depth = depth.checked_sub(1)?;
    let part = |x: Value| match known.get(&(x, axes.to_vec())) {
        Some(sum) => Some(Box::new(Sum::Known(*sum))),
        None => parts(graph, x, axes, known, depth).map(Box::new),
    };
    let operands = graph.operands(x);
    match (graph.op(x)?, &operands[..]) {
        (Op::Map(Map(Unary::Neg)), [a]) => Some(Sum::Negated(part(*a)?)),
        (Op::Zip(Zip(op @ (Binary::Add | Binary::Sub))), [a, b]) => Some(Sum::Combined(*op, part(*a)?, part(*b)?)),
        (Op::Zip(Zip(Binary::Mul)), [a, b]) => [(*a, *b), (*b, *a)].into_iter().find_map(|(a, b)| {
            if let Some(factor) = splat(graph, b) {
                return Some(Sum::Times(part(a)?, factor));
            }
            Some(Sum::Scaled(part(a)?, still(graph, b, axes)?))
        }),
        (Op::Broadcast(_), _) => {
            let shape = &graph.node(x).ty.shape;
            let count: usize = axes.iter().map(|axis| shape[*axis]).product();
            Some(Sum::Repeated(still(graph, x, axes)?, count as f32))
        }
        _ => None,
    }
}

/// What `x` repeats along exactly these axes.
fn still(graph: &Graph, x: Value, axes: &[usize]) -> Option<Value> {
    let Some(Op::Broadcast(Broadcast { shape, axes: own })) = graph.op(x) else { return None };
    let others = (0..shape.len()).filter(|axis| !axes.contains(axis));
    others.eq(own.iter().copied()).then(|| graph.operands(x)[0])
}

fn made(graph: &mut Graph, sum: &Sum, like: Value) -> Value {
    match sum {
        Sum::Known(v) => *v,
        Sum::Repeated(v, count) => times(graph, *v, *count, like),
        Sum::Negated(a) => {
            let a = made(graph, a, like);
            graph.emit_here().neg(a)
        }
        Sum::Combined(op, a, b) => {
            let (a, b) = (made(graph, a, like), made(graph, b, like));
            graph.emit_here().emit(Zip(*op).into(), &[a, b])
        }
        Sum::Scaled(a, by) => {
            let a = made(graph, a, like);
            graph.emit_here().mul(a, *by)
        }
        Sum::Times(a, by) => {
            let a = made(graph, a, like);
            times(graph, a, *by, like)
        }
    }
}

fn times(graph: &mut Graph, v: Value, by: f32, like: Value) -> Value {
    let e = graph.emit_here();
    let by = e.filled_like(by, like);
    e.mul(v, by)
}

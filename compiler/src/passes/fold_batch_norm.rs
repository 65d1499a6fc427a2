//! A scale of each channel right after a convolution or a dense layer moves into its weights.
//!
//! `conv(x, w) * a` becomes `conv(x, w * a)` and `(conv(x, w) + b) * a` becomes `conv(x, w * a) + b * a`, where `a`, `w`
//! and `b` come from the state alone: what batch normalization by running statistics is. Only where nothing else reads
//! the layer. Not for training, where `a` depends on the batch.

use super::UpdateRule;
use crate::base::Value;
use crate::graph::{Def, Graph};
use crate::loops::Binary;
use crate::ops::{Broadcast, Contract, Op, Zip};
use std::collections::HashSet;

pub(super) fn run(graph: &mut Graph, _: &dyn UpdateRule) {
    let fixed = fixed(graph);
    for product in graph.order() {
        if !graph.contains(product) {
            continue;
        }
        if let Some((layer, scale)) = candidate(graph, product, &fixed) {
            graph.set_origin(graph.node(product).origin.clone());
            let folded = scaled(graph, layer, scale);
            graph.replace_uses(product, folded);
        }
    }
}

/// Values that depend on no input.
fn fixed(graph: &Graph) -> HashSet<Value> {
    let mut fixed = HashSet::new();
    for v in graph.order() {
        let constant = match &graph.node(v).def {
            Def::Input(_) => false,
            Def::State(_) | Def::Constant(_) => true,
            Def::Op(_) => graph.operands(v).iter().all(|x| fixed.contains(x)),
        };
        if constant {
            fixed.insert(v);
        }
    }
    fixed
}

/// The vector `a` if `v` is `a` repeated along all axes but the last.
fn by_channel(graph: &Graph, v: Value, fixed: &HashSet<Value>) -> Option<Value> {
    let Some(Op::Broadcast(Broadcast { shape, axes })) = graph.op(v) else { return None };
    let last = *axes == [shape.len() - 1];
    (last && fixed.contains(&v)).then(|| graph.operands(v)[0])
}

/// The layer and the scale of `layer * scale`, if the layer can take it.
fn candidate(graph: &Graph, product: Value, fixed: &HashSet<Value>) -> Option<(Value, Value)> {
    let Some(Op::Zip(Zip(Binary::Mul))) = graph.op(product) else { return None };
    let [x, y] = graph.operands(product)[..] else { return None };
    [(x, y), (y, x)].into_iter().find_map(|(layer, scale)| {
        let scale = by_channel(graph, scale, fixed)?;
        let alone = |v: Value| graph.users(v).len() == 1 && !graph.is_result(v);
        takes(graph, layer, fixed, &alone).then_some((layer, scale))
    })
}

/// Can a scale of each channel of `v` move into its weights?
fn takes(graph: &Graph, v: Value, fixed: &HashSet<Value>, alone: &dyn Fn(Value) -> bool) -> bool {
    let operands = graph.operands(v);
    alone(v)
        && match graph.op(v) {
            Some(Op::Conv(_)) => fixed.contains(&operands[1]),
            Some(Op::Contract(c)) => fixed.contains(&operands[1]) && axis(c).is_some(),
            Some(Op::Zip(Zip(Binary::Add))) => {
                by_channel(graph, operands[1], fixed).is_some() && takes(graph, operands[0], fixed, alone)
            }
            _ => false,
        }
}

/// The axis of the second operand that is the last of the result and not in the first.
fn axis(c: &Contract) -> Option<usize> {
    let last = c.y.chars().last()?;
    if c.a.contains(last) { None } else { c.b.chars().position(|l| l == last) }
}

/// `layer * scale` with the scale inside.
fn scaled(graph: &mut Graph, layer: Value, scale: Value) -> Value {
    let operands = graph.operands(layer);
    let op = graph.op(layer).cloned();
    match op {
        Some(Op::Conv(conv)) => {
            let last = graph.node(operands[1]).ty.rank() - 1;
            let w = spread(graph, operands[1], scale, last);
            graph.emit_here().conv(operands[0], w, &conv.spec)
        }
        Some(Op::Contract(c)) => {
            let axis = axis(&c).expect("a candidate has one");
            let w = spread(graph, operands[1], scale, axis);
            graph.emit_here().contract(operands[0], &c.a, w, &c.b, &c.y)
        }
        _ => {
            let inner = scaled(graph, operands[0], scale);
            let bias = graph.operands(operands[1])[0];
            let e = graph.emit_here();
            let bias = e.mul(bias, scale);
            let shape = e.ty(inner).shape.clone();
            let wide = e.broadcast(bias, &shape, &[shape.len() - 1]);
            e.add(inner, wide)
        }
    }
}

/// `w * scale` along one axis of `w`.
fn spread(graph: &mut Graph, w: Value, scale: Value, axis: usize) -> Value {
    let shape = graph.node(w).ty.shape.clone();
    let e = graph.emit_here();
    let wide = e.broadcast(scale, &shape, &[axis]);
    e.mul(w, wide)
}

//! A scale and a shift of each feature right before dense layers move into their weights and biases.
//!
//! `dense(x * a + s, w) + b` becomes `dense(x, a * w) + (b + dense(s, w))`, where `a`, `s`, `w` and `b` come from the
//! state alone: what layer normalization ends with. Only where dense layers alone read it. Not for training, where they
//! change at every step.

use super::UpdateRule;
use super::fold_batch_norm::{by_channel, fixed, spread};
use crate::base::Value;
use crate::graph::Graph;
use crate::loops::Binary;
use crate::ops::{Broadcast, Contract, Op, Zip};
use std::collections::HashSet;

pub(super) fn run(graph: &mut Graph, _: &dyn UpdateRule) {
    let fixed = fixed(graph);
    for sum in graph.order() {
        let Some((x, scale, shift)) = graph.contains(sum).then(|| candidate(graph, sum, &fixed)).flatten() else {
            continue;
        };
        for layer in graph.users(sum) {
            fold(graph, layer, [x, scale, shift], &fixed);
        }
    }
}

/// The `x`, `a` and `s` of `x * a + s`, if all that reads it are layers that can take them.
fn candidate(graph: &Graph, sum: Value, fixed: &HashSet<Value>) -> Option<(Value, Value, Value)> {
    let (product, shift) = with_vector(graph, sum, Binary::Add, fixed)?;
    let (x, scale) = with_vector(graph, product, Binary::Mul, fixed)?;
    let users = graph.users(sum);
    let inside = |v: Value| !graph.is_result(v);
    let takes = |layer: &Value| match graph.op(*layer) {
        Some(Op::Contract(c)) => {
            let [a, w] = graph.operands(*layer)[..] else { return false };
            a == sum && w != sum && fixed.contains(&w) && feature(c).is_some()
        }
        _ => false,
    };
    let fits = inside(sum) && inside(product) && graph.users(product).len() == 1;
    (fits && !users.is_empty() && users.iter().all(takes)).then_some((x, scale, shift))
}

/// The other operand and the vector of `v`, if it is an operation with a vector that lies along the last axis.
fn with_vector(graph: &Graph, v: Value, op: Binary, fixed: &HashSet<Value>) -> Option<(Value, Value)> {
    let Some(Op::Zip(Zip(own))) = graph.op(v) else { return None };
    let [x, y] = graph.operands(v)[..] else { return None };
    let found = [(x, y), (y, x)].into_iter().find_map(|(x, y)| Some((x, by_channel(graph, y, fixed)?)));
    found.filter(|_| *own == op)
}

/// The letter of the last axis of a first operand, if that is all that it shares with the second one.
fn feature(c: &Contract) -> Option<char> {
    let feature = c.a.chars().last()?;
    let shared = c.b.chars().filter(|l| c.a.contains(*l)).eq([feature]);
    (shared && !c.y.contains(feature)).then_some(feature)
}

/// The layer with scale and shift inside takes the place of the old one, and of the bias that is added to it.
fn fold(graph: &mut Graph, layer: Value, [x, scale, shift]: [Value; 3], fixed: &HashSet<Value>) {
    let Some(Op::Contract(c)) = graph.op(layer).cloned() else { return };
    let Some(feature) = feature(&c) else { return };
    graph.set_origin(graph.node(layer).origin.clone());
    let w = graph.operands(layer)[1];
    let at = c.b.chars().position(|l| l == feature).expect("bug in fold_norm: a layer has features");
    let axes: Vec<usize> = (0..c.y.len()).filter(|i| c.b.contains(&c.y[*i..*i + 1])).collect();
    let own: String = c.y.chars().filter(|l| c.b.contains(*l)).collect();
    let scaled = spread(graph, w, scale, at);
    let e = graph.emit_here();
    let product = e.contract(x, &c.a, scaled, &c.b, &c.y);
    let mut add = e.contract(shift, &feature.to_string(), w, &c.b, &own);
    let mut old = layer;
    if let Some((sum, bias)) = biased(graph, layer, &axes, fixed) {
        add = graph.emit_here().add(bias, add);
        old = sum;
    }
    let e = graph.emit_here();
    let shape = e.ty(product).shape.clone();
    let wide = e.broadcast(add, &shape, &axes);
    let new = e.add(product, wide);
    graph.replace_uses(old, new);
}

/// The sum with a bias along some axes that alone reads a layer, and the bias.
fn biased(graph: &Graph, layer: Value, axes: &[usize], fixed: &HashSet<Value>) -> Option<(Value, Value)> {
    let [sum] = graph.users(layer)[..] else { return None };
    let Some(Op::Zip(Zip(Binary::Add))) = graph.op(sum) else { return None };
    let wide = graph.operands(sum).into_iter().find(|x| *x != layer)?;
    let Some(Op::Broadcast(Broadcast { axes: own, .. })) = graph.op(wide) else { return None };
    (!graph.is_result(layer) && own == axes && fixed.contains(&wide)).then(|| (sum, graph.operands(wide)[0]))
}

//! Reverse-mode differentiation as a graph rewrite.
//!
//! Adds an output `d.w` for every weight `w` that the output `loss` depends on. Adjoints carry the path of
//! the value that they belong to, in the role `Backward`.
//!
//! Does not simplify, and makes adjoints that nobody reads: that is `fold_constants`' and
//! `eliminate_dead`'s business.

use super::UpdateRule;
use crate::base::{Origin, Role, Value};
use crate::graph::{Graph, StateKind};
use std::collections::{BTreeMap, BTreeSet};

pub fn run(graph: &mut Graph, _: &dyn UpdateRule) {
    let Some(loss) = graph.output("loss") else {
        return;
    };
    let weights: Vec<(String, Value)> =
        graph.state.iter().filter(|s| s.kind == StateKind::Weight).map(|s| (s.path.clone(), s.value)).collect();
    let values: Vec<Value> = weights.iter().map(|(_, v)| *v).collect();
    let gradients = gradients(graph, loss, &values);
    for ((path, _), gradient) in weights.iter().zip(gradients) {
        if let Some(gradient) = gradient {
            graph.set_output(&format!("d.{path}"), gradient);
        }
    }
}

/// The derivative of the sum of `y` by each value of `wrt`; `None` where `y` does not depend on it.
pub fn gradients(graph: &mut Graph, y: Value, wrt: &[Value]) -> Vec<Option<Value>> {
    let order = graph.order();
    let mut active: BTreeSet<Value> = wrt.iter().copied().collect();
    for v in &order {
        if graph.operands(*v).iter().any(|o| active.contains(o)) {
            active.insert(*v);
        }
    }
    let mut adjoints: BTreeMap<Value, Vec<Value>> = BTreeMap::new();
    let mut totals: BTreeMap<Value, Value> = BTreeMap::new();
    graph.set_origin(backward(graph, y));
    let one = graph.emit_here().filled_like(1.0, y);
    adjoints.insert(y, vec![one]);
    for v in order.into_iter().rev().filter(|v| active.contains(v)) {
        let Some(terms) = adjoints.remove(&v) else {
            continue;
        };
        graph.set_origin(backward(graph, v));
        let e = graph.emit_here();
        let dv = terms.into_iter().reduce(|sum, term| e.add(sum, term)).expect("one term at least");
        totals.insert(v, dv);
        let Some(op) = graph.op(v).cloned() else {
            continue;
        };
        let operands = graph.operands(v);
        let gradients = op.grad(graph, &operands, v, dv);
        for (operand, gradient) in operands.into_iter().zip(gradients) {
            if let Some(gradient) = gradient
                && active.contains(&operand)
            {
                adjoints.entry(operand).or_default().push(gradient);
            }
        }
    }
    graph.set_origin(Origin::default());
    wrt.iter().map(|v| totals.get(v).copied()).collect()
}

fn backward(graph: &Graph, v: Value) -> Origin {
    Origin { role: Role::Backward, ..graph.node(v).origin.clone() }
}

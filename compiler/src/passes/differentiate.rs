//! Reverse-mode differentiation as a graph rewrite.
//!
//! Adds an output `d.w` for every weight `w` that the output `loss` depends on. Adjoints carry the path of
//! the value that they belong to, in the role `Backward`.
//!
//! Does not simplify, and makes adjoints that nobody reads: that is `fold_constants`' and
//! `eliminate_dead`'s business.

mod recurrence;

use super::UpdateRule;
use crate::base::{Origin, Role, Value};
use crate::graph::{Graph, StateKind, recur::closes};
use crate::loops::Fold;
use crate::ops::{Carry, Op, Recur, Stack};
use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    let forward = Forward { active: active(graph, &order, wrt), bodies: graph.bodies(), order };
    let mut adjoints = Adjoints::default();
    let mut totals: BTreeMap<Value, Value> = BTreeMap::new();
    graph.set_origin(backward(graph, y));
    let one = graph.emit_here().filled_like(1.0, y);
    adjoints.add(y, one);
    let mut done: BTreeSet<Recur> = BTreeSet::new();
    for v in forward.order.iter().rev().copied().filter(|v| forward.active.contains(v)) {
        if let Some(of) = forward.bodies.get(&v) {
            // Whatever stacks its values comes later in the order: its adjoints are complete.
            if forward.is_gate(graph, *of, v) && done.insert(*of) {
                recurrence::run(graph, &forward, *of, &mut adjoints);
            }
            continue;
        }
        let stacked = graph.op(v).and_then(closes).map(|_| graph.operands(v)[0]);
        if stacked.is_some_and(|x| forward.bodies.contains_key(&x)) {
            continue;
        }
        let Some(dv) = adjoints.take(graph, v) else {
            continue;
        };
        totals.insert(v, dv);
        step(graph, &forward, v, dv, &mut adjoints);
    }
    graph.set_origin(Origin::default());
    wrt.iter().map(|v| totals.get(v).copied()).collect()
}

/// What differentiation knows of the values that were there before it.
struct Forward {
    order: Vec<Value>,
    /// Those that depend on what is asked for.
    active: BTreeSet<Value>,
    bodies: HashMap<Value, Recur>,
}

impl Forward {
    /// Does anything outside, or the next iteration, take `v` from this recurrence?
    fn is_gate(&self, graph: &Graph, of: Recur, v: Value) -> bool {
        graph.recurrences[of.id as usize].next_values().any(|n| n == v)
            || graph.users(v).into_iter().any(|u| graph.op(u).and_then(closes) == Some(of))
    }
}

fn active(graph: &Graph, order: &[Value], wrt: &[Value]) -> BTreeSet<Value> {
    let mut active: BTreeSet<Value> = wrt.iter().copied().collect();
    loop {
        let before = active.len();
        for v in order {
            let carried = match graph.op(*v) {
                Some(Op::Carry(Carry { of, which })) => graph.recurrences[of.id as usize].states[*which],
                _ => None,
            };
            let next = carried.map(|(_, next)| next);
            if graph.operands(*v).iter().chain(&next).any(|o| active.contains(o)) {
                active.insert(*v);
            }
        }
        // Once around is enough but for what is carried back.
        if active.len() == before || graph.recurrences.is_empty() {
            return active;
        }
    }
}

/// Terms of adjoints that are not yet summed.
#[derive(Default)]
struct Adjoints(BTreeMap<Value, Vec<Value>>);

impl Adjoints {
    fn add(&mut self, v: Value, term: Value) {
        self.0.entry(v).or_default().push(term);
    }

    /// The sum for `v`, in the origin of `v`.
    fn take(&mut self, graph: &mut Graph, v: Value) -> Option<Value> {
        let terms = self.0.remove(&v)?;
        graph.set_origin(backward(graph, v));
        let e = graph.emit_here();
        terms.into_iter().reduce(|sum, term| e.add(sum, term))
    }
}

/// Passes the adjoint of `v` on to its operands.
fn step(graph: &mut Graph, forward: &Forward, v: Value, dv: Value, adjoints: &mut Adjoints) {
    let Some(op) = graph.op(v).cloned() else {
        return;
    };
    let operands = graph.operands(v);
    if let Op::Stack(Stack { axis, .. }) = op {
        // Of what does not change from iteration to iteration.
        let sum = graph.emit_here().reduce(Fold::Add, dv, &[axis]);
        return adjoints.add(operands[0], sum);
    }
    let gradients = op.grad(graph, &operands, v, dv);
    for (operand, gradient) in operands.into_iter().zip(gradients) {
        if let Some(gradient) = gradient
            && forward.active.contains(&operand)
        {
            adjoints.add(operand, gradient);
        }
    }
}

fn backward(graph: &Graph, v: Value) -> Origin {
    Origin { role: Role::Backward, ..graph.node(v).origin.clone() }
}

//! The gradient of a recurrence: one in the other direction, over the differentiated body.
//!
//! Its states are the adjoints of the forward states. What it needs of the forward pass are stacked values of the
//! forward body, sliced again; what is cheap to make from others is made again. What flows to values from outside is
//! stacked and, for values that do not belong to one iteration, summed afterwards: so the gradient of a weight is one
//! contraction over all iterations, once `hoist` has seen it.

use super::{Adjoints, Forward, backward, step};
use crate::base::Value;
use crate::graph::Graph;
use crate::loops::{Binary, Fold};
use crate::ops::{Carry, Emit, Map, Op, Pick, Recur, Stack, Zip};
use std::collections::{BTreeMap, HashSet};

/// A state of the forward recurrence, and the state that carries its adjoint.
struct Carried {
    carry: Value,
    next: Value,
    adjoint: Value,
}

pub fn run(graph: &mut Graph, forward: &Forward, of: Recur, outer: &mut Adjoints) {
    let back = graph.recurrence(of.length, !of.reverse);
    let mut inner = Adjoints::default();
    let carried = carry(graph, forward, of, back, &mut inner);
    seed(graph, forward, of, back, outer, &mut inner);
    let mut found = Found::default();
    let body: Vec<Value> = forward.order.iter().rev().copied().filter(|v| forward.bodies.get(v) == Some(&of)).collect();
    for v in body.into_iter().filter(|v| forward.active.contains(v)) {
        let Some(dv) = inner.take(graph, v) else { continue };
        match graph.op(v).cloned() {
            Some(Op::Carry(_)) => found.states.push((v, dv)),
            Some(Op::Pick(Pick { axis, .. })) => found.slices.push((graph.operands(v)[0], dv, axis)),
            _ => step(graph, forward, v, dv, &mut inner),
        }
    }
    for (v, terms) in std::mem::take(&mut inner.0) {
        found.whole.extend(terms.into_iter().map(|term| (v, term)));
    }
    finish(graph, forward, back, carried, found, outer);
    Again { graph, forward, of, back, known: BTreeMap::new() }.run();
}

/// Adjoints that leave the body.
#[derive(Default)]
struct Found {
    /// Of states, before the iteration.
    states: Vec<(Value, Value)>,
    /// Of values from outside that are sliced along an axis.
    slices: Vec<(Value, Value, usize)>,
    /// Of those that every iteration reads.
    whole: Vec<(Value, Value)>,
}

/// A state for the adjoint of each state that matters: it begins as zero.
fn carry(graph: &mut Graph, forward: &Forward, of: Recur, back: Recur, inner: &mut Adjoints) -> Vec<Carried> {
    let states: Vec<(Value, Value)> = graph.recurrences[of.id as usize].states.iter().flatten().copied().collect();
    let mut carried = vec![];
    for (carry, next) in states.into_iter().filter(|(_, next)| forward.active.contains(next)) {
        graph.set_origin(backward(graph, carry));
        let zero = graph.emit_here().filled_like(0.0, carry);
        let adjoint = graph.carry(back, zero);
        inner.add(next, adjoint);
        carried.push(Carried { carry, next, adjoint });
    }
    carried
}

/// What comes to the body from the tables that its values are stacked in.
fn seed(graph: &mut Graph, forward: &Forward, of: Recur, back: Recur, outer: &mut Adjoints, inner: &mut Adjoints) {
    for v in &forward.order {
        let Some(Op::Stack(Stack { of: own, axis })) = graph.op(*v).cloned() else { continue };
        let x = graph.operands(*v)[0];
        if own == of
            && forward.active.contains(&x)
            && forward.bodies.contains_key(&x)
            && let Some(dv) = outer.take(graph, *v)
        {
            let term = graph.emit_here().pick(dv, back, axis);
            inner.add(x, term);
        }
    }
}

/// Which axis of a table in a body is the new one: after the examples, where there are any.
fn new_axis(graph: &Graph, v: Value) -> usize {
    let shape = &graph.node(v).ty.shape;
    usize::from(graph.batch > 0 && shape.first() == Some(&graph.batch))
}

fn finish(
    graph: &mut Graph,
    forward: &Forward,
    back: Recur,
    carried: Vec<Carried>,
    found: Found,
    outer: &mut Adjoints,
) {
    for c in &carried {
        graph.set_origin(backward(graph, c.next));
        let before = found.states.iter().find(|(v, _)| *v == c.carry).map(|(_, dv)| *dv);
        let before = before.unwrap_or_else(|| graph.emit_here().filled_like(0.0, c.carry));
        graph.set_next(c.adjoint, before);
    }
    for (carry, dv) in found.states {
        let init = graph.operands(carry)[0];
        if forward.active.contains(&init) {
            graph.set_origin(backward(graph, carry));
            let (axis, shape) = (new_axis(graph, dv), graph.node(dv).ty.shape.clone());
            let e = graph.emit_here();
            let all = e.stack(dv, back, axis);
            let last = e.slice(all, axis, back.place_at(back.length - 1), 1);
            let last = e.reshape(last, &shape);
            outer.add(init, last);
        }
    }
    for (x, dv, axis) in found.slices {
        if forward.active.contains(&x) {
            graph.set_origin(backward(graph, x));
            let all = graph.emit_here().stack(dv, back, axis);
            outer.add(x, all);
        }
    }
    for (x, dv) in found.whole {
        graph.set_origin(backward(graph, x));
        let axis = new_axis(graph, dv);
        let e = graph.emit_here();
        let all = e.stack(dv, back, axis);
        let sum = e.reduce(Fold::Add, all, &[axis]);
        outer.add(x, sum);
    }
}

/// Gives the backward body what it needs of the forward body.
struct Again<'a> {
    graph: &'a mut Graph,
    forward: &'a Forward,
    of: Recur,
    back: Recur,
    known: BTreeMap<Value, Value>,
}

impl Again<'_> {
    /// Every value of the backward body that reads one of the forward body reads it again.
    fn run(mut self) {
        let new: HashSet<Value> = self.graph.order().into_iter().collect();
        let old: HashSet<Value> = self.forward.order.iter().copied().collect();
        let mut new: Vec<Value> = new.difference(&old).copied().collect();
        new.sort_unstable();
        for v in new {
            for (slot, x) in self.graph.operands(v).into_iter().enumerate() {
                if self.forward.bodies.get(&x) == Some(&self.of) {
                    let again = self.value(x);
                    self.graph.replace_operand(v, slot, again);
                }
            }
        }
        // A next value may be one of the forward body itself.
        let states = self.graph.recurrences[self.back.id as usize].states.clone();
        for (carry, next) in states.into_iter().flatten() {
            if self.forward.bodies.get(&next) == Some(&self.of) {
                let again = self.value(next);
                self.graph.set_next(carry, again);
            }
        }
    }

    /// `x` of the forward body, in the backward body.
    fn value(&mut self, x: Value) -> Value {
        if self.forward.bodies.get(&x) != Some(&self.of) {
            return x;
        }
        if let Some(known) = self.known.get(&x) {
            return *known;
        }
        let origin = self.graph.node(x).origin.clone();
        let again = match self.graph.op(x).cloned() {
            Some(Op::Pick(Pick { axis, .. })) => {
                let table = self.graph.operands(x)[0];
                self.graph.set_origin(origin);
                self.graph.emit_here().pick(table, self.back, axis)
            }
            Some(op) if self.is_cheap(x, &op) => {
                let operands: Vec<Value> = self.graph.operands(x).into_iter().map(|o| self.value(o)).collect();
                self.graph.set_origin(origin);
                self.graph.emit(op, &operands)
            }
            _ => {
                let axis = new_axis(self.graph, x);
                self.graph.set_origin(origin);
                let all = self.graph.emit_here().stack(x, self.of, axis);
                self.graph.emit_here().pick(all, self.back, axis)
            }
        };
        self.known.insert(x, again);
        again
    }

    /// Does it only move one table, or change each number a little?
    fn is_cheap(&self, x: Value, op: &Op) -> bool {
        let inside = self.graph.operands(x).iter().filter(|o| self.forward.bodies.get(o) == Some(&self.of)).count();
        match op {
            Op::Broadcast(_) | Op::Reshape(_) | Op::Slice(_) | Op::Transpose(_) | Op::Detach(_) => true,
            Op::Map(Map(crate::loops::Unary::Neg)) => true,
            Op::Zip(Zip(
                Binary::Add | Binary::Sub | Binary::Mul | Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge,
            )) => inside <= 1,
            Op::Carry(Carry { .. }) => false,
            _ => false,
        }
    }
}

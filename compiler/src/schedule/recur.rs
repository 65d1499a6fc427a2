//! Recurrences to kernels: where the tables of all iterations lie, and which kernels run in each.
//!
//! A state lies in its history, one place after the other, so no iteration overwrites what it or another still reads,
//! and what is stacked needs no copy: the kernel that computes a value stores it in its place at once.

use super::compose::Composer;
use super::fuse::fuse;
use super::group::uses;
use super::kernels::{Item, Lowering, set};
use super::store::{is_view, scatters, transparent};
use crate::base::{Buffer, Value};
use crate::graph::recur::closes;
use crate::loops::{Affine, Home, Kernel, Store, expr};
use crate::ops::{Op, Recur, Stack};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What runs in every iteration.
#[derive(Clone, Debug)]
pub struct Body {
    pub of: Recur,
    pub items: Vec<Item>,
    /// Buffers that hold values of one iteration only.
    pub local: Vec<Buffer>,
    /// The table of each state: its buffer and its new axis.
    histories: Vec<Option<(Buffer, usize)>>,
    done: bool,
}

impl Lowering<'_> {
    /// Buffers for all iterations, and who is stored there.
    pub(super) fn recurrences(&mut self) {
        for r in &self.graph.recurrences {
            let body = Body { of: r.of, items: vec![], local: vec![], histories: vec![], done: false };
            self.bodies.insert(r.of, body);
        }
        for v in self.graph.order() {
            let Some(op) = self.graph.op(v) else { continue };
            if closes(op).is_some() {
                let node = self.graph.node(v);
                let b = self.buffer(&node.ty.shape, Home::Arena, node.origin.path.clone());
                self.stored.buffer.insert(v, b);
            }
        }
        for r in self.graph.recurrences.clone() {
            for (which, state) in r.states.iter().enumerate() {
                let history = state.map(|(carry, next)| self.history(r.of, which, carry, next));
                if let Some(body) = self.bodies.get_mut(&r.of) {
                    body.histories.push(history);
                }
            }
        }
        for v in self.graph.order() {
            if let Some(Op::Stack(Stack { of, axis })) = self.graph.op(v) {
                let x = self.graph.operands(v)[0];
                self.settle(x, *of, self.stored.buffer[&v], *axis, of.place());
            }
        }
    }

    /// The table of a state, which is there even if nobody else reads it.
    fn history(&mut self, of: Recur, which: usize, carry: Value, next: Value) -> (Buffer, usize) {
        let known = self.graph.users(next).into_iter().find_map(|u| match self.graph.op(u) {
            Some(Op::History(h)) if h.of == of && h.which == which => Some((self.stored.buffer[&u], h.axis)),
            _ => None,
        });
        let (buffer, axis) = known.unwrap_or_else(|| {
            let node = self.graph.node(carry);
            let mut shape = node.ty.shape.clone();
            let axis = usize::from(self.graph.batch > 0 && shape.first() == Some(&self.graph.batch));
            shape.insert(axis, of.length + 1);
            (self.buffer(&shape, Home::Arena, node.origin.path.clone()), axis)
        });
        self.stored.buffer.insert(carry, buffer);
        self.stored.place.insert(carry, (axis, of.before()));
        self.settle(next, of, buffer, axis, of.after());
        (buffer, axis)
    }

    /// Lets `x` be computed where it is stacked, if it can.
    fn settle(&mut self, x: Value, of: Recur, buffer: Buffer, axis: usize, place: Affine) {
        let opaque = |u: &Value| is_view(self.graph, *u) && !transparent(self.graph, x, *u);
        let own = self.decision.bodies.get(&x) == Some(&of)
            && self.decision.stored.contains(&x)
            && !self.stored.buffer.contains_key(&x)
            && !is_view(self.graph, x)
            && !matches!(self.graph.op(x), Some(Op::Carry(_)))
            && !scatters(self.graph, x)
            && !self.graph.users(x).iter().any(opaque);
        if own {
            self.stored.buffer.insert(x, buffer);
            self.stored.place.insert(x, (axis, place));
        }
    }

    /// A view of a state that merges axes: those lie apart in the table of all iterations, so it shows a copy.
    pub(super) fn view_of_placed(&mut self, v: Value, of: Value) {
        if transparent(self.graph, of, v) {
            return;
        }
        let name = self.graph.node(v).origin.path.clone();
        let copy = self.buffer(&self.graph.node(of).ty.shape.clone(), Home::Arena, name.clone());
        let shown = self.buffer(&self.graph.node(v).ty.shape.clone(), Home::Arena, name);
        self.program.buffers[shown.index()].alias = Some(copy);
        self.stored.buffer.insert(v, shown);
        self.copies.insert(v, copy);
        if let Some(body) = self.decision.bodies.get(&v).and_then(|of| self.bodies.get_mut(of)) {
            body.local.push(copy);
        }
    }

    /// Makes the copy that a view shows.
    pub(super) fn copy_for_view(&mut self, v: Value) {
        let of = self.graph.operands(v)[0];
        let (axes, at) = self.scope.axes(&self.graph.node(of).ty.shape);
        let composer = Composer::new(self.graph, &self.stored);
        let value = composer.element(&mut self.scope, of, &at);
        let kernel = Kernel { axes, stores: vec![set(self.copies[&v], &at, value)] };
        let item = Item::new(kernel, self.graph.node(v).origin.to_string());
        if let Some(body) = self.decision.bodies.get(&v).and_then(|of| self.bodies.get_mut(of)) {
            body.items.push(item);
        }
    }

    /// Ends a body, at the first value that puts its iterations together.
    pub(super) fn put_together(&mut self, op: &Op) {
        let Some(of) = closes(op) else { return };
        let Some(mut body) = self.bodies.remove(&of).filter(|b| !b.done) else { return };
        let mut first = vec![];
        for (which, state) in self.graph.recurrences[of.id as usize].states.iter().enumerate() {
            let (Some((carry, next)), Some((buffer, axis))) = (state, body.histories[which]) else { continue };
            let init = self.graph.operands(*carry)[0];
            first.push(self.laid(init, buffer, axis, &Affine::constant(of.first() as i64)));
            body.items.extend(self.copied(*next, buffer, axis, &of.after()));
        }
        for v in self.graph.order() {
            let Some(Op::Stack(Stack { of: own, axis })) = self.graph.op(v) else { continue };
            if *own == of {
                let (x, buffer) = (self.graph.operands(v)[0], self.stored.buffer[&v]);
                body.items.extend(self.copied(x, buffer, *axis, &of.place()));
            }
        }
        body.items = fuse(std::mem::take(&mut body.items), &self.program.buffers);
        body.done = true;
        self.items.extend(first);
        let label = body.items.iter().map(|i| i.label.clone()).next().unwrap_or_default();
        let kernel = whole(&body);
        self.items.push(Item { body: Some(Arc::new(body.clone())), ..Item::new(kernel, label) });
        self.bodies.insert(of, body);
    }

    /// `x` copied into its place, unless it was computed there.
    fn copied(&mut self, x: Value, buffer: Buffer, axis: usize, place: &Affine) -> Option<Item> {
        let there = self.stored.buffer.get(&x) == Some(&buffer)
            && self.stored.place.get(&x).is_some_and(|(a, p)| *a == axis && p == place);
        (!there).then(|| self.laid(x, buffer, axis, place))
    }

    fn laid(&mut self, x: Value, buffer: Buffer, axis: usize, place: &Affine) -> Item {
        let node = self.graph.node(x);
        let (axes, at) = self.scope.axes(&node.ty.shape);
        let composer = Composer::new(self.graph, &self.stored);
        let value = composer.element(&mut self.scope, x, &at);
        let mut to = at;
        to.insert(axis, place.clone());
        Item::new(Kernel { axes, stores: vec![set(buffer, &to, value)] }, node.origin.to_string())
    }
}

/// A kernel that stands for a whole recurrence where only what is read and written matters.
fn whole(body: &Body) -> Kernel {
    let (mut reads, mut writes) = (BTreeSet::new(), BTreeSet::new());
    for item in &body.items {
        let (read, written) = uses(&item.kernel, &|b| b);
        reads.extend(read);
        writes.extend(written);
    }
    let read = |b: &Buffer| expr::load(*b, &[]);
    let value = reads.iter().map(read).reduce(|a, b| expr::binary(crate::loops::Binary::Add, a, b));
    let value = value.unwrap_or(expr::constant(0.0));
    let stores: Vec<Store> = writes.iter().map(|b| set(*b, &[], value.clone())).collect();
    Kernel { axes: vec![], stores }
}

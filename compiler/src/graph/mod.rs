//! The graph: pure values, one result per node, operands before users.
//!
//! The only module that names petgraph. A training step is a function of inputs and state to outputs and
//! next states; an update is data ([`StateVar::next`]), never an effect.

mod init;
pub mod interp;
mod print;
pub mod recur;
mod verify;

pub use init::Init;
pub use recur::Recurrence;

use crate::base::{Origin, TensorType, Value};
use crate::ops::{Emit, Op};
use petgraph::Direction;
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::{EdgeRef, NodeIndexable};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What computes a value.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Def {
    Input(String),
    /// The state of that path, as it is before the step.
    State(String),
    /// The bits of an `f32`; shape [].
    Constant(u32),
    Op(Op),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    pub def: Def,
    pub ty: TensorType,
    pub origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StateKind {
    /// Trained: `differentiate` makes its gradient.
    Weight,
    /// Running statistics: kept in checkpoints, not trained.
    Statistic,
    /// What an optimizer remembers.
    Slot,
}

/// A tensor that is kept from step to step.
#[derive(Clone, PartialEq, Debug)]
pub struct StateVar {
    /// Name in checkpoints: `conv1.w`.
    pub path: String,
    /// Its value before the step.
    pub value: Value,
    /// Its value after the step; `None`: as before.
    pub next: Option<Value>,
    pub init: Init,
    pub kind: StateKind,
}

/// The whole computation of one step.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Edges run from operand to user and carry the operand's position: the only use-def truth.
    inner: StableDiGraph<Node, usize>,
    /// Named: positions are nobody's contract.
    pub outputs: Vec<(String, Value)>,
    pub state: Vec<StateVar>,
    /// By the number in their ops.
    pub recurrences: Vec<Recurrence>,
    /// Examples per step.
    pub batch: usize,
    origin: Origin,
}

fn index(value: Value) -> NodeIndex {
    NodeIndex::new(value.index())
}

fn value(index: NodeIndex) -> Value {
    Value(index.index() as u32)
}

impl Graph {
    pub fn new() -> Graph {
        Graph::default()
    }

    pub fn input(&mut self, name: &str, ty: TensorType) -> Value {
        self.add(Def::Input(name.into()), ty)
    }

    /// A state variable, whose next value is still to be set in `self.state`.
    pub fn state(&mut self, path: &str, ty: TensorType, init: Init, kind: StateKind) -> Value {
        let value = self.add(Def::State(path.into()), ty);
        self.state.push(StateVar { path: path.into(), value, next: None, init, kind });
        value
    }

    fn add(&mut self, def: Def, ty: TensorType) -> Value {
        value(self.inner.add_node(Node { def, ty, origin: self.origin.clone() }))
    }

    /// Stamped on everything made until the next call.
    pub fn set_origin(&mut self, origin: Origin) {
        self.origin = origin;
    }

    /// This graph as rules see it.
    pub fn emit_here(&mut self) -> &mut (dyn Emit + 'static) {
        self
    }

    pub fn set_output(&mut self, name: &str, value: Value) {
        match self.outputs.iter_mut().find(|(n, _)| n == name) {
            Some(output) => output.1 = value,
            None => self.outputs.push((name.into(), value)),
        }
    }

    pub fn output(&self, name: &str) -> Option<Value> {
        self.outputs.iter().find(|(n, _)| n == name).map(|(_, v)| *v)
    }

    pub fn len(&self) -> usize {
        self.inner.node_count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn contains(&self, value: Value) -> bool {
        self.inner.contains_node(index(value))
    }

    pub fn node(&self, value: Value) -> &Node {
        &self.inner[index(value)]
    }

    /// The op that computes `value`, if one does.
    pub fn op(&self, value: Value) -> Option<&Op> {
        match &self.node(value).def {
            Def::Op(op) => Some(op),
            Def::Input(_) | Def::State(_) | Def::Constant(_) => None,
        }
    }

    /// The input of that name.
    pub fn find_input(&self, name: &str) -> Option<Value> {
        let named = |i: &NodeIndex| matches!(&self.inner[*i].def, Def::Input(n) if n == name);
        self.inner.node_indices().find(named).map(value)
    }

    /// The number that `value` is, if it is a constant.
    pub fn as_constant(&self, value: Value) -> Option<f32> {
        match self.node(value).def {
            Def::Constant(bits) => Some(f32::from_bits(bits)),
            Def::Input(_) | Def::State(_) | Def::Op(_) => None,
        }
    }

    pub fn operands(&self, value: Value) -> Vec<Value> {
        let mut edges: Vec<(usize, Value)> = self
            .inner
            .edges_directed(index(value), Direction::Incoming)
            .map(|e| (*e.weight(), self::value(e.source())))
            .collect();
        edges.sort_unstable();
        edges.into_iter().map(|(_, v)| v).collect()
    }

    /// Each op that has `value` as an operand, once per use, smallest first.
    pub fn users(&self, value: Value) -> Vec<Value> {
        let mut users: Vec<Value> =
            self.inner.neighbors_directed(index(value), Direction::Outgoing).map(self::value).collect();
        users.sort_unstable();
        users
    }

    /// Is `value` an output or the next value of a state, be it one of a recurrence?
    pub fn is_result(&self, value: Value) -> bool {
        self.results().any(|v| v == value) || self.recurrences.iter().any(|r| r.next_values().any(|v| v == value))
    }

    /// Everything the step is for.
    pub fn results(&self) -> impl Iterator<Item = Value> + '_ {
        self.outputs.iter().map(|(_, v)| *v).chain(self.state.iter().filter_map(|s| s.next))
    }

    /// Operands before users, the smallest index first among those that could be next.
    ///
    /// A graph with a cycle gives fewer values than it has. What stacks values of a recurrence comes after all of its
    /// body that anything depends on.
    pub fn order(&self) -> Vec<Value> {
        let gates = recur::Gates::new(self);
        let mut missing = vec![0usize; self.inner.node_bound()];
        let mut ready = BinaryHeap::new();
        for node in self.inner.node_indices() {
            match self.inner.edges_directed(node, Direction::Incoming).count() + gates.before(value(node)) {
                0 => ready.push(Reverse(node)),
                n => missing[node.index()] = n,
            }
        }
        let mut order = Vec::with_capacity(self.inner.node_count());
        while let Some(Reverse(node)) = ready.pop() {
            order.push(value(node));
            let users = self.inner.neighbors_directed(node, Direction::Outgoing);
            for user in users.chain(gates.after(value(node)).iter().map(|v| index(*v))) {
                missing[user.index()] -= 1;
                if missing[user.index()] == 0 {
                    ready.push(Reverse(user));
                }
            }
        }
        order
    }

    /// Everything that used `old`, outputs and next states included, uses `new`.
    pub fn replace_uses(&mut self, old: Value, new: Value) {
        if old == new {
            return;
        }
        let uses: Vec<_> = self
            .inner
            .edges_directed(index(old), Direction::Outgoing)
            .map(|e| (e.id(), e.target(), *e.weight()))
            .collect();
        for (edge, user, slot) in uses {
            self.inner.remove_edge(edge);
            self.inner.add_edge(index(new), user, slot);
        }
        let outputs = self.outputs.iter_mut().map(|(_, v)| v);
        let states = self.state.iter_mut().filter_map(|s| s.next.as_mut());
        let carried = self.recurrences.iter_mut().flat_map(|r| r.states.iter_mut().flatten());
        let carried = carried.flat_map(|(carry, next)| [carry, next]);
        outputs.chain(states).chain(carried).filter(|v| **v == old).for_each(|v| *v = new);
    }

    /// One operand of `user` changes.
    pub fn replace_operand(&mut self, user: Value, slot: usize, new: Value) {
        let old = self.inner.edges_directed(index(user), Direction::Incoming).find(|e| *e.weight() == slot);
        if let Some(edge) = old.map(|e| e.id()) {
            self.inner.remove_edge(edge);
            self.inner.add_edge(index(new), index(user), slot);
        }
    }

    /// An input gets another name.
    pub fn rename_input(&mut self, input: Value, name: &str) {
        self.inner[index(input)].def = Def::Input(name.into());
    }

    /// Takes away a value without users.
    pub fn remove(&mut self, value: Value) {
        self.inner.remove_node(index(value));
    }
}

impl Emit for Graph {
    /// Panics where the shape rule refuses: types were checked before there was a graph.
    fn emit(&mut self, op: Op, operands: &[Value]) -> Value {
        let types: Vec<&TensorType> = operands.iter().map(|v| self.ty(*v)).collect();
        let ty = match op.infer(&types) {
            Ok(ty) => ty,
            Err(e) => panic!(
                "bug: {} {} of {types:?}: operand {} should be {} ({})",
                op.name(),
                op.attributes(),
                e.operand,
                e.expected,
                self.origin,
            ),
        };
        let result = self.add(Def::Op(op), ty);
        for (slot, operand) in operands.iter().enumerate() {
            self.inner.add_edge(index(*operand), index(result), slot);
        }
        result
    }

    fn constant(&mut self, value: f32) -> Value {
        self.add(Def::Constant(value.to_bits()), TensorType::new(&[]))
    }

    fn ty(&self, value: Value) -> &TensorType {
        &self.node(value).ty
    }
}

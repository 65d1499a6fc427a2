//! The same over the first places alone, where nothing there reads a later one.

use super::emit::moved;
use super::sources::Sources;
use super::sweep;
use crate::base::{TensorType, Value};
use crate::graph::{Def, Graph, Recurrence, StateVar};
use crate::ops::{Broadcast, Carry, Emit, Op, Pick, Recur, Reshape, Stack};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What of a graph becomes shorter.
struct Short<'a> {
    s: &'a Sources<'a>,
    places: usize,
    /// Axes of a value.
    axes: HashMap<Value, BTreeSet<usize>>,
    /// Recurrences along them.
    recurrences: HashSet<u32>,
}

/// `graph` for so many elements of the input that grows. The caller knows that none of them reads what is later.
///
/// `None` where an op cannot be cut: then the whole does as well.
pub(super) fn places(mut graph: Graph, grows: &str, places: usize) -> Option<Graph> {
    sweep(&mut graph);
    let s = Sources::new(&graph, grows, None).filter(|s| places < s.extent)?;
    let mut short = Short { s: &s, places, axes: HashMap::new(), recurrences: HashSet::new() };
    for v in &s.order {
        let axes = short.axes_of(*v)?;
        short.axes.insert(*v, axes);
    }
    short.graph()
}

/// Operands whose axes are none of the result: a table that is looked up, filters.
fn is_whole(op: &Op, slot: usize) -> bool {
    matches!((op, slot), (Op::Gather(_), 0) | (Op::Conv(_), 1))
}

impl Short<'_> {
    fn has(&self, x: Value, axis: usize) -> bool {
        self.axes.get(&x).is_some_and(|axes| axes.contains(&axis))
    }

    /// The axes of a value that go along with those of its operands.
    fn axes_of(&mut self, v: Value) -> Option<BTreeSet<usize>> {
        let s = self.s;
        let Some(op) = s.graph.op(v) else { return Some(if v == s.grows { [1].into() } else { [].into() }) };
        let operands = s.graph.operands(v);
        let mut axes = BTreeSet::new();
        for (slot, x) in operands.iter().enumerate() {
            for axis in self.axes.get(x).into_iter().flatten().copied() {
                match (op, moved(s, v, (slot, axis), op)) {
                    _ if is_whole(op, slot) => return None,
                    (Op::Slice(x), _) if x.axis == axis => return None,
                    (Op::Pad(x), _) if x.axis == axis => return None,
                    (Op::Concat(x), _) if x.axis == axis => return None,
                    (Op::History(_) | Op::ArgMax(_), _) => return None,
                    (_, Some(to)) => {
                        axes.insert(to);
                    }
                    (Op::Pick(p), None) => {
                        self.recurrences.insert(p.of.id);
                    }
                    (Op::Reduce(_) | Op::Contract(_), None) => {}
                    _ => return None,
                }
            }
        }
        match op {
            Op::Stack(x) if self.recurrences.contains(&x.of.id) => {
                axes.insert(x.axis);
            }
            _ => {}
        }
        Some(axes)
    }

    /// Does an op need an axis of an operand to be short?
    fn needs(&self, v: Value, op: &Op, (slot, axis): (usize, usize)) -> bool {
        let operands = self.s.graph.operands(v);
        match op {
            _ if is_whole(op, slot) => false,
            Op::Pick(p) if p.axis == axis => self.recurrences.contains(&p.of.id),
            Op::Contract(c) => {
                let letters = [&c.a, &c.b];
                let letter = letters[slot].chars().nth(axis);
                let other = letters[1 - slot].chars().position(|l| Some(l) == letter);
                self.has(operands[slot], axis) || other.is_some_and(|axis| self.has(operands[1 - slot], axis))
            }
            _ => match moved(self.s, v, (slot, axis), op) {
                Some(to) => self.has(v, to),
                None => self.has(operands[slot], axis),
            },
        }
    }

    fn shape(&self, v: Value) -> Vec<usize> {
        let shape = self.s.shape(v).iter().enumerate();
        shape.map(|(axis, n)| if self.has(v, axis) { self.places } else { *n }).collect()
    }

    fn recurrence(&self, of: Recur) -> Recur {
        Recur { length: if self.recurrences.contains(&of.id) { self.places } else { of.length }, ..of }
    }

    fn graph(&self) -> Option<Graph> {
        let from = self.s.graph;
        let mut graph = Graph::new();
        graph.batch = from.batch;
        let state = |var: &StateVar| {
            (var.value, graph.state(&var.path, from.node(var.value).ty.clone(), var.init.clone(), var.kind))
        };
        let mut known: HashMap<Value, Value> = from.state.iter().map(state).collect();
        for v in &self.s.order {
            let node = from.node(*v);
            graph.set_origin(node.origin.clone());
            let shape = self.shape(*v);
            let value = match &node.def {
                Def::State(_) => continue,
                Def::Input(name) => graph.input(name, TensorType { shape, ..node.ty.clone() }),
                Def::Constant(bits) => graph.constant(f32::from_bits(*bits)),
                Def::Op(op) => {
                    let mut operands = vec![];
                    for (slot, x) in from.operands(*v).into_iter().enumerate() {
                        let mut value = *known.get(&x)?;
                        for axis in (0..self.s.shape(x).len()).filter(|axis| !self.has(x, *axis)) {
                            if self.needs(*v, op, (slot, axis)) {
                                value = graph.emit_here().slice(value, axis, 0, self.places);
                            }
                        }
                        operands.push(value);
                    }
                    let op = self.shorter(op, &shape);
                    let types: Vec<&TensorType> = operands.iter().map(|x| graph.ty(*x)).collect();
                    op.infer(&types).ok().filter(|ty| ty.shape == shape)?;
                    graph.emit(op, &operands)
                }
            };
            known.insert(*v, value);
        }
        let pair = |(carry, next): &(Value, Value)| Some((*known.get(carry)?, *known.get(next)?));
        let recurrence = |r: &Recurrence| Recurrence {
            of: self.recurrence(r.of),
            states: r.states.iter().map(|state| state.as_ref().and_then(pair)).collect(),
        };
        graph.recurrences = from.recurrences.iter().map(recurrence).collect();
        for (name, v) in &from.outputs {
            graph.set_output(name, *known.get(v)?);
        }
        Some(graph)
    }

    fn shorter(&self, op: &Op, shape: &[usize]) -> Op {
        let shape = shape.to_vec();
        match op.clone() {
            Op::Broadcast(b) => Broadcast { shape, ..b }.into(),
            Op::Reshape(_) => Reshape { shape }.into(),
            Op::Stack(x) => Stack { of: self.recurrence(x.of), ..x }.into(),
            Op::Pick(x) => Pick { of: self.recurrence(x.of), ..x }.into(),
            Op::Carry(x) => Carry { of: self.recurrence(x.of), ..x }.into(),
            other => other,
        }
    }
}

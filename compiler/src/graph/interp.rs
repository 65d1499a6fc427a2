//! Evaluates a graph with each op's reference semantics: slow, obvious, the judge of everything faster.

use super::recur::closes;
use super::{Def, Graph};
use crate::base::{Tensor, Value, tensor::for_each_index};
use crate::ops::{Op, Recur};
use std::collections::BTreeMap;

/// What a step leaves behind.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Results {
    /// By name.
    pub outputs: BTreeMap<String, Tensor>,
    /// By path; a state without a next value keeps what it had.
    pub state: BTreeMap<String, Tensor>,
}

/// One step. Inputs and states must be there, with the shapes the graph declares.
pub fn run(graph: &Graph, inputs: &BTreeMap<String, Tensor>, state: &BTreeMap<String, Tensor>) -> Results {
    let mut values: BTreeMap<Value, Tensor> = BTreeMap::new();
    let (order, bodies, idle) = (graph.order(), graph.bodies(), graph.idle());
    for v in order.iter().copied().filter(|v| !bodies.contains_key(v)) {
        let node = graph.node(v);
        let tensor = match &node.def {
            Def::Input(name) => given(inputs, "input", name),
            Def::State(path) => given(state, "state", path),
            Def::Constant(bits) => Tensor::filled(&[], f32::from_bits(*bits)),
            Def::Op(op) if closes(op).is_some() => {
                if let Some(of) = closes(op).filter(|_| !values.contains_key(&v)) {
                    let body: Vec<Value> =
                        order.iter().copied().filter(|b| bodies.get(b) == Some(&of) && !idle.contains(b)).collect();
                    iterations(graph, of, &body, &mut values);
                }
                values[&v].clone()
            }
            Def::Op(op) => {
                let operands = graph.operands(v);
                let operands: Vec<&Tensor> = operands.iter().map(|o| &values[o]).collect();
                op.eval(&operands)
            }
        };
        assert_eq!(tensor.shape, node.ty.shape, "{v} of\n{graph}");
        values.insert(v, tensor);
    }
    let next = |s: &super::StateVar| values[&s.next.unwrap_or(s.value)].clone();
    Results {
        outputs: graph.outputs.iter().map(|(name, v)| (name.clone(), values[v].clone())).collect(),
        state: graph.state.iter().map(|s| (s.path.clone(), next(s))).collect(),
    }
}

/// All iterations of a recurrence, and what is put together of them.
fn iterations(graph: &Graph, of: Recur, body: &[Value], values: &mut BTreeMap<Value, Tensor>) {
    let closing: Vec<Value> = graph.order().into_iter().filter(|v| graph.op(*v).and_then(closes) == Some(of)).collect();
    for v in &closing {
        values.insert(*v, Tensor::filled(&graph.node(*v).ty.shape, 0.0));
    }
    let states = &graph.recurrences[of.id as usize].states;
    for i in 0..of.length {
        let next: Vec<Option<Tensor>> =
            states.iter().map(|s| s.map(|(_, next)| values.get(&next).cloned())).map(Option::flatten).collect();
        for v in body {
            let operand = graph.operands(*v)[0];
            let tensor = match graph.op(*v) {
                Some(Op::Carry(_)) if i == 0 => values[&operand].clone(),
                Some(Op::Carry(c)) => next[c.which].clone().expect("computed in the iteration before"),
                Some(Op::Pick(p)) => slice(&values[&operand], p.axis, of.place_at(i)),
                Some(op) => op.eval(&graph.operands(*v).iter().map(|o| &values[o]).collect::<Vec<_>>()),
                None => continue,
            };
            values.insert(*v, tensor);
        }
        for v in &closing {
            let (x, op) = (graph.operands(*v)[0], graph.op(*v));
            let x = values[&x].clone();
            let mut into = |axis, at, x: &Tensor| put(values.get_mut(v).expect("made above"), axis, at, x);
            match op {
                Some(Op::Stack(s)) => into(s.axis, of.place_at(i), &x),
                Some(Op::History(h)) => into(h.axis, of.place_at(i) + usize::from(!of.reverse), &x),
                _ => {}
            }
            if let (0, Some(Op::History(h))) = (i, op)
                && let Some((carry, _)) = states[h.which]
            {
                let init = values[&graph.operands(carry)[0]].clone();
                put(values.get_mut(v).expect("made above"), h.axis, of.first(), &init);
            }
        }
    }
}

fn slice(x: &Tensor, axis: usize, place: usize) -> Tensor {
    let mut shape = x.shape.clone();
    shape.remove(axis);
    Tensor::from_fn(&shape, |at| {
        let mut own = at.to_vec();
        own.insert(axis, place);
        x.get(&own)
    })
}

fn put(y: &mut Tensor, axis: usize, place: usize, x: &Tensor) {
    for_each_index(&x.shape, |at| {
        let mut own = at.to_vec();
        own.insert(axis, place);
        y.set(&own, x.get(at));
    });
}

fn given(tensors: &BTreeMap<String, Tensor>, what: &str, name: &str) -> Tensor {
    tensors.get(name).unwrap_or_else(|| panic!("no {what} {name} was given")).clone()
}

/// The states as they are before the first step.
pub fn initial_state(graph: &Graph) -> BTreeMap<String, Tensor> {
    let tensor = |s: &super::StateVar| {
        let ty = &graph.node(s.value).ty;
        (s.path.clone(), Tensor { shape: ty.shape.clone(), data: s.init.values(ty.count()) })
    };
    graph.state.iter().map(tensor).collect()
}

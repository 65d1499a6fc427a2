//! Evaluates a graph with each op's reference semantics: slow, obvious, the judge of everything faster.

use super::{Def, Graph};
use crate::base::{Tensor, Value};
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
    for v in graph.order() {
        let node = graph.node(v);
        let tensor = match &node.def {
            Def::Input(name) => given(inputs, "input", name),
            Def::State(path) => given(state, "state", path),
            Def::Constant(bits) => Tensor::filled(&[], f32::from_bits(*bits)),
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

//! Where the end of a normalization goes.

use crate::data::{Kind, assert_close, operands};
use crate::gradients::Tensors;
use dlc_compiler::base::TensorType;
use dlc_compiler::graph::{Graph, Init, StateKind, interp};
use dlc_compiler::passes::{self, Frozen, INFERENCE};

/// The end of a layer normalization before two dense layers, of which one has a bias.
fn scaled_and_shifted() -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::new(&[2, 4, 3]));
    let uniform = |key| Init::Uniform { limit: 0.5, key };
    let mut state =
        |path: &str, shape: &[usize], key| graph.state(path, TensorType::new(shape), uniform(key), StateKind::Weight);
    let (scale, shift) = (state("scale", &[3], 1), state("shift", &[3], 2));
    let (v, w) = (state("v", &[5, 3, 2], 3), state("w", &[3, 6], 4));
    let bias = state("bias", &[5, 2], 5);
    let e = graph.emit_here();
    let scale = e.broadcast(scale, &[2, 4, 3], &[2]);
    let shift = e.broadcast(shift, &[2, 4, 3], &[2]);
    let y = e.mul(x, scale);
    let y = e.add(shift, y);
    let first = e.contract(y, "bnf", v, "hfd", "hbnd");
    let bias = e.broadcast(bias, &[5, 2, 4, 2], &[0, 3]);
    let first = e.add(first, bias);
    let second = e.contract(y, "bnf", w, "fo", "bno");
    graph.set_output("first", first);
    graph.set_output("second", second);
    graph
}

#[test]
fn scales_and_shifts_move_into_dense_layers() {
    let plain = scaled_and_shifted();
    let mut folded = scaled_and_shifted();
    passes::run(&mut folded, INFERENCE, &Frozen, &mut ());
    let state = interp::initial_state(&plain);
    let inputs = Tensors::from([("x".into(), operands(&[TensorType::new(&[2, 4, 3])], Kind::Positive, 3).remove(0))]);
    let [before, after] = [&plain, &folded].map(|g| interp::run(g, &inputs, &state).outputs);
    for name in ["first", "second"] {
        assert_close(&after[name], &before[name], 1e-6, name);
    }
    let input = folded.find_input("x").expect("the input");
    let readers = folded.users(input);
    let contracts = readers.iter().filter(|v| folded.op(**v).is_some_and(|op| op.name() == "contract")).count();
    assert_eq!((readers.len(), contracts), (2, 2), "only the layers read what is normalized\n{folded}");
    let sums = folded.order().into_iter().filter(|v| folded.op(*v).is_some_and(|op| op.name() == "add"));
    assert_eq!(sums.count(), 3, "one for each layer, and one of biases\n{folded}");
}

/// What reads the sum besides keeps scale and shift where they are.
#[test]
fn scales_and_shifts_that_others_read_stay() {
    let mut graph = scaled_and_shifted();
    let sum = graph.order().into_iter().find(|v| graph.op(*v).is_some_and(|op| op.name() == "add")).expect("a sum");
    graph.set_output("sum", sum);
    passes::run(&mut graph, INFERENCE, &Frozen, &mut ());
    let input = graph.find_input("x").expect("the input");
    assert!(graph.users(input).iter().all(|v| graph.op(*v).is_some_and(|op| op.name() == "mul")), "{graph}");
}

//! Sums that are known are not made again, and stay the same numbers.

use crate::data::{Kind, assert_close, operands};
use crate::gradients::Tensors;
use dlc_compiler::base::{TensorType, Value};
use dlc_compiler::graph::{Graph, interp};
use dlc_compiler::loops::Fold;
use dlc_compiler::ops::Emit;
use dlc_compiler::passes::{self, Frozen, TRAINING};

/// What batch normalization's gradient adds up for the mean is known from sums that exist.
#[test]
fn sums_of_known_parts() {
    let mut graph = Graph::new();
    graph.batch = 3;
    let x = graph.input("x", TensorType::new(&[3, 4, 2]));
    let g = graph.input("g", TensorType::new(&[3, 4, 2]));
    let s = graph.input("s", TensorType::new(&[2]));
    let e = graph.emit_here();
    let wide = |e: &mut dyn Emit, v: Value| e.broadcast(v, &[3, 4, 2], &[2]);
    let sum_x = e.reduce(Fold::Add, x, &[0, 1]);
    let sum_g = e.reduce(Fold::Add, g, &[0, 1]);
    let mean = e.scale(sum_x, 1.0 / 12.0);
    let (mean, factor) = (wide(e, mean), wide(e, s));
    let centered = e.sub(x, mean);
    let (a, b) = (e.mul(g, factor), e.mul(centered, factor));
    let total = e.add(a, b);
    let total = e.add(total, b);
    let total = e.neg(total);
    let sum = e.reduce(Fold::Add, total, &[0, 1]);
    let kept = e.mul(g, g);
    let kept = e.reduce(Fold::Add, kept, &[0, 1]);
    let loss = e.mean(sum, &[0]);
    for (name, v) in [("x", sum_x), ("g", sum_g), ("sum", sum), ("kept", kept), ("loss", loss)] {
        graph.set_output(name, v);
    }
    let types = [TensorType::new(&[3, 4, 2]), TensorType::new(&[3, 4, 2]), TensorType::new(&[2])];
    let values = operands(&types, Kind::Mixed, 5);
    let inputs: Tensors = ["x", "g", "s"].map(String::from).into_iter().zip(values).collect();
    let expected = interp::run(&graph, &inputs, &Tensors::new());
    let sums = |graph: &Graph| {
        let walks = |v: &Value| graph.node(graph.operands(*v)[0]).ty.rank() == 3;
        let is_sum = |v: &Value| graph.op(*v).is_some_and(|op| op.name() == "sum");
        graph.order().into_iter().filter(|v| is_sum(v) && walks(v)).count()
    };
    assert_eq!(sums(&graph), 4);
    passes::run(&mut graph, TRAINING, &Frozen, &mut ());
    assert_eq!(sums(&graph), 3, "x, g, and the square of g\n{graph}");
    let results = interp::run(&graph, &inputs, &Tensors::new());
    for (name, value) in &expected.outputs {
        assert_close(&results.outputs[name], value, 1e-4, name);
    }
}

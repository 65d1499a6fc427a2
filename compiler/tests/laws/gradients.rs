//! Laws 3 and 4: gradients agree with finite differences of the reference, and gradients of gradients with
//! finite differences of gradients.

use crate::data::{Kind, Numbers, gap, operands};
use dlc_compiler::base::{Element, Tensor, TensorType, Value};
use dlc_compiler::graph::{Graph, interp};
use dlc_compiler::loops::Fold;
use dlc_compiler::ops::{Emit, Op};
use dlc_compiler::passes::differentiate::gradients;
use std::collections::BTreeMap;

pub type Tensors = BTreeMap<String, Tensor>;

/// `sum(y * weights)` with fixed weights, so that no term can hide behind another.
pub fn projection(graph: &mut Graph, y: Value, name: &str) -> Value {
    let shape = graph.ty(y).shape.clone();
    let weights = graph.input(name, TensorType::new(&shape));
    let e = graph.emit_here();
    let product = e.mul(y, weights);
    e.reduce(Fold::Add, product, &(0..shape.len()).collect::<Vec<_>>())
}

pub fn random_like(graph: &Graph, name: &str, seed: u64) -> Tensor {
    let mut numbers = Numbers(seed);
    let find = |v: &Value| matches!(&graph.node(*v).def, dlc_compiler::graph::Def::Input(n) if n == name);
    let value = graph.order().into_iter().find(find).expect("the input exists");
    Tensor::from_fn(&graph.ty(value).shape, |_| numbers.unit())
}

fn loss(graph: &Graph, inputs: &Tensors, output: &str) -> f64 {
    f64::from(interp::run(graph, inputs, &Tensors::new()).outputs[output].data[0])
}

/// The central difference of `output` by one element of one input.
fn difference(graph: &Graph, inputs: &Tensors, output: &str, input: &str, i: usize, h: f32) -> f64 {
    let mut moved = inputs.clone();
    let center = inputs[input].data[i];
    let mut at = |x: f32| {
        moved.get_mut(input).expect("an input").data[i] = x;
        (loss(graph, &moved, output), f64::from(x))
    };
    let ((high, right), (low, left)) = (at(center + h), at(center - h));
    (high - low) / (right - left)
}

/// Compares output `d.<input>` with differences of `of`, where everything is finite. Counts comparisons.
pub fn compare(graph: &Graph, inputs: &Tensors, of: &str, wrt: &[String], h: f32, what: &str) -> usize {
    let results = interp::run(graph, inputs, &Tensors::new()).outputs;
    let mut compared = 0;
    for input in wrt {
        let gradient = results.get(&format!("d.{input}"));
        for i in 0..inputs[input].data.len() {
            let expected = difference(graph, inputs, of, input, i, h);
            let found = gradient.map_or(0.0, |g| f64::from(g.data[i]));
            if !expected.is_finite() || !found.is_finite() {
                continue;
            }
            compared += 1;
            let tolerance = 2e-3 * (1.0 + expected.abs());
            assert!(
                (found - expected).abs() <= tolerance,
                "{what}: d {of} / d {input}[{i}] is {found}, differences say {expected}\n{graph}"
            );
        }
    }
    compared
}

/// A graph of one op: inputs `x0`, `x1`, .., output `y`, the projection of the result.
fn graph_of(op: &Op, types: &[TensorType]) -> (Graph, Vec<(String, Value)>) {
    let mut graph = Graph::new();
    let inputs: Vec<(String, Value)> =
        types.iter().enumerate().map(|(i, ty)| (format!("x{i}"), graph.input(&format!("x{i}"), ty.clone()))).collect();
    let y = graph.emit(op.clone(), &inputs.iter().map(|(_, v)| *v).collect::<Vec<_>>());
    let y = projection(&mut graph, y, "r");
    graph.set_output("y", y);
    let numbers = inputs.into_iter().zip(types).filter(|(_, ty)| ty.element == Element::Number);
    (graph, numbers.map(|(input, _)| input).collect())
}

fn differentiate(graph: &mut Graph, of: &str, wrt: &[(String, Value)], prefix: &str) -> usize {
    let y = graph.output(of).expect("an output");
    let values: Vec<Value> = wrt.iter().map(|(_, v)| *v).collect();
    let found = gradients(graph, y, &values);
    for ((name, _), gradient) in wrt.iter().zip(&found) {
        if let Some(gradient) = gradient {
            graph.set_output(&format!("{prefix}{name}"), *gradient);
        }
    }
    graph.verify().unwrap_or_else(|e| panic!("{e}\n{graph}"));
    found.into_iter().flatten().count()
}

/// Half of what could make two numbers change places, and no more than differences stand.
fn step(inputs: &Tensors) -> f32 {
    let count: usize = inputs.iter().filter(|(n, _)| n.starts_with('x')).map(|(_, x)| x.data.len()).sum();
    (gap(count) / 4.0).min(1.0 / 128.0)
}

fn inputs_of(graph: &Graph, types: &[TensorType], kind: Kind, seed: u64) -> Tensors {
    let x = operands(types, kind, seed);
    let mut inputs: Tensors = x.into_iter().enumerate().map(|(i, x)| (format!("x{i}"), x)).collect();
    inputs.insert("r".into(), random_like(graph, "r", seed));
    inputs
}

#[test]
fn gradients_agree_with_differences() {
    for (i, (op, types)) in Op::samples().iter().enumerate() {
        let (mut graph, wrt) = graph_of(op, types);
        differentiate(&mut graph, "y", &wrt, "d.");
        let names: Vec<String> = wrt.iter().map(|(n, _)| n.clone()).collect();
        let mut compared = 0;
        for kind in [Kind::Mixed, Kind::Positive] {
            let inputs = inputs_of(&graph, types, kind, 100 + i as u64);
            let what = format!("{op:?} of {types:?}, {kind:?}");
            compared += compare(&graph, &inputs, "y", &names, step(&inputs), &what);
        }
        let numbers: usize = types.iter().filter(|t| t.element == Element::Number).map(|t| t.count()).sum();
        assert!(compared >= numbers, "{op:?}: only {compared} comparisons");
    }
}

/// Differentiates a projection of the gradients once more.
#[test]
fn gradients_of_gradients_agree_with_differences() {
    for (i, (op, types)) in Op::samples().iter().enumerate() {
        let (mut graph, wrt) = graph_of(op, types);
        if differentiate(&mut graph, "y", &wrt, "first.") == 0 {
            continue;
        }
        for (j, (input, _)) in wrt.iter().enumerate() {
            let Some(first) = graph.output(&format!("first.{input}")) else {
                continue;
            };
            let mut graph = graph.clone();
            let projected = projection(&mut graph, first, "q");
            graph.set_output("z", projected);
            differentiate(&mut graph, "z", &wrt, "d.");
            let names: Vec<String> = wrt.iter().map(|(n, _)| n.clone()).collect();
            let mut inputs = inputs_of(&graph, types, Kind::Positive, 200 + i as u64);
            inputs.insert("q".into(), random_like(&graph, "q", 300 + j as u64));
            let what = format!("second of {op:?} of {types:?} by {input}");
            let compared = compare(&graph, &inputs, "z", &names, step(&inputs), &what);
            assert!(compared > 0, "{what}: nothing was finite");
        }
    }
}

//! Gradients of networks made from many ops.

use crate::data::{Kind, operands};
use crate::gradients::{Tensors, compare};
use dlc_compiler::base::{TensorType, Value};
use dlc_compiler::graph::Graph;
use dlc_compiler::loops::Fold;
use dlc_compiler::ops::{ConvSpec, Emit, PoolSpec};
use dlc_compiler::passes::differentiate::gradients;

/// The mean of `log sum exp(x) - x[label]`, stable: the maximum is detached.
fn cross_entropy(graph: &mut Graph, x: Value, label: Value) -> Value {
    let shape = graph.ty(x).shape.clone();
    let e = graph.emit_here();
    let max = e.reduce(Fold::Max, x, &[1]);
    let max = e.detach(max);
    let max_wide = e.broadcast(max, &shape, &[0]);
    let shifted = e.sub(x, max_wide);
    let exp = e.exp(shifted);
    let sum = e.reduce(Fold::Add, exp, &[1]);
    let log = e.log(sum);
    let position = e.coord(&shape, 1);
    let label = e.broadcast(label, &shape, &[0]);
    let hot = e.eq(position, label);
    let picked = e.mul(hot, shifted);
    let picked = e.reduce(Fold::Add, picked, &[1]);
    let each = e.sub(log, picked);
    e.mean(each, &[0])
}

fn check(graph: &mut Graph, loss: Value, wrt: &[(&str, Value)], types: &[(&str, TensorType)], what: &str) {
    graph.set_output("loss", loss);
    let values: Vec<Value> = wrt.iter().map(|(_, v)| *v).collect();
    let found = gradients(graph, loss, &values);
    for ((name, _), gradient) in wrt.iter().zip(found) {
        let gradient = gradient.unwrap_or_else(|| panic!("{what}: no gradient of {name}"));
        graph.set_output(&format!("d.{name}"), gradient);
    }
    graph.verify().unwrap_or_else(|e| panic!("{what}: {e}\n{graph}"));
    let kinds: Vec<TensorType> = types.iter().map(|(_, ty)| ty.clone()).collect();
    let tensors = operands(&kinds, Kind::Mixed, 5);
    let inputs: Tensors = types.iter().map(|(n, _)| n.to_string()).zip(tensors).collect();
    let names: Vec<String> = wrt.iter().map(|(n, _)| n.to_string()).collect();
    let compared = compare(graph, &inputs, "loss", &names, 1.0 / 512.0, what);
    assert!(compared > 0);
}

#[test]
fn softmax_cross_entropy() {
    let types = [("x", TensorType::new(&[3, 4])), ("label", TensorType::index(4, &[3]))];
    let mut graph = Graph::new();
    let x = graph.input("x", types[0].1.clone());
    let label = graph.input("label", types[1].1.clone());
    let loss = cross_entropy(&mut graph, x, label);
    check(&mut graph, loss, &[("x", x)], &types, "softmax and cross-entropy");
}

#[test]
fn small_convolutional_network() {
    let types = [
        ("image", TensorType::new(&[2, 6, 6, 1])),
        ("w1", TensorType::new(&[3, 3, 1, 2])),
        ("b1", TensorType::new(&[2])),
        ("w2", TensorType::new(&[2, 2, 2, 3])),
        ("w3", TensorType::new(&[3, 3])),
        ("label", TensorType::index(3, &[2])),
    ];
    let mut graph = Graph::new();
    let v: Vec<Value> = types.iter().map(|(n, ty)| graph.input(n, ty.clone())).collect();
    let e = graph.emit_here();
    let same = ConvSpec { pad: vec![(1, 1), (1, 1)], ..ConvSpec::plain(&[3, 3]) };
    let y = e.conv(v[0], v[1], &same);
    let bias = e.broadcast(v[2], &[2, 6, 6, 2], &[3]);
    let y = e.add(y, bias);
    let zero = e.filled_like(0.0, y);
    let y = e.max(y, zero);
    let halves = PoolSpec { kernel: vec![2, 2], stride: vec![2, 2], pad: vec![(0, 0), (0, 0)] };
    let y = e.max_pool(y, &halves);
    let strided = ConvSpec { stride: vec![2, 2], pad: vec![(1, 0), (0, 1)], ..ConvSpec::plain(&[2, 2]) };
    let y = e.conv(y, v[3], &strided);
    let y = e.tanh(y);
    let shape = e.shape(y);
    let y = e.reduce(Fold::Add, y, &[1, 2]);
    assert_eq!(shape, [2, 2, 2, 3]);
    let logits = e.contract(y, "nf", v[4], "fo", "no");
    let loss = cross_entropy(&mut graph, logits, v[5]);
    let wrt = [("w1", v[1]), ("b1", v[2]), ("w2", v[3]), ("w3", v[4]), ("image", v[0])];
    check(&mut graph, loss, &wrt, &types, "convolutional network");
}

/// A value used several times, in several depths: all adjoints are summed.
#[test]
fn shared_values() {
    let types = [("x", TensorType::new(&[2, 3])), ("w", TensorType::new(&[3, 3]))];
    let mut graph = Graph::new();
    let x = graph.input("x", types[0].1.clone());
    let w = graph.input("w", types[1].1.clone());
    let e = graph.emit_here();
    let mut h = x;
    for _ in 0..3 {
        let product = e.contract(h, "nf", w, "fo", "no");
        let bent = e.sigmoid(product);
        let gate = e.mul(bent, x);
        h = e.add(gate, h);
    }
    let square = e.mul(h, h);
    let loss = e.mean(square, &[0, 1]);
    check(&mut graph, loss, &[("x", x), ("w", w)], &types, "shared values");
}

//! Passes change no numbers, and do what their names say.

use crate::data::{Kind, assert_close, operands};
use crate::gradients::Tensors;
use dlc_compiler::base::{TensorType, Value};
use dlc_compiler::graph::{Graph, Init, StateKind, interp};
use dlc_compiler::loops::Fold;
use dlc_compiler::ops::{ConvSpec, Emit, PoolSpec};
use dlc_compiler::passes::{self, Frozen, INFERENCE, TRAINING, UpdateRule};

/// Plain gradient descent with a step of 0.1.
struct Descent;

impl UpdateRule for Descent {
    fn apply(&self, graph: &mut Graph, weight: usize, gradient: Value) {
        let w = graph.state[weight].value;
        let e = graph.emit_here();
        let step = e.scale(gradient, 0.1);
        let next = e.sub(w, step);
        graph.state[weight].next = Some(next);
    }
}

fn network() -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::new(&[2, 4, 4, 1]));
    let uniform = |key| Init::Uniform { limit: 0.5, key };
    let w = graph.state("conv.w", TensorType::new(&[3, 3, 1, 2]), uniform(1), StateKind::Weight);
    let v = graph.state("dense.w", TensorType::new(&[8, 3]), uniform(2), StateKind::Weight);
    let e = graph.emit_here();
    let same = ConvSpec { pad: vec![(1, 1), (1, 1)], ..ConvSpec::plain(&[3, 3]) };
    let y = e.conv(x, w, &same);
    let zero = e.filled_like(0.0, y);
    let y = e.max(y, zero);
    let y = e.max_pool(y, &PoolSpec { kernel: vec![2, 2], stride: vec![2, 2], pad: vec![(0, 0); 2] });
    let y = e.reshape(y, &[2, 8]);
    let logits = e.contract(y, "nf", v, "fo", "no");
    let two = e.filled_like(2.0, logits);
    let square = e.pow(logits, two);
    let again = e.mul(logits, logits);
    let sum = e.add(square, again);
    let loss = e.mean(sum, &[0, 1]);
    graph.set_output("logits", logits);
    graph.set_output("loss", loss);
    graph
}

fn inputs() -> Tensors {
    let x = operands(&[TensorType::new(&[2, 4, 4, 1])], Kind::Mixed, 9).remove(0);
    Tensors::from([("x".to_string(), x)])
}

#[test]
fn training_lowers_the_loss() {
    let mut graph = network();
    passes::run(&mut graph, TRAINING, &Descent, &mut ());
    let mut state = interp::initial_state(&graph);
    let mut losses = vec![];
    for _ in 0..5 {
        let results = interp::run(&graph, &inputs(), &state);
        losses.push(results.outputs["loss"].data[0]);
        state = results.state;
    }
    assert!(losses.windows(2).all(|w| w[1] < w[0]), "{losses:?}\n{graph}");
}

/// One step with every pass on is one step with only differentiation and updates.
#[test]
fn optimization_changes_no_numbers() {
    let necessary = |p: &&passes::Pass| ["differentiate", "insert_updates"].contains(&p.name);
    let mut plain = network();
    for pass in TRAINING.iter().filter(necessary) {
        (pass.run)(&mut plain, &Descent);
    }
    plain.verify().expect("it verifies");
    let mut optimized = network();
    passes::run(&mut optimized, TRAINING, &Descent, &mut ());
    assert!(optimized.len() < plain.len(), "{} of {}", optimized.len(), plain.len());
    let state = interp::initial_state(&plain);
    let [a, b] = [&plain, &optimized].map(|g| interp::run(g, &inputs(), &state));
    for (name, tensor) in &a.outputs {
        assert_close(&b.outputs[name], tensor, 1e-5, name);
    }
    for (path, tensor) in &a.state {
        assert_close(&b.state[path], tensor, 1e-5, path);
    }
}

#[test]
fn training_keeps_the_pooled_tensor_only() {
    let mut graph = network();
    passes::run(&mut graph, TRAINING, &Descent, &mut ());
    let text = graph.to_string();
    for absent in ["pow(", "log(", "detach("] {
        assert!(!text.contains(absent), "{absent} in\n{text}");
    }
    let large: Vec<&str> = text.lines().filter(|l| l.contains("f32[2, 4, 4, 2]")).collect();
    // Forward: the convolution. Backward: the gradient that goes into its weights.
    assert_eq!(large.len(), 2, "{text}");
}

/// A maximum that is read elsewhere stays before its pool: moving it would compute it twice.
#[test]
fn a_shared_maximum_stays() {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::new(&[1, 4, 1]));
    let e = graph.emit_here();
    let zero = e.filled_like(0.0, x);
    let relu = e.max(x, zero);
    let pool = e.max_pool(relu, &PoolSpec { kernel: vec![2], stride: vec![2], pad: vec![(0, 0)] });
    graph.set_output("pool", pool);
    graph.set_output("relu", relu);
    passes::run(&mut graph, INFERENCE, &Frozen, &mut ());
    assert!(graph.to_string().contains("max_pool(%3)"), "{graph}");
}

#[test]
fn inference_has_no_updates() {
    let mut graph = network();
    passes::run(&mut graph, INFERENCE, &Frozen, &mut ());
    assert!(graph.state.iter().all(|s| s.next.is_none()));
    assert_eq!(graph.outputs.len(), 2);
}

/// Every rewrite of `fold_constants`, one line each: what is built, what is left.
#[test]
fn folding() {
    type Build = fn(&mut dyn Emit, Value) -> Value;
    let cases: &[(&str, Build, &str)] = &[
        (
            "x + 0",
            |e, x| {
                let c = e.filled_like(0.0, x);
                e.add(x, c)
            },
            "input x",
        ),
        (
            "0 + x",
            |e, x| {
                let c = e.filled_like(0.0, x);
                e.add(c, x)
            },
            "input x",
        ),
        (
            "x - 0",
            |e, x| {
                let c = e.filled_like(0.0, x);
                e.sub(x, c)
            },
            "input x",
        ),
        (
            "0 - x",
            |e, x| {
                let c = e.filled_like(0.0, x);
                e.sub(c, x)
            },
            "neg(%0)",
        ),
        (
            "x * 1",
            |e, x| {
                let c = e.filled_like(1.0, x);
                e.mul(x, c)
            },
            "input x",
        ),
        (
            "x * 0",
            |e, x| {
                let c = e.filled_like(0.0, x);
                e.mul(x, c)
            },
            "broadcast(%1) axes=[]",
        ),
        (
            "--x",
            |e, x| {
                let y = e.neg(x);
                e.neg(y)
            },
            "input x",
        ),
        (
            "x * 2 * 3",
            |e, x| {
                let y = e.scale(x, 2.0);
                e.scale(y, 3.0)
            },
            "mul(%0, %2)",
        ),
        (
            "x / 4",
            |e, x| {
                let c = e.filled_like(4.0, x);
                e.div(x, c)
            },
            "mul(%0, %2)",
        ),
        (
            "x / 3",
            |e, x| {
                let c = e.filled_like(3.0, x);
                e.div(x, c)
            },
            "div(%0, %2)",
        ),
        (
            "x ^ 2",
            |e, x| {
                let c = e.filled_like(2.0, x);
                e.pow(x, c)
            },
            "mul(%0, %0)",
        ),
        (
            "x ^ 0.5",
            |e, x| {
                let c = e.filled_like(0.5, x);
                e.pow(x, c)
            },
            "sqrt(%0)",
        ),
        (
            "x + -x",
            |e, x| {
                let y = e.neg(x);
                e.add(x, y)
            },
            "sub(%0, %0)",
        ),
        (
            "reshapes",
            |e, x| {
                let y = e.reshape(x, &[6]);
                e.reshape(y, &[2, 3])
            },
            "input x",
        ),
        (
            "transposes",
            |e, x| {
                let y = e.transpose(x, &[1, 0]);
                e.transpose(y, &[1, 0])
            },
            "input x",
        ),
        (
            "slices",
            |e, x| {
                let y = e.pad(x, 0, 1, 2);
                e.slice(y, 0, 1, 2)
            },
            "input x",
        ),
        (
            "nested slices",
            |e, x| {
                let y = e.slice(x, 1, 1, 2);
                e.slice(y, 1, 1, 1)
            },
            "slice(%0) axis=1 2..3",
        ),
        (
            "rotated twice",
            |e, x| {
                let y = e.reshape(x, &[1, 2, 3]);
                let y = e.transpose(y, &[1, 2, 0]);
                e.transpose(y, &[1, 2, 0])
            },
            "transpose(%1) perm=[2, 0, 1]",
        ),
        (
            "-x + y",
            |e, x| {
                let a = e.neg(x);
                let b = e.exp(x);
                e.add(a, b)
            },
            "sub(%1, %0)",
        ),
        (
            "not the same",
            |e, x| {
                let y = e.exp(x);
                let (a, b) = (e.sub(x, y), e.sub(y, x));
                e.max(a, b)
            },
            "max(%2, %3)",
        ),
        (
            "the same",
            |e, x| {
                let (y, z) = (e.exp(x), e.exp(x));
                let (a, b) = (e.mul(x, y), e.mul(z, x));
                e.div(a, b)
            },
            "div(%2, %2)",
        ),
        (
            "sum of a copy",
            |e, x| {
                let y = e.broadcast(x, &[2, 5, 3], &[0, 2]);
                e.reduce(Fold::Add, y, &[1])
            },
            "mul(%0, %2)",
        ),
        (
            "select",
            |e, x| {
                let c = e.filled_like(0.0, x);
                let y = e.neg(x);
                e.select(c, y, x)
            },
            "input x",
        ),
    ];
    for (what, build, left) in cases {
        let mut graph = Graph::new();
        let x = graph.input("x", TensorType::new(&[2, 3]));
        let y = build(&mut graph, x);
        graph.set_output("y", y);
        let before = graph.clone();
        passes::run(&mut graph, INFERENCE, &Frozen, &mut ());
        let text = graph.to_string();
        let number = text.lines().last().and_then(|l| l.strip_prefix("output y = ")).expect("an output");
        let line = text.lines().find(|l| l.starts_with(&format!("{number}: "))).expect("a definition");
        assert!(line.ends_with(&format!("= {left}")), "{what}: {line}\n{text}");
        let inputs = Tensors::from([("x".into(), operands(&[TensorType::new(&[2, 3])], Kind::Positive, 3).remove(0))]);
        let [a, b] = [&before, &graph].map(|g| interp::run(g, &inputs, &Tensors::new()).outputs["y"].clone());
        assert_close(&b, &a, 1e-6, what);
    }
}

/// A convolution and a dense layer, each followed by a scale and a shift of every channel.
fn normalized() -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorType::new(&[2, 4, 4, 1]));
    let uniform = |key| Init::Uniform { limit: 0.5, key };
    let mut state =
        |path: &str, shape: &[usize], key, kind| graph.state(path, TensorType::new(shape), uniform(key), kind);
    let w = state("conv.w", &[3, 3, 1, 2], 1, StateKind::Weight);
    let b = state("conv.b", &[2], 2, StateKind::Weight);
    let a = state("norm.scale", &[2], 3, StateKind::Statistic);
    let v = state("dense.w", &[8, 3], 4, StateKind::Weight);
    let c = state("norm2.scale", &[3], 5, StateKind::Statistic);
    let e = graph.emit_here();
    let y = e.conv(x, w, &ConvSpec::plain(&[3, 3]));
    let wide = |e: &mut dyn Emit, x: Value, y: Value| {
        let shape = e.ty(y).shape.clone();
        e.broadcast(x, &shape, &[shape.len() - 1])
    };
    let b = wide(e, b, y);
    let y = e.add(y, b);
    let a = wide(e, a, y);
    let y = e.mul(a, y);
    let y = e.reshape(y, &[2, 8]);
    let y = e.contract(y, "nf", v, "fo", "no");
    let c = wide(e, c, y);
    let y = e.mul(y, c);
    graph.set_output("y", y);
    graph
}

#[test]
fn scales_move_into_weights() {
    let plain = normalized();
    let mut folded = normalized();
    passes::run(&mut folded, INFERENCE, &Frozen, &mut ());
    let state = interp::initial_state(&plain);
    let before = interp::run(&plain, &inputs(), &state);
    let after = interp::run(&folded, &inputs(), &state);
    assert_close(&after.outputs["y"], &before.outputs["y"], 1e-6, "folded");
    let products: Vec<usize> = folded
        .order()
        .into_iter()
        .filter(|v| folded.op(*v).is_some_and(|op| op.name() == "mul"))
        .map(|v| folded.node(v).ty.rank())
        .collect();
    assert_eq!(products.len(), 3, "only w * a, b * a and v * c are left\n{folded}");
    let layers = folded.order().into_iter().filter(|v| folded.op(*v).is_some_and(|op| op.name() == "conv"));
    assert_eq!(layers.count(), 1);
}

//! Recurrences in machine code against the reference interpreter: values and gradients, both directions.

mod engines;
#[path = "common/scans.rs"]
mod networks;

use dlc_compiler::base::Tensor;
use dlc_compiler::graph::Graph;
use dlc_compiler::loops::Home;
use dlc_compiler::passes::{self, INFERENCE, TRAINING, UpdateRule};
use dlc_compiler::schedule;
use dlc_runtime::micro::Isa;
use engines::{Laws, check_on, inputs};
use networks::{CASES, Case, SMALL, Sizes, network};

/// Plain gradient descent with a step of 1.
struct Descent;

impl UpdateRule for Descent {
    fn apply(&self, graph: &mut Graph, weight: usize, gradient: dlc_compiler::base::Value) {
        let w = graph.state[weight].value;
        let next = graph.emit_here().sub(w, gradient);
        graph.state[weight].next = Some(next);
    }
}

fn training(case: &Case, sizes: Sizes, reverse: bool) -> Graph {
    let mut graph = network(case, sizes, reverse, false);
    passes::run(&mut graph, TRAINING, &Descent, &mut ());
    graph
}

/// All engines, without passes and with those of training and of inference.
#[test]
fn small() {
    for case in CASES {
        for reverse in [false, true] {
            let what = format!("{} reverse={reverse}", case.name);
            let plain = network(case, SMALL, reverse, false);
            let mut inference = plain.clone();
            passes::run(&mut inference, INFERENCE, &Descent, &mut ());
            let graphs = [("plain", plain), ("inference", inference), ("training", training(case, SMALL, reverse))];
            for (kind, graph) in graphs {
                let (x, s) = inputs(&graph);
                let laws = Laws { tolerance: 1e-5, interpreters: true };
                check_on(&graph, &format!("{what}, {kind}"), laws, &Isa::available(), &x, &s);
            }
        }
    }
}

/// Blocks of examples, tiles with edges, one example, a number of them that has no divisors.
#[test]
fn sizes() {
    let sizes = [(1, 6, 40), (8, 5, 33), (32, 3, 48), (31, 2, 17), (48, 4, 24), (16, 1, 20)];
    for case in CASES {
        for (batch, steps, width) in sizes {
            for reverse in [false, true] {
                let sizes = Sizes { batch, steps, width };
                let graph = training(case, sizes, reverse);
                let (x, s) = inputs(&graph);
                let laws = Laws { tolerance: 2e-4, interpreters: false };
                check_on(
                    &graph,
                    &format!("{} {sizes:?} reverse={reverse}", case.name),
                    laws,
                    &Isa::available(),
                    &x,
                    &s,
                );
            }
        }
    }
}

/// A gradient with so many terms and results is summed strip by strip, with the update and without, and not in parts for each
/// task; it is the mean of what two halves of the examples give, which are too few for that.
#[test]
fn deep_gradients() {
    let (width, steps) = (256, 16);
    let deep = |batch, seen| {
        let mut graph = training(&CASES[3], Sizes { batch, steps, width }, false);
        if seen {
            // Somebody else reads what the weights move by.
            let next = graph.state.iter().find(|s| s.path == "d").and_then(|s| s.next).expect("an update");
            let gradient = graph.operands(next)[1];
            graph.set_output("gradient", gradient);
        }
        graph
    };
    let (x, mut s) = inputs(&deep(16, false));
    s.values_mut().for_each(|t| t.data.iter_mut().for_each(|x| *x *= 0.1));
    let half = |k: usize| {
        let n = 8 * steps * width;
        [("x".to_string(), Tensor { shape: vec![8, steps, width], data: x["x"].data[k * n..(k + 1) * n].to_vec() })]
            .into()
    };
    let isa = Isa::detect();
    let halves = deep(8, false);
    let target = &engines::strategies(&halves, isa, true)[0];
    let [first, second] = [0, 1].map(|k| engines::run(&halves, target, 1, &half(k), &s).1);
    for seen in [false, true] {
        let graph = deep(16, seen);
        let target = &engines::strategies(&graph, isa, true)[0];
        let program = schedule::run(&graph, target);
        let shapes = program.steps.iter().flat_map(|step| step.buffers().1).filter_map(|b| {
            let b = &program.buffers[b.index()];
            (b.home == Home::Arena).then_some(&b.shape)
        });
        assert_eq!(shapes.filter(|s| **s == [width, 4, width]).count(), usize::from(seen), "gradients that are stored");
        let one = engines::run(&graph, target, 1, &x, &s);
        assert_eq!(one, engines::run(&graph, target, 2, &x, &s), "other bits with two threads");
        for (path, moved) in &one.1 {
            let mean = first[path].data.iter().zip(&second[path].data).map(|(a, b)| (a + b) / 2.0).collect();
            let mean = Tensor { shape: moved.shape.clone(), data: mean };
            assert_eq!(engines::close(moved, &mean, 2e-5), None, "{path}, seen={seen}");
        }
    }
}

/// The same code, but for one number, however often the body runs.
#[test]
fn code_does_not_grow() {
    let text = |steps| {
        let graph = training(&CASES[2], Sizes { batch: 32, steps, width: 32 }, false);
        graph.to_string().lines().count()
    };
    assert_eq!(text(8), text(512));
}

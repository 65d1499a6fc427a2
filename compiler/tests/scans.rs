//! Recurrences in machine code against the reference interpreter: values and gradients, both directions.

mod engines;
#[path = "common/scans.rs"]
mod networks;

use dlc_compiler::graph::Graph;
use dlc_compiler::passes::{self, INFERENCE, TRAINING, UpdateRule};
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

/// The same code, but for one number, however often the body runs.
#[test]
fn code_does_not_grow() {
    let text = |steps| {
        let graph = training(&CASES[2], Sizes { batch: 32, steps, width: 32 }, false);
        graph.to_string().lines().count()
    };
    assert_eq!(text(8), text(512));
}

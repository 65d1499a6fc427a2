//! Random networks: every op in every neighbourhood; four engines, fused and not, one answer.
//!
//! Reference (`eval`), kernels, nests, and machine code on every instruction set are compared on graphs that are
//! drawn from the samples of all ops, and on training steps made from such graphs.

mod draw;
#[path = "../engines/mod.rs"]
mod engines;
mod scans;
mod values;

use dlc_compiler::base::Value;
use dlc_compiler::graph::{Graph, interp};
use dlc_compiler::ops::Op;
use dlc_compiler::passes::{self, Frozen, INFERENCE, Pass, TRAINING, UpdateRule};
use dlc_compiler::schedule::Target;
use dlc_runtime::micro::Isa;
use draw::{Drawn, draw};
use engines::{Tensors, close, run, strategies};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeSet;

const CASES: u32 = 256;
const TOLERANCE: f32 = 1e-3;

/// Gradient descent, with the gradients as outputs.
struct Descent;

impl UpdateRule for Descent {
    fn apply(&self, graph: &mut Graph, weight: usize, gradient: Value) {
        let (path, w) = (graph.state[weight].path.clone(), graph.state[weight].value);
        graph.set_output(&format!("gradient of {path}"), gradient);
        let e = graph.emit_here();
        let step = e.scale(gradient, 0.01);
        let next = e.sub(w, step);
        graph.state[weight].next = Some(next);
    }
}

/// The same cases on every run: a failure is a failure tomorrow too.
fn for_each_case(test: impl Fn(&[u32])) {
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let algorithm = config.rng_algorithm;
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(algorithm));
    let choices = proptest::collection::vec(any::<u32>(), 1..100);
    let result = runner.run(&choices, |choices| {
        test(&choices);
        Ok(())
    });
    if let Err(e) = result {
        panic!("{e}");
    }
}

fn compare(expected: &Tensors, found: &Tensors, what: &str, graph: &Graph) {
    for (name, tensor) in expected {
        if let Some(wrong) = close(&found[name], tensor, TOLERANCE) {
            panic!("{what}: {name}: {wrong}\n{graph}");
        }
    }
}

type Engine = fn(&Graph, &Target, &Tensors, &Tensors) -> (Tensors, Tensors);

const INTERPRETERS: [(&str, Engine); 2] = [("kernels", engines::run_kernels), ("nests", engines::run_nests)];

/// All engines on what `passes` make of a drawn graph.
fn check(drawn: &Drawn, list: &[Pass], update: &dyn UpdateRule, isa: Isa) {
    let plain = interp::run(&drawn.graph, &drawn.inputs, &drawn.state);
    let mut graph = drawn.graph.clone();
    passes::run(&mut graph, list, update, &mut ());
    let reference = interp::run(&graph, &drawn.inputs, &drawn.state);
    compare(&plain.outputs, &reference.outputs, "passes", &drawn.graph);
    let mut one: Option<(Tensors, Tensors)> = None;
    let targets = strategies(&graph, isa, true).into_iter().rev().chain(strategies(&graph, isa, false));
    let threads = |target: Target| if target.fuse { &[1, 3][..] } else { &[1] };
    for (target, threads) in targets.flat_map(|target| threads(target).iter().map(move |n| (target, *n))) {
        let what = format!("{target:?} threads={threads}");
        let (outputs, state) = run(&graph, &target, threads, &drawn.inputs, &drawn.state);
        compare(&reference.outputs, &outputs, &what, &graph);
        compare(&reference.state, &state, &what, &graph);
        if threads == 1 {
            for (name, engine) in INTERPRETERS {
                let (outputs, state) = engine(&graph, &target, &drawn.inputs, &drawn.state);
                compare(&reference.outputs, &outputs, &format!("{name} {what}"), &graph);
                compare(&reference.state, &state, &format!("{name} {what}"), &graph);
            }
            one = Some((outputs, state));
        } else if let Some(one) = &one {
            assert_eq!(bits(one), bits(&(outputs, state)), "{what}: other bits\n{graph}");
        }
    }
}

fn bits((outputs, state): &(Tensors, Tensors)) -> Vec<u32> {
    outputs.values().chain(state.values()).flat_map(|t| t.data.iter().map(|x| x.to_bits())).collect()
}

fn isa_for(choices: &[u32]) -> Isa {
    let all: Vec<Isa> = Isa::available().into_iter().collect();
    all[choices.len() % all.len()]
}

#[test]
fn evaluation() {
    let reached: RefCell<BTreeSet<&'static str>> = RefCell::default();
    for_each_case(|choices| {
        let drawn = draw(choices, false);
        let ops = drawn.graph.order().into_iter().filter_map(|v| drawn.graph.op(v).map(Op::name));
        reached.borrow_mut().extend(ops);
        check(&drawn, INFERENCE, &Frozen, isa_for(choices));
    });
    let all: BTreeSet<&'static str> = Op::samples().iter().map(|(op, _)| op.name()).collect();
    let missed: Vec<_> = all.difference(&reached.borrow()).copied().collect();
    assert!(missed.is_empty(), "never drawn: {missed:?}");
}

#[test]
fn training() {
    for_each_case(|choices| check(&draw(choices, true), TRAINING, &Descent, isa_for(choices)));
}

//! A recurrence is its unrolled graph: the same values, the same gradients, in both directions.

use crate::data::{Kind, assert_close, operands};
use crate::gradients::Tensors;
use crate::networks::{CASES, SMALL, network};
use dlc_compiler::base::TensorType;
use dlc_compiler::graph::{Graph, interp};
use dlc_compiler::passes::{self, Frozen, TRAINING, differentiate};

pub fn inputs(graph: &Graph) -> (Tensors, Tensors) {
    let x = operands(&[TensorType::new(&[SMALL.batch, SMALL.steps, SMALL.width])], Kind::Mixed, 9).remove(0);
    (Tensors::from([("x".to_string(), x)]), interp::initial_state(graph))
}

#[test]
fn a_recurrence_is_its_unrolled_graph() {
    for case in CASES {
        for reverse in [false, true] {
            let what = format!("{} reverse={reverse}", case.name);
            let [mut scanned, mut unrolled] = [false, true].map(|u| network(case, SMALL, reverse, u));
            for g in [&mut scanned, &mut unrolled] {
                g.verify().unwrap_or_else(|e| panic!("{what}: {e}\n{g}"));
                differentiate::run(g, &Frozen);
                g.verify().unwrap_or_else(|e| panic!("{what}: {e}\n{g}"));
            }
            compare(&what, &scanned, &unrolled);
        }
    }
}

fn compare(what: &str, scanned: &Graph, unrolled: &Graph) {
    let (x, s) = inputs(unrolled);
    let [a, b] = [unrolled, scanned].map(|g| interp::run(g, &x, &s));
    let names = |t: &Tensors| t.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&a.outputs), names(&b.outputs), "{what}");
    for (name, wanted) in &a.outputs {
        assert_close(&b.outputs[name], wanted, 1e-5, &format!("{what}: {name}\n{scanned}"));
    }
}

/// The passes of training leave all of it as it was.
#[test]
fn passes_keep_recurrences() {
    for case in CASES {
        for reverse in [false, true] {
            let [mut scanned, mut unrolled] = [false, true].map(|u| network(case, SMALL, reverse, u));
            differentiate::run(&mut unrolled, &Frozen);
            let keep = |g: &mut Graph, name: &str| {
                if name == "differentiate" {
                    g.outputs.iter_mut().for_each(|(n, _)| *n = n.replace("d.", "gradient "));
                }
            };
            for pass in TRAINING {
                (pass.run)(&mut scanned, &Frozen);
                scanned.verify().unwrap_or_else(|e| panic!("{} {}: {e}\n{scanned}", case.name, pass.name));
                keep(&mut scanned, pass.name);
            }
            keep(&mut unrolled, "differentiate");
            compare(&format!("{} reverse={reverse}, passes", case.name), &scanned, &unrolled);
        }
    }
}

/// How many contractions are left in iterations after the passes of inference.
fn contractions_inside(graph: &mut Graph) -> usize {
    passes::run(graph, passes::INFERENCE, &Frozen, &mut ());
    let bodies = graph.bodies();
    bodies.keys().filter(|v| graph.op(**v).is_some_and(|op| op.name() == "contract")).count()
}

#[test]
fn what_needs_no_state_leaves_the_body() {
    for (name, left) in [("rnn", 1), ("joined", 1), ("lstm", 1), ("plain", 0), ("delayed", 0)] {
        let case = CASES.iter().find(|c| c.name == name).expect("a case");
        let mut graph = network(case, SMALL, false, false);
        assert_eq!(contractions_inside(&mut graph), left, "{name}\n{graph}");
    }
}

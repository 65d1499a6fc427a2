//! Recurrences whose tasks share out units: in rounds, so that they may read what others made in those before.

use super::common::solved;
use super::each_stmt;
use dlc_compiler::base::Numerics;
use dlc_compiler::hir::Mode;
use dlc_compiler::loops::nest::{Program, Stmt};
use dlc_compiler::loops::{Affine, verify_nest};
use dlc_compiler::passes::{self, Frozen, INFERENCE};
use dlc_compiler::schedule::{self, Target};
use dlc_runtime::micro::Isa;

/// A layer of `units` over four steps, scheduled; the step of its recurrence.
fn layer(isa: Isa, name: &str, units: usize, batch: usize) -> (Program, Option<usize>) {
    let text = format!("dim t = 4\nmodel M(x: [t, k: 3]) -> y: [t, c: {units}] {{\n  y = x |> {name}({units})\n}}\n");
    let mut graph = solved(&text).graph(Mode::Predict, batch);
    passes::run(&mut graph, INFERENCE, &Frozen, &mut ());
    let p = schedule::run(&graph, &Target { isa, fuse: true, numerics: Numerics::Fast });
    verify_nest::verify(&p, isa.tiles().lanes).unwrap_or_else(|e| panic!("{name} {units}: {e}\n{p}"));
    let found = p.steps.iter().position(|step| step.lockstep);
    (p, found)
}

#[test]
fn units_are_shared_out() {
    for isa in Isa::available() {
        for (name, units) in [("rnn", 512), ("lstm", 192), ("lstm", 256), ("gru", 256)] {
            for batch in [1, 3, 7] {
                let (p, found) = layer(isa, name, units, batch);
                assert!(found.is_some_and(|i| p.steps[i].tasks > 1), "{isa:?}: {name} of {units}, {batch}\n{p}");
            }
        }
        // Little work, and examples enough.
        for (units, batch) in [(64, 1), (256, 32)] {
            assert_eq!(layer(isa, "lstm", units, batch).1, None, "{isa:?}: {units} units, {batch} examples");
        }
    }
}

/// Without rounds, or where a round reads what it makes itself, tasks meet.
#[test]
fn tasks_that_meet_in_a_round() {
    let isa = Isa::Portable;
    let (good, found) = layer(isa, "lstm", 256, 1);
    let i = found.expect("a step in lockstep");
    let caught = |bad: &Program| verify_nest::verify(bad, isa.tiles().lanes).is_err();
    let mut bad = good.clone();
    bad.steps[i].lockstep = false;
    assert!(caught(&bad), "no rounds");
    let (mut bad, mut planted) = (good.clone(), 0);
    each_stmt(&mut bad.steps[i].body, &mut |stmt| {
        if let Stmt::Tile(t) = stmt {
            t.a.at[1] = &t.a.at[1] + &Affine::constant(1);
            planted += 1;
        }
    });
    assert!(planted > 0 && caught(&bad), "the states of the round itself");
}

//! Transformers on every engine, at sizes where a causal attention leaves out what lies beyond its diagonal, and where
//! rows do not fill the last vector.

mod common;
mod engines;

use common::{solved, training};
use dlc_compiler::base::Numerics;
use dlc_compiler::hir::Mode;
use dlc_compiler::passes::{self, Frozen, INFERENCE};
use dlc_compiler::schedule::{self, Target};
use dlc_runtime::micro::Isa;
use engines::{Laws, check_on, inputs};

fn program(t: usize, width: usize, causal: bool) -> String {
    format!(
        "dim t = {t}
dim word = 11
data texts {{
  source = npz(\"texts.npz\")
  field tokens: word[t] = array(\"tokens\")
  field next: word[t] = array(\"next\")
  split = ratio(train = 80%, val = 20%)
}}
model M(tokens: word[t]) -> logits: [t, word] {{
  logits = tokens |> embed({width}) |> positional
    |> repeat 2 {{ transformer(heads = 2, causal = {causal}, ratio = 2) }}
    |> layer_norm |> dense(word)
}}
train M on texts {{
  loss = cross_entropy(logits, next)
  optimizer = adamw(lr = 1e-3)
}}
"
    )
}

#[test]
fn transformers_on_all_engines() {
    for (t, width, causal, batch) in [(32, 16, true, 4), (29, 20, true, 3), (13, 12, false, 1), (50, 12, true, 8)] {
        let program = solved(&program(t, width, causal));
        let mut predicting = program.graph(Mode::Predict, batch);
        passes::run(&mut predicting, INFERENCE, &Frozen, &mut ());
        for (mode, graph) in [("training", training(&program, batch)), ("predicting", predicting)] {
            let (mut x, s) = inputs(&graph);
            for (clock, value) in [("step", 3.0), ("steps", 40.0), ("steps_per_epoch", 10.0)] {
                x.entry(clock.into()).and_modify(|t| t.data.fill(value));
            }
            let laws = Laws { tolerance: 1e-4, interpreters: t == 29 };
            check_on(&graph, &format!("{mode} {t} {width} {batch}"), laws, &Isa::available(), &x, &s);
        }
    }
}

/// Multiply-adds of a training step.
fn work(t: usize, causal: bool) -> u64 {
    let graph = training(&solved(&program(t, 16, causal)), 4);
    let target = Target { isa: Isa::detect(), fuse: true, numerics: Numerics::Fast };
    schedule::run(&graph, &target).steps.iter().map(|s| s.flop()).sum()
}

#[test]
fn a_causal_attention_has_less_to_do() {
    assert_eq!(work(12, true), work(12, false), "one strip");
    let (causal, square) = (work(96, true), work(96, false));
    // Strips of 24 rows leave three eighths of a product out, of four of the six products of two heads in two blocks.
    let products = 2 * 2 * 4 * (6 * 2 * 96 * 96 * 8);
    assert_eq!(4 * (square - causal), products);
}

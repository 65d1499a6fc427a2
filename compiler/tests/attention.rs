//! Transformers on every engine, at sizes where a causal attention leaves out what lies beyond its diagonal, and where
//! rows do not fill the last vector.

mod common;
mod engines;

use common::{solved, training};
use dlc_compiler::base::Numerics;
use dlc_compiler::hir::Mode;
use dlc_compiler::loops::Home;
use dlc_compiler::loops::nest::{Kind, Stmt};
use dlc_compiler::passes::{self, Frozen, INFERENCE};
use dlc_compiler::schedule::{self, Target};
use dlc_runtime::micro::Isa;
use engines::{Laws, check_on, inputs};

fn program(t: usize, width: usize, causal: bool) -> String {
    let heads = if width >= 64 { 4 } else { 2 };
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
    |> repeat 2 {{ transformer(heads = {heads}, causal = {causal}, ratio = 2) }}
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
    // The large ones go block by block over rows, and panel by panel over what follows tiles; alone, an example is shared out
    // by rows.
    let sizes = [
        (32, 16, true, 4),
        (29, 20, true, 3),
        (13, 12, false, 1),
        (96, 8, true, 1),
        (50, 12, true, 8),
        (64, 32, true, 8),
    ];
    for (t, width, causal, batch) in
        sizes.into_iter().chain([(64, 64, true, 8), (48, 64, false, 4), (64, 128, true, 1)])
    {
        let program = solved(&program(t, width, causal));
        let mut predicting = program.graph(Mode::Predict, batch);
        passes::run(&mut predicting, INFERENCE, &Frozen, &mut ());
        let large = width >= 64;
        let training = (!large).then(|| ("training", training(&program, batch)));
        for (mode, graph) in training.into_iter().chain([("predicting", predicting)]) {
            let (mut x, s) = inputs(&graph);
            for (clock, value) in [("step", 3.0), ("steps", 40.0), ("steps_per_epoch", 10.0)] {
                x.entry(clock.into()).and_modify(|t| t.data.fill(value));
            }
            let laws = Laws { tolerance: 1e-4, interpreters: t == 29 };
            check_on(&graph, &format!("{mode} {t} {width} {batch}"), laws, &Isa::available(), &x, &s);
        }
    }
}

/// Loops of which a round makes a panel of columns and goes on with it; and loops over blocks of rows that are folded.
fn close(stmts: &[Stmt], found: &mut [usize; 2]) {
    let inside = |body: &[Stmt], tiles: bool| {
        body.iter().any(|stmt| match stmt {
            Stmt::For(f) => nested(&f.body, tiles),
            other => matches!(other, Stmt::Tile(_)) && tiles,
        })
    };
    for stmt in stmts {
        let Stmt::For(f) = stmt else { continue };
        let serial = f.kind == Kind::Serial;
        let loops = f.body.iter().filter(|s| matches!(s, Stmt::For(_))).count();
        found[0] += usize::from(serial && inside(&f.body, true) && inside(&f.body, false));
        found[1] += usize::from(serial && loops > 3 && !inside(&f.body, true));
        close(&f.body, found);
    }
}

/// Is there a tile, or a group of stores, inside?
fn nested(stmts: &[Stmt], tiles: bool) -> bool {
    stmts.iter().any(|stmt| match stmt {
        Stmt::For(f) => nested(&f.body, tiles),
        Stmt::Tile(_) => tiles,
        Stmt::Group(_) => !tiles,
        _ => false,
    })
}

#[test]
fn what_is_made_is_read_while_it_is_near() {
    let mut graph = solved(&program(64, 64, true)).graph(Mode::Predict, 8);
    passes::run(&mut graph, INFERENCE, &Frozen, &mut ());
    let target = Target { isa: Isa::detect(), fuse: true, numerics: Numerics::Fast };
    let program = schedule::run(&graph, &target);
    let [mut panels, mut blocks] = [0, 0];
    for step in &program.steps {
        for stmt in &step.body {
            if let Stmt::For(f) = stmt
                && f.kind == Kind::Sequence
            {
                let mut found = [0, 0];
                close(&f.body, &mut found);
                panels += found[0];
                blocks += found[1];
            }
        }
    }
    assert!(panels >= 2, "one layer of each block: {panels}\n{program}");
    assert!(blocks >= 5, "five norms: {blocks}\n{program}");
    let over = |name: &str| {
        program.buffers.iter().any(|b| b.home == Home::Scratch && b.alias.is_some() && b.name.ends_with(name))
    };
    assert!(over("gelu[0]"), "gelu is written over what it reads\n{program}");
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
    // Strips of 24 rows leave three eighths of a product out, of four of the six products of two heads in two blocks; strips
    // of 32 columns leave a third of another one out, of which the rest is never looked at.
    let product = 2 * 2 * 4 * (2 * 96 * 96 * 8);
    assert_eq!(6 * (square - causal), (9 + 2) * product);
}

//! Memory that is asked for before it is needed changes no number.

mod engines;

use dlc_compiler::base::{Numerics, TensorType};
use dlc_compiler::graph::{Graph, Init, StateKind};
use dlc_compiler::loops::Fold;
use dlc_compiler::loops::nest::Stmt;
use dlc_compiler::ops::ConvSpec;
use dlc_compiler::schedule;
use dlc_runtime::micro::Isa;
use engines::check;

/// What loops read from large tables is asked for by tiles before.
#[test]
fn tiles_ask_early() {
    let (n, s, o) = (36, 31, 16);
    let mut g = Graph::new();
    g.batch = n;
    let x = g.input("x", TensorType::new(&[n, s + 1, s + 1, 12]));
    let factor = g.input("factor", TensorType::new(&[n, s, s, o]));
    let w = g.state("w", TensorType::new(&[2, 2, 12, o]), Init::Zeros, StateKind::Weight);
    let e = g.emit_here();
    let y = e.conv(x, w, &ConvSpec::plain(&[2, 2]));
    let z = e.mul(y, factor);
    let sum = e.reduce(Fold::Add, z, &[0, 1, 2]);
    g.set_output("z", z);
    g.set_output("sum", sum);
    fn asks(stmts: &[Stmt]) -> bool {
        stmts.iter().any(|stmt| match stmt {
            Stmt::For(f) => asks(&f.body),
            Stmt::Tile(t) => t.ahead.is_some(),
            _ => false,
        })
    }
    for (isa, expected) in [(Isa::Avx512, true), (Isa::Avx2, false)] {
        let target = schedule::Target { isa, fuse: true, numerics: Numerics::Strict };
        let program = schedule::run(&g, &target);
        assert_eq!(program.steps.iter().any(|step| asks(&step.body)), expected, "{isa:?}");
    }
    check(&g, "tiles that ask", 1e-4);
}

//! What repeats along an axis is multiplied once, not at every place of it.

use crate::data::{Kind, assert_close, operands};
use crate::gradients::Tensors;
use dlc_compiler::base::{TensorType, Value};
use dlc_compiler::graph::{Graph, interp};
use dlc_compiler::ops::Op;
use dlc_compiler::passes::{self, Frozen, INFERENCE};

/// The extent of an axis by its letter.
fn extent(letter: char) -> usize {
    2 + "ntkfo".find(letter).expect("a known letter")
}

fn shape(letters: &str) -> Vec<usize> {
    letters.chars().map(extent).collect()
}

/// Contracts `b` with a table of the axes `own` that repeats along the others of `a`; `turned`: with `b` first.
fn graph([own, a, b, y]: [&str; 4], turned: bool) -> (Graph, Tensors) {
    let types = [own, b].map(|letters| TensorType::new(&shape(letters)));
    let mut g = Graph::new();
    let [small, x] = [("small", 0), ("x", 1)].map(|(name, i)| g.input(name, types[i].clone()));
    let e = g.emit_here();
    let axes: Vec<usize> = own.chars().map(|l| a.find(l).expect("an axis of a")).collect();
    let wide = e.broadcast(small, &shape(a), &axes);
    let out = if turned { e.contract(x, b, wide, a, y) } else { e.contract(wide, a, x, b, y) };
    g.set_output("y", out);
    let given = ["small", "x"].map(String::from).into_iter().zip(operands(&types, Kind::Mixed, 5)).collect();
    (g, given)
}

fn contractions_of_what_repeats(g: &Graph) -> usize {
    let repeats = |v: &Value| matches!(g.op(*v), Some(Op::Broadcast(_)));
    let all = g.order().into_iter().filter(|v| matches!(g.op(*v), Some(Op::Contract(_))));
    all.filter(|v| g.operands(*v).iter().any(repeats)).count()
}

#[test]
fn what_repeats_is_multiplied_once() {
    for letters in [
        ["nf", "ntf", "ntk", "kf"],  // summed over: a weight's gradient, of a mean over t
        ["nf", "ntf", "kf", "ntk"],  // brought into the result: an input's gradient
        ["nf", "ntf", "ntkf", "nk"], // summed over, where b has all axes
        ["kf", "nkf", "nk", "nf"],   // the same weights for every example
        ["nf", "ntf", "ntk", "nkf"], // no sum left
        ["f", "ntf", "ntk", "kf"],   // repeats along two axes
    ] {
        for turned in [false, true] {
            let (mut g, given) = graph(letters, turned);
            assert_eq!(contractions_of_what_repeats(&g), 1, "{g}");
            let before = interp::run(&g, &given, &Tensors::default());
            passes::run(&mut g, INFERENCE, &Frozen, &mut ());
            assert_eq!(contractions_of_what_repeats(&g), 0, "{letters:?}\n{g}");
            let after = interp::run(&g, &given, &Tensors::default());
            assert_close(&before.outputs["y"], &after.outputs["y"], 1e-5, "repeated");
        }
    }
}

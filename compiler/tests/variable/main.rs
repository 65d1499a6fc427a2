//! Axes of which each example has its own length: nothing depends on how examples are padded or put together.

#[path = "../common/mod.rs"]
mod common;
#[path = "../engines/mod.rs"]
mod engines;
mod programs;

use common::{Rule, solved};
use dlc_compiler::base::{Element, Tensor};
use dlc_compiler::graph::{Def, Graph, interp};
use dlc_compiler::hir::{Mode, Solved};
use dlc_compiler::passes::{self, Frozen, INFERENCE, TRAINING};
use dlc_runtime::extents::{Extents, dim_of_input};
use dlc_runtime::micro::Isa;
use engines::{Laws, Tensors, check_on, numbers};
use programs::{PROGRAMS, Program, TOGETHER};

/// The lengths of the examples along `t` and `s`; at most 9 and 7.
const LENGTHS: [(usize, usize); 5] = [(4, 3), (9, 1), (1, 7), (6, 2), (3, 5)];

/// What a number is that does not depend on where its example lies: by input, example, and place.
fn value(name: &str, example: usize, place: &[usize], element: Element, salt: u64) -> f32 {
    let mut x = salt ^ 0x9E37_79B9_7F4A_7C15;
    let words = name.bytes().map(u64::from).chain([example as u64]).chain(place.iter().map(|p| *p as u64));
    for word in words {
        x = (x ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 29;
    }
    let unit = (x >> 40) as f32 / (1u64 << 24) as f32;
    match element {
        Element::Number => unit * 2.0 - 1.0,
        Element::Index { extent } => (unit * extent as f32).floor(),
    }
}

/// The inputs of a graph for some examples; past the ends of fields lies whatever `salt` gives.
fn feed(graph: &Graph, axes: &dyn Fn(&str) -> Vec<String>, examples: &[usize], salt: u64) -> Tensors {
    let mut x = Tensors::new();
    for v in graph.order() {
        let node = graph.node(v);
        let Def::Input(name) = &node.def else { continue };
        let length = |dim: &str, example: usize| match dim {
            "t" => LENGTHS[example].0,
            "s" => LENGTHS[example].1,
            _ => usize::MAX,
        };
        let tensor = match (dim_of_input(name), node.ty.shape.is_empty()) {
            (Some(dim), _) => Tensor::from_fn(&node.ty.shape, |at| length(dim, examples[at[0]]) as f32),
            (None, true) => Tensor { shape: vec![], data: vec![1.0] },
            (None, false) => {
                let axes = axes(name);
                Tensor::from_fn(&node.ty.shape, |at| {
                    let example = examples[at[0]];
                    let beyond = axes.iter().zip(&at[1..]).any(|(a, i)| *i >= length(a, example));
                    value(name, example, &at[1..], node.ty.element, if beyond { salt } else { 0 })
                })
            }
        };
        x.insert(name.clone(), tensor);
    }
    x
}

fn state(graph: &Graph) -> Tensors {
    let one = |s: &dlc_compiler::graph::StateVar| {
        let ty = &graph.node(s.value).ty;
        let seed = s.path.bytes().fold(7u64, |h, b| h.wrapping_mul(31) ^ u64::from(b));
        let mut t = numbers(seed, ty);
        if s.path.ends_with("variance") || s.path.contains('#') {
            t.data.iter_mut().for_each(|x| *x = x.abs() + 0.5);
        }
        (s.path.clone(), t)
    };
    graph.state.iter().map(one).collect()
}

/// The axes of an input of the program, batch excluded.
fn axes_of(s: &Solved) -> impl Fn(&str) -> Vec<String> {
    let layers = s.hir().layers.clone();
    move |name| {
        let is = |l: &&dlc_compiler::hir::Layer| matches!(&l.what, dlc_compiler::hir::What::Input(n) if n == name);
        layers.iter().find(is).map_or(vec![], |l| l.ty.axes.iter().map(|a| a.name.clone()).collect())
    }
}

struct Ran {
    outputs: Tensors,
    /// Gradients of weights, by path: the step of plain descent with a rate of 1.
    gradients: Tensors,
}

fn run(s: &Solved, mode: Mode, (t, n): (usize, usize), examples: &[usize], salt: u64) -> Ran {
    let extents = Extents::new(examples.len(), [("t".to_string(), t), ("s".to_string(), n)]);
    let mut graph = s.graph(mode, extents);
    if mode == Mode::Train {
        passes::run(&mut graph, TRAINING, &Rule(s.update_rule()), &mut ());
    }
    let (x, before) = (feed(&graph, &axes_of(s), examples, salt), state(&graph));
    let after = interp::run(&graph, &x, &before);
    let gradient = |(path, next): (&String, &Tensor)| {
        let data = before[path].data.iter().zip(&next.data).map(|(a, b)| a - b).collect();
        (path.clone(), Tensor { shape: next.shape.clone(), data })
    };
    Ran { gradients: after.state.iter().map(gradient).collect(), outputs: after.outputs }
}

/// The part of `all` that belongs to example `at` and exists in `alone`, element by element.
fn agrees(what: &str, all: &Tensor, at: usize, alone: &Tensor) {
    let mut places = vec![vec![]];
    for n in &alone.shape[1..] {
        places = places.into_iter().flat_map(|p: Vec<usize>| (0..*n).map(move |i| [&p[..], &[i]].concat())).collect();
    }
    for place in places {
        let (a, b) = (all.get(&[&[at], &place[..]].concat()), alone.get(&[&[0], &place[..]].concat()));
        assert!(
            (a - b).abs() <= 2e-5 * b.abs().max(1.0),
            "{what}: example {at} {place:?}: {a} among others, {b} alone"
        );
    }
}

fn near(what: &str, a: &Tensors, b: &Tensors) {
    for (name, x) in a {
        for (i, (x, y)) in x.data.iter().zip(&b[name].data).enumerate() {
            assert!((x - y).abs() <= 3e-5 * y.abs().max(1.0), "{what}: {name}[{i}]: {x} and {y}");
        }
    }
}

/// A program of one length: the same text with `dim t = n`.
fn fixed(p: &Program, (t, s): (usize, usize)) -> Solved {
    solved(&p.text().replace("dim t <= 9", &format!("dim t = {t}")).replace("dim s <= 7", &format!("dim s = {s}")))
}

/// Every example among others is what it is alone, where its length is the extent, and what a program of that
/// one length makes of it.
#[test]
fn alone_or_among_others() {
    for p in PROGRAMS {
        let program = solved(&p.text());
        let everyone: Vec<usize> = (0..LENGTHS.len()).collect();
        for salt in [1, 2] {
            let all = run(&program, Mode::Predict, (9, 7), &everyone, salt);
            for (at, lengths) in LENGTHS.into_iter().enumerate() {
                let alone = run(&program, Mode::Predict, lengths, &[at], 0);
                let of_one_length =
                    (p.same_when_fixed).then(|| run(&fixed(p, lengths), Mode::Predict, lengths, &[at], 0));
                for (name, y) in &alone.outputs {
                    agrees(&format!("{} {name}", p.name), &all.outputs[name], at, y);
                    if let Some(fixed) = &of_one_length {
                        agrees(&format!("{} {name}, of one length", p.name), &fixed.outputs[name], 0, y);
                    }
                }
            }
        }
    }
}

/// Loss and gradients of a batch are those of its examples alone, weighed by how much there is of each.
#[test]
fn gradients_of_a_batch_are_those_of_its_examples() {
    for p in PROGRAMS {
        let program = solved(&p.text());
        let everyone: Vec<usize> = (0..LENGTHS.len()).collect();
        let all = run(&program, Mode::Train, (9, 7), &everyone, 5);
        let (mut loss, mut total) = (0.0, 0.0);
        let mut gradients: Tensors = Tensors::new();
        for (at, lengths) in LENGTHS.into_iter().enumerate() {
            let alone = run(&program, Mode::Train, lengths, &[at], 0);
            let weight = alone.outputs.get("count(loss)").map_or(1.0, |c| c.data[0]);
            assert_eq!(alone.outputs.contains_key("count(loss)"), p.pooled, "{}", p.name);
            if p.same_when_fixed {
                let of_one_length = run(&fixed(p, lengths), Mode::Train, lengths, &[at], 0);
                near(&format!("{} of one length", p.name), &alone.gradients, &of_one_length.gradients);
            }
            loss += weight * alone.outputs["loss"].data[0];
            total += weight;
            for (path, g) in alone.gradients {
                let sum =
                    gradients.entry(path).or_insert_with(|| Tensor { data: vec![0.0; g.data.len()], ..g.clone() });
                sum.data.iter_mut().zip(&g.data).for_each(|(s, g)| *s += weight * g);
            }
        }
        gradients.values_mut().for_each(|g| g.data.iter_mut().for_each(|x| *x /= total));
        let found = all.outputs["loss"].data[0];
        assert!((found - loss / total).abs() < 1e-5 * found.abs().max(1.0), "{}: {found} and {}", p.name, loss / total);
        near(p.name, &all.gradients, &gradients);
        assert!(gradients.values().flat_map(|g| &g.data).any(|x| *x != 0.0), "{}", p.name);
    }
}

/// Along the gradient the loss grows as the gradient says.
#[test]
fn gradients_are_slopes() {
    for p in PROGRAMS.iter().chain(TOGETHER) {
        let program = solved(&p.text());
        let everyone: Vec<usize> = (0..LENGTHS.len()).collect();
        let mut gradients = run(&program, Mode::Train, (9, 7), &everyone, 5).gradients;
        gradients.retain(|path, _| !path.ends_with("mean") && !path.ends_with("variance"));
        let square: f64 = gradients.values().flat_map(|g| &g.data).map(|x| f64::from(*x).powi(2)).sum();
        let graph = program.graph(Mode::Train, LENGTHS.len());
        let (x, s) = (feed(&graph, &axes_of(&program), &everyone, 5), state(&graph));
        let step = (0.01 / square.sqrt()) as f32;
        let loss = |by: f32| {
            let mut moved = s.clone();
            for (path, g) in &gradients {
                if let Some(w) = moved.get_mut(path) {
                    w.data.iter_mut().zip(&g.data).for_each(|(w, g)| *w += by * g);
                }
            }
            f64::from(interp::run(&graph, &x, &moved).outputs["loss"].data[0])
        };
        let slope = (loss(step) - loss(-step)) / (2.0 * f64::from(step));
        assert!((slope / square - 1.0).abs() < 0.02, "{}: {slope} and {square}", p.name);
    }
}

/// How far a batch is padded, and with what, changes nothing.
#[test]
fn padding_is_nothing() {
    for p in PROGRAMS.iter().chain(TOGETHER) {
        let program = solved(&p.text());
        let examples = [0, 2, 3];
        for mode in [Mode::Train, Mode::Evaluate] {
            let tight = run(&program, mode, (6, 7), &examples, 3);
            let loose = run(&program, mode, (9, 7), &examples, 4);
            let loss = |ran: &Ran| Tensors::from([("loss".to_string(), ran.outputs["loss"].clone())]);
            near(p.name, &loss(&tight), &loss(&loose));
            near(p.name, &tight.gradients, &loose.gradients);
        }
    }
}

/// Machine code on every instruction set, fused and not, with 1 and 3 threads.
#[test]
fn on_all_engines() {
    for p in PROGRAMS.iter().chain(TOGETHER) {
        let program = solved(&p.text());
        for (mode, batch) in [(Mode::Train, 5), (Mode::Predict, 5), (Mode::Train, 1), (Mode::Train, 16)] {
            let examples: Vec<usize> = (0..batch).map(|i| i % LENGTHS.len()).collect();
            let mut graph = program.graph(mode, batch);
            match mode {
                Mode::Train => passes::run(&mut graph, TRAINING, &Rule(program.update_rule()), &mut ()),
                _ => passes::run(&mut graph, INFERENCE, &Frozen, &mut ()),
            }
            let (x, s) = (feed(&graph, &axes_of(&program), &examples, 0), state(&graph));
            let laws = Laws { tolerance: 1e-4, interpreters: batch == 5 };
            check_on(&graph, &format!("{} {mode:?} {batch}", p.name), laws, &Isa::available(), &x, &s);
        }
    }
}

#[test]
fn every_program_means_something() {
    for p in PROGRAMS.iter().chain(TOGETHER) {
        let wrong: Vec<String> = common::messages(&p.text()).into_iter().filter(|m| m.starts_with('E')).collect();
        assert!(wrong.is_empty(), "{}: {}\n{}", p.name, wrong.join("\n"), p.text());
    }
}

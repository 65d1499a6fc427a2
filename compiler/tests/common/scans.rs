//! Networks with a recurrence, each also unrolled.
#![allow(dead_code)]

use dlc_compiler::base::{TensorType, Value};
use dlc_compiler::graph::{Graph, Init, StateKind};
use dlc_compiler::loops::{Fold, Unary};
use dlc_compiler::ops::Emit;

/// Examples, iterations, features.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub batch: usize,
    pub steps: usize,
    pub width: usize,
}

pub const SMALL: Sizes = Sizes { batch: 3, steps: 4, width: 5 };

/// One iteration: the slice of the input and the states give next states and what is yielded.
pub type Body = fn(&mut dyn Emit, Value, &[Value], &[Value]) -> (Vec<Value>, Value);

pub struct Case {
    pub name: &'static str,
    pub body: Body,
    pub states: usize,
    /// Do states begin with a weight, or with zero?
    pub weighted: bool,
}

fn dense(e: &mut dyn Emit, x: Value, w: Value) -> Value {
    e.contract(x, "nf", w, "fo", "no")
}

fn rnn(e: &mut dyn Emit, x: Value, h: &[Value], w: &[Value]) -> (Vec<Value>, Value) {
    let (a, b) = (dense(e, x, w[0]), dense(e, h[0], w[1]));
    let sum = e.add(a, b);
    let shape = e.shape(sum);
    let shift = e.broadcast(w[4], &shape, &[1]);
    let sum = e.add(sum, shift);
    let next = e.unary(Unary::Tanh, sum);
    (vec![next], next)
}

/// One contraction of the input and the state together.
fn joined(e: &mut dyn Emit, x: Value, h: &[Value], w: &[Value]) -> (Vec<Value>, Value) {
    let both = e.concat(x, h[0], 1);
    let weights = e.concat(w[0], w[1], 0);
    let sum = dense(e, both, weights);
    let next = e.unary(Unary::Tanh, sum);
    (vec![next], next)
}

fn lstm(e: &mut dyn Emit, x: Value, s: &[Value], w: &[Value]) -> (Vec<Value>, Value) {
    let a = e.contract(x, "nf", w[2], "fgo", "ngo");
    let b = e.contract(s[0], "nf", w[3], "fgo", "ngo");
    let all = e.add(a, b);
    let shape = e.shape(s[0]);
    let mut gate = |i| {
        let g = e.slice(all, 1, i, 1);
        e.reshape(g, &shape)
    };
    let [i, f, g, o] = [0, 1, 2, 3].map(&mut gate);
    let [i, f, o] = [i, f, o].map(|x| e.unary(Unary::Sigmoid, x));
    let g = e.unary(Unary::Tanh, g);
    let (kept, new) = (e.mul(f, s[1]), e.mul(i, g));
    let m = e.add(kept, new);
    let t = e.unary(Unary::Tanh, m);
    let h = e.mul(o, t);
    (vec![h, m], h)
}

/// Two sums of what was, one of which knows the input only through the other; yields what comes in.
fn delayed(e: &mut dyn Emit, x: Value, s: &[Value], w: &[Value]) -> (Vec<Value>, Value) {
    let x = dense(e, x, w[0]);
    let y = e.mul(s[1], x);
    (vec![x, s[0]], y)
}

/// A product of the input with what all iterations share, and a state that never changes.
fn plain(e: &mut dyn Emit, x: Value, s: &[Value], w: &[Value]) -> (Vec<Value>, Value) {
    let y = dense(e, x, w[0]);
    let y = e.mul(y, s[0]);
    let y = e.unary(Unary::Sigmoid, y);
    (vec![s[0]], y)
}

/// A state of its own for each example, a maximum along the features.
fn pooled(e: &mut dyn Emit, x: Value, s: &[Value], w: &[Value]) -> (Vec<Value>, Value) {
    let a = dense(e, x, w[0]);
    let b = e.mul(a, s[0]);
    let m = e.reduce(Fold::Max, b, &[1]);
    let shape = e.shape(b);
    let m = e.broadcast(m, &shape, &[0]);
    let next = e.sub(b, m);
    let y = e.add(next, s[0]);
    (vec![next], y)
}

/// A state read with its axes merged.
fn flattened(e: &mut dyn Emit, x: Value, s: &[Value], _: &[Value]) -> (Vec<Value>, Value) {
    let shape = e.shape(s[0]);
    let flat = e.reshape(s[0], &[shape.iter().product()]);
    let wave = e.unary(Unary::Cos, flat);
    let wave = e.reshape(wave, &shape);
    let next = e.mul(wave, x);
    (vec![next], wave)
}

pub const CASES: &[Case] = &[
    Case { name: "rnn", body: rnn, states: 1, weighted: false },
    Case { name: "rnn from a weight", body: rnn, states: 1, weighted: true },
    Case { name: "joined", body: joined, states: 1, weighted: true },
    Case { name: "lstm", body: lstm, states: 2, weighted: false },
    Case { name: "lstm from weights", body: lstm, states: 2, weighted: true },
    Case { name: "delayed", body: delayed, states: 2, weighted: true },
    Case { name: "plain", body: plain, states: 1, weighted: true },
    Case { name: "flattened", body: flattened, states: 1, weighted: true },
    Case { name: "pooled", body: pooled, states: 1, weighted: true },
];

/// The network of a case, with a loss that weighs every yield differently.
pub fn network(case: &Case, sizes: Sizes, reverse: bool, unrolled: bool) -> Graph {
    let Sizes { batch: n, steps: t, width: c } = sizes;
    let mut g = Graph::new();
    g.batch = n;
    let x = g.input("x", TensorType::new(&[n, t, c]));
    let mut key = 0;
    let mut weight = |g: &mut Graph, path: &str, shape: &[usize]| {
        key += 1;
        g.state(path, TensorType::new(shape), Init::Uniform { limit: 0.8, key }, StateKind::Weight)
    };
    let shapes: [&[usize]; 5] = [&[c, c], &[c, c], &[c, 4, c], &[c, 4, c], &[c]];
    let names = ["a", "b", "c", "d", "e"];
    let w: Vec<Value> = names.iter().zip(shapes).map(|(n, s)| weight(&mut g, n, s)).collect();
    let mut init = vec![];
    for i in 0..case.states {
        let start =
            if case.weighted { weight(&mut g, &format!("start{i}"), &[c]) } else { g.emit_here().constant(0.0) };
        let axes: &[usize] = if case.weighted { &[1] } else { &[] };
        init.push(g.emit_here().broadcast(start, &[n, c], axes));
    }
    let y = if unrolled {
        unroll(&mut g, case, (sizes, reverse), x, &w, init)
    } else {
        scan(&mut g, case, (sizes, reverse), x, &w, init)
    };
    let e = g.emit_here();
    let place = e.coord(&[n, t, c], 1);
    let feature = e.coord(&[n, t, c], 2);
    let weigh = e.mul(place, feature);
    let weighed = e.mul(y, weigh);
    let loss = e.mean(weighed, &[0, 1, 2]);
    g.set_output("y", y);
    g.set_output("loss", loss);
    g
}

fn scan(g: &mut Graph, case: &Case, (sizes, reverse): (Sizes, bool), x: Value, w: &[Value], init: Vec<Value>) -> Value {
    let of = g.recurrence(sizes.steps, reverse);
    let states: Vec<Value> = init.into_iter().map(|v| g.carry(of, v)).collect();
    let e = g.emit_here();
    let picked = e.pick(x, of, 1);
    let (next, y) = (case.body)(e, picked, &states, w);
    let y = e.stack(y, of, 1);
    states.into_iter().zip(next).for_each(|(s, n)| g.set_next(s, n));
    y
}

fn unroll(
    g: &mut Graph,
    case: &Case,
    (sizes, reverse): (Sizes, bool),
    x: Value,
    w: &[Value],
    init: Vec<Value>,
) -> Value {
    let e = g.emit_here();
    let mut states = init;
    let mut all: Vec<Option<Value>> = vec![None; sizes.steps];
    for i in 0..sizes.steps {
        let at = if reverse { sizes.steps - 1 - i } else { i };
        let part = e.slice(x, 1, at, 1);
        let part = e.reshape(part, &[sizes.batch, sizes.width]);
        let (next, y) = (case.body)(e, part, &states, w);
        states = next;
        all[at] = Some(e.reshape(y, &[sizes.batch, 1, sizes.width]));
    }
    all.into_iter().flatten().reduce(|a, b| e.concat(a, b, 1)).expect("steps")
}

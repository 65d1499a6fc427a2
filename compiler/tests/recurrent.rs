//! Scans in programs: the recurrent layers against their equations in `f64`, and whole programs on every engine.

mod common;
mod engines;

use common::{solved, training};
use dlc_compiler::graph::{Graph, interp};
use dlc_compiler::hir::Mode;
use dlc_compiler::passes::{self, Frozen, INFERENCE};
use dlc_runtime::micro::Isa;
use engines::{Laws, Tensors, check_on, inputs};

const STEPS: usize = 5;
const IN: usize = 3;
const OUT: usize = 4;
const BATCH: usize = 2;

fn program(layer: &str, reverse: bool) -> String {
    format!(
        "dim t = {STEPS}\nmodel M(x: [t, k: {IN}]) -> y: [t, c: {OUT}] {{\n  y = x |> {layer}({OUT}, reverse = {reverse})\n}}\n"
    )
}

/// `sum over i of x[i] * w[i, gate, j]`, plus the bias if there is one.
fn dense(s: &Tensors, path: &str, gates: usize, x: &[f64]) -> Vec<Vec<f64>> {
    let w = &s[&format!("M.y/{path}.weight")].data;
    let b = s.get(&format!("M.y/{path}.bias"));
    let one = |g: usize, j: usize| {
        let sum: f64 = x.iter().enumerate().map(|(i, x)| x * f64::from(w[(i * gates + g) * OUT + j])).sum();
        sum + b.map_or(0.0, |b| f64::from(b.data[g * OUT + j]))
    };
    (0..gates).map(|g| (0..OUT).map(|j| one(g, j)).collect()).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// One step of PyTorch's layer: the states become the next ones, the first is the output.
fn step(layer: &str, s: &Tensors, x: &[f64], states: &mut [Vec<f64>; 2]) {
    let h = states[0].clone();
    let path = |i: usize| format!("{layer}[0]/dense[{i}]");
    match layer {
        "rnn" => {
            let (a, b) = (dense(s, &path(0), 1, x), dense(s, &path(1), 1, &h));
            states[0] = (0..OUT).map(|j| (a[0][j] + b[0][j]).tanh()).collect();
        }
        "lstm" => {
            let (a, b) = (dense(s, &path(0), 4, x), dense(s, &path(1), 4, &h));
            let gate = |g: usize, j: usize| a[g][j] + b[g][j];
            for j in 0..OUT {
                let [i, f, o] = [0, 1, 3].map(|g| sigmoid(gate(g, j)));
                states[1][j] = f * states[1][j] + i * gate(2, j).tanh();
                states[0][j] = o * states[1][j].tanh();
            }
        }
        _ => {
            let (a, b) = (dense(s, &path(0), 3, x), dense(s, &path(1), 3, &h));
            for j in 0..OUT {
                let (r, z) = (sigmoid(a[0][j] + b[0][j]), sigmoid(a[1][j] + b[1][j]));
                let n = (a[2][j] + r * b[2][j]).tanh();
                states[0][j] = (1.0 - z) * n + z * h[j];
            }
        }
    }
}

#[test]
fn layers_follow_their_equations() {
    for layer in ["rnn", "lstm", "gru"] {
        for reverse in [false, true] {
            let graph = solved(&program(layer, reverse)).graph(Mode::Predict, BATCH);
            let (x, s) = inputs(&graph);
            let y = &interp::run(&graph, &x, &s).outputs["y"];
            for n in 0..BATCH {
                let mut states = [vec![0.0; OUT], vec![0.0; OUT]];
                for i in 0..STEPS {
                    let t = if reverse { STEPS - 1 - i } else { i };
                    let slice: Vec<f64> = (0..IN).map(|k| f64::from(x["x"].get(&[n, t, k]))).collect();
                    step(layer, &s, &slice, &mut states);
                    for j in 0..OUT {
                        let (got, wanted) = (f64::from(y.get(&[n, t, j])), states[0][j]);
                        assert!((got - wanted).abs() < 1e-5, "{layer} reverse={reverse} {n} {t} {j}: {got} {wanted}");
                    }
                }
            }
        }
    }
}

/// Several layers, both directions, the last state; nested in blocks and `repeat`.
const DEEP: &str = r#"
dim t = 6
dim word = 11
dim mood = 3
data d { source = csv("x.csv")  field tokens: word[t] = columns(0..t)  field feels: mood = column(t) }
block Both(x: [t, k], n) -> y: [t, c] {
  y = concat(x |> gru(n), x |> gru(n, reverse = true), over = c)
}
model Net(tokens: word[t]) -> logits: [mood] {
  x = tokens |> embed(5) |> Both(4) |> repeat 2 { lstm(6) }
  logits = concat(x |> last(over = t), x |> rnn(3) |> first(over = t), over = c) |> dense(mood)
}
train Net on d { loss = cross_entropy(logits, feels)  optimizer = adam(lr = 0.01)  batch = 4  epochs = 1 }
"#;

/// States from other values, several inputs and yields, what all iterations share, a state per feature pair, dropout.
const MIXED: &str = r#"
dim t = 5
data d { source = csv("x.csv")  field x: [t, k: 4] = columns(0..20)  field z: [t, k: 4] = columns(20..40)  field goal: [c: 3] = columns(40..43) }
model Net(x: [t, k: 4], z: [t, k: 4]) -> y: [c: 3] {
  start = x |> mean(over = t) |> dense(3) |> tanh
  keys = z |> dense(3) |> view(t -> s)
  param slow: [c: 3] = normal(0.5)
  hs, looks = scan xt in x, zt in z over t (reverse = true) {
    state h: [c: 3] = start
    state seen: [s: 5] = 0
    state count: [] = 1
    score = dot(keys, h, over = c)
    found = dot(score |> softmax(over = s), keys, over = s)
    both = concat(xt, concat(zt |> dense(2), h, over = c) |> view(c -> k), over = k)
    h' = tanh(dense(both |> dropout(0.3), c: 3) + found * sigmoid(slow)) + slow / count
    seen' = seen + score
    count' = count + 1
    yield h', dot(seen, keys, over = s)
  }
  y = (hs |> first(over = t)) + (looks |> mean(over = t))
}
train Net on d { loss = mse(y, goal)  optimizer = sgd(lr = 0.01, momentum = 0.9)  batch = 6  epochs = 1 }
"#;

/// Layers of so many units that tasks share them out where there are few examples.
#[test]
fn units_in_lockstep_on_all_engines() {
    for (layer, units, reverse) in [("rnn", 384, false), ("lstm", 192, true), ("gru", 256, false)] {
        let text = format!(
            "dim t = 3\nmodel M(x: [t, k: 4]) -> y: [t, c: {units}] {{\n  y = x |> {layer}({units}, reverse = {reverse})\n}}\n"
        );
        for batch in [1, 3] {
            let mut graph: Graph = solved(&text).graph(Mode::Predict, batch);
            passes::run(&mut graph, INFERENCE, &Frozen, &mut ());
            let (x, s) = inputs(&graph);
            let laws = Laws { tolerance: 1e-4, interpreters: batch == 1 };
            check_on(&graph, &format!("{layer} {batch}"), laws, &Isa::available(), &x, &s);
        }
    }
}

#[test]
fn programs_on_all_engines() {
    for (name, text, batches) in [("deep", DEEP, [4, 1, 16]), ("mixed", MIXED, [6, 1, 8])] {
        let program = solved(text);
        for batch in batches {
            let mut predicting: Graph = program.graph(Mode::Predict, batch);
            passes::run(&mut predicting, INFERENCE, &Frozen, &mut ());
            for (mode, graph) in [("training", training(&program, batch)), ("predicting", predicting)] {
                let (mut x, s) = inputs(&graph);
                for (clock, value) in [("step", 3.0), ("steps", 40.0), ("steps_per_epoch", 10.0)] {
                    x.entry(clock.into()).and_modify(|t| t.data.fill(value));
                }
                let laws = Laws { tolerance: 1e-4, interpreters: batch < 8 };
                check_on(&graph, &format!("{name} {mode} {batch}"), laws, &Isa::available(), &x, &s);
            }
        }
    }
}

//! Networks over symbols, and their weights.

use dlc_compiler::base::Tensor;
use dlc_compiler::driver::Target;
use dlc_compiler::graph::{Graph, StateVar};
use dlc_runtime::micro::Isa;
use std::collections::BTreeMap;

pub const WINDOW: usize = 7;
/// The most words of the other text, where there is one.
pub const WORDS: usize = 4;

/// A network over symbols.
pub struct Case {
    pub name: &'static str,
    pub body: &'static str,
    works: bool,
    /// Has it a state that no input changes? Where each text has its own length, that does.
    lone: bool,
    /// Does it go on beyond the window?
    pub endless: bool,
}

const fn case(name: &'static str, body: &'static str) -> Case {
    Case { name, body, works: true, lone: false, endless: false }
}

const fn endless(name: &'static str, body: &'static str) -> Case {
    Case { endless: true, ..case(name, body) }
}

const fn lone(name: &'static str, body: &'static str) -> Case {
    Case { lone: true, ..endless(name, body) }
}

const fn refused(name: &'static str, body: &'static str) -> Case {
    Case { works: false, ..case(name, body) }
}

impl Case {
    /// Can it go element by element?
    pub fn works(&self, variable: bool) -> bool {
        self.works && (variable || !self.lone)
    }
}

/// Attention, with `MASK` made of `scores` and of the places `mine` and `its`.
const MASKED: &str = "q, k, v = e |> dense(part: 3, key: 6) |> unstack(over = part)
  keys = k |> view(t -> u)
  scores = dot(q, keys, over = key)
  mine = select(1, coord(scores, over = t), scores)
  its = select(1, coord(scores, over = u), scores)
  share = softmax(MASK, over = u)
  x = dot(share, v |> view(t -> u), over = u) |> dense(d: 6)";

pub const CASES: &[Case] = &[
    endless("lstm", "x = e |> lstm(5)"),
    endless("two recurrences", "x = e |> gru(4) |> rnn(5)"),
    endless(
        "a state before a state",
        "x = scan et in e over t {
    state a: [c: 6] = 0
    state b: [c: 6] = 0
    a' = tanh(et + b)
    b' = 0.5 * a + 0.1
    yield a
  }",
    ),
    endless("convolutions", "x = e |> causal_conv(4, 3) |> causal_conv(5, 2, dilation = 2) |> causal_conv(3, 1)"),
    case("transformer", "x = e |> positional |> repeat 2 { transformer(heads = 2, causal = true) } |> layer_norm"),
    case("waves", "x = e |> sinusoidal |> transformer(heads = 3, causal = true)"),
    case("all of them", "x = e |> causal_conv(6, 2) |> lstm(6) |> attention(2, causal = true)"),
    endless("nothing", "x = e"),
    endless("another input as it is", "x = e + style"),
    endless("two looks at one", "x = (e |> causal_conv(4, 3)) + (e |> causal_conv(4, 2))"),
    case(
        "keys are values",
        "its = e |> view(t -> u)
  scores = dot(e, its, over = c)
  mine = select(1, coord(scores, over = t), scores)
  share = softmax(select(coord(scores, over = u) > mine, -1e30, scores), over = u)
  x = dot(share, its, over = u)",
    ),
    case("memory", "x = e + (e |> attention(2, causal = true)) |> cross_attention(memory |> dense(d: 6), 2)"),
    endless(
        "memory in a recurrence",
        "m = memory |> dense(d: 6)
  x = scan et in e over t {
    state h: [d: 6] = mean(m, over = s)
    share = softmax(dot(m, h, over = d), over = s)
    read = dot(m, share, over = s)
    h' = tanh(dense(et, d: 6) + dense(h + read, d: 6))
    yield h'
  }",
    ),
    endless(
        "an encoder's last state",
        "m = memory |> gru(6) |> last(over = s)
  x = scan et in e over t {
    state h: [c: 6] = m
    h' = tanh(dense(et, c: 6) + dense(h, c: 6))
    yield h'
  }",
    ),
    case("a mask the other way", "MASKED select(mine >= its, scores, -1e30)"),
    refused("what is later is read", "MASKED scores"),
    refused("a mask of itself too", "MASKED select(mine <= its, -1e30, scores)"),
    refused("a mask of what is before", "MASKED select(mine > its, -1e30, scores)"),
    refused("two masks", "MASKED select(mine == its, -1e30, select(its > mine, -1e30, scores))"),
    refused("a mask that is not deep", "MASKED select(its > mine, -20, scores)"),
    refused("attention both ways", "x = e |> attention(2)"),
    refused("from the end", "x = e |> lstm(4, reverse = true)"),
    refused(
        "a state that begins as the last element",
        "x = scan et in e over t {
    state h: [c: 6] = last(e, over = t)
    h' = tanh(et + 0.5 * h)
    yield h'
  }",
    ),
    refused(
        "a recurrence over channels, as many as places",
        "wide = e |> dense(c: 7)
  each = scan one in wide over c {
    state h: [t] = 0
    h' = tanh(one + 0.5 * h)
    yield h'
  }
  x = e + sum(each, over = c)",
    ),
    lone(
        "a state that stays",
        "x = scan et in e over t {
    state a: [c: 6] = 0
    state b: [c: 6] = 0.5
    a' = tanh(et + b * a)
    b' = b
    yield a'
  }",
    ),
    lone(
        "a state that becomes a weight",
        "param w: [c: 6] = normal(0.5)
  x = scan et in e over t {
    state a: [c: 6] = 0
    state b: [c: 6] = 0
    a' = tanh(et + b)
    b' = w
    yield a'
  }",
    ),
    lone(
        "a state that counts",
        "x = scan et in e over t {
    state a: [c: 6] = 0
    state n: [] = 0
    a' = tanh(et + 0.1 * n)
    n' = n + 1
    yield a'
  }",
    ),
    refused("a mean of all", "x = e + mean(e, over = t)"),
    refused("a convolution of both sides", "x = e |> conv(4, 3, pad = same)"),
];

pub fn program(case: &Case, variable: bool, window: usize) -> String {
    let body = match case.body.strip_prefix("MASKED ") {
        Some(mask) => MASKED.replace("MASK", mask),
        None => case.body.to_string(),
    };
    let (input, memory) = match case.body {
        body if body.contains("memory") => (", words: word[s]", "memory = words |> embed(f: 3)"),
        body if body.contains("style") => (", style: [c: 6]", ""),
        _ => ("", ""),
    };
    let sign = if variable { "<=" } else { "=" };
    // A table of places has a place for each element.
    let body = if variable { body.replace("positional", "sinusoidal") } else { body };
    format!(
        "dim t {sign} {window}
dim s {sign} {WORDS}
dim char = 5
dim word = 6

model M(tokens: char[t]{input}) -> y: [t, char] {{
  e = tokens |> embed(6)
  {memory}
  {body}
  y = x |> dense(char)
}}

generate M {{
  tokens <- greedy(y)
}}
"
    )
}

fn number(i: usize) -> f32 {
    ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0
}

/// Weights without a pattern, zeros too.
pub fn weights(g: &Graph) -> BTreeMap<String, Tensor> {
    let one = |(at, s): (usize, &StateVar)| {
        let shape = g.node(s.value).ty.shape.clone();
        let count: usize = shape.iter().product();
        (s.path.clone(), Tensor { data: (0..count).map(|i| 0.7 * number(31 * at + i)).collect(), shape })
    };
    g.state.iter().enumerate().map(one).collect()
}

pub fn target() -> Target {
    Target { isa: Isa::detect(), fuse: true, numerics: None, memory: None, verify: false, clock: false }
}

//! One program for each form of the language, down to a verified training step.

mod common;

use common::{all_graphs, good, messages, solved};
use dlc_compiler::hir::{Length, MetricArg, Mode, Stop};

/// A program around the body of a model that reads pictures and gives `y`.
fn picture(body: &str) -> String {
    program("[h: 8, w: 8, c: 4]", body)
}

fn program(input: &str, body: &str) -> String {
    format!(
        r#"
dim kind = ["a", "b", "c"]
data d {{
  source = npz("d.npz")
  field x: {input} = array("x")
  field label: kind = array("y")
  split = ratio(train = 80%, val = 20%)
}}
block Add(a: [p, q], b: [p, q]) -> s: [p, q] {{ s = a + b }}
block Split(x: [.., f]) -> (low: [.., half: x.f / 2], high: [.., half: x.f / 2]) {{
  z = x |> view(f -> two: 2, half)
  low, high = z |> unstack(over = two)
}}
model M(x: {input}) -> logits: [kind] {{
  {body}
  logits = y |> flatten |> dense(kind)
}}
train M on d {{
  loss = cross_entropy(logits, label)
  optimizer = adam(lr = 0.01)
  metrics = [accuracy(logits, label)]
}}
"#
    )
}

fn sound(body: &str) {
    let text = picture(body);
    let g = all_graphs(&text, 3);
    assert!(g.output("loss").is_some());
}

#[test]
fn convolutions_and_pools() {
    sound("y = x |> conv(6, 3, stride = 2, pad = 1) |> relu |> conv(6, [3, 1], dilation = 2, groups = 2)");
    sound("y = x |> conv(8, 3, groups = x.c) |> gelu |> avg_pool(3, stride = 2, pad = same)");
    sound("y = x |> conv(8, 3, over = w) |> relu |> max_pool(2, over = h)");
    sound("y = x |> conv_transpose(2, 3, stride = 2) |> upsample(2) |> max_pool(3, stride = 2, pad = 1)");
    sound("y = x |> max_pool(2) |> upsample(2, \"linear\")");
    sound("y = x |> separable_conv(6, 3) |> squeeze_excite(ratio = 2) |> residual(6) |> residual(8, stride = 2)");
}

#[test]
fn one_and_three_sliding_axes() {
    for input in ["[t: 9, c: 2]", "[a: 4, b: 5, d: 3, c: 2]"] {
        all_graphs(&program(input, "y = x |> conv(3, 3, stride = 2) |> tanh |> max_pool(2, pad = same)"), 2);
    }
}

#[test]
fn activations() {
    for f in [
        "relu",
        "leaky_relu(0.1)",
        "relu6",
        "elu",
        "selu",
        "softplus",
        "silu",
        "swish",
        "gelu",
        "gelu_tanh",
        "mish",
        "hard_sigmoid",
        "clamp(-1, 1)",
        "tanh",
        "sigmoid",
        "sin",
        "cos",
        "erf",
        "abs",
        "exp",
        "softmax(over = c)",
        "log_softmax(over = [h, w])",
        "layer_norm",
        "batch_norm",
        "dropout(0.5)",
        "detach",
    ] {
        sound(&format!("y = x |> {f} |> dense(5)"));
    }
}

#[test]
fn views_and_selections() {
    sound("y = x[h: 0] + x[h: -1] * x[h: 2..3][h: 0]");
    sound("y = x |> view(h, w -> s) |> view(c -> head: 2, key) |> view(s -> t)");
    sound("y = x |> order([c, h, w]) |> view(h -> up: 2, down) |> mean(over = [up, w])");
    sound("a, b, c, d = x |> unstack(over = c)\n y = concat(a, b * c, d, over = h)");
    sound("low, high = Split(x)\n y = low - high");
    sound(
        "y = first(x, over = h) + last(x, over = w) |> view(w -> v)\n"
            .replace("+ last(x, over = w) |> view(w -> v)", "")
            .as_str(),
    );
    sound("y = x * coord(x, over = h) + sum(x, over = c) + min(x, over = h) + max(x)");
    sound("k = argmax(x, over = c)\n y = one_hot(k) * x + embed(k, c: 4)");
    sound("y = select(x > 0.5, x ^ 2, x / 2) + (x == 0) + x ^ -1 + abs(x) ^ 1.5");
    sound("y = x |> dense(1) |> squeeze(c)");
}

#[test]
fn blocks_repeats_and_choices() {
    sound("y = x |> repeat 2 { dense(4) |> tanh } |> repeat n in [3, 5] { dense(n) |> relu }");
    sound(
        "layer f = dense(4)\n a = f(x)\n b = a |> relu |> f\n y = a + b * f.bias + f.weight[c': 0]"
            .replace(" + f.weight[c': 0]", "")
            .as_str(),
    );
    sound("param p: [h: 8, c: 4] = normal(0.1)\n y = x * p + Add(x[h: 0], x[h: 1])");
    sound("y = if x.c == 4 and not false then x |> dense(2) else nonsense");
    sound("param q: [d: 4, e: 3] = uniform(0.1)\n y = dot(x |> view(c -> d), q, over = d)");
}

#[test]
fn attention_without_a_mask() {
    let body = r#"
  q, k, v = x |> dense(qkv: 3, head: 2, key: 3) |> unstack(over = qkv)
  ks = k |> view(t -> s)
  vs = v |> view(t -> s)
  score = dot(q, ks, over = key) / sqrt(q.key)
  mix = dot(score |> softmax(over = s), vs, over = s)
  y = mix |> view(head, key -> e) |> dense(d: x.d) |> layer_norm
"#;
    all_graphs(&program("[t: 5, d: 6]", body), 2);
}

#[test]
fn running_states_of_a_block() {
    let text = picture("y = x |> Centre").replace(
        "model M",
        "block Centre(x: [h, w, c]) -> y: [h, w, c] {\n  state m: [c: 4] = 0\n  m' = 0.9 * m + 0.1\n  y = x - m\n}\nmodel M",
    );
    let g = all_graphs(&text, 2);
    let state = g.state.iter().find(|s| s.path == "M.y/Centre[0].m").expect("the state is there");
    assert!(state.next.is_some());
}

#[test]
fn recipes() {
    let text = picture("y = x |> dense(4) |> relu")
        .replace("optimizer = adam(lr = 0.01)", "optimizer = sgd(lr = 0.1, momentum = 0.9, nesterov = true, clip = 2)\n schedule = one_cycle(warmup = 20%)\n epochs = 7\n batch = 5\n seed = 3\n stop = [patience(3 epochs), target(0.9, on = \"val.accuracy\")]");
    let s = solved(&text);
    let t = s.train().expect("a recipe");
    assert_eq!((t.batch, t.length, t.seed), (5, Length::Epochs(7), 3));
    assert_eq!(t.stop[1], Stop::Target { value: 0.9, on: "val.accuracy".into() });
    assert_eq!(t.metrics[0].args, [MetricArg::Output("logits".into()), MetricArg::Field("label".into())]);
    all_graphs(&text, 4);
    for optimizer in ["adamw(lr = 0.1)", "rmsprop", "sgd(0.1)", "adam(decay = 0.1)"] {
        all_graphs(&text.replace("sgd(lr = 0.1, momentum = 0.9, nesterov = true, clip = 2)", optimizer), 2);
    }
    for schedule in [
        "constant",
        "steps(at = [2 epochs, 50%], by = 0.5)",
        "cosine(warmup = 5 steps, floor = 10%)",
        "linear",
        "warmup(warmup = 1 epoch)",
    ] {
        all_graphs(&text.replace("one_cycle(warmup = 20%)", schedule), 2);
    }
}

#[test]
fn losses_of_numbers() {
    for loss in [
        "mse(p, t)",
        "mae(p, t)",
        "huber(p, t, delta = 2)",
        "bce(p, t)",
        "mean(3 * (p - t) ^ 2)",
        "mse(p, t, weight = x[f: 0])",
    ] {
        let text = format!(
            "data d {{ source = csv(\"a.csv\") field x: [f: 3] = columns(0..3) field t: [o: 2] = columns(3..5) split = ratio(train = 90%, val = 10%) }}
model R(x: [f: 3]) -> p: [o: 2] {{ p = x |> dense(8) |> tanh |> dense(o: 2) }}
train R on d {{ loss = {loss} metrics = [mae(p, t), rmse(p, t)] }}"
        );
        assert_eq!(messages(&text), Vec::<String>::new(), "{loss}");
        all_graphs(&text, 2);
    }
}

#[test]
fn two_inputs_one_tower() {
    let text = r#"
dim same = ["different", "same"]
data pairs {
  source = npz("p.npz")
  field left:  [h: 8, w: 8, c: 1] = array("l")
  field right: [h: 8, w: 8, c: 1] = array("r")
  field verdict: same = array("v")
  split = ratio(train = 80%, val = 20%)
}
block Tower(x: [h, w, c], size) -> y: [c: size] {
  y = x |> repeat ch in [4, 8] { conv(ch, 3) |> relu |> max_pool(2) } |> flatten |> dense(size)
}
model Compare(left: [h: 8, w: 8, c: 1], right: [h: 8, w: 8, c: 1]) -> logits: [same] {
  layer tower = Tower(16)
  a = tower(left)
  b = right |> tower
  logits = abs(a - b) |> dense(same)
}
train Compare on pairs { loss = cross_entropy(logits, verdict) }
"#;
    let c = good(text);
    assert!(c.hir().weights.iter().any(|w| w.path == "Compare.tower/conv[0].weight"));
    assert_eq!(c.parameters(), Some((9 * 4 + 4) + (9 * 4 * 8 + 8) + (32 * 16 + 16) + (16 * 2 + 2)));
    all_graphs(text, 2);
}

#[test]
fn a_mixture_loss() {
    let text = r#"
dim mode    = 5
dim control = ["steer", "throttle"]
data road {
  source = csv("log.csv")
  field speed: [v: 1] = columns("speed") |> standardize
  field action: [control] = columns("steer", "throttle")
  split = in_order(train = 80%, val = 20%)
}
block MixtureNll(pick: [mode], mu: [mode, control], spread: [mode, control], y: [control]) -> nll {
  z   = (y - mu) / exp(spread)
  lp  = sum(-0.5 * z ^ 2 - spread - 0.9189385, over = control)
  nll = -logsumexp(log_softmax(pick, over = mode) + lp, over = mode)
}
model Drive(speed: [v: 1]) -> (pick: [mode], mu: [mode, control], spread: [mode, control]) {
  f = speed |> dense(16) |> relu |> dropout(0.2)
  pick   = f |> dense(mode)
  mu     = f |> dense(mode, control)
  spread = f |> dense(mode, control) |> clamp(-5, 2)
  predict drive = pick_mode(pick, mu)
}
train Drive on road {
  loss      = MixtureNll(pick, mu, spread, action)
  optimizer = adam(lr = 3e-4)
  metrics   = [mae(drive, action)]
}
"#;
    assert_eq!(messages(text), Vec::<String>::new());
    let g = all_graphs(text, 3);
    assert!(g.output("drive").is_some());
    let p = solved(text).graph(Mode::Predict, 1);
    let names: Vec<_> = p.outputs.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["pick", "mu", "spread", "drive"]);
}

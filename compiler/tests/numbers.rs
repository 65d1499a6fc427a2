//! What layers compute, by the reference interpreter, against numbers worked out by hand.

mod common;

use common::{solved, training};
use dlc_compiler::base::Tensor;
use dlc_compiler::graph::{Graph, interp};
use dlc_compiler::hir::Mode;
use std::collections::BTreeMap;

fn state(g: &Graph) -> BTreeMap<String, Tensor> {
    let one = |s: &dlc_compiler::graph::StateVar| {
        let shape = g.node(s.value).ty.shape.clone();
        (s.path.clone(), Tensor { data: s.init.values(shape.iter().product()), shape })
    };
    g.state.iter().map(one).collect()
}

/// `y = x |> f` for an `x` of this type and these values.
fn apply(input: &str, f: &str, shape: &[usize], data: &[f32]) -> Vec<f32> {
    let g = solved(&format!("model M(x: {input}) -> y {{ y = x |> {f} }}")).graph(Mode::Predict, 1);
    let mut full = vec![1];
    full.extend(shape);
    let inputs = BTreeMap::from([("x".to_string(), Tensor { shape: full, data: data.to_vec() })]);
    interp::run(&g, &inputs, &state(&g)).outputs["y"].data.clone()
}

fn close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{a:?} {b:?}");
    assert!(a.iter().zip(b).all(|(x, y)| (x - y).abs() <= 1e-5 * y.abs().max(1.0)), "{a:?} instead of {b:?}");
}

#[test]
fn sliding_windows() {
    let up = |f: &str| apply("[t: 2, c: 1]", f, &[2, 1], &[0.0, 1.0]);
    close(&up("upsample(2)"), &[0.0, 0.0, 1.0, 1.0]);
    close(&up("upsample(2, \"linear\")"), &[0.0, 0.25, 0.75, 1.0]);
    let five = [1.0, 2.0, 3.0, 4.0, 5.0];
    close(&apply("[t: 5, c: 1]", "avg_pool(2, pad = same)", &[5, 1], &five), &[1.5, 3.5, 5.0]);
    close(&apply("[t: 5, c: 1]", "max_pool(3, stride = 2, pad = 1)", &[5, 1], &five), &[2.0, 4.0, 5.0]);
    close(&apply("[t: 5, c: 1]", "max_pool(2)", &[5, 1], &five), &[2.0, 4.0]);
}

#[test]
fn functions() {
    let two = |f: &str| apply("[c: 2]", f, &[2], &[-1.0, 2.0]);
    close(&two("leaky_relu(0.1)"), &[-0.1, 2.0]);
    close(&two("elu"), &[-0.632_120_56, 2.0]);
    close(&two("gelu"), &[-0.158_655_25, 1.954_499_7]);
    close(&two("gelu_tanh"), &[-0.158_808, 1.954_597_7]);
    close(&two("silu"), &[-0.268_941_43, 1.761_594_2]);
    close(&two("softplus"), &[0.313_261_7, 2.126_928]);
    close(&two("selu"), &[-1.111_330_7, 2.101_402]);
    close(&two("softmax(over = c)"), &[0.047_425_874, 0.952_574_1]);
    close(&two("log_softmax(over = c)"), &[-3.048_587_3, -0.048_587_352]);
    close(&two("logsumexp(over = c)"), &[2.048_587_3]);
    close(&two("layer_norm(eps = 1e-9)"), &[-1.0, 1.0]);
    close(&two("pow(2)"), &[1.0, 4.0]);
}

const LOSSES: &str = "
dim kind = 3
data d { source = npz(\"a\") field x: [kind] = array(\"x\") field y: kind = array(\"y\") split = ratio(train = 90%, val = 10%) }
model M(x: [kind]) -> z: [kind] { param b: [kind] = zeros  z = x + b }
train M on d { loss = LOSS optimizer = OPT epochs = 2 }
";

fn loss_of(loss: &str) -> f32 {
    let text = LOSSES.replace("LOSS", loss).replace("OPT", "adam");
    let g = solved(&text).graph(Mode::Evaluate, 2);
    let x = Tensor { shape: vec![2, 3], data: vec![1.0, 2.0, 3.0, 0.0, 0.0, 0.0] };
    let y = Tensor { shape: vec![2], data: vec![2.0, 0.0] };
    let inputs = BTreeMap::from([("x".to_string(), x), ("y".to_string(), y)]);
    interp::run(&g, &inputs, &state(&g)).outputs["loss"].data[0]
}

#[test]
fn losses() {
    let rows = [0.407_605_95, 1.098_612_3];
    close(&[loss_of("cross_entropy(z, y)")], &[(rows[0] + rows[1]) / 2.0]);
    let smooth = 0.9 * rows[0] + 0.1 * (2.407_606 + 1.407_606 + 0.407_606) / 3.0;
    close(&[loss_of("cross_entropy(z, y, smooth = 0.1)")], &[(smooth + rows[1]) / 2.0]);
    close(&[loss_of("nll(log_softmax(z, over = kind), y)")], &[(rows[0] + rows[1]) / 2.0]);
    close(&[loss_of("mse(z, one_hot(y))")], &[(1.0 + 4.0 + 4.0) / 3.0 / 2.0 + 1.0 / 6.0]);
    close(&[loss_of("huber(z, one_hot(y))")], &[(0.5 + 1.5 + 1.5) / 6.0 + 0.5 / 6.0]);
    close(
        &[loss_of("bce(z, one_hot(y))")],
        &[(1.313_261_7 + 2.126_928 + 0.048_587_352 + 3.0 * std::f32::consts::LN_2) / 6.0],
    );
}

#[test]
fn boxes() {
    // Squares of one cell: on each other, half beside, apart.
    let loss = |f: &str, x: f32| {
        let text = format!("block Two(x: [a, side]) -> y {{ p, t = unstack(x, over = a)  y = {f}(p, t) }}");
        let g = solved(&format!("{text} model M(x: [a: 2, side: 4]) -> y {{ y = x |> Two }}")).graph(Mode::Predict, 1);
        let data = vec![0.5, 0.5, 0.0, 0.0, x, 0.5, 0.0, 0.0];
        let inputs = BTreeMap::from([("x".to_string(), Tensor { shape: vec![1, 2, 4], data })]);
        interp::run(&g, &inputs, &state(&g)).outputs["y"].data[0]
    };
    close(&[loss("iou", 0.5), loss("iou", 1.0), loss("iou", 2.5)], &[0.0, 2.0 / 3.0, 1.0]);
    close(&[loss("giou", 0.5), loss("giou", 1.0), loss("giou", 2.5)], &[0.0, 2.0 / 3.0, 4.0 / 3.0]);

    let text = "block Cells(x: [gy, gx, c]) -> y { y = boxes(x[c: 0], x[c: 1..5], x[c: 5..7]) }
model M(x: [gy: 1, gx: 2, c: 7]) -> y { y = x |> Cells }";
    let third = 3f32.ln();
    let data = vec![0.0, 0.5, 0.5, 0.0, 0.0, 0.0, third, 9.0, 0.0, 0.0, 0.0, 99.0, 0.0, -9.0];
    let inputs = BTreeMap::from([("x".to_string(), Tensor { shape: vec![1, 1, 2, 7], data })]);
    let g = solved(text).graph(Mode::Predict, 1);
    let found = interp::run(&g, &inputs, &state(&g)).outputs["y"].data.clone();
    close(&found[..6], &[0.375, 1.0, 0.0, 0.0, 0.5, 1.0]);
    close(&found[6..10], &[0.999_753_2, 0.0, 0.25, -11_013.233]);
}

/// The weight after some steps with the gradient of `z[kind: 0]`, which is (1, 0, 0).
fn updated(optimizer: &str, steps: usize) -> f32 {
    let text = LOSSES.replace("LOSS", "z[kind: 0] + 0 * cross_entropy(z, y)").replace("OPT", optimizer);
    let g = training(&solved(&text), 1);
    let mut state = state(&g);
    for step in 0..steps {
        let number = |x: usize| Tensor { shape: vec![], data: vec![x as f32] };
        let inputs = BTreeMap::from([
            ("x".to_string(), Tensor { shape: vec![1, 3], data: vec![0.0; 3] }),
            ("y".to_string(), Tensor { shape: vec![1], data: vec![0.0] }),
            ("step".to_string(), number(step)),
            ("steps".to_string(), number(10)),
            ("steps_per_epoch".to_string(), number(5)),
        ]);
        state.extend(interp::run(&g, &inputs, &state).state);
    }
    state["M.b"].data[0]
}

#[test]
fn optimizers() {
    close(&[updated("sgd(lr = 0.1)", 2)], &[-0.2]);
    close(&[updated("sgd(lr = 0.1, momentum = 0.5)", 2)], &[-0.1 - 0.15]);
    close(&[updated("sgd(lr = 0.1, momentum = 0.5, nesterov = true)", 2)], &[-0.15 - 0.175]);
    close(&[updated("sgd(lr = 0.1, clip = 0.5)", 1)], &[-0.05]);
    close(&[updated("adam(lr = 0.1)", 3)], &[-0.3]);
    close(&[updated("adamw(lr = 0.1, decay = 0.5)", 2)], &[-0.1 * 0.95 - 0.1]);
    close(&[updated("rmsprop(lr = 0.1, alpha = 0.75)", 1)], &[-0.2]);
}

/// The rate at a step of 10.
fn rate(schedule: &str, step: usize) -> f32 {
    let text =
        LOSSES.replace("LOSS", "cross_entropy(z, y)").replace("OPT", &format!("sgd(lr = 1) schedule = {schedule}"));
    let g = solved(&text).graph(Mode::Train, 1);
    let number = |x: usize| Tensor { shape: vec![], data: vec![x as f32] };
    let inputs = BTreeMap::from([
        ("x".to_string(), Tensor { shape: vec![1, 3], data: vec![0.0; 3] }),
        ("y".to_string(), Tensor { shape: vec![1], data: vec![0.0] }),
        ("step".to_string(), number(step)),
        ("steps".to_string(), number(10)),
        ("steps_per_epoch".to_string(), number(5)),
    ]);
    interp::run(&g, &inputs, &state(&g)).outputs["lr"].data[0]
}

#[test]
fn schedules() {
    close(&[rate("constant", 7)], &[1.0]);
    close(&[rate("linear", 5)], &[0.5]);
    close(&[rate("cosine", 5), rate("cosine(floor = 10%)", 5)], &[0.5, 0.55]);
    close(&[rate("cosine(warmup = 1 epoch)", 0), rate("cosine(warmup = 1 epoch)", 5)], &[0.2, 1.0]);
    let steps = "steps(at = [1 epoch, 80%], by = 0.1)";
    close(&[rate(steps, 4), rate(steps, 5), rate(steps, 8)], &[1.0, 0.1, 0.01]);
    close(&[rate("one_cycle", 0), rate("one_cycle", 3), rate("one_cycle", 9)], &[0.04, 1.0, 4e-6]);
}

#[test]
fn batch_norm_in_training_and_use() {
    let text = "
data d { source = npz(\"a\") field x: [c: 1] = array(\"x\") field y: [c: 1] = array(\"y\") split = ratio(train = 90%, val = 10%) }
model M(x: [c: 1]) -> z: [c: 1] { z = x |> batch_norm(eps = 1e-12) }
train M on d { loss = mse(z, y) metrics = [mae(z, y)] optimizer = sgd(lr = 0) }
";
    let s = solved(text);
    let g = training(&s, 4);
    let column = |data: &[f32]| Tensor { shape: vec![4, 1], data: data.to_vec() };
    let mut inputs =
        BTreeMap::from([("x".to_string(), column(&[1.0, 2.0, 3.0, 6.0])), ("y".to_string(), column(&[0.0; 4]))]);
    for name in ["step", "steps", "steps_per_epoch"] {
        inputs.insert(name.into(), Tensor { shape: vec![], data: vec![0.0] });
    }
    let done = interp::run(&g, &inputs, &state(&g));
    let deviation = 3.5f32.sqrt();
    close(&done.outputs["z"].data, &[-2.0 / deviation, -1.0 / deviation, 0.0, 3.0 / deviation]);
    close(&done.state["M.z/batch_norm[0].mean"].data, &[0.3]);
    close(&done.state["M.z/batch_norm[0].variance"].data, &[0.9 + 0.1 * 14.0 / 3.0]);
    let e = s.graph(Mode::Evaluate, 4);
    let used = interp::run(&e, &inputs, &state(&e));
    close(&used.outputs["z"].data, &[1.0, 2.0, 3.0, 6.0]);
}

//! Layers along a sequence: what each element of the result may read, and values worked out by hand.

mod common;

use common::{all_graphs, solved};
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

/// `y` of a model, for the values of its inputs.
fn result(model: &str, inputs: &[(&str, &[usize], &[f32])]) -> Vec<f32> {
    let g = solved(model).graph(Mode::Predict, 1);
    let tensor = |(name, shape, data): &(&str, &[usize], &[f32])| {
        (name.to_string(), Tensor { shape: [&[1], *shape].concat(), data: data.to_vec() })
    };
    interp::run(&g, &inputs.iter().map(tensor).collect(), &state(&g)).outputs["y"].data.clone()
}

/// Numbers without a pattern, within -1 and 1.
fn some(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0).collect()
}

#[test]
fn a_causal_convolution_reads_nothing_later() {
    for (k, dilation) in [(1, 1), (2, 1), (3, 2)] {
        let model = format!(
            "model M(x: [t: 7, f: 2]) -> y: [t: 7, c: 3] {{ y = x |> causal_conv(3, {k}, dilation = {dilation}) }}"
        );
        let x = some(14);
        let whole = result(&model, &[("x", &[7, 2], &x)]);
        for at in 0..7 {
            let mut other = x.clone();
            other[2 * at] += 1.0;
            let changed = result(&model, &[("x", &[7, 2], &other)]);
            for t in 0..7 {
                let same = changed[3 * t..3 * t + 3] == whole[3 * t..3 * t + 3];
                let reads = t >= at && (t - at) % dilation == 0 && (t - at) / dilation < k;
                assert_eq!(!same, reads, "k = {k}, dilation = {dilation}: {t} and {at}");
            }
        }
    }
}

#[test]
fn sines_and_cosines_by_turns() {
    let y =
        result("model M(x: [t: 5, d: 6]) -> y: [t: 5, d: 6] { y = x |> sinusoidal }", &[("x", &[5, 6], &[0.5; 30])]);
    for (at, y) in y.iter().enumerate() {
        let (t, d) = ((at / 6) as f64, at % 6);
        let angle = t / 10000f64.powf((d - d % 2) as f64 / 6.0);
        let wanted = 0.5 + if d % 2 == 0 { angle.sin() } else { angle.cos() };
        assert!((f64::from(*y) - wanted).abs() < 1e-5, "{at}: {y} instead of {wanted}");
    }
}

#[test]
fn cross_attention_does_not_care_for_the_order_of_what_it_reads() {
    let model = "model M(x: [t: 3, d: 4], m: [s: 5, e: 6]) -> y: [t: 3, d: 4] { y = x |> cross_attention(m, 2) }";
    let (x, m) = (some(12), some(30));
    let turned: Vec<f32> = m.chunks(6).rev().flatten().copied().collect();
    let run = |m: &[f32]| result(model, &[("x", &[3, 4], &x), ("m", &[5, 6], m)]);
    let (a, b) = (run(&m), run(&turned));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} {b:?}");
    // What is read everywhere alike is what comes out everywhere alike.
    let alike = run(&[0.3; 30]);
    assert!(alike.chunks(4).all(|y| y.iter().zip(&alike[..4]).all(|(a, b)| (a - b).abs() < 1e-6)), "{alike:?}");
}

/// The names of the axes inside are their own: a program may have a dim `s` of another size.
#[test]
fn they_are_trained_beside_dims_of_the_same_names() {
    let text = "
dim s = 3
dim part = 7
dim kind = [\"a\", \"b\"]
data d {
  source = npz(\"d.npz\")
  field x: [t: 5, d: 4] = array(\"x\")
  field label: kind = array(\"y\")
  split = ratio(train = 80%, val = 20%)
}
model M(x: [t: 5, d: 4]) -> logits: [kind] {
  z = x |> sinusoidal |> causal_conv(4, 2)
  logits = x |> cross_attention(z, 2) |> flatten |> dense(kind)
}
train M on d {
  loss = cross_entropy(logits, label)
  optimizer = adam(lr = 0.01)
}
";
    all_graphs(text, 2);
}

/// Forward in the first half of the features, backward in the second.
#[test]
fn both_directions_lie_side_by_side() {
    for kind in ["rnn", "lstm", "gru"] {
        let model = format!("model M(x: [t: 5, f: 2]) -> y: [t: 5, c: 6] {{ y = x |> bi{kind}(3) }}");
        let x = some(10);
        let whole = result(&model, &[("x", &[5, 2], &x)]);
        for at in 0..5 {
            let mut other = x.clone();
            other[2 * at] += 1.0;
            let changed = result(&model, &[("x", &[5, 2], &other)]);
            for t in 0..5 {
                let differs =
                    |from: usize| changed[6 * t + from..6 * t + from + 3] != whole[6 * t + from..6 * t + from + 3];
                assert_eq!((differs(0), differs(3)), (t >= at, t <= at), "{kind}: {t} and {at}");
            }
        }
    }
}

#[test]
fn what_is_later_gets_no_share() {
    for (order, row, column) in [("[t: 3, s: 3]", 3, 1), ("[s: 3, t: 3]", 1, 3)] {
        let model = format!("model M(x: {order}) -> y: {order} {{ y = x |> causal_mask(t, s) |> softmax(over = s) }}");
        let y = result(&model, &[("x", &[3, 3], &[0.0; 9])]);
        for (t, s) in (0..9).map(|i| (i / 3, i % 3)) {
            let wanted = if s > t { 0.0 } else { 1.0 / (t + 1) as f32 };
            assert!((y[row * t + column * s] - wanted).abs() < 1e-6, "{order} {t} {s}: {y:?}");
        }
    }
}

/// Words of the standard library mean there what they mean anywhere, whatever a program calls its dims.
#[test]
fn dims_may_be_called_as_the_library_calls_its_settings() {
    let of = |name: &str| {
        let model = format!(
            "dim {name} = 5\nmodel M(x: [{name}, f: 2]) -> y: [{name}, c: 3] {{ y = x |> causal_conv(3, 2, dilation = 2) }}"
        );
        result(&model, &[("x", &[5, 2], &some(10))])
    };
    assert_eq!(of("past"), of("earlier"));
}

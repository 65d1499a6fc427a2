//! Examples mixed with others: what the network learns from is the mixture of the two losses, and of their gradients.

mod common;
mod engines;

use common::{Rule, messages, solved};
use dlc_compiler::base::Tensor;
use dlc_compiler::graph::{Graph, interp};
use dlc_compiler::hir::Mode;
use dlc_compiler::passes::{self, TRAINING};
use dlc_runtime::micro::Isa;
use engines::{Laws, Tensors, check_on, inputs};

fn text(augment: &str, loss: &str) -> String {
    format!(
        "dim kind = 5
data d {{
  source = csv(\"d.csv\")
  field x: [f: 6] = columns(0..6)
  field label: kind = column(6)
  split = ratio(train = 80%, val = 10%, test = 10%)
}}
model Net(x: [f: 6]) -> logits: [kind] {{ logits = x |> dense(8) |> tanh |> dense(kind) }}
train Net on d {{
  {augment}
  loss = {loss}
  optimizer = sgd(lr = 1)
}}"
    )
}

fn graph(augment: &str, loss: &str, mode: Mode) -> Graph {
    let s = solved(&text(augment, loss));
    let mut graph = s.graph(mode, 4);
    if mode == Mode::Train {
        passes::run(&mut graph, TRAINING, &Rule(s.update_rule()), &mut ());
    }
    graph
}

const MIXED: &str = "augment x, label |> mixup(0.4)";
const SECOND: &str = "second(label)";
const SHARE: &str = "share(label)";

/// All numbers that come out of one step.
fn step(graph: &Graph, x: &Tensors, state: &Tensors) -> Vec<f32> {
    let after = interp::run(graph, x, state);
    let weights = after.state.values().flat_map(|next| next.data.clone());
    after.outputs["loss"].data.iter().copied().chain(weights).collect()
}

#[test]
fn the_loss_is_the_mixture_of_two() {
    // The sum over the batch of what each has by itself is what is mixed: one share for all is enough to compare.
    for loss in [
        "cross_entropy(logits, label)",
        "cross_entropy(logits, label, smooth = 0.1)",
        "nll(log_softmax(logits, over = kind), label)",
    ] {
        let (mixed, plain) = (graph(MIXED, loss, Mode::Train), graph("", loss, Mode::Train));
        let (mut x, state) = inputs(&mixed);
        let (first, second) = (x["label"].clone(), x[SECOND].clone());
        assert!(first != second && first.shape == [4]);
        for share in [0.5, 0.75, 1.0] {
            x.insert(SHARE.into(), Tensor { shape: vec![4], data: vec![share; 4] });
            let found = step(&mixed, &x, &state);
            let alone = |label: &Tensor| {
                let mut x = x.clone();
                x.insert("label".into(), label.clone());
                step(&plain, &x, &state)
            };
            for (found, (a, b)) in found.iter().zip(alone(&first).iter().zip(alone(&second))) {
                let wanted = share * a + (1.0 - share) * b;
                assert!((found - wanted).abs() < 2e-6 * wanted.abs().max(1.0), "{loss} {share}: {found} {wanted}");
            }
        }
        // Each example has its own share.
        let differs = (0..4).find(|at| first.data[*at] != second.data[*at]).expect("checked above");
        let data = (0..4).map(|at| if at == differs { 0.5 } else { 1.0 }).collect();
        x.insert(SHARE.into(), Tensor { shape: vec![4], data });
        let one = step(&mixed, &x, &state);
        x.insert(SHARE.into(), Tensor { shape: vec![4], data: vec![1.0; 4] });
        assert_ne!(one[0], step(&mixed, &x, &state)[0]);
    }
}

#[test]
fn machine_code_says_the_same() {
    for loss in ["cross_entropy(logits, label)", "focal(logits, label)"] {
        let graph = graph(MIXED, loss, Mode::Train);
        let (mut x, state) = inputs(&graph);
        x.insert(SHARE.into(), Tensor { shape: vec![4], data: vec![0.5, 0.6, 0.9, 1.0] });
        check_on(&graph, loss, Laws { tolerance: 1e-5, interpreters: true }, &Isa::available(), &x, &state);
    }
}

#[test]
fn training_alone_mixes() {
    let names = |mode| inputs(&graph(MIXED, "cross_entropy(logits, label)", mode)).0.into_keys().collect::<Vec<_>>();
    assert!([SECOND, SHARE].iter().all(|name| names(Mode::Train).iter().any(|known| known == name)));
    assert!(names(Mode::Evaluate).iter().all(|name| !name.contains('(')), "{:?}", names(Mode::Evaluate));
}

#[test]
fn classes_are_mixed_as_numbers_alone() {
    let read = "cross_entropy(logits, label) + sum(embed(label, 3), over = c) * 0";
    let found = messages(&text(MIXED, read));
    assert!(found.iter().any(|line| line.starts_with("E0605")), "{found:?}");
    assert_eq!(messages(&text(MIXED, "focal(logits, label)")), Vec::<String>::new());
}

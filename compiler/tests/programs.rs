//! Whole programs: checked, solved, lowered, differentiated, and run by the reference interpreter.

use dlc_compiler::base::{Failed, Tensor, Value};
use dlc_compiler::graph::{Graph, interp};
use dlc_compiler::hir::{self, Checked, Mode, Solved, Sources};
use dlc_compiler::passes;
use std::collections::BTreeMap;

struct NoFiles;

impl Sources for NoFiles {
    fn read(&self, path: &str) -> Result<String, String> {
        match path {
            "blocks.dl" => Ok("block Twice(x: [..]) -> y: [..] { y = 2 * x }".into()),
            _ => Err("no such file".into()),
        }
    }
}

fn checked(text: &str) -> Result<Checked, Failed> {
    hir::check("test.dl", text, &NoFiles, &[])
}

/// Messages as `code line:column message`.
fn messages(text: &str) -> Vec<String> {
    let (sources, list) = match checked(text) {
        Ok(c) => (c.sources().clone(), c.warnings.clone()),
        Err(f) => (f.sources, f.diagnostics),
    };
    list.iter()
        .map(|d| {
            let (line, column) = sources.line_column(d.primary.span.source, d.primary.span.start);
            let name = &sources.get(d.primary.span.source).name;
            let place = if name == "test.dl" { String::new() } else { format!("{name}:") };
            format!("{} {place}{line}:{column} {}", d.code, d.message)
        })
        .collect()
}

fn good(text: &str) -> Checked {
    match checked(text) {
        Ok(c) => c,
        Err(_) => panic!("{}", messages(text).join("\n")),
    }
}

fn solved(text: &str) -> Solved {
    good(text).solve(&[]).unwrap_or_else(|f| panic!("{:?}", f.diagnostics))
}

struct Rule(hir::UpdateRule);

impl passes::UpdateRule for Rule {
    fn prepare(&self, graph: &mut Graph, gradients: &mut [(usize, Value)]) {
        self.0.prepare(graph, gradients);
    }

    fn apply(&self, graph: &mut Graph, weight: usize, gradient: Value) {
        self.0.apply(graph, weight, gradient);
    }
}

fn training(s: &Solved, batch: usize) -> Graph {
    let mut g = s.graph(Mode::Train, batch);
    passes::run(&mut g, passes::TRAINING, &Rule(s.update_rule()), &mut ());
    g
}

/// Every mode builds and verifies; training differentiates.
fn all_graphs(text: &str, batch: usize) -> Graph {
    let s = solved(text);
    for mode in [Mode::Evaluate, Mode::Predict] {
        let mut g = s.graph(mode, batch);
        passes::run(&mut g, passes::INFERENCE, &passes::Frozen, &mut ());
    }
    training(&s, batch)
}

const DIGITS: &str = r#"
## Handwritten digits, 8x8.
dim digit = 10
dim pixel = 64

data digits {
  source = csv("data/digits.csv.gz", header = false)
  field image: [pixel] = columns(0..64) |> scale(1 / 16)
  field label: digit = column(64)
  split = ratio(train = 70%, val = 15%, test = 15%, stratify = label)
}

model Digits(image: [pixel]) -> logits: [digit] {
  logits = image |> dense(16) |> relu |> dense(digit)
  predict number = argmax(logits, over = digit)
}

train Digits on digits {
  loss      = cross_entropy(logits, label)
  optimizer = adam(lr = 0.01, clip = 1.0)
  schedule  = cosine(warmup = 1 epoch)
  batch     = 8
  epochs    = 4
  metrics   = [accuracy(logits, label), confusion(logits, label)]
}
"#;

#[test]
fn digits_learn() {
    let s = solved(DIGITS);
    let g = training(&s, 4);
    let mut inputs: BTreeMap<String, Tensor> = BTreeMap::new();
    inputs.insert("image".into(), Tensor::from_fn(&[4, 64], |at| ((at[0] * 7 + at[1] * 3) % 5) as f32 / 5.0));
    inputs.insert("label".into(), Tensor { shape: vec![4], data: vec![0.0, 3.0, 9.0, 1.0] });
    for (name, value) in [("step", 0.0), ("steps", 40.0), ("steps_per_epoch", 10.0)] {
        inputs.insert(name.into(), Tensor { shape: vec![], data: vec![value] });
    }
    let mut state: BTreeMap<String, Tensor> = g
        .state
        .iter()
        .map(|s| {
            let shape = g.node(s.value).ty.shape.clone();
            let data = s.init.values(shape.iter().product());
            (s.path.clone(), Tensor { shape, data })
        })
        .collect();
    let paths: Vec<&str> = g.state.iter().map(|s| s.path.as_str()).collect();
    assert_eq!(paths[..2], ["Digits.logits/dense[0].weight", "Digits.logits/dense[0].bias"]);
    assert!(paths.contains(&"Digits.logits/dense[1].bias#m"), "{paths:?}");
    let mut losses = vec![];
    for step in 0..40 {
        inputs.insert("step".into(), Tensor { shape: vec![], data: vec![step as f32] });
        let done = interp::run(&g, &inputs, &state);
        losses.push(done.outputs["loss"].data[0]);
        state.extend(done.state);
    }
    assert!(losses[39] < 0.5 * losses[0] && losses[0] < 4.0, "{losses:?}");
}

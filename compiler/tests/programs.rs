//! Whole programs: checked, solved, lowered, differentiated, and run by the reference interpreter.

mod common;

use common::{all_graphs, good, messages, solved, training};
use dlc_compiler::base::Tensor;
use dlc_compiler::graph::interp;
use dlc_compiler::hir::Mode;
use std::collections::BTreeMap;

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

const IRIS: &str = r#"
dim feature = 4
dim species = ["setosa", "versicolor", "virginica"]

data iris {
  source = csv("tabular/iris.csv", skip = 1, header = false)   # first line: counts and names; labels 0, 1, 2
  field x: [feature] = columns(0..4) |> standardize
  field kind: species = column(4)
  split  = ratio(train = 70%, val = 15%, test = 15%, stratify = kind)
}

model Iris(x: [feature]) -> logits: [species] {
  logits = x |> dense(16) |> relu |> dropout(0.1) |> dense(species)
  predict guess = argmax(logits, over = species)
  predict sure = max(softmax(logits, over = species), over = species)
}

train Iris on iris {
  loss      = cross_entropy(logits, kind)
  optimizer = adam(lr = 0.01)
  batch     = 16
  epochs    = 100
  stop      = patience(10 epochs, on = "val.loss")
  metrics   = [accuracy(logits, kind), confusion(logits, kind)]
  seed      = 1
}
"#;

const X_OR_NOT: &str = r#"
dim kind = ["not X", "X"]

data marks {
  source = synthetic("x_or_not", count = 3000, seed = 1)
  field picture: [h: 9, w: 9, c: 1] = images
  field mark: kind = labels
  split = ratio(train = 70%, val = 15%, test = 15%, stratify = mark)
}

model XorNot(picture: [h: 9, w: 9, c: 1]) -> logits: [kind] {
  logits = picture
    |> conv(3, 3, pad = none) |> relu |> max_pool(2, pad = same)
    |> flatten |> dense(kind)
  predict answer = argmax(logits, over = kind)
}

train XorNot on marks {
  loss      = cross_entropy(logits, mark)
  optimizer = sgd(lr = 0.1, momentum = 0.9)
  batch     = 16
  epochs    = 30
  metrics   = [accuracy(logits, mark), confusion(logits, mark)]
}
"#;

const LENET: &str = r#"
dim digit = 10

data mnist {
  source = idx("mnist")
  field image: [h: 28, w: 28, c: 1] = images |> scale(1 / 255)
  field label: digit = labels
  split = official(val = 10%)
}

model LeNet(image: [h: 28, w: 28, c: 1]) -> logits: [digit] {
  logits = image
    |> conv(6, 5)              |> relu |> max_pool(2)
    |> conv(16, 5, pad = none) |> relu |> max_pool(2)
    |> flatten
    |> dense(120) |> relu
    |> dense(84)  |> relu
    |> dense(digit)
  predict number = argmax(logits, over = digit)
}

train LeNet on mnist {
  loss      = cross_entropy(logits, label)
  optimizer = adam(lr = 1e-3)
  schedule  = cosine(warmup = 1 epoch)
  batch     = 64
  epochs    = 10
  metrics   = [accuracy(logits, label), confusion(logits, label)]
}
"#;

const RESNET: &str = r#"
dim object = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

data cifar {
  source = idx("cifar")
  field image: [h: 32, w: 32, c: 3] = images |> standardize(over = [h, w])
  field label: object = labels
  split = official(val = 10%)
}

block Residual(x: [h, w, c], ch, stride = 1) -> y {
  f = x |> conv(ch, 3, stride = stride, bias = false) |> batch_norm |> relu
        |> conv(ch, 3, bias = false)                  |> batch_norm
  s = if stride == 1 and x.c == ch then x
      else x |> conv(ch, 1, stride = stride, bias = false) |> batch_norm
  y = relu(f + s)
}

model ResNet20(image: [h: 32, w: 32, c: 3]) -> logits: [object] {
  logits = image
    |> conv(16, 3, bias = false) |> batch_norm |> relu
    |> repeat 3 { Residual(16) }
    |> Residual(32, stride = 2) |> repeat 2 { Residual(32) }
    |> Residual(64, stride = 2) |> repeat 2 { Residual(64) }
    |> mean(over = [h, w])
    |> dense(object)
  predict guess = argmax(logits, over = object)
}

train ResNet20 on cifar {
  loss      = cross_entropy(logits, label, smooth = 0.1)
  optimizer = sgd(lr = 0.1, momentum = 0.9, nesterov = true, decay = 1e-4)
  schedule  = steps(at = [80 epochs, 120 epochs], by = 0.1)
  batch     = 128
  epochs    = 160
  metrics   = [accuracy(logits, label), top(logits, label, k = 5)]
}
"#;

const UNET: &str = r#"
dim label = ["background", "road", "car", "person", "sky"]
const width = 16

data streets {
  source = npz("streets.npz")
  field image: [h: 96, w: 128, c: 3] = array("images") |> scale(1 / 255)
  field mask: label[h: 96, w: 128]   = array("masks")
  split = ratio(train = 80%, val = 20%)
}

block Double(x: [h, w, c], ch) -> y {
  y = x |> repeat 2 { conv(ch, 3, bias = false) |> batch_norm |> relu }
}

block UNet(x: [h, w, c], ch, depth) -> y {
  e = x |> Double(ch)
  y = if depth == 0 then e
      else e |> max_pool(2) |> UNet(2 * ch, depth - 1) |> conv_transpose(ch, 2, stride = 2)
             |> concat(e, over = c) |> Double(ch)
}

model Segment(image: [h: 96, w: 128, c: 3]) -> scores: [h: 96, w: 128, label] {
  scores = image |> UNet(width, depth = 4) |> conv(label, 1)
  predict segments = argmax(scores, over = label)
}

train Segment on streets {
  loss {
    pixels  = cross_entropy(scores, mask)
    again   = 0.5 * cross_entropy(scores, mask, smooth = 0.1)
  }
  optimizer = adamw(lr = 1e-3, decay = 0.01)
  batch     = 8
  epochs    = 60
  metrics   = [accuracy(scores, mask)]
}
"#;

/// What each program of the manual holds, as published.
#[test]
fn parameters_of_the_manual() {
    let count = |text: &str| good(text).parameters();
    assert_eq!(count(IRIS), Some(131));
    assert_eq!(count(X_OR_NOT), Some(128));
    assert_eq!(count(LENET), Some(61_706));
    assert_eq!(count(RESNET), Some(272_474));
    assert_eq!(count(UNET), Some(1_942_645));
}

#[test]
fn the_manual_has_no_lints() {
    for text in [DIGITS, IRIS, LENET, RESNET] {
        assert_eq!(messages(text), Vec::<String>::new());
    }
}

#[test]
fn graphs_of_the_manual_differentiate() {
    all_graphs(IRIS, 3);
    all_graphs(X_OR_NOT, 2);
    all_graphs(LENET, 2);
    all_graphs(RESNET, 2);
    let unet = UNET.replace("h: 96", "h: 16").replace("w: 128", "w: 16");
    let g = all_graphs(&unet, 1);
    assert!(g.output("loss.pixels").is_some() && g.output("loss.again").is_some());
}

#[test]
fn paths_and_shapes() {
    let s = solved(LENET);
    let weights: Vec<(String, Vec<usize>)> = s.hir().weights.iter().map(|w| (w.path.clone(), w.shape())).collect();
    assert_eq!(weights[0], ("LeNet.logits/conv[0].weight".into(), vec![5, 5, 1, 6]));
    assert_eq!(weights[3], ("LeNet.logits/conv[1].bias".into(), vec![16]));
    assert_eq!(weights[4], ("LeNet.logits/dense[0].weight".into(), vec![400, 120]));
    let r = solved(RESNET);
    assert!(r.hir().weights.iter().any(|w| w.path == "ResNet20.logits/Residual[3]/conv[0].weight"));
    let stats: Vec<_> = r.hir().states.iter().map(|s| s.path.as_str()).take(2).collect();
    assert_eq!(stats, ["ResNet20.logits/batch_norm[0].mean", "ResNet20.logits/batch_norm[0].variance"]);
}

#[test]
fn a_dim_solved_from_data() {
    let text = IRIS.replace("dim species = [\"setosa\", \"versicolor\", \"virginica\"]", "dim species");
    let c = good(&text);
    assert_eq!(c.parameters(), None);
    let data = c.data().expect("there is a data section");
    assert_eq!(data.fields[1].dim.as_ref().map(|d| d.size), Some(None));
    assert!(c.solve(&[]).is_err());
    let names = ["a", "b"].map(String::from).to_vec();
    let s = c.solve(&[("species".into(), 2, names.clone())]).expect("all is known");
    assert_eq!(s.hir().parameters(), Some(4 * 16 + 16 + 16 * 2 + 2));
    assert_eq!(s.train().expect("a recipe").metrics[0].names, names);
}

#[test]
fn the_closed_source_means_the_same() {
    let text = format!("import \"blocks.dl\"\n{}", IRIS.replace("dense(16) |> relu", "dense(16) |> relu |> Twice"));
    let s = solved(&text);
    let closed = s.canonical_source();
    assert!(closed.contains("block cross_entropy") && closed.contains("block Twice"), "{closed}");
    assert!(!closed.contains("import") && !closed.contains("block rmsprop"), "{closed}");
    let again = solved(&closed);
    assert_eq!(again.graph(Mode::Train, 2).to_string(), s.graph(Mode::Train, 2).to_string());
    assert_eq!(again.canonical_source(), closed);
}

//! The flat program as text: `--emit hir`.

use super::layer::{Hir, Layer, Start, What};
use dlc_runtime::data::error::grouped;
use std::fmt::Write;

/// One line for each layer, with its named axes.
pub fn hir(hir: &Hir) -> String {
    let mut text = String::new();
    let count = hir.parameters().map_or("unknown".to_string(), |n| grouped(n));
    let _ = writeln!(text, "model {}  {count} weights", hir.model);
    for w in &hir.weights {
        let start = match w.start {
            Start::Constant(x) => format!("{x}"),
            Start::Uniform(x) => format!("uniform({x:.4})"),
            Start::Normal(x) => format!("normal({x:.4})"),
        };
        let _ = writeln!(text, "  weight {}: {} = {start}", w.path, w.ty);
    }
    for s in &hir.states {
        let _ = writeln!(text, "  state {}: {} = {}", s.path, s.ty, s.start);
    }
    for (i, layer) in hir.layers.iter().enumerate() {
        line(&mut text, i, layer);
    }
    for (i, scan) in hir.scans.iter().enumerate() {
        for (which, next) in scan.states.iter().enumerate().filter_map(|(w, (_, next))| Some((w, (*next)?))) {
            let _ = writeln!(text, "  next state {which} of scan {i} = %{}", next.0);
        }
    }
    let parts =
        [("output", &hir.outputs), ("predict", &hir.predicts), ("loss", &hir.losses), ("metric", &hir.metric_inputs)];
    for (kind, named) in parts {
        for n in named {
            let _ = writeln!(text, "  {kind} {} = %{}", n.name, n.layer.0);
        }
    }
    if let Some(rate) = hir.rate {
        let _ = writeln!(text, "  rate = %{}", rate.0);
    }
    text
}

fn line(text: &mut String, i: usize, layer: &Layer) {
    let inputs: Vec<_> = layer.inputs.iter().map(|x| format!("%{}", x.0)).collect();
    let _ = writeln!(text, "  %{i}: {} = {}({})  # {}", layer.ty, name(&layer.what), inputs.join(", "), layer.path);
}

fn name(what: &What) -> String {
    match what {
        What::Input(n) => format!("input {n} "),
        What::Clock(c) => format!("clock {c:?} "),
        What::Given(i) => format!("given {i} "),
        What::Weight(i) => format!("weight {i} "),
        What::State(i) => format!("state {i} "),
        What::Constant(x) => format!("constant {x} "),
        What::Unary(u) => format!("{u:?} ").to_lowercase(),
        What::Binary(b) => format!("{b:?} ").to_lowercase(),
        What::Reduce(f) => format!("reduce {f:?} ").to_lowercase(),
        What::ArgMax(a) => format!("argmax {a} "),
        What::Last(a) => format!("last {a} "),
        What::Count(_) => "count ".into(),
        What::Slice { axis, start } => format!("slice {axis}: {start}.. "),
        What::Concat(a) => format!("concat {a} "),
        What::Dot(over) => format!("dot {} ", over.join(", ")),
        What::Conv(w) => format!("conv {:?} stride {:?} pad {:?} ", w.kernel, w.stride, w.pad),
        What::ConvTranspose(w) => format!("conv_transpose {:?} stride {:?} ", w.kernel, w.stride),
        What::MaxPool(w) => format!("max_pool {:?} stride {:?} ", w.kernel, w.stride),
        What::AvgPool(w) => format!("avg_pool {:?} stride {:?} ", w.kernel, w.stride),
        What::Upsample { by, linear, .. } => format!("upsample {by:?}{} ", if *linear { " linear" } else { "" }),
        What::BatchNorm { eps, momentum, .. } => format!("batch_norm eps {eps} momentum {momentum} "),
        What::Dropout { p, .. } => format!("dropout {p} "),
        What::Coord(a) => format!("coord {a} "),
        What::Pick { scan, axis } => format!("pick {axis} of scan {scan} "),
        What::Carry { scan, which } => format!("state {which} of scan {scan} "),
        What::Stack { scan } => format!("stack of scan {scan} "),
        What::Select => "select ".into(),
        What::Rename => "rename ".into(),
        What::Permute => "order ".into(),
        What::Reshape => "reshape ".into(),
        What::Dense => "dense ".into(),
        What::Embed => "embed ".into(),
        What::OneHot => "one_hot ".into(),
        What::Detach => "detach ".into(),
    }
}

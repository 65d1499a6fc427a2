//! What the compiler says about training and outputs, in the terms of the trainer.

use std::sync::Arc;

use dlc_compiler::driver::Solved;
use dlc_compiler::hir::{self, Element, GenerateSpec, Named, Table, Variable};
use dlc_runtime::data::spec::DimSpec;
use dlc_runtime::found::Wanted;
use dlc_runtime::generate::{Choice, Measure};
use dlc_runtime::metrics::{MetricKind, MetricSpec};
use dlc_runtime::predict::{OutputSpec, Shown, VariableAxis};
use dlc_runtime::train::{Length, Stop, TrainSpec, Unit};

use super::Recipe;

/// Boxes that are shown of one picture.
const MOST_SHOWN: usize = 300;

/// The recipe of a program with what the command line changes; `None` without a `train` section.
pub fn train(solved: &Solved, recipe: &Recipe) -> Option<TrainSpec> {
    let spec = solved.train()?;
    let length = match (recipe.epochs, spec.length) {
        (Some(epochs), _) => Length::Epochs(epochs),
        (None, hir::Length::Epochs(epochs)) => Length::Epochs(epochs),
        (None, hir::Length::Steps(steps)) => Length::Steps(steps),
    };
    Some(TrainSpec {
        model: spec.model.clone(),
        data: spec.data.clone(),
        batch: recipe.batch.unwrap_or(spec.batch),
        length,
        seed: recipe.seed.unwrap_or(spec.seed),
        stop: spec.stop.iter().map(stop).collect(),
        metrics: metrics(solved),
        augment: spec.augment.clone(),
        loss_parts: spec.loss_parts.clone(),
        weights: solved.hir().weights.iter().map(|w| w.path.clone()).collect(),
        statistics: solved.hir().states.iter().map(|s| s.path.clone()).collect(),
        source: solved.canonical_source(),
        dims: dims(solved),
        compiler: env!("CARGO_PKG_VERSION").to_string(),
    })
}

fn stop(stop: &hir::Stop) -> Stop {
    use dlc_compiler::syntax::ast::Unit as Written;
    match stop {
        hir::Stop::Target { value, on } => Stop::Target { value: *value, on: on.clone() },
        hir::Stop::Patience { count, unit, on } => {
            let (count, unit) = match unit {
                Written::Epochs => (*count, Unit::Epochs),
                Written::Steps => (*count, Unit::Steps),
                Written::Minutes => (count * 60.0, Unit::Seconds),
                Written::Hours => (count * 3600.0, Unit::Seconds),
            };
            Stop::Patience { count, unit, on: on.clone() }
        }
    }
}

/// The metrics of the `train` section.
pub fn metrics(solved: &Solved) -> Vec<MetricSpec> {
    solved.train().map_or_else(Vec::new, |spec| spec.metrics.iter().filter_map(|m| metric(solved, m)).collect())
}

fn metric(solved: &Solved, spec: &hir::MetricSpec) -> Option<MetricSpec> {
    let kind = match spec.kind.as_str() {
        "accuracy" => MetricKind::Accuracy,
        "auc" => MetricKind::Auc,
        "confusion" => MetricKind::Confusion,
        "f1" => MetricKind::F1,
        "iou" => MetricKind::Iou,
        "dice" => MetricKind::Dice,
        "top" => MetricKind::Top(spec.k),
        "perplexity" => MetricKind::Perplexity,
        "mae" => MetricKind::Mae,
        "mape" => MetricKind::Mape,
        "purity" => MetricKind::Purity,
        "mean" => MetricKind::Mean,
        "mse" => MetricKind::Mse,
        "rmse" => MetricKind::Rmse,
        "mean_ap" => MetricKind::MeanAp(spec.detection?),
        "bleu" => MetricKind::Bleu,
        "exact" => MetricKind::Exact,
        "exact_new" => MetricKind::ExactNew,
        _ => return None,
    };
    let (scores, target) = match &spec.args[..] {
        [scores, target] => (scores, target),
        // What is told is compared with its own texts.
        [told] => (told, told),
        _ => return None,
    };
    let hir = solved.hir();
    let ty = hir.metric_inputs.iter().find(|n| n.name == scores.name()).map(|n| &hir.layer(n.layer).ty);
    // The classes' axis is the last, and the batch comes first.
    let scored = spec.classes.is_some() && spec.detection.is_none();
    let class_axis = ty.filter(|ty| scored && !ty.is_index()).map(|ty| ty.axes.len());
    Some(MetricSpec {
        name: spec.label.clone(),
        kind,
        scores: scores.name().to_string(),
        target: target.name().to_string(),
        class_axis,
        classes: spec.names.clone(),
        ignored: spec.ignored.clone(),
        variable: spec.variable.clone(),
    })
}

/// What is measured of what the network tells by itself.
pub fn telling(solved: &Solved, seed: u64) -> Option<Measure> {
    let metrics: Vec<MetricSpec> = metrics(solved).into_iter().filter(|metric| metric.kind.is_told()).collect();
    let spec = solved.generate()?;
    let choice = Choice { seed: spec.seed.unwrap_or(seed), ..choice(spec) };
    (!metrics.is_empty()).then_some(Measure { choice, metrics })
}

/// How the program says that a network tells; the symbols that are special come with its data.
pub fn choice(spec: &GenerateSpec) -> Choice {
    Choice {
        input: spec.input.clone(),
        output: spec.output.clone(),
        window: spec.window,
        along: spec.along.clone(),
        temperature: spec.temperature,
        top: spec.top,
        top_p: spec.top_p,
        width: spec.width,
        limit: spec.limit,
        ..Choice::default()
    }
}

/// All dims, with the sizes and names that the data gave.
pub fn dims(solved: &Solved) -> Vec<DimSpec> {
    let dim = |(name, size, names): &(String, Option<usize>, Vec<String>)| DimSpec {
        name: name.clone(),
        size: *size,
        names: names.clone(),
    };
    solved.dims().iter().map(dim).collect()
}

/// What can be drawn: outputs and predictions; and which of them are logits or probabilities of classes.
pub fn drawable(solved: &Solved) -> (Vec<OutputSpec>, Vec<String>) {
    let hir = solved.hir();
    let dims = dims(solved);
    let mut all = outputs(solved);
    let more =
        hir.outputs.iter().filter(|n| !hir.predicts.is_empty() && !hir.predicts.iter().any(|p| p.name == n.name));
    all.extend(more.map(|n| output(&n.name, &hir.layer(n.layer).ty, &dims)));
    let judged = metrics(solved).into_iter().filter(|metric| metric.class_axis.is_some()).map(|metric| metric.scores);
    let answered: Vec<String> = all.iter().filter_map(|output| Some(output.dim.as_ref()?.name.clone())).collect();
    let of_classes = |output: &&OutputSpec| {
        output.dim.is_none() && output.axes.last().is_some_and(|axis| answered.contains(&axis.name))
    };
    let scores = judged.chain(all.iter().filter(of_classes).map(|output| output.name.clone())).collect();
    (all, scores)
}

/// What users see: the predictions, or the outputs of a model without any.
pub fn outputs(solved: &Solved) -> Vec<OutputSpec> {
    let hir = solved.hir();
    let named: &[Named] = if hir.predicts.is_empty() { &hir.outputs } else { &hir.predicts };
    let dims = dims(solved);
    let found = |name: &str| {
        let seen = hir.seen.iter().find(|seen| seen.name == name)?;
        let classes = dims.iter().find(|dim| dim.name == seen.dim).map_or_else(Vec::new, |dim| dim.names.clone());
        Some(Shown { wanted: Wanted { score: seen.score, overlap: seen.overlap, most: MOST_SHOWN }, classes })
    };
    let all =
        named.iter().map(|n| OutputSpec { found: found(&n.name), ..output(&n.name, &hir.layer(n.layer).ty, &dims) });
    all.collect()
}

fn variable(variable: &Variable) -> VariableAxis {
    let lengths = variable.clone();
    VariableAxis { dim: variable.dim.clone(), of: Arc::new(move |n| lengths.of(n)) }
}

fn output(name: &str, ty: &Table, dims: &[DimSpec]) -> OutputSpec {
    let known = |name: &str, size: Option<usize>| {
        let names = dims.iter().find(|dim| dim.name == name).map_or_else(Vec::new, |dim| dim.names.clone());
        DimSpec { name: name.to_string(), size, names }
    };
    OutputSpec {
        name: name.to_string(),
        axes: ty.axes.iter().map(|axis| known(&axis.name, axis.size.known())).collect(),
        variable: ty.axes.iter().map(|axis| axis.size.variable().map(variable)).collect(),
        found: None,
        dim: match &ty.element {
            Element::Number => None,
            Element::Index { dim, size } => Some(known(dim, size.known())),
        },
    }
}

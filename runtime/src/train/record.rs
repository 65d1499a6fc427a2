//! What a finished run leaves for programs to read.

use serde_json::{Value, json};

use super::report::Outcome;
use super::spec::TrainSpec;
use super::trainer::Run;
use crate::data::split::Part;

/// `loss` of a table is `train.loss` of a record.
pub fn full_names(values: &[(String, f64)]) -> Vec<(String, f64)> {
    let full = |name: &String| match name.starts_with("val.") {
        true => name.clone(),
        false => format!("train.{name}"),
    };
    values.iter().map(|(name, value)| (full(name), *value)).collect()
}

/// The first metric, else the loss, of the last part there is.
pub fn headline(spec: &TrainSpec, metrics: &[(String, f64)]) -> Option<(String, String, f64)> {
    let names = spec.metrics.iter().map(|metric| metric.name.as_str());
    for part in ["test", "val", "train"] {
        for name in names.clone().chain(["loss"]) {
            let full = format!("{part}.{name}");
            if let Some((_, value)) = metrics.iter().find(|(known, _)| *known == full) {
                return Some((part.to_string(), name.to_string(), *value));
            }
        }
    }
    None
}

/// `run.json`
pub fn record(run: &Run<'_>, outcome: &Outcome, epochs: usize) -> Value {
    let metrics: serde_json::Map<String, Value> =
        outcome.metrics.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let mut record = json!({
        "model": run.spec.model,
        "data": run.spec.data,
        "examples": {
            "train": run.data.part(Part::Train).len(),
            "val": run.data.part(Part::Val).len(),
            "test": run.data.part(Part::Test).len(),
        },
        "batch": run.spec.batch,
        "seed": run.spec.seed,
        "compiler": run.spec.compiler,
        "epochs": epochs,
        "steps": outcome.steps,
        "best_epoch": outcome.best_epoch,
        "ended": format!("{:?}", outcome.ended).to_lowercase(),
        "seconds": outcome.seconds,
        "waited": outcome.waited(),
        "metrics": metrics,
        "missed": outcome.missed.iter().map(|missed| missed.to_string()).collect::<Vec<_>>(),
    });
    if let Some(object) = record.as_object_mut() {
        object.extend(run.options.facts.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    record
}

//! What a training block says, and what the command line adds: plain data.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::require::Requirement;
use crate::checkpoint::Tensor;
use crate::data::augment::Augment;
use crate::data::dataset::Dataset;
use crate::data::spec::DimSpec;
use crate::data::split::Part;
use crate::metrics::{MetricKind, MetricSpec};

/// How long a run lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    Epochs(usize),
    Steps(usize),
}

/// What durations are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Epochs,
    Steps,
    /// Runs that end by the clock cannot be repeated.
    Seconds,
}

/// When a run ends early; looked at after each epoch.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// After so long without a better value of `on`, such as `val.loss`.
    Patience { count: f64, unit: Unit, on: String },
    /// When `on` has reached a value.
    Target { value: f64, on: String },
}

/// A training block, checked by the compiler.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSpec {
    pub model: String,
    pub data: String,
    pub batch: usize,
    pub length: Length,
    pub seed: u64,
    pub stop: Vec<Stop>,
    pub metrics: Vec<MetricSpec>,
    pub augment: Vec<Augment>,
    /// Names of the parts of `loss { }`; empty for a single loss.
    pub loss_parts: Vec<String>,
    /// Paths of the weights.
    pub weights: Vec<String>,
    /// Paths of the running statistics: stored in models beside the weights.
    pub statistics: Vec<String>,
    /// In canonical form, with all the blocks that it uses.
    pub source: String,
    /// Solved, with names.
    pub dims: Vec<DimSpec>,
    /// Version of the compiler.
    pub compiler: String,
}

impl TrainSpec {
    /// What each part is measured by, without the part's name.
    pub fn value_names(&self) -> Vec<String> {
        let parts = self.loss_parts.iter().map(|part| format!("loss.{part}"));
        let numbers = self.metrics.iter().filter(|metric| metric.kind != MetricKind::Confusion);
        std::iter::once("loss".to_string()).chain(parts).chain(numbers.map(|metric| metric.name.clone())).collect()
    }

    /// The names that `--require` can ask for: `test.accuracy`, for each part that has examples.
    pub fn measured(&self, data: &Dataset) -> Vec<String> {
        let parts = Part::ALL.into_iter().filter(|part| !data.part(*part).is_empty());
        let told = |name: &str| self.metrics.iter().any(|metric| metric.kind.is_told() && metric.name == name);
        // What the network tells by itself is compared in the test part alone.
        let names = self.value_names();
        let of_part = |part: Part| {
            let names = names.iter().filter(move |name| part == Part::Test || !told(name));
            names.map(move |name| format!("{}.{name}", part.name()))
        };
        parts.flat_map(of_part).collect()
    }
}

/// What the command line says about one run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The run folder itself; else `runs/<Model>-<n>`.
    pub out: Option<PathBuf>,
    /// Where run folders are made; empty for the current folder.
    pub base: PathBuf,
    /// One batch through everything; writes nothing.
    pub dry_run: bool,
    /// Examples in the order of training, numbered as in the source.
    pub order: Option<Vec<u32>>,
    /// Where the loss of every step goes.
    pub log_steps: Option<PathBuf>,
    /// Weights to start from, by path.
    pub init: BTreeMap<String, Tensor>,
    pub require: Vec<Requirement>,
    /// Further entries of `run.json`: threads, processor, arguments.
    pub facts: BTreeMap<String, Value>,
}

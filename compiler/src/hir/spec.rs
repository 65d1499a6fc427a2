//! What a program says about its training: plain numbers for the trainer.

pub use super::transfer::StartFile;
use crate::base::Numerics;
use crate::syntax::ast::Unit;
use dlc_runtime::data::augment::Augment;
use dlc_runtime::metrics::ApRule;

/// How long a run lasts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Length {
    Epochs(usize),
    Steps(usize),
}

/// When a run ends early.
#[derive(Clone, PartialEq, Debug)]
pub enum Stop {
    /// After so long without a better value of `on` (`val.loss`).
    Patience { count: f64, unit: Unit, on: String },
    /// When `on` has reached a value.
    Target { value: f64, on: String },
}

/// What a metric reads.
#[derive(Clone, PartialEq, Debug)]
pub enum MetricArg {
    /// An output of the graph.
    Output(String),
    /// A field of the data.
    Field(String),
}

impl MetricArg {
    pub fn name(&self) -> &str {
        match self {
            MetricArg::Output(n) | MetricArg::Field(n) => n,
        }
    }
}

/// One metric: `accuracy(logits, label)`.
#[derive(Clone, PartialEq, Debug)]
pub struct MetricSpec {
    /// `accuracy confusion f1 top mae mape mse rmse bleu exact`
    pub kind: String,
    /// As shown: `accuracy`, `top(5)`; with the second argument where two would be alike.
    pub label: String,
    /// Scores (the classes' axis last) or values first, then the truth.
    pub args: Vec<MetricArg>,
    /// Number of classes, for those that score classes.
    pub classes: Option<usize>,
    /// Their names; empty where the dim has none.
    pub names: Vec<String>,
    /// Classes whose points the data leaves out.
    pub ignored: Vec<usize>,
    /// Per axis of the truth the dim along which each example has its own length.
    pub variable: Vec<Option<String>>,
    /// `top(..., k = 5)`
    pub k: usize,
    /// `mean_ap`
    pub detection: Option<ApRule>,
}

/// The recipe.
#[derive(Clone, PartialEq, Debug)]
pub struct TrainSpec {
    pub model: String,
    pub data: String,
    pub batch: usize,
    pub length: Length,
    pub seed: u64,
    pub numerics: Numerics,
    pub stop: Vec<Stop>,
    pub metrics: Vec<MetricSpec>,
    /// Where weights start.
    pub start: Option<StartFile>,
    /// In the order of the program.
    pub augment: Vec<Augment>,
    /// Names of the parts of `loss { }`; empty for a single loss.
    pub loss_parts: Vec<String>,
}

/// `generate M { tokens <- sample(logits, temperature = 0.8, top = 40)  limit = 500 }`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerateSpec {
    pub input: String,
    /// Scores of what follows each element of the input.
    pub output: String,
    /// What both index.
    pub dim: String,
    /// 0 for the likeliest.
    pub temperature: f64,
    /// Among how many of the likeliest.
    pub top: Option<usize>,
    /// Among the fewest of the likeliest that together are this likely.
    pub top_p: Option<f64>,
    /// What chance begins with, where the command line does not say.
    pub seed: Option<u64>,
    /// Lines that are kept side by side, of which the likeliest is told; 1: only one.
    pub width: usize,
    pub limit: usize,
    /// The most symbols that the network reads at once.
    pub window: usize,
    /// The dim along which the input grows, where each example has its own length.
    pub along: Option<String>,
}

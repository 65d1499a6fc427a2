//! What a run tells while it goes, and what it came to.

use std::path::PathBuf;

use super::monitor::Ended;
use super::require::Missed;
use crate::metrics::Confusion;

/// What is known before the first step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Start {
    pub model: String,
    /// Numbers that learn.
    pub weights: usize,
    pub data: String,
    /// Examples of the parts.
    pub train: usize,
    pub val: usize,
    pub test: usize,
    pub seed: u64,
    /// Rounded up where the run is counted in steps.
    pub epochs: usize,
    pub steps: usize,
    pub folder: Option<PathBuf>,
}

/// One finished step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// From 1.
    pub epoch: usize,
    /// Steps of this epoch that are done, and all of them.
    pub done: usize,
    pub of: usize,
    pub loss: f32,
    /// Trained on in this epoch so far.
    pub examples: usize,
    /// Since the epoch began.
    pub seconds: f64,
    /// The share of it that data was waited for.
    pub waited: f64,
}

/// One finished epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EpochRow {
    /// From 1.
    pub epoch: usize,
    /// `loss`, `val.loss`, then each metric of one number: `accuracy`, `val.accuracy`.
    pub values: Vec<(String, f64)>,
    /// Of the last step.
    pub lr: Option<f64>,
    /// Trained on.
    pub examples: usize,
    /// Of training alone, and with validation.
    pub train_seconds: f64,
    pub seconds: f64,
    /// The share of training's time in which data was waited for.
    pub waited: f64,
    /// The best so far.
    pub best: bool,
}

/// Whoever wants to know how a run goes.
pub trait Progress {
    fn start(&mut self, _start: &Start) {}
    fn step(&mut self, _step: &Step) {}
    fn epoch(&mut self, _row: &EpochRow) {}
    /// A sentence for the user.
    fn note(&mut self, _text: &str) {}
    fn done(&mut self, _outcome: &Outcome) {}
}

/// A confusion of classes, ready to be printed.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// `test.confusion`
    pub name: String,
    pub classes: Vec<String>,
    pub counts: Confusion,
}

/// How well the objects of single classes are found.
#[derive(Clone, Debug, PartialEq)]
pub struct Precisions {
    /// `test.mean_ap`
    pub name: String,
    pub classes: Vec<String>,
    /// Of each class how many objects there are, and the average precision; none where there are no objects.
    pub each: Vec<(usize, Option<f64>)>,
}

/// What a trained network scores.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluated {
    pub values: Vec<(String, f64)>,
    pub tables: Vec<Table>,
    pub precisions: Vec<Precisions>,
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// `train.loss`, `val.accuracy`, `test.accuracy` ... of the best epoch, in a stable order.
    pub metrics: Vec<(String, f64)>,
    /// Part, metric, value: the last line on standard output, `test  accuracy 0.9012`.
    pub headline: Option<(String, String, f64)>,
    pub tables: Vec<Table>,
    pub rows: Vec<EpochRow>,
    /// From 1.
    pub best_epoch: Option<usize>,
    pub steps: usize,
    pub ended: Ended,
    /// Nothing after a dry run.
    pub folder: Option<PathBuf>,
    /// Names of the files in it.
    pub files: Vec<String>,
    pub missed: Vec<Missed>,
    pub seconds: f64,
}

impl Outcome {
    /// The share of training's time in which data was waited for, after the first epoch where there are others.
    pub fn waited(&self) -> f64 {
        let rows = self.rows.get(1..).filter(|rows| !rows.is_empty()).unwrap_or(&self.rows);
        let waited: f64 = rows.iter().map(|row| row.waited * row.train_seconds).sum();
        waited / rows.iter().map(|row| row.train_seconds).sum::<f64>().max(1e-9)
    }
}

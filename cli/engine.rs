//! Where the commands meet the compiler and the trainer: the only file of the command line that calls either.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use dlc_compiler::base::{Failed, SourceMap};

use crate::args::{Cpu, MachineArgs, ProgramArgs, Stage};
use crate::progress::{Epoch, Start};
use crate::trouble::Trouble;

/// What is to be compiled and for what.
#[derive(Clone, Debug)]
pub struct Settings {
    pub sets: Vec<(String, String)>,
    pub data_root: Option<PathBuf>,
    /// `None`: all cores.
    pub threads: Option<usize>,
    pub cpu: Cpu,
    pub fuse: bool,
    /// Bytes; `None`: what the machine has.
    pub memory: Option<u64>,
}

impl Settings {
    pub fn new(program: &ProgramArgs, machine: &MachineArgs) -> Settings {
        Settings {
            sets: program.sets.clone(),
            data_root: program.data_root.clone(),
            threads: machine.threads.map(usize::from),
            cpu: machine.cpu,
            fuse: !machine.no_fuse,
            memory: machine.memory,
        }
    }
}

/// What a compilation came to.
#[derive(Clone, Debug, Default)]
pub struct Built {
    pub model: String,
    pub weights: u64,
    /// Of one example, forward.
    pub multiply_adds: u64,
    pub batch: usize,
    pub kernels: usize,
    pub arena_bytes: u64,
    pub state_bytes: u64,
    /// Stage and seconds, in order.
    pub timings: Vec<(String, f64)>,
    /// Texts of the stages that were asked for.
    pub emitted: Vec<(Stage, String)>,
    /// The model file, if one was written.
    pub written: Option<PathBuf>,
    pub warnings: Failed,
}

/// What a training run is asked for.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    pub epochs: Option<usize>,
    pub batch: Option<usize>,
    pub seed: Option<u64>,
    pub out: Option<PathBuf>,
    pub dry_run: bool,
    pub require: Vec<String>,
    pub init: Option<PathBuf>,
    pub order: Option<PathBuf>,
    pub log_steps: Option<PathBuf>,
}

/// Whoever wants to know how a training goes.
pub trait Watch {
    fn start(&mut self, start: &Start);
    fn warnings(&mut self, warnings: &Failed);
    fn step(&mut self, epoch: usize, done: usize, of: usize, loss: f64, examples_s: f64);
    fn epoch(&mut self, epoch: &Epoch);
    fn note(&mut self, text: &str);
}

/// What a training run came to.
#[derive(Clone, Debug, Default)]
pub struct Trained {
    /// `test.accuracy`, `val.loss` ...: the numbers of `run.json`.
    pub metrics: Vec<(String, f64)>,
    /// The one that matters: part, name, value.
    pub headline: (String, String, f64),
    pub best_epoch: Option<usize>,
    /// Tables such as the confusion of classes, ready to print.
    pub tables: Vec<String>,
    pub folder: PathBuf,
    pub files: Vec<String>,
}

/// One table of predictions.
#[derive(Clone, Debug, Default)]
pub struct Predictions {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

/// One cell of a table of predictions.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Number(f64),
    Text(String),
}

/// One measured kernel.
#[derive(Clone, Debug, Default)]
pub struct KernelTime {
    pub label: String,
    pub algorithm: String,
    /// Of one step, summed over its threads' slowest.
    pub ms: f64,
    pub flop: u64,
    pub bytes: u64,
}

/// What a bench measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub model: String,
    pub batch: usize,
    pub threads: usize,
    pub isa: String,
    pub weights: u64,
    /// Seconds of every measured step.
    pub steps: Vec<f64>,
    pub first_step_s: f64,
    pub flop: u64,
    pub loss_first: Option<f64>,
    pub loss_last: Option<f64>,
    pub kernels: Vec<KernelTime>,
    /// Matrix peak of this machine with these threads, measured; `None` where it was not.
    pub peak_gflop_s: Option<f64>,
}

/// Everything up to kernels, without data. The warnings, or the errors.
pub fn check(file: &Path, sets: &[(String, String)]) -> Result<Failed, Trouble> {
    let _ = (file, sets);
    Err(missing())
}

/// Compiles a program or a model file; writes the model to `output` unless stages are only to be printed.
pub fn build(
    file: &Path,
    settings: &Settings,
    batch: Option<usize>,
    emit: &[Stage],
    output: Option<&Path>,
) -> Result<Built, Trouble> {
    let _ = (file, settings, batch, emit, output);
    Err(missing())
}

/// Trains; looks at `interrupted` after every step.
pub fn train(
    file: &Path,
    settings: &Settings,
    recipe: &Recipe,
    interrupted: &AtomicBool,
    watch: &mut dyn Watch,
) -> Result<Trained, Trouble> {
    let _ = (file, settings, recipe, interrupted, watch);
    Err(missing())
}

/// Predictions of a model file for the examples of files.
pub fn predict(model: &Path, inputs: &[PathBuf], settings: &Settings) -> Result<Predictions, Trouble> {
    let _ = (model, inputs, settings);
    Err(missing())
}

/// Metrics of a model file on the examples of files, or on the test part of its own data.
pub fn evaluate(model: &Path, inputs: &[PathBuf], settings: &Settings) -> Result<Trained, Trouble> {
    let _ = (model, inputs, settings);
    Err(missing())
}

/// Times steps on a resident synthetic batch.
pub fn bench(
    file: &Path,
    settings: &Settings,
    train: bool,
    batch: Option<usize>,
    steps: Option<usize>,
) -> Result<Measured, Trouble> {
    let _ = (file, settings, train, batch, steps);
    Err(missing())
}

/// The source of a block of the standard library with its comment, or the manual of a primitive.
pub fn show(name: &str) -> Option<String> {
    let _ = name;
    None
}

/// All names that [`show`] knows, with the first sentence about each.
pub fn shown() -> Vec<(String, String)> {
    vec![]
}

/// Every default of the language.
pub fn defaults() -> String {
    String::new()
}

fn missing() -> Trouble {
    Trouble::Program(Failed { sources: SourceMap::default(), diagnostics: vec![] })
}

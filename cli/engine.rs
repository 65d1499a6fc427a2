//! Where the commands meet the compiler and the trainer: only this file and its folder call either.

mod bench;
mod build;
mod data;
mod fit;
mod generate;
mod inside;
mod manual;
mod network;
mod predict;
mod program;
mod results;
mod spec;
mod start;

use std::path::PathBuf;

use dlc_compiler::base::Failed;
use dlc_compiler::driver::{Numerics, Target};
use dlc_runtime::data::bytes::Limits;
use dlc_runtime::data::pictures::Cache;
use dlc_runtime::micro::Isa;

use crate::args::{self, Cpu, MachineArgs, ProgramArgs, Stage};
use crate::progress::{Epoch, Start, Step};
use crate::trouble::{Message, Trouble};

pub use bench::bench;
pub use build::{build, check};
pub use data::{LookedAt, look};
pub use fit::train;
pub use generate::{Wanted, generate, told_of};
pub use inside::show_layer;
pub use manual::{defaults, show, shown};
pub use predict::{Drawn, evaluate, predict};

/// What is to be compiled and for what.
#[derive(Clone, Debug)]
pub struct Settings {
    pub sets: Vec<(String, String)>,
    pub data_root: Option<PathBuf>,
    /// Of data.
    pub limits: Limits,
    /// `None`: all cores.
    pub threads: Option<usize>,
    pub cpu: Cpu,
    pub fuse: bool,
    /// `None`: what the program says.
    pub numerics: Option<args::Numerics>,
    /// Bytes; `None`: what the machine has.
    pub memory: Option<u64>,
}

impl Settings {
    pub fn new(program: &ProgramArgs, machine: &MachineArgs) -> Settings {
        Settings {
            sets: program.sets.clone(),
            data_root: program.data_root.clone(),
            limits: limits(program),
            threads: machine.threads.map(usize::from),
            cpu: machine.cpu,
            fuse: !machine.no_fuse,
            numerics: machine.numerics,
            memory: machine.memory,
        }
    }

    /// What the compiler aims at; the memory limit is what was asked for, or what the machine has.
    fn target(&self) -> Result<Target, Trouble> {
        let name = match self.cpu {
            Cpu::Native => "native",
            Cpu::Avx512 => "avx512",
            Cpu::Avx2 => "avx2",
            Cpu::Portable => "portable",
        };
        let isa = Isa::parse(name).map_err(|why| Trouble::Usage(Message::new(why)))?;
        let memory = self.memory.or_else(machine_memory);
        let numerics = self.numerics.map(|numerics| match numerics {
            args::Numerics::Fast => Numerics::Fast,
            args::Numerics::Strict => Numerics::Strict,
        });
        Ok(Target { isa, fuse: self.fuse, numerics, memory, verify: cfg!(debug_assertions), clock: false })
    }

    fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

/// Where decoded pictures are kept: beside the folder of runs.
const CACHE: &str = ".dlc/cache";

fn limits(program: &ProgramArgs) -> Limits {
    let limits = Limits::default();
    let cache = (!program.no_cache).then_some(Cache { folder: CACHE, verify: program.verify_data });
    Limits { pictures: program.cache_limit.unwrap_or(limits.pictures), cache, ..limits }
}

/// Bytes of main memory, where the system says.
fn machine_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
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
    fn step(&mut self, step: &Step);
    fn epoch(&mut self, epoch: &Epoch);
    fn note(&mut self, text: &str);
    /// What was noted when data was read.
    fn about_data(&mut self, notes: &[String]);
}

/// What a training run came to.
#[derive(Clone, Debug, Default)]
pub struct Trained {
    /// `test.accuracy`, `val.loss` ...: the numbers of `run.json`.
    pub metrics: Vec<(String, f64)>,
    /// The one that matters: part, name, value.
    pub headline: Option<(String, String, f64)>,
    pub best_epoch: Option<usize>,
    /// Tables such as the confusion of classes, ready to print.
    pub tables: Vec<String>,
    /// Nothing after a dry run.
    pub folder: Option<PathBuf>,
    pub files: Vec<String>,
    /// Goals of `--require` that were not reached.
    pub missed: Vec<String>,
    pub interrupted: bool,
    /// The share of training's time in which data was waited for, after the first epoch.
    pub waited: f64,
}

pub use dlc_runtime::abi::Part;
pub use dlc_runtime::data::look::{Doubles, FieldLook, Kind, PartLook, Range};
pub use dlc_runtime::data::pictures::is_picture;
pub use dlc_runtime::draw;
pub use dlc_runtime::predict::{Cell, Predictions, ShownBox};

/// One measured kernel.
#[derive(Clone, Debug, Default)]
pub struct KernelTime {
    pub label: String,
    pub algorithm: String,
    /// Shares that threads take.
    pub tasks: u64,
    /// Of one step, summed over its threads' slowest.
    pub ms: f64,
    pub flop: u64,
    pub bytes: u64,
    /// What it consists of, where that was looked at: label, algorithm, operations and forecast, and milliseconds of one thread
    /// if all threads had the same share.
    pub parts: Vec<(Part, f64)>,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Load {
    Train,
    #[default]
    Predict,
    /// One more symbol of a text.
    Generate,
}

impl Load {
    /// As JSON names it.
    pub fn mode(self) -> &'static str {
        match self {
            Load::Train => "train",
            Load::Predict => "infer",
            Load::Generate => "generate",
        }
    }

    pub fn noun(self) -> &'static str {
        match self {
            Load::Train => "training step",
            Load::Predict => "prediction",
            Load::Generate => "one more symbol",
        }
    }
}

/// What a bench measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub load: Load,
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
    /// Memory bandwidth with these threads, measured; `None` where it was not.
    pub bandwidth_gbyte_s: Option<f64>,
    /// The most memory that the process held while it ran steps, in MiB.
    pub peak_rss_mb: f64,
}

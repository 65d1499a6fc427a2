//! Verbs and flags, as clap reads them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

const CODES: &str = "Exit codes: 0 done; 1 the program or its data has errors; 2 wrong usage or unreadable file; \
3 ran but missed its goal; 101 a bug in dlc; 130 interrupted, after saving.";

/// A compiler for neural networks.
#[derive(Parser)]
#[command(name = "dlc", version, about, after_help = CODES, subcommand_required = true, arg_required_else_help = true)]
pub struct Arguments {
    /// Colours in messages
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Compile a program or a model file; print its size and cost, or any stage on the way
    Build(BuildArgs),
    /// Look for mistakes in a program; no data is needed
    Check(CheckArgs),
    /// Look at the data of a program: counts, classes, ranges, what is missing or stands in two parts; or a sheet of examples
    Data(DataArgs),
    /// Predict with a trained model, or train a program with --train
    Run(RunArgs),
    /// Train a program (the same as run --train)
    Train(RunArgs),
    /// Measure time per step, throughput and memory, and say where the time goes
    Bench(BenchArgs),
    /// Print the article on a message (E0304) or a lint (unused_value); without a name, list them
    Explain { code: Option<String> },
    /// Print the source and the defaults of a layer, loss or optimizer; without a name, list them
    Show {
        name: Option<String>,
        /// Print every default of the language
        #[arg(long)]
        defaults: bool,
    },
    /// Print the completion script of a shell
    Completions { shell: Shell },
    /// Print the version and what this machine offers
    Version,
}

impl Verb {
    /// How messages of this call are written.
    pub fn message_format(&self) -> Format {
        match self {
            Verb::Check(args) => args.format,
            Verb::Build(args) if args.json => Format::Json,
            Verb::Bench(args) if args.json => Format::Json,
            Verb::Data(args) if args.json => Format::Json,
            Verb::Run(args) | Verb::Train(args) if args.json => Format::Json,
            _ => Format::Human,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// How messages are written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// With the source, for people
    Human,
    /// One line each, for editors
    Short,
    /// One JSON object a line, for programs
    Json,
}

/// How predictions are written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Table {
    Text,
    Json,
    Csv,
}

/// Which instructions compiled code may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Cpu {
    /// The best of this machine
    Native,
    Avx512,
    Avx2,
    /// Nothing beyond the baseline
    Portable,
}

/// How sums of products may be computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Numerics {
    /// Convolutions by Winograd's algorithm where it is faster
    Fast,
    /// Sums of products as they stand
    Strict,
}

/// What every verb that reads a program takes.
#[derive(Args, Clone)]
pub struct ProgramArgs {
    /// Override a const, or the size of a dim written with `=`
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub sets: Vec<(String, String)>,
    /// Where relative paths of the program start, instead of the program's folder
    #[arg(long, value_name = "DIR")]
    pub data_root: Option<PathBuf>,
    /// Keep no decoded pictures in .dlc/cache, and take none from there
    #[arg(long)]
    pub no_cache: bool,
    /// Decoded pictures of all fields together that are kept in memory, such as 512MB; others are read from .dlc/cache [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = crate::number::parse_bytes)]
    pub cache_limit: Option<u64>,
    /// Compare the bytes of pictures with what was decoded, and not their names, sizes and times alone
    #[arg(long)]
    pub verify_data: bool,
}

/// What every verb that compiles takes.
#[derive(Args, Clone)]
pub struct MachineArgs {
    /// Threads; the results are the same bits with any number [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    #[arg(long, default_value = "native")]
    pub cpu: Cpu,
    /// How sums of products may be computed [default: what `train` says, or else fast]
    #[arg(long)]
    pub numerics: Option<Numerics>,
    /// One kernel per operation: for comparison and tests
    #[arg(long)]
    pub no_fuse: bool,
    /// Stay below this, such as 2GB or 512MiB, by making tables again instead of keeping them [default: the memory of this machine]
    #[arg(long, value_name = "SIZE", value_parser = crate::number::parse_bytes)]
    pub memory: Option<u64>,
}

#[derive(Args)]
pub struct CheckArgs {
    pub file: PathBuf,
    #[command(flatten)]
    pub program: ProgramArgs,
    /// How messages are written
    #[arg(long, default_value = "human")]
    pub format: Format,
    /// Check again whenever the program changes
    #[arg(long)]
    pub watch: bool,
    /// Make a lint an error
    #[arg(short = 'D', value_name = "LINT", value_parser = lint)]
    pub deny: Vec<String>,
    /// Silence a lint
    #[arg(short = 'A', value_name = "LINT", value_parser = lint)]
    pub allow: Vec<String>,
    /// Make every warning an error
    #[arg(long)]
    pub warnings_as_errors: bool,
}

#[derive(Args)]
pub struct BuildArgs {
    /// A program (.dl, fresh weights) or a trained model (.dlm)
    pub file: PathBuf,
    #[command(flatten)]
    pub program: ProgramArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Where to write the model file [default: beside the source, ending in .dlm]
    #[arg(short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print these stages on the way, and write no file
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub emit: Vec<Stage>,
    /// Examples of one run [default: the program's batch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The forms of a program between text and machine code, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub enum Stage {
    /// The tree as written
    Ast,
    /// Names resolved, blocks expanded
    Hir,
    /// The network with its shapes
    Graph,
    /// With gradients and updates
    Grad,
    /// Simplified
    Opt,
    /// What each fused kernel computes
    Kernels,
    /// How: loops over tiles
    Nests,
    /// Buffers, lifetimes, bytes
    Plan,
    /// Cranelift's input
    Clif,
    /// Machine code
    Asm,
    /// The network as a Graphviz picture
    Dot,
}

#[derive(Args)]
pub struct DataArgs {
    /// A program (.dl) or a trained model (.dlm)
    pub file: PathBuf,
    /// The `data` section to look at [default: the one that the program trains on]
    pub name: Option<String>,
    #[command(flatten)]
    pub program: ProgramArgs,
    /// Only this field; may be repeated
    #[arg(long = "field", value_name = "NAME")]
    pub fields: Vec<String>,
    /// Print the first N examples of the training part, in the order of the first epoch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub head: Option<u32>,
    /// Draw examples with their masks, boxes and labels, before and after augmentation [how many: --head, or else 12]
    #[arg(long, value_name = "FILE.png")]
    pub sheet: Option<PathBuf>,
    /// Of the order of examples and of augmentation [default: what `train` says]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct RunArgs {
    /// A trained model (.dlm), or with --train a program (.dl)
    pub file: PathBuf,
    /// What to predict for: a table (.csv), arrays (.npy), a text with one example a line, .jsonl, a picture, or - for
    /// standard input
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
    #[command(flatten)]
    pub program: ProgramArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Train the program
    #[arg(long)]
    pub train: bool,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Score the inputs (or the test part of the model's own data) instead of predicting
    #[arg(long)]
    pub eval: bool,
    /// Write text as the model's `generate` says
    #[arg(long, conflicts_with_all = ["train", "eval"])]
    pub generate: bool,
    /// What generated text begins with
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["train", "eval"])]
    pub prompt: Option<String>,
    /// Symbols to generate [default: what `generate` says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["train", "eval"])]
    pub limit: Option<u32>,
    /// Draw the answers into this picture (.png); with --eval, a folder for the confusion, the scores of classes and the worst examples
    #[arg(short, value_name = "FILE", conflicts_with_all = ["train", "generate"])]
    pub output: Option<PathBuf>,
    /// Draw a layer into the picture of -o: its filters, and what it makes of the first example; a name that is none lists the layers
    #[arg(long, value_name = "LAYER", requires = "output", conflicts_with_all = ["train", "eval", "generate", "prompt", "limit"])]
    pub show: Option<String>,
    /// How predictions are written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Table,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What only training takes.
#[derive(Args, Clone)]
pub struct RecipeArgs {
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Training")]
    pub epochs: Option<u32>,
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Training")]
    pub batch: Option<u32>,
    /// Of initial weights, dropout and the order of examples; without --train, of what `generate` samples
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub seed: Option<u64>,
    /// Run folder [default: the next free runs/MODEL-N]
    #[arg(long, value_name = "DIR", help_heading = "Training")]
    pub out: Option<PathBuf>,
    /// Print the result only
    #[arg(long, short, help_heading = "Training")]
    pub quiet: bool,
    /// One batch through everything: training, validation, test, saving
    #[arg(long, help_heading = "Training")]
    pub dry_run: bool,
    /// End with exit code 3 unless this holds, such as test.accuracy>=0.97
    #[arg(long, value_name = "METRIC>=X", help_heading = "Training")]
    pub require: Vec<String>,
    /// Start from these weights (.npz by weight path)
    #[arg(long, value_name = "W.npz", help_heading = "Training")]
    pub init: Option<PathBuf>,
    /// Take training examples in this order: one number a line, from 0
    #[arg(long, value_name = "FILE", help_heading = "Training")]
    pub order: Option<PathBuf>,
    /// Write the loss of every step
    #[arg(long, value_name = "FILE", help_heading = "Training")]
    pub log_steps: Option<PathBuf>,
}

#[derive(Args)]
pub struct BenchArgs {
    /// A program (.dl) or a trained model (.dlm)
    pub file: PathBuf,
    #[command(flatten)]
    pub program: ProgramArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
    /// Measure training steps instead of predictions
    #[arg(long)]
    pub train: bool,
    /// Measure steps of a text that goes on by one symbol
    #[arg(long, conflicts_with = "train")]
    pub generate: bool,
    /// Examples of one step [default: the program's batch, of texts 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,
    /// Steps to measure [default: as many as 2.5 seconds hold, at least 20]; 1 means no warm-up either
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: Option<u32>,
    /// Also measure the memory's bandwidth, and print the work of every kernel and the least time it could take
    #[arg(long)]
    pub kernels: bool,
    /// Print one JSON object
    #[arg(long, conflicts_with = "against")]
    pub json: bool,
    /// Then list what got slower since an earlier `dlc bench --json > OLD.json`
    #[arg(long, value_name = "OLD.json")]
    pub against: Option<PathBuf>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_string(), value.trim().to_string())),
        _ => Err("write NAME=VALUE, such as width=32".to_string()),
    }
}

fn lint(text: &str) -> Result<String, String> {
    match crate::articles::LINTS.iter().any(|(name, _)| *name == text) {
        true => Ok(text.to_string()),
        false => Err("not a lint; `dlc explain` lists them".to_string()),
    }
}

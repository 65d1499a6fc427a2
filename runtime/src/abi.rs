//! The contract between compiler and runtime: what a compiled network is.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};

/// Machine code of one step: does tasks `begin..end` of it, counted on from round to round.
///
/// `state`, `arena` and `scratch` point to at least the bytes the [`Executable`] asks for, 64-byte aligned;
/// `scratch` is private to the calling thread; `places` is that of its [`Step`].
pub type StepFn =
    unsafe extern "C" fn(state: *mut u8, arena: *mut u8, scratch: *mut u8, begin: u64, end: u64, places: *const u64);

/// A network compiled for one mode and one batch size: function pointers and offsets.
///
/// One execution runs the steps in order; the tasks of one step are independent of each other and may run on any
/// threads, and the result has the same bits whoever runs them.
pub struct Executable {
    /// Keeps the machine code alive.
    pub code: Box<dyn Any + Send + Sync>,
    /// Tells executables apart: what one has prepared in memory is of no use to another.
    pub identity: Identity,
    pub steps: Vec<Step>,
    /// How many steps at the front depend on nothing but the state (packed weights, folded scales). They need not run
    /// again while the state stays as it is and nothing else writes into the arena.
    pub prepared: usize,
    /// Bytes of weights, statistics and optimizer slots. All executables of one network agree on the offsets of
    /// the slots they share, weights and statistics first, so that they can run on one state.
    pub state_bytes: usize,
    pub arena_bytes: usize,
    /// Per thread.
    pub scratch_bytes: usize,
    /// In the arena; to be filled before a run. Scalars such as `step` are inputs of shape `[]`.
    pub inputs: Vec<Slot>,
    /// In the arena; valid until the next run.
    pub outputs: Vec<Slot>,
    /// In the state: weights, statistics, optimizer slots, in order of offset.
    pub state: Vec<Slot>,
    /// Examples of one run.
    pub batch: usize,
    /// Where in the scratch of each thread the words of [`crate::pool::clock`] are, if its code keeps time: part 0, then the parts
    /// of all steps in order.
    pub clock: Option<usize>,
}

/// A number that no other executable of this process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64);

impl Identity {
    /// A new one.
    pub fn fresh() -> Identity {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Identity(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A named dense row-major `f32` tensor at a byte offset.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    pub name: String,
    pub offset: usize,
    pub shape: Vec<usize>,
    /// For indices: how many values they may take. The session checks inputs against it.
    pub index_extent: Option<usize>,
}

impl Slot {
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

pub struct Step {
    pub run: StepFn,
    /// Where the tables lie that this step reads and writes, if several steps share the function: byte offsets.
    pub places: Vec<u64>,
    /// How many tasks it has, fixed by sizes alone.
    pub tasks: u64,
    /// How often all its tasks are done: in each round they may read what others made in the rounds before.
    pub rounds: u64,
    /// For the profile: `LeNet.logits/conv[1] backward`.
    pub label: String,
    /// The kernels it consists of, at least one.
    pub parts: Vec<Part>,
    /// Bytes of the distinct buffers read and written.
    pub bytes: u64,
}

impl Step {
    /// The algorithms of its parts, in order; neighbours of the same are one.
    pub fn algorithm(&self) -> String {
        algorithms(&self.parts)
    }

    /// Useful floating-point operations (two per multiply-add of contractions).
    pub fn flop(&self) -> u64 {
        self.parts.iter().map(|part| part.flop).sum()
    }
}

/// The algorithms of parts, in order; neighbours of the same are one: `loops, tile 14x32`.
pub fn algorithms(parts: &[Part]) -> String {
    let mut names: Vec<&str> = parts.iter().map(|part| part.algorithm.as_str()).collect();
    names.dedup();
    names.join(", ")
}

/// One kernel within a step, for the kernel table.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Part {
    /// `Vgg.logits/conv[0] backward`.
    pub label: String,
    /// `winograd 4x4,3x3 tile 13x32`, `loops`.
    pub algorithm: String,
    /// Useful floating-point operations of the whole step: two for each multiply-add of a contraction as it stands.
    pub flop: u64,
    pub forecast: Forecast,
}

/// What the compiler's models of cycles expect, in percent of the matrix peak. Useful operations are counted, so that a fast
/// algorithm is expected above 100. `None`: there is no model for it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Forecast {
    /// Of the algorithm that was chosen.
    pub chosen: Option<f64>,
    /// Of the other one that was possible: direct instead of Winograd's, or the reverse.
    pub other: Option<f64>,
}

impl Part {
    pub fn new(label: impl Into<String>, algorithm: impl Into<String>, flop: u64) -> Part {
        Part { label: label.into(), algorithm: algorithm.into(), flop, forecast: Forecast::default() }
    }

    pub fn expecting(self, forecast: Forecast) -> Part {
        Part { forecast, ..self }
    }
}

//! Training and evaluation: the loop around compiled steps.
//!
//! The loop knows neither the compiler nor the terminal: executables come from a [`Compiled`], they run on an
//! [`Engine`], and whoever watches implements [`Progress`]. With the same program, data, seed and instruction set
//! everything that it writes but times has the same bits.

mod ahead;
mod batches;
mod checkpointer;
mod engine;
mod error;
mod evaluate;
mod folder;
mod initial;
mod judged;
mod monitor;
mod order;
mod queue;
mod record;
mod report;
mod require;
mod scores;
mod spec;
mod trainer;

pub use batches::{Batch, alike, by_length, length};
pub use engine::{Compiled, Engine, Mode, Telling};
pub use error::{NotFinite, TrainError};
pub use evaluate::evaluate;
pub use initial::initial_state;
pub use judged::{Judge, Judged};
pub use monitor::Ended;
pub use order::read_order;
pub use report::{EpochRow, Evaluated, Outcome, Precisions, Progress, Start, Step, Table};
pub use require::{Missed, Requirement};
pub use scores::{Clock, Feeder};
pub use spec::{Length, Options, Stop, TrainSpec, Unit};
pub use trainer::{Run, first_extents, train};

#[cfg(test)]
mod tests;

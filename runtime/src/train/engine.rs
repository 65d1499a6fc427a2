//! What training needs of the compiler and of the machine.

use std::sync::Arc;

use crate::abi::Executable;
use crate::data::dataset::Dataset;
use crate::extents::Extents;
use crate::kept::{Half, HalfProgram};
use crate::session::Session;

/// What a network is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Loss, gradients, updates.
    Train,
    /// Loss and what metrics read, without gradients.
    Evaluate,
    /// Outputs and predictions.
    Predict,
}

/// A network that is compiled for a mode and the extents of a batch when they are first needed.
pub trait Compiled {
    fn executable(&mut self, mode: Mode, extents: &Extents) -> Result<Arc<Executable>, String>;

    /// A half of what tells symbol by symbol without computing anew what is known; `None` where there is no such thing.
    fn part(&mut self, _: Half, _: &Extents) -> Result<Option<HalfProgram>, String> {
        Ok(None)
    }
}

/// What else is measured on the test part: what the network tells by itself.
pub trait Telling {
    /// Names and values.
    fn measure(
        &self,
        network: (&mut dyn Compiled, &mut dyn Engine),
        examples: (&Dataset, &[u32]),
    ) -> Result<Vec<(String, f64)>, String>;
}

/// Memory and threads that executables run on; all executables of a network share its state.
pub trait Engine {
    /// Makes room for an executable and its state.
    fn admit(&mut self, executable: &Executable) -> Result<(), String>;
    fn write(&mut self, executable: &Executable, name: &str, values: &[f32]) -> Result<(), String>;
    /// An input as it was written, to be changed in place.
    fn input(&mut self, executable: &Executable, name: &str) -> Result<&mut [f32], String>;
    fn run(&mut self, executable: &Executable) -> Result<(), String>;
    /// Of the last run.
    fn read(&self, executable: &Executable, name: &str) -> Result<&[f32], String>;
    fn state(&self, name: &str) -> Result<&[f32], String>;
    fn set_state(&mut self, name: &str, values: &[f32]) -> Result<(), String>;
}

impl Engine for Session {
    fn admit(&mut self, executable: &Executable) -> Result<(), String> {
        Session::admit(self, executable)
    }

    fn write(&mut self, executable: &Executable, name: &str, values: &[f32]) -> Result<(), String> {
        self.write_input(executable, name, values)
    }

    fn input(&mut self, executable: &Executable, name: &str) -> Result<&mut [f32], String> {
        self.input_mut(executable, name)
    }

    fn run(&mut self, executable: &Executable) -> Result<(), String> {
        Session::run(self, executable)
    }

    fn read(&self, executable: &Executable, name: &str) -> Result<&[f32], String> {
        self.output(executable, name)
    }

    fn state(&self, name: &str) -> Result<&[f32], String> {
        Session::state(self, name)
    }

    fn set_state(&mut self, name: &str, values: &[f32]) -> Result<(), String> {
        Session::set_state(self, name, values)
    }
}

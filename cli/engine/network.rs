//! A network that is compiled when it is first needed, and its first weights.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dlc_compiler::base::{Failed, SourceMap};
use dlc_compiler::driver::{self, FirstValues, Mode, Solved, Target, Watch};
use dlc_runtime::abi::{Executable, Slot};
use dlc_runtime::checkpoint::{Model, Tensor};
use dlc_runtime::extents::Extents;
use dlc_runtime::kept::{Half, HalfProgram};
use dlc_runtime::session::Session;
use dlc_runtime::train;

use crate::report;
use crate::trouble::Trouble;

/// Executables of one program by mode and the extents of a batch.
pub struct Network {
    solved: Solved,
    target: Target,
    ready: BTreeMap<(train::Mode, Extents), Arc<Executable>>,
    /// What tells symbol by symbol, where there is such a thing.
    parts: BTreeMap<(Half, Extents), Option<HalfProgram>>,
    /// How each state begins, of all executables so far.
    first: BTreeMap<String, FirstValues>,
    /// Why the last compilation failed: the trainer carries only its text.
    failed: Option<Failed>,
}

impl Network {
    pub fn new(solved: Solved, target: Target) -> Network {
        Network { solved, target, ready: BTreeMap::new(), parts: BTreeMap::new(), first: BTreeMap::new(), failed: None }
    }

    pub fn solved(&self) -> &Solved {
        &self.solved
    }

    /// The executable of a mode and the extents of a batch (a number: its size), compiled now if it is new.
    pub fn get(&mut self, mode: train::Mode, extents: impl Into<Extents>) -> Result<Arc<Executable>, Trouble> {
        self.compile(mode, &extents.into(), &mut ()).map_err(Trouble::Program)
    }

    /// The same, watched where it is compiled.
    pub fn compile(
        &mut self,
        mode: train::Mode,
        extents: &Extents,
        watch: &mut dyn Watch,
    ) -> Result<Arc<Executable>, Failed> {
        if let Some(known) = self.ready.get(&(mode, extents.clone())) {
            return Ok(known.clone());
        }
        let compiled = driver::compile(&self.solved, compiler_mode(mode), extents.clone(), &self.target, watch)?;
        self.first.extend(compiled.first.into_iter().map(|(path, first, _)| (path, first)));
        let executable = Arc::new(compiled.executable);
        self.ready.insert((mode, extents.clone()), executable.clone());
        Ok(executable)
    }

    /// First values of all state of an executable.
    pub fn initial(&self, executable: &Executable) -> BTreeMap<String, Tensor> {
        let value = |slot: &dlc_runtime::abi::Slot| {
            let first = self.first.get(&slot.name)?;
            Some((slot.name.clone(), Tensor { shape: slot.shape.clone(), values: first.values(slot.count()) }))
        };
        executable.state.iter().filter_map(value).collect()
    }

    /// A session with first weights, or those of a model and its file.
    pub fn session(
        &self,
        threads: usize,
        executable: &Executable,
        stored: Option<(&Path, &Model)>,
    ) -> Result<Session, Trouble> {
        if let Some((file, model)) = stored {
            let hir = self.solved.hir();
            let is_kept = |slot: &&Slot| {
                hir.weights.iter().any(|w| w.path == slot.name) || hir.states.iter().any(|s| s.path == slot.name)
            };
            let fits = model.has_weights(&file.display().to_string(), executable.state.iter().filter(is_kept));
            fits.map_err(|error| report::data::trouble(&error, &SourceMap::default()))?;
        }
        let mut session = Session::new(threads, executable).map_err(Trouble::usage)?;
        for Slot { name, .. } in &executable.state {
            match (stored.and_then(|(_, model)| model.tensors.get(name)), self.first.get(name)) {
                (Some(tensor), Some(_)) => session.set_state(name, &tensor.values).map_err(Trouble::usage)?,
                (None, Some(first)) => first.fill(session.state_mut(name).map_err(Trouble::usage)?),
                (_, None) => {}
            }
        }
        Ok(session)
    }

    /// Keeps what went wrong; its text is for the trainer.
    fn remember(&mut self, failed: Failed) -> String {
        let text = failed.diagnostics.first().map_or_else(String::new, |d| d.message.clone());
        self.failed = Some(failed);
        text
    }

    /// What went wrong in the compiler behind an error that the trainer reports as a text.
    pub fn trouble(&mut self, text: String) -> Trouble {
        match self.failed.take() {
            Some(failed) => Trouble::Program(failed),
            None => Trouble::usage(text),
        }
    }
}

impl train::Compiled for Network {
    fn executable(&mut self, mode: train::Mode, extents: &Extents) -> Result<Arc<Executable>, String> {
        self.compile(mode, extents, &mut ()).map_err(|failed| self.remember(failed))
    }

    fn part(&mut self, half: Half, extents: &Extents) -> Result<Option<HalfProgram>, String> {
        let key = (half, extents.clone());
        if let Some(known) = self.parts.get(&key) {
            return Ok(known.clone());
        }
        let compiled = driver::compile_half(&self.solved, half, extents.clone(), &self.target);
        let compiled = compiled.map_err(|failed| self.remember(failed))?;
        let part = compiled.map(|(made, kept)| HalfProgram { executable: Arc::new(made.executable), kept });
        self.parts.insert(key, part.clone());
        Ok(part)
    }
}

fn compiler_mode(mode: train::Mode) -> Mode {
    match mode {
        train::Mode::Train => Mode::Train,
        train::Mode::Evaluate => Mode::Evaluate,
        train::Mode::Predict => Mode::Predict,
    }
}

//! The best and the last model of a run, in memory and on disk.

use std::collections::BTreeMap;
use std::time::Instant;

use super::engine::Engine;
use super::error::TrainError;
use super::folder::Folder;
use super::spec::TrainSpec;
use crate::abi::Slot;
use crate::checkpoint::{self, Model, Tensor, View, Views};
use crate::data::preprocessing::Preprocessing;

/// Files are written no more often than this, in seconds, and always at the end.
const PAUSE: f64 = 2.0;

/// Weights of one moment.
#[derive(Clone)]
pub struct Moment {
    /// From 1.
    pub epoch: usize,
    pub steps: usize,
    pub tensors: BTreeMap<String, Tensor>,
    pub metrics: BTreeMap<String, f64>,
}

pub struct Checkpointer<'a> {
    spec: &'a TrainSpec,
    preprocessing: Preprocessing,
    /// Names and shapes of all state.
    slots: Vec<Slot>,
    pub best: Option<Moment>,
    /// Whether the best is newer than its file.
    changed: bool,
    written: Instant,
}

impl<'a> Checkpointer<'a> {
    pub fn new(spec: &'a TrainSpec, preprocessing: Preprocessing, slots: &[Slot]) -> Self {
        let slots = slots.to_vec();
        let written = Instant::now();
        Checkpointer { spec, preprocessing, slots, best: None, changed: false, written }
    }

    /// All state as the engine has it now.
    fn live<'e>(&'e self, engine: &'e dyn Engine) -> Result<Views<'e>, TrainError> {
        let view = |slot: &'e Slot| {
            let values = engine.state(&slot.name).map_err(TrainError::Internal)?;
            Ok((slot.name.as_str(), View { shape: &slot.shape, values }))
        };
        self.slots.iter().map(view).collect()
    }

    /// Keeps weights and statistics as the best so far.
    pub fn keep_best(
        &mut self,
        engine: &dyn Engine,
        (epoch, steps): (usize, usize),
        values: &[(String, f64)],
    ) -> Result<(), TrainError> {
        let spec = self.spec;
        let in_model = |name: &str| spec.weights.iter().chain(&spec.statistics).any(|known| known == name);
        let owned = |(name, view): (&str, View<'_>)| {
            (name.to_string(), Tensor { shape: view.shape.to_vec(), values: view.values.to_vec() })
        };
        // The one before goes first: they are large.
        self.best = None;
        let tensors = self.live(engine)?.into_iter().filter(|(name, _)| in_model(name)).map(owned).collect();
        let metrics = values.iter().cloned().collect();
        self.best = Some(Moment { epoch, steps, tensors, metrics });
        self.changed = true;
        Ok(())
    }

    /// Back to the best weights.
    pub fn restore_best(&self, engine: &mut dyn Engine) -> Result<(), TrainError> {
        let tensors = self.best.iter().flat_map(|best| &best.tensors);
        for (name, tensor) in tensors {
            engine.set_state(name, &tensor.values).map_err(TrainError::Internal)?;
        }
        Ok(())
    }

    /// Numbers of the last test go into the best model too.
    pub fn add_metrics(&mut self, values: &[(String, f64)]) {
        if let Some(best) = &mut self.best {
            best.metrics.extend(values.iter().cloned());
            self.changed = true;
        }
    }

    pub fn is_due(&self) -> bool {
        self.written.elapsed().as_secs_f64() > PAUSE
    }

    /// Writes `last.dlm` as the engine is now, and `best.dlm` where it has changed.
    pub fn write_last(
        &mut self,
        engine: &dyn Engine,
        folder: &mut Folder,
        (epoch, steps): (usize, usize),
        values: &[(String, f64)],
    ) -> Result<(), TrainError> {
        self.write_best(folder)?;
        let metrics = values.iter().cloned().collect();
        self.write("last.dlm", folder, (epoch, steps), (&metrics, &self.live(engine)?))?;
        self.written = Instant::now();
        Ok(())
    }

    pub fn write_best(&mut self, folder: &mut Folder) -> Result<(), TrainError> {
        if let Some(best) = self.best.as_ref().filter(|_| self.changed) {
            let tensors = best.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
            self.write("best.dlm", folder, (best.epoch, best.steps), (&best.metrics, &tensors))?;
            self.changed = false;
        }
        Ok(())
    }

    fn write(
        &self,
        name: &str,
        folder: &mut Folder,
        (epoch, steps): (usize, usize),
        (metrics, tensors): (&BTreeMap<String, f64>, &Views<'_>),
    ) -> Result<(), TrainError> {
        let more = [("epoch", epoch), ("step", steps)].map(|(key, number)| (key.to_string(), number.to_string()));
        let model = Model {
            tensors: BTreeMap::new(),
            source: self.spec.source.clone(),
            dims: self.spec.dims.clone(),
            preprocessing: self.preprocessing.clone(),
            metrics: metrics.clone(),
            seed: self.spec.seed,
            compiler: self.spec.compiler.clone(),
            more: more.into(),
        };
        let path = folder.file(name);
        checkpoint::save_views(&model, tensors, &path)
            .map_err(|error| TrainError::Io(format!("`{}` cannot be written: {error}", path.display())))
    }
}

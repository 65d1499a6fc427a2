//! Loss and metrics over the batches of one pass.

use super::engine::Engine;
use super::report::Table;
use super::spec::TrainSpec;
use crate::abi::{Executable, Slot};
use crate::data::dataset::Dataset;
use crate::metrics::{Mean, Metric, MetricSpec};

/// Feeds executables from a data set.
pub struct Feeder<'a> {
    data: &'a Dataset,
    buffer: Vec<f32>,
}

/// Where a run is; the scalar inputs of a training step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// From 0.
    pub step: usize,
    pub steps: usize,
    pub steps_per_epoch: usize,
}

impl<'a> Feeder<'a> {
    pub fn new(data: &'a Dataset) -> Feeder<'a> {
        Feeder { data, buffer: Vec::new() }
    }

    /// Writes every input: all of them, since another executable may have used the memory.
    pub fn feed(
        &mut self,
        engine: &mut dyn Engine,
        executable: &Executable,
        examples: &[u32],
        clock: Clock,
    ) -> Result<(), String> {
        for slot in &executable.inputs {
            let scalar = match slot.name.as_str() {
                "step" => Some(clock.step),
                "steps" => Some(clock.steps),
                "steps_per_epoch" => Some(clock.steps_per_epoch),
                _ => None,
            };
            match (self.data.field(&slot.name), scalar) {
                (Some(field), _) => {
                    self.buffer.resize(field.per_example() * examples.len(), 0.0);
                    field.write(examples, &mut self.buffer);
                    engine.write(executable, &slot.name, &self.buffer)?;
                }
                (None, Some(scalar)) => engine.write(executable, &slot.name, &[scalar as f32])?,
                (None, None) => return Err(format!("nothing feeds the input `{}`", slot.name)),
            }
        }
        Ok(())
    }
}

/// What one pass over examples has shown so far.
pub struct Scores {
    loss: Mean,
    parts: Vec<(String, Mean)>,
    metrics: Vec<Metric>,
    buffer: Vec<f32>,
}

impl Scores {
    pub fn new(loss_parts: &[String], metrics: &[MetricSpec]) -> Scores {
        Scores {
            loss: Mean::default(),
            parts: loss_parts.iter().map(|name| (format!("loss.{name}"), Mean::default())).collect(),
            metrics: metrics.iter().map(Metric::new).collect(),
            buffer: Vec::new(),
        }
    }

    pub fn of(spec: &TrainSpec) -> Scores {
        Scores::new(&spec.loss_parts, &spec.metrics)
    }

    /// Takes the outputs of a run on `examples`; its loss.
    pub fn add(
        &mut self,
        engine: &dyn Engine,
        executable: &Executable,
        data: &Dataset,
        examples: &[u32],
    ) -> Result<f32, String> {
        let loss = scalar(engine, executable, "loss")?.unwrap_or(f32::NAN);
        self.loss.add(f64::from(loss), examples.len());
        for (name, mean) in &mut self.parts {
            if let Some(part) = scalar(engine, executable, name)? {
                mean.add(f64::from(part), examples.len());
            }
        }
        for metric in &mut self.metrics {
            let Some(slot) = output(executable, &metric.spec.scores) else {
                return Err(format!("the network has no output `{}`", metric.spec.scores));
            };
            let scores = engine.read(executable, &slot.name)?;
            let target = match (output(executable, &metric.spec.target), data.field(&metric.spec.target)) {
                (Some(slot), _) => engine.read(executable, &slot.name)?,
                (None, Some(field)) => {
                    self.buffer.resize(field.per_example() * examples.len(), 0.0);
                    field.write(examples, &mut self.buffer);
                    &self.buffer
                }
                (None, None) => return Err(format!("there is no `{}`", metric.spec.target)),
            };
            metric.add(scores, &slot.shape, target);
        }
        Ok(loss)
    }

    /// Loss first, then its parts, then every metric of one number.
    pub fn values(&self) -> Vec<(String, f64)> {
        let loss = std::iter::once(("loss".to_string(), self.loss.value()));
        let parts = self.parts.iter().map(|(name, mean)| (name.clone(), mean.value()));
        let metrics = self.metrics.iter().filter_map(|metric| Some((metric.spec.name.clone(), metric.value()?)));
        loss.chain(parts).chain(metrics).collect()
    }

    pub fn tables(&self, part: &str) -> Vec<Table> {
        let table = |metric: &Metric| {
            let name = format!("{part}.{}", metric.spec.name);
            let (classes, counts) = (metric.spec.classes.clone(), metric.confusion()?.clone());
            Some(Table { name, classes, counts })
        };
        self.metrics.iter().filter_map(table).collect()
    }
}

fn output<'a>(executable: &'a Executable, name: &str) -> Option<&'a Slot> {
    executable.outputs.iter().find(|slot| slot.name == name)
}

/// An output of one number, where the executable has it.
pub fn scalar(engine: &dyn Engine, executable: &Executable, name: &str) -> Result<Option<f32>, String> {
    match output(executable, name) {
        Some(_) => Ok(engine.read(executable, name)?.first().copied()),
        None => Ok(None),
    }
}

//! Loss and metrics over the batches of one pass.

use super::ahead::Ready;
use super::batches::{Batch, length};
use super::engine::Engine;
use super::report::{Precisions, Table};
use super::spec::TrainSpec;
use crate::abi::{Executable, Slot};
use crate::data::dataset::{Dataset, Ragged};
use crate::data::fields::Field;
use crate::extents::{count_output, dim_of_input};
use crate::metrics::{Mean, Metric, MetricKind, MetricSpec};

/// Feeds executables from a data set.
pub struct Feeder<'a> {
    data: &'a Dataset,
    /// Of the batch that is fed now, what was put together ahead.
    ready: Ready,
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
        Feeder { data, ready: Ready::default(), buffer: Vec::new() }
    }

    pub(super) fn data(&self) -> &'a Dataset {
        self.data
    }

    /// Takes what a batch holds, and gives back what the one before held.
    pub(super) fn take(&mut self, ready: Ready) -> Ready {
        std::mem::replace(&mut self.ready, ready)
    }

    /// Writes every input: all of them, since another executable may have used the memory.
    pub fn feed(
        &mut self,
        engine: &mut dyn Engine,
        executable: &Executable,
        batch: &Batch,
        clock: Clock,
    ) -> Result<(), String> {
        executable.inputs.iter().try_for_each(|slot| self.feed_one(engine, (executable, slot), batch, clock))
    }

    /// Writes one input.
    pub fn feed_one(
        &mut self,
        engine: &mut dyn Engine,
        (executable, slot): (&Executable, &Slot),
        batch: &Batch,
        clock: Clock,
    ) -> Result<(), String> {
        let scalar = match slot.name.as_str() {
            "step" => Some(clock.step),
            "steps" => Some(clock.steps),
            "steps_per_epoch" => Some(clock.steps_per_epoch),
            _ => None,
        };
        if let Some(values) = self.ready.table(&slot.name) {
            return engine.write(executable, &slot.name, values);
        }
        match (self.data.field(&slot.name), scalar) {
            (Some(field), _) => {
                self.data.fill(field, &batch.examples, &batch.extents, &mut self.buffer);
                engine.write(executable, &slot.name, &self.buffer)
            }
            (None, Some(scalar)) => engine.write(executable, &slot.name, &[scalar as f32]),
            (None, None) => {
                let ragged = dim_of_input(&slot.name).and_then(|dim| self.data.lengths(dim));
                let ragged = ragged.ok_or_else(|| format!("nothing feeds the input `{}`", slot.name))?;
                self.buffer.clear();
                self.buffer.extend(batch.examples.iter().map(|example| length(ragged, *example) as f32));
                engine.write(executable, &slot.name, &self.buffer)
            }
        }
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
            metrics: metrics.iter().filter(|metric| !metric.kind.is_told()).map(Metric::new).collect(),
            buffer: Vec::new(),
        }
    }

    pub fn of(spec: &TrainSpec) -> Scores {
        Scores::new(&spec.loss_parts, &spec.metrics)
    }

    /// What is measured.
    pub(super) fn specs(&self) -> impl Iterator<Item = &MetricSpec> {
        self.metrics.iter().map(|metric| &metric.spec)
    }

    /// Takes the outputs of a run on the batch that the feeder gave last; its loss.
    pub fn add(
        &mut self,
        (engine, executable): (&dyn Engine, &Executable),
        feeder: &Feeder<'_>,
        batch: &Batch,
    ) -> Result<f32, String> {
        let data = feeder.data;
        let loss = scalar(engine, executable, "loss")?.unwrap_or(f32::NAN);
        let weight = |name: &str| -> Result<f64, String> {
            let elements = scalar(engine, executable, &count_output(name))?;
            Ok(elements.map_or(batch.examples.len() as f64, f64::from))
        };
        self.loss.add(f64::from(loss), weight("loss")?);
        for (name, mean) in &mut self.parts {
            if let Some(part) = scalar(engine, executable, name)? {
                mean.add(f64::from(part), weight(name)?);
            }
        }
        for metric in &mut self.metrics {
            let Some(slot) = output(executable, &metric.spec.scores) else {
                return Err(format!("the network has no output `{}`", metric.spec.scores));
            };
            let scores = engine.read(executable, &slot.name)?;
            if let MetricKind::MeanAp(_) = metric.spec.kind {
                add_boxes(metric, scores, feeder, batch)?;
                continue;
            }
            let target = match (output(executable, &metric.spec.target), data.field(&metric.spec.target)) {
                (Some(slot), _) => engine.read(executable, &slot.name)?,
                (None, Some(field)) => match feeder.ready.table(field.name()) {
                    Some(values) => values,
                    None => {
                        data.fill(field, &batch.examples, &batch.extents, &mut self.buffer);
                        &self.buffer
                    }
                },
                (None, None) => return Err(format!("there is no `{}`", metric.spec.target)),
            };
            match existing(&metric.spec, &slot.shape, data, batch) {
                None => metric.add(scores, &slot.shape, target),
                Some(places) => metric.add_places(scores, target, &places),
            }
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

    pub fn precisions(&self, part: &str) -> Vec<Precisions> {
        let of = |metric: &Metric| {
            let name = format!("{part}.{}", metric.spec.name);
            Some(Precisions { name, classes: metric.spec.classes.clone(), each: metric.precisions()? })
        };
        self.metrics.iter().filter_map(of).collect()
    }
}

/// What was found in the pictures of a batch, and what is there as the feeder showed it.
fn add_boxes(metric: &mut Metric, scores: &[f32], feeder: &Feeder<'_>, batch: &Batch) -> Result<(), String> {
    let name = metric.spec.target.clone();
    let objects = feeder.data.field(&name).and_then(Field::objects);
    let objects = objects.ok_or_else(|| format!("there are no boxes `{name}`"))?;
    let width = scores.len() / batch.examples.len().max(1);
    let shown = feeder.ready.boxes(&name).unwrap_or_default();
    let cells = scores.chunks(width.max(1));
    for (at, (example, cells)) in batch.examples.iter().zip(cells).enumerate() {
        let example = *example as usize;
        let shown = shown.get(at).map_or(objects.of(example), |shown| &shown[..]);
        metric.add_boxes(cells, shown, objects.size(example));
    }
    Ok(())
}

/// The elements of a metric's target that exist, where examples have lengths of their own along one of its axes.
fn existing(spec: &MetricSpec, shape: &[usize], data: &Dataset, batch: &Batch) -> Option<Vec<usize>> {
    let ragged: Vec<Option<&Ragged>> =
        spec.variable.iter().map(|dim| dim.as_deref().and_then(|dim| data.lengths(dim))).collect();
    if ragged.iter().all(Option::is_none) {
        return None;
    }
    let axes = shape.get(1..1 + ragged.len()).unwrap_or_default();
    let width: usize = axes.iter().product();
    let exists = |example: u32, mut place: usize| {
        axes.iter().zip(&ragged).rev().all(|(extent, ragged)| {
            let at = place % extent;
            place /= extent;
            ragged.is_none_or(|ragged| at < length(ragged, example))
        })
    };
    let of = |(at, example): (usize, &u32)| {
        let example = *example;
        (0..width).filter(move |place| exists(example, *place)).map(move |place| at * width + place).collect::<Vec<_>>()
    };
    Some(batch.examples.iter().enumerate().flat_map(of).collect())
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

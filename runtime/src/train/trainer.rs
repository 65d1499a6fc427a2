//! The training loop.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

use super::ahead::{Ahead, Filler};
use super::batches::Batch;
use super::checkpointer::Checkpointer;
use super::engine::{Compiled, Engine, Mode, Telling};
use super::error::{NotFinite, TrainError};
use super::evaluate::pass;
use super::folder::{Folder, StepLog};
use super::initial::initial_state;
use super::monitor::{Ended, Monitor};
use super::order::Order;
use super::record::{full_names, headline, record};
use super::report::{EpochRow, Outcome, Progress, Start, Step};
use super::scores::{Clock, Feeder, Scores, scalar};
use super::spec::{Length, Options, TrainSpec};
use crate::abi::Slot;
use crate::checkpoint::Tensor;
use crate::data::augment::Augmenter;
use crate::data::dataset::Dataset;
use crate::data::split::Part;
use crate::extents::Extents;

/// All that one run needs.
pub struct Run<'a> {
    pub spec: &'a TrainSpec,
    pub options: &'a Options,
    pub data: &'a Dataset,
    pub compiled: &'a mut dyn Compiled,
    pub engine: &'a mut dyn Engine,
    pub progress: &'a mut dyn Progress,
    /// Set by Ctrl-C: the step is finished, and everything is saved.
    pub interrupted: &'a AtomicBool,
    /// Initial values by path, from the compiler; what is not named begins at zero.
    pub initial: BTreeMap<String, Tensor>,
    /// What is measured of the test part besides.
    pub telling: Option<&'a dyn Telling>,
}

/// Trains, and tests the best model.
pub fn train(run: Run<'_>) -> Result<Outcome, TrainError> {
    let mut trainer = Trainer::new(run)?;
    let ended = match std::thread::scope(|scope| trainer.epochs(scope)) {
        Ok(ended) => ended,
        Err(error) => {
            trainer.save_what_there_is();
            return Err(error);
        }
    };
    trainer.finish(ended)
}

/// The extents of a run's first batch: what to compile first.
pub fn first_extents(spec: &TrainSpec, options: &Options, data: &Dataset) -> Result<Extents, TrainError> {
    let order = Order::new(data, spec.seed, options.order.as_deref())?;
    let first = order.batches(data, spec.batch, 0).into_iter().next();
    Ok(first.map(|batch| batch.extents).unwrap_or_else(|| 1.into()))
}

struct Trainer<'a> {
    run: Run<'a>,
    order: Order<'a>,
    feeder: Feeder<'a>,
    clock: Clock,
    monitor: Monitor,
    checkpoints: Checkpointer<'a>,
    folder: Option<Folder>,
    log: Option<StepLog>,
    rows: Vec<EpochRow>,
    loss_before: Option<f32>,
    lr: Option<f32>,
    began: Instant,
}

impl<'a> Trainer<'a> {
    fn new(mut run: Run<'a>) -> Result<Trainer<'a>, TrainError> {
        let Run { spec, options, data, .. } = run;
        let order = Order::new(data, spec.seed, options.order.as_deref())?;
        let batch = spec.batch.max(1);
        let steps_per_epoch = order.len().div_ceil(batch);
        let steps = match (spec.length, options.dry_run) {
            (_, true) => 1,
            (Length::Epochs(epochs), _) => epochs.saturating_mul(steps_per_epoch),
            (Length::Steps(steps), _) => steps,
        };
        let first = run.compiled.executable(Mode::Train, &first_extents(spec, options, data)?);
        let first = first.map_err(TrainError::Internal)?;
        run.engine.admit(&first).map_err(TrainError::Internal)?;
        let slots = first.state.clone();
        let kept = [&spec.weights[..], &spec.statistics].concat();
        let initial = initial_state(&kept, &slots, std::mem::take(&mut run.initial), &options.init)?;
        for (path, tensor) in initial.iter().filter(|(path, _)| slots.iter().any(|s| s.name == **path)) {
            run.engine.set_state(path, &tensor.values).map_err(TrainError::Internal)?;
        }
        let folder = match options.dry_run {
            true => None,
            false => Some(Folder::create(options.out.as_deref(), &options.base, &spec.model)?),
        };
        let log = options.log_steps.as_deref().map(StepLog::create).transpose()?;
        let weights = slots.iter().filter(|slot| spec.weights.contains(&slot.name));
        run.progress.start(&Start {
            model: spec.model.clone(),
            weights: weights.map(Slot::count).sum(),
            data: data.name.clone(),
            train: data.part(Part::Train).len(),
            val: data.part(Part::Val).len(),
            test: data.part(Part::Test).len(),
            seed: spec.seed,
            epochs: steps.div_ceil(steps_per_epoch.max(1)),
            steps,
            folder: folder.as_ref().map(|folder| folder.path.clone()),
        });
        Ok(Trainer {
            order,
            feeder: Feeder::new(data),
            clock: Clock { step: 0, steps, steps_per_epoch },
            monitor: Monitor::new(spec, !data.part(Part::Val).is_empty()),
            checkpoints: Checkpointer::new(spec, data.preprocessing(), &slots),
            folder,
            log,
            rows: Vec::new(),
            loss_before: None,
            lr: None,
            began: Instant::now(),
            run,
        })
    }

    /// What puts batches together from now on: it goes on with the next epoch while this one is validated.
    fn ahead<'scope, 'env>(&mut self, scope: &'scope Scope<'scope, 'env>) -> Result<Ahead, TrainError>
    where
        'a: 'env,
    {
        let Run { spec, options, data, .. } = self.run;
        let first = first_extents(spec, options, data)?;
        let first = self.run.compiled.executable(Mode::Train, &first).map_err(TrainError::Internal)?;
        let augmenter = Augmenter::new(spec.augment.clone(), spec.seed, data);
        let filler = Filler::new(data, augmenter, &first, spec.metrics.iter());
        let (order, size) = (self.order, spec.batch);
        let of = move |epoch: usize| order.batches(data, size, epoch).into_iter().map(move |b| (epoch as u64, b));
        Ahead::start(scope, filler, (0..).flat_map(of).take(self.clock.steps)).map_err(TrainError::Io)
    }

    /// Epoch after epoch until the planned end, a stop, or an interruption.
    fn epochs<'scope, 'env>(&mut self, scope: &'scope Scope<'scope, 'env>) -> Result<Ended, TrainError>
    where
        'a: 'env,
    {
        let mut ahead = self.ahead(scope)?;
        let mut epoch = 0;
        while self.clock.step < self.clock.steps {
            let began = Instant::now();
            ahead.waited = Duration::ZERO;
            let (scores, seen) = self.epoch(epoch + 1, &mut ahead)?;
            if self.is_interrupted() {
                return Ok(Ended::Interrupted);
            }
            let train_seconds = began.elapsed().as_secs_f64();
            let waited = ahead.waited.as_secs_f64() / train_seconds.max(1e-9);
            let mut row = self.row(epoch + 1, &scores)?;
            (row.examples, row.train_seconds, row.waited) = (seen, train_seconds, waited);
            row.seconds = began.elapsed().as_secs_f64();
            let ended = self.judge(&mut row)?;
            self.run.progress.epoch(&row);
            if let Some(folder) = &mut self.folder {
                folder.result(&row)?;
            }
            self.rows.push(row);
            if self.checkpoints.is_due() {
                self.write_last()?;
            }
            if let Some(ended) = ended {
                return Ok(ended);
            }
            epoch += 1;
        }
        Ok(if self.run.options.dry_run { Ended::DryRun } else { Ended::Finished })
    }

    fn is_interrupted(&self) -> bool {
        self.run.interrupted.load(Ordering::Relaxed)
    }

    /// The steps of one epoch; scores and how many examples were trained on.
    fn epoch(&mut self, epoch: usize, ahead: &mut Ahead) -> Result<(Scores, usize), TrainError> {
        let mut scores = Scores::of(self.run.spec);
        let began = Instant::now();
        let mut seen = 0;
        for done in 0..self.clock.steps_per_epoch {
            let Some((batch, ready)) = ahead.take() else { break };
            self.run.data.whole()?;
            ahead.give_back(self.feeder.take(ready));
            let loss = self.step(epoch, &batch, &mut scores)?;
            seen += batch.examples.len();
            self.clock.step += 1;
            let seconds = began.elapsed().as_secs_f64();
            self.run.progress.step(&Step {
                epoch,
                done: done + 1,
                of: self.clock.steps_per_epoch,
                loss,
                examples: seen,
                seconds,
                waited: ahead.waited.as_secs_f64() / seconds.max(1e-9),
            });
            if self.is_interrupted() || self.clock.step >= self.clock.steps {
                break;
            }
        }
        Ok((scores, seen))
    }

    fn step(&mut self, epoch: usize, batch: &Batch, scores: &mut Scores) -> Result<f32, TrainError> {
        let internal = TrainError::Internal;
        let executable = self.run.compiled.executable(Mode::Train, &batch.extents).map_err(internal)?;
        let engine = &mut *self.run.engine;
        self.feeder.feed(engine, &executable, batch, self.clock).map_err(internal)?;
        engine.run(&executable).map_err(internal)?;
        let loss = scores.add((engine, &executable), &self.feeder, batch).map_err(internal)?;
        self.lr = scalar(engine, &executable, "lr").map_err(internal)?.or(self.lr);
        if let Some(log) = &mut self.log {
            log.step(self.clock.step, loss)?;
        }
        if !loss.is_finite() {
            return Err(self.diverged(epoch, &batch.examples, loss));
        }
        self.loss_before = Some(loss);
        Ok(loss)
    }

    fn diverged(&self, epoch: usize, batch: &[u32], loss: f32) -> TrainError {
        let broken =
            |name: &&String| self.run.engine.state(name).is_ok_and(|values| values.iter().any(|x| !x.is_finite()));
        TrainError::NotFinite(Box::new(NotFinite {
            loss,
            step: self.clock.step,
            epoch,
            lr: self.lr,
            before: self.loss_before,
            examples: batch.to_vec(),
            weight: self.run.spec.weights.iter().find(broken).cloned(),
        }))
    }

    fn scored(&mut self, part: Part) -> Result<Option<Scores>, TrainError> {
        let mut examples = self.run.data.part(part);
        if self.run.options.dry_run {
            examples = examples.get(..self.run.spec.batch.min(examples.len())).unwrap_or_default();
        }
        if examples.is_empty() {
            return Ok(None);
        }
        let (compiled, engine) = (&mut *self.run.compiled, &mut *self.run.engine);
        let scores = Scores::of(self.run.spec);
        let scores = pass(compiled, engine, (self.run.data, examples), self.run.spec.batch, scores);
        self.run.data.whole()?;
        scores.map(Some).map_err(TrainError::Internal)
    }

    /// What the network tells of the test part by itself.
    fn told(&mut self) -> Result<Vec<(String, f64)>, TrainError> {
        let mut examples = self.run.data.part(Part::Test);
        if self.run.options.dry_run {
            examples = examples.get(..self.run.spec.batch.min(examples.len())).unwrap_or_default();
        }
        let Some(telling) = self.run.telling else { return Ok(vec![]) };
        let compiled: &mut dyn Compiled = &mut *self.run.compiled;
        let engine: &mut dyn Engine = &mut *self.run.engine;
        telling.measure((compiled, engine), (self.run.data, examples)).map_err(TrainError::Internal)
    }

    /// Training and validation side by side.
    fn row(&mut self, epoch: usize, train: &Scores) -> Result<EpochRow, TrainError> {
        let val = self.scored(Part::Val)?.map(|scores| scores.values()).unwrap_or_default();
        let mut values = Vec::new();
        for (name, value) in train.values() {
            let beside = val.iter().find(|(other, _)| *other == name);
            values.push((name.clone(), value));
            values.extend(beside.map(|(_, value)| (format!("val.{name}"), *value)));
        }
        Ok(EpochRow { epoch, values, lr: self.lr.map(f64::from), ..EpochRow::default() })
    }

    fn judge(&mut self, row: &mut EpochRow) -> Result<Option<Ended>, TrainError> {
        let seconds = self.began.elapsed().as_secs_f64();
        let (best, ended) = self.monitor.see(row, self.clock.step, seconds)?;
        row.best = best;
        if best || self.checkpoints.best.is_none() {
            let at = (row.epoch, self.clock.step);
            self.checkpoints.keep_best(self.run.engine, at, &full_names(&row.values))?;
        }
        Ok(ended)
    }

    fn write_last(&mut self) -> Result<(), TrainError> {
        let values = self.rows.last().map(|row| full_names(&row.values)).unwrap_or_default();
        let at = (self.rows.len(), self.clock.step);
        match &mut self.folder {
            Some(folder) => self.checkpoints.write_last(self.run.engine, folder, at, &values),
            None => Ok(()),
        }
    }

    /// After an error: the weights may still be of use, and a second error would hide the first.
    fn save_what_there_is(&mut self) {
        let _ = self.write_last();
        if let Some(log) = self.log.take() {
            let _ = log.finish();
        }
    }

    /// Saves, tests the best model, and writes the record.
    fn finish(mut self, ended: Ended) -> Result<Outcome, TrainError> {
        if self.checkpoints.best.is_none() {
            self.checkpoints.keep_best(self.run.engine, (0, self.clock.step), &[])?;
        }
        self.write_last()?;
        let mut tables = Vec::new();
        let tested = match ended {
            Ended::Interrupted => None,
            _ => {
                self.checkpoints.restore_best(self.run.engine)?;
                self.scored(Part::Test)?
            }
        };
        if let Some(scores) = &tested {
            let named = |(name, value)| (format!("test.{name}"), value);
            let told = self.told()?;
            let values: Vec<(String, f64)> = scores.values().into_iter().chain(told).map(named).collect();
            self.checkpoints.add_metrics(&values);
            tables = scores.tables("test");
        }
        let best = self.checkpoints.best.as_ref();
        let best_epoch = best.map(|best| best.epoch).filter(|epoch| *epoch > 0);
        let metrics = self.final_metrics(best.map(|best| &best.metrics));
        let missed = self.run.options.require.iter().filter_map(|goal| goal.check(&metrics));
        let mut outcome = Outcome {
            headline: headline(self.run.spec, &metrics),
            missed: missed.collect(),
            metrics,
            tables,
            best_epoch,
            steps: self.clock.step,
            ended,
            seconds: self.began.elapsed().as_secs_f64(),
            rows: self.rows,
            ..Outcome::default()
        };
        if let Some(log) = self.log.take() {
            log.finish()?;
        }
        if let Some(folder) = &mut self.folder {
            self.checkpoints.write_best(folder)?;
            folder.write("model.dl", &self.run.spec.source)?;
            outcome.tables.iter().try_for_each(|table| folder.table(table))?;
            folder.record(&record(&self.run, &outcome, outcome.rows.len()))?;
            outcome.folder = Some(folder.path.clone());
            outcome.files = folder.files.clone();
        }
        self.run.progress.done(&outcome);
        Ok(outcome)
    }

    /// By part, in the order of the columns.
    fn final_metrics(&self, best: Option<&BTreeMap<String, f64>>) -> Vec<(String, f64)> {
        let Some(best) = best else { return Vec::new() };
        let names = self.run.spec.value_names();
        let mut all = Vec::new();
        for part in Part::ALL {
            let full = names.iter().map(|name| format!("{}.{name}", part.name()));
            all.extend(full.filter_map(|name| best.get(&name).map(|value| (name, *value))));
        }
        all
    }
}

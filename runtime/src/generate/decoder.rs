//! Scores of what follows lines of symbols that grow together.

use super::Choice;
use super::steps::{Source, Stepper, last_scores, windows};
use crate::data::dataset::Dataset;
use crate::extents::{length_input, rounded};
use crate::train::{Batch, Clock, Compiled, Engine, Feeder, Mode};

/// Rows of equal length, each for an example of a batch.
///
/// A network reads at most a window of symbols. Of lines that have become longer, the last half of a window is read as if
/// they began there, and the window fills up again: so what was computed of earlier symbols stays right until then, and
/// each symbol has at least half a window before it. A network that keeps states alone reads on without end.
pub struct Decoder<'a> {
    compiled: &'a mut dyn Compiled,
    engine: &'a mut dyn Engine,
    feeder: Feeder<'a>,
    batch: Batch,
    choice: &'a Choice,
    known: Vec<Vec<f32>>,
    /// Where the window begins.
    from: usize,
    /// `None`: each window is computed as a whole.
    stepper: Option<Stepper>,
}

impl<'a> Decoder<'a> {
    /// All rows begin with `start`. The other inputs come from the data.
    pub fn new(
        (compiled, engine): (&'a mut dyn Compiled, &'a mut dyn Engine),
        data: &'a Dataset,
        mut batch: Batch,
        choice: &'a Choice,
        start: &[u32],
    ) -> Result<Decoder<'a>, String> {
        let known = vec![start.iter().map(|symbol| *symbol as f32).collect(); batch.examples.len()];
        batch.extents.batch = known.len();
        let mut extents = batch.extents.clone();
        if let Some(along) = &choice.along {
            let most = start.len().saturating_add(choice.limit).min(choice.window);
            extents.set(along, rounded(most, choice.window));
        }
        let stepper = Stepper::new(compiled, extents)?;
        let endless = stepper.as_ref().is_some_and(Stepper::endless);
        let from = if endless { 0 } else { start.len().saturating_sub(choice.window) };
        Ok(Decoder { compiled, engine, feeder: Feeder::new(data), batch, choice, known, from, stepper })
    }

    pub fn rows(&self) -> usize {
        self.known.len()
    }

    fn length(&self) -> usize {
        self.known.first().map_or(0, Vec::len)
    }

    /// Each row goes on as another of its example did, with one more symbol.
    pub fn advance(&mut self, parents: &[usize], symbols: &[u32]) -> Result<(), String> {
        if parents.iter().enumerate().any(|(row, parent)| row != *parent) {
            let line = |parent: &usize| self.known.get(*parent).cloned().unwrap_or_default();
            self.known = parents.iter().map(line).collect();
        }
        self.known.iter_mut().zip(symbols).for_each(|(line, symbol)| line.push(*symbol as f32));
        if let Some(stepper) = &mut self.stepper {
            stepper.follow(self.engine, parents)?;
            if stepper.endless() {
                return Ok(());
            }
        }
        if self.length() - self.from > self.choice.window {
            self.from = self.length() - (self.choice.window / 2).max(1);
            self.stepper.iter_mut().for_each(Stepper::forget);
        }
        Ok(())
    }

    /// Of every symbol, how likely it follows each row: one row after the other.
    pub fn scores(&mut self) -> Result<Vec<f32>, String> {
        let lines: Vec<&[f32]> = self.known.iter().map(|known| &known[self.from..]).collect();
        if let Some(stepper) = &mut self.stepper {
            let (compiled, engine, feeder) = (&mut *self.compiled, &mut *self.engine, &mut self.feeder);
            let mut source = Source { compiled, engine, feeder, batch: &self.batch, choice: self.choice };
            return stepper.scores(&mut source, &lines);
        }
        let (choice, read) = (self.choice, self.length() - self.from);
        let mut held = choice.window;
        if let Some(along) = &choice.along {
            held = rounded(read, choice.window);
            self.batch.extents.set(along, held);
        }
        let executable = self.compiled.executable(Mode::Predict, &self.batch.extents)?;
        for slot in &executable.inputs {
            if slot.name == choice.input {
                self.engine.write(&executable, &slot.name, &windows(&lines, held))?;
            } else if choice.along.as_ref().is_some_and(|along| length_input(along) == slot.name) {
                self.engine.write(&executable, &slot.name, &vec![read as f32; lines.len()])?;
            } else {
                self.feeder.feed_one(self.engine, (&executable, slot), &self.batch, Clock::default())?;
            }
        }
        self.engine.run(&executable)?;
        Ok(last_scores(self.engine.read(&executable, &choice.output)?, lines.len(), (read, held)))
    }
}

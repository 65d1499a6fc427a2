//! Scores of what follows lines of symbols that grow together.

use super::Choice;
use crate::data::dataset::Dataset;
use crate::extents::{length_input, rounded};
use crate::train::{Batch, Clock, Compiled, Engine, Feeder, Mode};

/// Rows of equal length, one for each example of a batch.
pub struct Decoder<'a> {
    compiled: &'a mut dyn Compiled,
    engine: &'a mut dyn Engine,
    feeder: Feeder<'a>,
    batch: Batch,
    choice: &'a Choice,
    known: Vec<Vec<f32>>,
}

impl<'a> Decoder<'a> {
    /// All rows begin with `start`. The other inputs come from the data.
    pub fn new(
        (compiled, engine): (&'a mut dyn Compiled, &'a mut dyn Engine),
        data: &'a Dataset,
        batch: Batch,
        choice: &'a Choice,
        start: &[u32],
    ) -> Decoder<'a> {
        let start: Vec<f32> = start.iter().map(|symbol| *symbol as f32).collect();
        let known = vec![start; batch.examples.len()];
        Decoder { compiled, engine, feeder: Feeder::new(data), batch, choice, known }
    }

    pub fn rows(&self) -> usize {
        self.known.len()
    }

    /// Each row goes on as another did, with one more symbol.
    pub fn advance(&mut self, parents: &[usize], symbols: &[u32]) {
        let grown = |(parent, symbol): (&usize, &u32)| {
            let mut known = self.known.get(*parent).cloned().unwrap_or_default();
            known.push(*symbol as f32);
            known
        };
        self.known = parents.iter().zip(symbols).map(grown).collect();
    }

    /// Of every symbol, how likely it follows each row: one row after the other.
    pub fn scores(&mut self) -> Result<Vec<f32>, String> {
        self.of_windows()
    }

    /// The last symbols of every row are run as a whole.
    ///
    /// A window that is not full yet is filled up at its end, which nothing reads that looks back alone.
    fn of_windows(&mut self) -> Result<Vec<f32>, String> {
        let choice = self.choice;
        let length = self.known.first().map_or(0, Vec::len).min(choice.window);
        let mut held = choice.window;
        self.batch.extents.batch = self.known.len();
        if let Some(along) = &choice.along {
            held = rounded(length, choice.window);
            self.batch.extents.set(along, held);
        }
        let executable = self.compiled.executable(Mode::Predict, &self.batch.extents)?;
        for slot in &executable.inputs {
            if slot.name == choice.input {
                let mut windows = vec![];
                for known in &self.known {
                    windows.extend_from_slice(&known[known.len() - length..]);
                    windows.resize(windows.len() + held - length, 0.0);
                }
                self.engine.write(&executable, &slot.name, &windows)?;
            } else if choice.along.as_ref().is_some_and(|along| length_input(along) == slot.name) {
                self.engine.write(&executable, &slot.name, &vec![length as f32; self.known.len()])?;
            } else {
                self.feeder.feed_one(self.engine, (&executable, slot), &self.batch, Clock::default())?;
            }
        }
        self.engine.run(&executable)?;
        let all = self.engine.read(&executable, &choice.output)?;
        let symbols = all.len() / (held * self.known.len()).max(1);
        let last = |row: usize| {
            let from = (row * held + length.saturating_sub(1)) * symbols;
            all.get(from..from + symbols).unwrap_or_default()
        };
        Ok((0..self.known.len()).flat_map(last).copied().collect())
    }
}

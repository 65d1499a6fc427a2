//! Symbol by symbol: what was computed of the earlier ones is kept.

use super::Choice;
use crate::abi::{Executable, Slot};
use crate::extents::{Extents, length_input, rounded};
use crate::kept::{Half, HalfProgram, Kind, PLACE, fixed, renewed, table};
use crate::train::{Batch, Clock, Compiled, Engine, Feeder};

/// What is kept of lines that grow together, in the inputs of the program that goes on.
pub struct Stepper {
    step: HalfProgram,
    /// Of that program.
    extents: Extents,
    tables: Vec<Table>,
    rows: usize,
    /// Symbols of each line that were read.
    read: usize,
    has_place: bool,
    /// What is moved from an output to an input, or among its rows.
    buffer: Vec<f32>,
}

struct Table {
    kind: Kind,
    /// As an input, and as the output that renews it.
    name: String,
    renewed: String,
    shape: Vec<usize>,
}

/// Where lines begin: everything that is needed to read them.
pub struct Source<'a, 'd> {
    pub compiled: &'a mut dyn Compiled,
    pub engine: &'a mut dyn Engine,
    pub feeder: &'a mut Feeder<'d>,
    pub batch: &'a Batch,
    pub choice: &'a Choice,
}

impl Stepper {
    /// `None`: each window has to be computed as a whole.
    pub fn new(compiled: &mut dyn Compiled, extents: Extents) -> Result<Option<Stepper>, String> {
        let Some(step) = compiled.part(Half::Step, &extents)? else { return Ok(None) };
        let one = |(number, kind): (usize, &Kind)| {
            let name = table(number);
            let shape = slot(&step.executable.inputs, &name)?.shape.clone();
            Ok(Table { kind: *kind, name, renewed: renewed(number), shape })
        };
        let tables = step.kept.tables.iter().enumerate().map(one).collect::<Result<_, String>>()?;
        let has_place = step.executable.inputs.iter().any(|slot| slot.name == PLACE);
        let rows = extents.batch;
        Ok(Some(Stepper { step, extents, tables, rows, read: 0, has_place, buffer: vec![] }))
    }

    /// Whether it goes on where the window ends.
    pub fn endless(&self) -> bool {
        self.step.kept.endless
    }

    /// Everything is to be read anew.
    pub fn forget(&mut self) {
        self.read = 0;
    }

    /// Scores of what follows lines of one length of which the first symbols may have been read.
    pub fn scores(&mut self, source: &mut Source<'_, '_>, lines: &[&[f32]]) -> Result<Vec<f32>, String> {
        let length = lines.first().map_or(0, |line| line.len());
        let mut scores = vec![];
        if self.read == 0 {
            scores = self.fill(source, lines, length)?;
        }
        while self.read < length {
            scores = self.step(source.engine, source.choice, lines)?;
        }
        Ok(scores)
    }

    /// Each line goes on as another of its example did; what is fixed is the same for all of these.
    pub fn follow(&mut self, engine: &mut dyn Engine, parents: &[usize]) -> Result<(), String> {
        if self.read == 0 || parents.iter().enumerate().all(|(row, parent)| row == *parent) {
            return Ok(());
        }
        for table in &self.tables {
            let all = engine.input(&self.step.executable, &table.name)?;
            self.buffer.clear();
            self.buffer.extend_from_slice(all);
            let each = all.len() / self.rows.max(1);
            for (row, parent) in parents.iter().enumerate().filter(|(row, parent)| row != *parent) {
                all[row * each..(row + 1) * each].copy_from_slice(&self.buffer[parent * each..(parent + 1) * each]);
            }
        }
        Ok(())
    }

    /// Reads the beginning of each line at once, by a program for texts of about that length.
    fn fill(&mut self, source: &mut Source<'_, '_>, lines: &[&[f32]], length: usize) -> Result<Vec<f32>, String> {
        let choice = source.choice;
        let half = Half::Fill(rounded(length, choice.window));
        let fill = source.compiled.part(half, &self.extents)?.ok_or("nothing reads a beginning")?.executable;
        let engine = &mut *source.engine;
        let held = slot(&fill.inputs, &choice.input)?.shape.get(1).copied().unwrap_or(1);
        self.read = length.min(held);
        for slot in &fill.inputs {
            if slot.name == choice.input {
                let beginnings: Vec<&[f32]> = lines.iter().map(|line| &line[..self.read]).collect();
                engine.write(&fill, &slot.name, &windows(&beginnings, held))?;
            } else if choice.along.as_ref().is_some_and(|along| length_input(along) == slot.name) {
                engine.write(&fill, &slot.name, &vec![self.read as f32; self.rows])?;
            } else {
                source.feeder.feed_one(engine, (&fill, slot), source.batch, Clock::default())?;
            }
        }
        engine.run(&fill)?;
        let scores = last_scores(engine.read(&fill, &choice.output)?, self.rows, (self.read, held));
        // The programs share their memory: all is read before the first is written.
        let mut begins = vec![];
        for number in 0..self.step.kept.fixed {
            begins.push((fixed(number), engine.read(&fill, &fixed(number))?.to_vec()));
        }
        for table in &self.tables {
            let (values, shape) = (engine.read(&fill, &table.name)?, &slot(&fill.outputs, &table.name)?.shape);
            let values = match table.kind {
                Kind::Rows { axis } => first_along(values, shape, axis, table.shape[axis]),
                Kind::State => last_along(values, shape, 1, (self.read, 1)),
                Kind::Last { axis } => last_along(values, shape, axis, (self.read, table.shape[axis])),
            };
            begins.push((table.name.clone(), values));
        }
        let step = &self.step.executable;
        begins.into_iter().try_for_each(|(name, values)| engine.write(step, &name, &values))?;
        Ok(scores)
    }

    /// Reads one more symbol of each line.
    fn step(&mut self, engine: &mut dyn Engine, choice: &Choice, lines: &[&[f32]]) -> Result<Vec<f32>, String> {
        let step: &Executable = &self.step.executable;
        self.buffer.clear();
        self.buffer.extend(lines.iter().filter_map(|line| line.get(self.read)));
        engine.write(step, &choice.input, &self.buffer)?;
        if self.has_place {
            engine.write(step, PLACE, &[self.read as f32])?;
        }
        engine.run(step)?;
        for table in &self.tables {
            self.buffer.clear();
            self.buffer.extend_from_slice(engine.read(step, &table.renewed)?);
            let all = engine.input(step, &table.name)?;
            let Kind::Rows { axis } = table.kind else {
                all.copy_from_slice(&self.buffer);
                continue;
            };
            let each: usize = table.shape[axis + 1..].iter().product();
            let places = all.chunks_mut((each * table.shape[axis]).max(1));
            for (places, row) in places.zip(self.buffer.chunks(each.max(1))) {
                places[self.read * each..(self.read + 1) * each].copy_from_slice(row);
            }
        }
        self.read += 1;
        engine.read(step, &choice.output).map(<[f32]>::to_vec)
    }
}

fn slot<'a>(slots: &'a [Slot], name: &str) -> Result<&'a Slot, String> {
    slots.iter().find(|slot| slot.name == name).ok_or_else(|| format!("there is no `{name}`"))
}

/// Lines of one length, each filled up at its end, which nothing reads that looks back alone.
pub(super) fn windows(lines: &[&[f32]], held: usize) -> Vec<f32> {
    let mut windows = Vec::with_capacity(held * lines.len());
    for (row, line) in lines.iter().enumerate() {
        windows.extend_from_slice(line);
        windows.resize(held * (row + 1), 0.0);
    }
    windows
}

/// Of the scores after every place, those after the last that was read, for each row.
pub(super) fn last_scores(all: &[f32], rows: usize, (read, held): (usize, usize)) -> Vec<f32> {
    let symbols = all.len() / (held * rows).max(1);
    let last = |row: usize| {
        let from = (row * held + read.saturating_sub(1)) * symbols;
        all.get(from..from + symbols).unwrap_or_default()
    };
    (0..rows).flat_map(last).copied().collect()
}

/// Room for so many elements along an axis, of which the first are there.
fn first_along(values: &[f32], shape: &[usize], axis: usize, room: usize) -> Vec<f32> {
    let each: usize = shape[axis + 1..].iter().product();
    let mut all = vec![];
    for (number, table) in values.chunks((each * shape[axis]).max(1)).enumerate() {
        all.extend_from_slice(table);
        all.resize(each * room * (number + 1), 0.0);
    }
    all
}

/// The last `count` of the first `read` elements along an axis; zeros before the first.
fn last_along(values: &[f32], shape: &[usize], axis: usize, (read, count): (usize, usize)) -> Vec<f32> {
    let each: usize = shape[axis + 1..].iter().product();
    let mut last = vec![];
    for table in values.chunks((each * shape[axis]).max(1)) {
        last.resize(last.len() + each * count.saturating_sub(read), 0.0);
        last.extend_from_slice(&table[each * read.saturating_sub(count)..each * read]);
    }
    last
}

//! Answers of a trained network for new examples.
//!
//! New data is treated as the model file says the training data was; nothing is learned from it.

mod input;
mod mapping;
mod pictured;
mod texts;

use crate::data::dataset::Dataset;
use crate::data::objects::{area, clipped};
use crate::data::pictures::Placing;
use crate::data::spec::DimSpec;
use crate::extents::Extents;
use crate::found::{self, Found, Wanted};
use crate::train::{Clock, Compiled, Engine, Feeder, Mode, by_length, length};
use std::sync::Arc;

pub use input::{Format, read};
pub use pictured::{Kept, Said, drawn, keep, picture_of};

/// An output of the prediction graph, as the compiler knows it.
#[derive(Clone, Debug)]
pub struct OutputSpec {
    pub name: String,
    /// Of one example; names where the axis is a dim with names.
    pub axes: Vec<DimSpec>,
    /// Per axis, how long it is where each example has its own length; empty where none is so.
    pub variable: Vec<Option<VariableAxis>>,
    /// The values are indices into this dim.
    pub dim: Option<DimSpec>,
    /// The values are what cells of a grid say of boxes.
    pub found: Option<Shown>,
}

/// Which boxes are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    pub wanted: Wanted,
    /// Names of the classes, where they have any.
    pub classes: Vec<String>,
}

/// An axis along which each example has its own length.
#[derive(Clone)]
pub struct VariableAxis {
    pub dim: String,
    /// Its elements, where the dim has so many.
    pub of: Arc<dyn Fn(usize) -> usize + Send + Sync>,
}

impl std::fmt::Debug for VariableAxis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "of {}", self.dim)
    }
}

/// One cell of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Number(f64),
    /// The name of a class.
    Text(String),
    /// Objects in a picture.
    Boxes(Vec<ShownBox>),
}

/// One object in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownBox {
    /// The name of its class, or else its number.
    pub class: String,
    pub index: u32,
    pub score: f64,
    /// Left, top, right, bottom, in points of the picture as it was given.
    pub corners: [f64; 4],
}

/// One row per example.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

/// Runs all examples in batches of `batch`, the last of which may be smaller.
pub fn predict(
    compiled: &mut dyn Compiled,
    engine: &mut dyn Engine,
    data: &Dataset,
    outputs: &[OutputSpec],
    batch: usize,
) -> Result<Predictions, String> {
    predict_keeping(compiled, engine, data, outputs, (batch, &mut Kept::default()))
}

/// The same; keeps what is drawn.
pub fn predict_keeping(
    compiled: &mut dyn Compiled,
    engine: &mut dyn Engine,
    data: &Dataset,
    outputs: &[OutputSpec],
    (batch, kept): (usize, &mut Kept),
) -> Result<Predictions, String> {
    let outputs: Vec<OutputSpec> = outputs.iter().map(|output| sized(output, data)).collect();
    let columns = outputs.iter().flat_map(columns).collect();
    let mut rows = vec![Vec::new(); data.count];
    let mut feeder = Feeder::new(data);
    let examples: Vec<u32> = (0..data.count as u32).collect();
    for batch in by_length(data, &examples, batch) {
        let executable = compiled.executable(Mode::Predict, &batch.extents)?;
        feeder.feed(engine, &executable, &batch, Clock::default())?;
        engine.run(&executable)?;
        kept.keep(engine, &executable, &batch)?;
        for output in &outputs {
            let values = engine.read(&executable, &output.name)?;
            let width = values.len() / batch.examples.len().max(1);
            for (example, values) in batch.examples.iter().zip(values.chunks(width.max(1))) {
                if let Some(row) = rows.get_mut(*example as usize) {
                    if let Some(shown) = &output.found {
                        row.push(Cell::Boxes(boxes(shown, values, data.placing(*example))));
                        continue;
                    }
                    lay(output, data, *example, &batch.extents, values, row);
                }
            }
        }
    }
    Ok(Predictions { columns, rows })
}

/// The boxes of one picture, where they lie in the picture that was given.
fn boxes(shown: &Shown, cells: &[f32], placing: Option<Placing>) -> Vec<ShownBox> {
    let one = |found: Found| {
        let index = found.class;
        let class = shown.classes.get(index as usize).cloned().unwrap_or_else(|| index.to_string());
        let corners = match placing {
            Some(placing) => {
                let [h, w] = placing.size;
                let corners = placing.back([0, 1, 2, 3].map(|i| found.corners[i] * if i % 2 == 0 { w } else { h }));
                clipped(corners, placing.from)
            }
            None => found.corners,
        };
        ShownBox { class, index, score: found.score, corners }
    };
    found::read(cells, shown.wanted).into_iter().map(one).filter(|shown| area(&shown.corners) > 0.0).collect()
}

/// The output with as many elements along axes of variable length as the longest example has.
fn sized(output: &OutputSpec, data: &Dataset) -> OutputSpec {
    let mut output = output.clone();
    for (axis, variable) in output.axes.iter_mut().zip(&output.variable) {
        let ragged = variable.as_ref().and_then(|variable| Some((data.lengths(&variable.dim)?, variable)));
        if let Some((ragged, variable)) = ragged {
            let longest = ragged.lengths.iter().take(data.count).max().map_or(1, |n| *n as usize);
            axis.size = Some((variable.of)(longest));
        }
    }
    output
}

/// The cells of one example; those past its end stay empty.
fn lay(output: &OutputSpec, data: &Dataset, example: u32, extents: &Extents, values: &[f32], row: &mut Vec<Cell>) {
    let sizes: Vec<usize> = output.axes.iter().map(|axis| axis.size.unwrap_or(axis.names.len())).collect();
    let mut held = sizes.clone();
    let mut lengths = sizes.clone();
    for (at, variable) in output.variable.iter().enumerate() {
        if let Some(variable) = variable {
            held[at] = extents.get(&variable.dim).map_or(held[at], |extent| (variable.of)(extent));
            lengths[at] = data.lengths(&variable.dim).map_or(held[at], |r| (variable.of)(length(r, example)));
        }
    }
    for place in 0..sizes.iter().product() {
        let (mut rest, mut from, mut stride, mut exists) = (place, 0, 1, true);
        for at in (0..sizes.len()).rev() {
            let coordinate = rest % sizes[at];
            rest /= sizes[at];
            exists &= coordinate < lengths[at];
            from += coordinate * stride;
            stride *= held[at];
        }
        let value = values.get(from).filter(|_| exists);
        row.push(value.map_or_else(|| Cell::Text(String::new()), |value| cell(output, *value)));
    }
}

fn cell(output: &OutputSpec, value: f32) -> Cell {
    let name = output.dim.as_ref().and_then(|dim| dim.names.get(value as usize));
    match name {
        Some(name) => Cell::Text(name.clone()),
        None => Cell::Number(f64::from(value)),
    }
}

/// `answer`, `logits.setosa`, `where[2,0]`.
fn columns(output: &OutputSpec) -> Vec<String> {
    if output.found.is_some() {
        return vec![output.name.clone()];
    }
    if let [axis] = &output.axes[..]
        && !axis.names.is_empty()
    {
        return axis.names.iter().map(|name| format!("{}.{name}", output.name)).collect();
    }
    let mut places = vec![String::new()];
    for axis in &output.axes {
        let size = axis.size.unwrap_or(axis.names.len());
        let extended = |place: String| {
            (0..size).map(move |i| match place.is_empty() {
                true => i.to_string(),
                false => format!("{place},{i}"),
            })
        };
        places = places.into_iter().flat_map(extended).collect();
    }
    let titled = |place: String| match place.is_empty() {
        true => output.name.clone(),
        false => format!("{}[{place}]", output.name),
    };
    places.into_iter().map(titled).collect()
}

#[cfg(test)]
mod tests;

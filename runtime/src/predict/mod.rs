//! Answers of a trained network for new examples.
//!
//! New data is treated as the model file says the training data was; nothing is learned from it.

mod generate;
mod input;
mod mapping;
mod texts;

use crate::data::dataset::Dataset;
use crate::data::spec::DimSpec;
use crate::train::{Compiled, Engine, Mode};

pub use generate::{Choice, generate};
pub use input::{Format, read};

/// An output of the prediction graph, as the compiler knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSpec {
    pub name: String,
    /// Of one example; names where the axis is a dim with names.
    pub axes: Vec<DimSpec>,
    /// The values are indices into this dim.
    pub dim: Option<DimSpec>,
}

/// One cell of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Number(f64),
    /// The name of a class.
    Text(String),
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
    let columns = outputs.iter().flat_map(columns).collect();
    let mut rows = Vec::new();
    let mut buffer = Vec::new();
    let examples: Vec<u32> = (0..data.count as u32).collect();
    for examples in examples.chunks(batch.max(1)) {
        let executable = compiled.executable(Mode::Predict, examples.len())?;
        for slot in &executable.inputs {
            let field = data.field(&slot.name);
            let field = field.ok_or_else(|| format!("nothing feeds the input `{}`", slot.name))?;
            buffer.resize(field.per_example() * examples.len(), 0.0);
            field.write(examples, &mut buffer);
            engine.write(&executable, &slot.name, &buffer)?;
        }
        engine.run(&executable)?;
        let first = rows.len();
        rows.resize_with(first + examples.len(), Vec::new);
        for output in outputs {
            let values = engine.read(&executable, &output.name)?;
            let width = values.len() / examples.len().max(1);
            for (row, values) in rows[first..].iter_mut().zip(values.chunks(width.max(1))) {
                row.extend(values.iter().map(|value| cell(output, *value)));
            }
        }
    }
    Ok(Predictions { columns, rows })
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

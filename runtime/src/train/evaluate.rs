//! One pass without learning: loss and metrics of a part.

use super::batches::by_length;
use super::engine::{Compiled, Engine, Mode};
use super::judged::Judge;
use super::scores::{Clock, Feeder, Scores};
use crate::data::dataset::Dataset;
use crate::metrics::MetricSpec;

/// Scores `examples` in batches of `batch`, the last of which may be smaller.
pub(super) fn pass(
    compiled: &mut dyn Compiled,
    engine: &mut dyn Engine,
    (data, examples): (&Dataset, &[u32]),
    batch: usize,
    scores: Scores,
) -> Result<Scores, String> {
    judged(compiled, engine, (data, examples), (batch, scores), None)
}

/// The same; single examples are judged too.
fn judged(
    compiled: &mut dyn Compiled,
    engine: &mut dyn Engine,
    (data, examples): (&Dataset, &[u32]),
    (batch, mut scores): (usize, Scores),
    mut judge: Option<&mut Judge>,
) -> Result<Scores, String> {
    let mut feeder = Feeder::new(data);
    for batch in by_length(data, examples, batch) {
        let executable = compiled.executable(Mode::Evaluate, &batch.extents)?;
        feeder.feed(engine, &executable, &batch, Clock::default())?;
        engine.run(&executable)?;
        scores.add((engine, &executable), &feeder, &batch, Clock::default())?;
        if let Some(judge) = &mut judge {
            judge.see(engine, &executable, &feeder, &batch)?;
        }
    }
    Ok(scores)
}

/// Scores a trained network on labelled examples: named values and tables.
#[allow(clippy::type_complexity)] // two lists with plain names
pub fn evaluate(
    compiled: &mut dyn Compiled,
    engine: &mut dyn Engine,
    (data, examples): (&Dataset, &[u32]),
    batch: usize,
    metrics: &[MetricSpec],
    judge: Option<&mut Judge>,
) -> Result<(Vec<(String, f64)>, Vec<super::report::Table>), String> {
    let scores = judged(compiled, engine, (data, examples), (batch, Scores::new(&[], metrics)), judge)?;
    Ok((scores.values(), scores.tables("test")))
}

//! One pass without learning: loss and metrics of a part.

use super::ahead::{Ahead, Filler};
use super::batches::by_length;
use super::engine::{Compiled, Engine, Mode};
use super::judged::Judge;
use super::report::Evaluated;
use super::scores::{Clock, Feeder, Scores};
use crate::data::augment::Augmenter;
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
    let batches = by_length(data, examples, batch);
    let Some(first) = batches.first() else { return Ok(scores) };
    let first = compiled.executable(Mode::Evaluate, &first.extents)?;
    let filler = Filler::new(data, Augmenter::default(), &first, scores.specs());
    let mut feeder = Feeder::new(data);
    std::thread::scope(|scope| {
        let mut ahead = Ahead::start(scope, filler, batches.into_iter().map(|batch| (0, batch)))?;
        while let Some((batch, ready)) = ahead.take() {
            data.whole().map_err(|error| error.to_string())?;
            ahead.give_back(feeder.take(ready));
            let executable = compiled.executable(Mode::Evaluate, &batch.extents)?;
            feeder.feed(engine, &executable, &batch, Clock::default())?;
            engine.run(&executable)?;
            scores.add((engine, &executable), &feeder, &batch)?;
            if let Some(judge) = &mut judge {
                judge.see(engine, &executable, &feeder, &batch)?;
            }
        }
        Ok(scores)
    })
}

/// Scores a trained network on labelled examples.
pub fn evaluate(
    compiled: &mut dyn Compiled,
    engine: &mut dyn Engine,
    (data, examples): (&Dataset, &[u32]),
    batch: usize,
    metrics: &[MetricSpec],
    judge: Option<&mut Judge>,
) -> Result<Evaluated, String> {
    let scores = judged(compiled, engine, (data, examples), (batch, Scores::new(&[], metrics)), judge)?;
    Ok(Evaluated { values: scores.values(), tables: scores.tables("test"), precisions: scores.precisions("test") })
}

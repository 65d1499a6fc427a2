//! Metrics of what a network tells of examples by itself.

use std::collections::HashSet;

use super::{Choice, tell_all};
use crate::data::dataset::Dataset;
use crate::data::split::Part;
use crate::data::text::tokens::{Unit, Vocabulary, words};
use crate::metrics::{Bleu, Exact, MetricKind, MetricSpec};
use crate::train::{Compiled, Engine, Telling};

/// Rows that are run at once.
const ROWS: usize = 128;

/// What is measured, and how the network tells.
pub struct Measure {
    pub choice: Choice,
    /// Those of [`MetricKind::is_told`].
    pub metrics: Vec<MetricSpec>,
}

impl Telling for Measure {
    /// Tells of every example and compares with the texts of the data, whose words need not be in any vocabulary.
    fn measure(
        &self,
        (compiled, engine): (&mut dyn Compiled, &mut dyn Engine),
        (data, examples): (&Dataset, &[u32]),
    ) -> Result<Vec<(String, f64)>, String> {
        let field = data.field(&self.choice.input);
        let parts = field.and_then(|field| Some((field, field.prepared.dim.as_ref()?, field.prepared.text.as_ref()?)));
        let (Some((field, dim, text)), false) = (parts, self.metrics.is_empty()) else { return Ok(vec![]) };
        let known = Vocabulary::new(dim);
        let choice = Choice { never: known.unknown(), end: known.end(), ..self.choice.clone() };
        let start: Vec<u32> = known.end().into_iter().collect();
        let told = tell_all((compiled, engine), (data, examples), &choice, (&start, ROWS))?;
        let (mut bleu, mut exact, mut exact_new) = (Bleu::default(), Exact::default(), Exact::default());
        let only_new = self.metrics.iter().any(|metric| metric.kind == MetricKind::ExactNew);
        let trained = if only_new { data.part(Part::Train) } else { &[] };
        let seen: HashSet<&str> = trained.iter().filter_map(|example| field.text(*example)).collect();
        for (example, told) in examples.iter().zip(told) {
            let told = told.iter().filter_map(|at| dim.names.get(*at as usize)).map(String::as_str);
            // Pieces become the words that they make.
            let whole = if text.unit == Unit::Subwords { told.clone().collect() } else { String::new() };
            let told: Vec<&str> = if text.unit == Unit::Subwords { words(&whole).collect() } else { told.collect() };
            let mut wanted: Vec<String> = vec![];
            let from = field.text(*example).unwrap_or_default();
            text.each(from, usize::MAX, &mut |word| wanted.push(word.trim_start().to_string()));
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            bleu.add(&told, &wanted);
            exact.add(&told, &wanted);
            if only_new && !seen.contains(from) {
                exact_new.add(&told, &wanted);
            }
        }
        let value = |metric: &MetricSpec| match metric.kind {
            MetricKind::Bleu => bleu.value(),
            MetricKind::ExactNew => exact_new.value(),
            _ => exact.value(),
        };
        Ok(self.metrics.iter().map(|metric| (metric.name.clone(), value(metric))).collect())
    }
}

//! What single examples cost: how far the network is from the truth, example by example.

use super::batches::Batch;
use super::engine::Engine;
use super::scores::Feeder;
use crate::abi::Executable;
use crate::data::fields::Field;
use crate::data::objects::Objects;
use crate::found::{Wanted, read};
use crate::metrics::{Metric, MetricKind, MetricSpec};

/// One example and what it came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub example: u32,
    /// Of classes the surprise, of boxes what is missing to an average precision of 1 or, in a picture without objects, how sure the
    /// network was of one, else the absolute error, a mean over the example; larger is worse.
    pub cost: f64,
    /// The class that it is and the one it was taken for, where an example has one class.
    pub classes: Option<(usize, usize)>,
}

/// Judges examples by one metric.
#[derive(Debug)]
pub struct Judge {
    metric: MetricSpec,
    pub all: Vec<Judged>,
}

impl Judge {
    /// By the first metric that compares numbers, scores or boxes with a truth of each example; lengths of their own are compared otherwise.
    pub fn new(metrics: &[MetricSpec]) -> Option<Judge> {
        let fits = |metric: &&MetricSpec| {
            let each =
                matches!(metric.kind, MetricKind::Mae | MetricKind::Mse | MetricKind::Rmse | MetricKind::MeanAp(_));
            (each || metric.class_axis.is_some() && metric.kind != MetricKind::Purity)
                && metric.variable.iter().all(Option::is_none)
        };
        Some(Judge { metric: metrics.iter().find(fits)?.clone(), all: vec![] })
    }

    /// The metric's output and what it should be.
    pub fn names(&self) -> (&str, &str) {
        (&self.metric.scores, &self.metric.target)
    }

    pub(super) fn see(
        &mut self,
        engine: &dyn Engine,
        executable: &Executable,
        feeder: &Feeder<'_>,
        batch: &Batch,
    ) -> Result<(), String> {
        let has = |name: &str| executable.outputs.iter().any(|slot| slot.name == name);
        if !has(&self.metric.scores) {
            return Ok(());
        }
        let scores = engine.read(executable, &self.metric.scores)?;
        if let MetricKind::MeanAp(_) = self.metric.kind {
            let objects = feeder.data().field(&self.metric.target).and_then(Field::objects);
            let objects = objects.ok_or_else(|| format!("there are no boxes `{}`", self.metric.target))?;
            let width = (scores.len() / batch.examples.len().max(1)).max(1);
            for (example, cells) in batch.examples.iter().zip(scores.chunks(width)) {
                let cost = of_boxes(&self.metric, cells, objects, *example as usize);
                self.all.push(Judged { example: *example, cost, classes: None });
            }
            return Ok(());
        }
        let mut buffer = vec![];
        let target = match (has(&self.metric.target), feeder.data().field(&self.metric.target)) {
            (true, _) => engine.read(executable, &self.metric.target)?,
            (false, Some(field)) => {
                feeder.data().fill(field, &batch.examples, &batch.extents, &mut buffer);
                &buffer
            }
            (false, None) => return Ok(()),
        };
        let count = batch.examples.len().max(1);
        let (wide, narrow) = ((scores.len() / count).max(1), (target.len() / count).max(1));
        for ((example, scores), target) in batch.examples.iter().zip(scores.chunks(wide)).zip(target.chunks(narrow)) {
            self.all.push(match self.metric.class_axis {
                Some(_) => of_classes(*example, scores, target),
                None => of_numbers(*example, scores, target),
            });
        }
        Ok(())
    }

    /// The `most` worst, worst first; of equal ones the first.
    pub fn worst(&self, most: usize) -> Vec<&Judged> {
        let mut all: Vec<&Judged> = self.all.iter().collect();
        all.sort_by(|a, b| b.cost.total_cmp(&a.cost).then(a.example.cmp(&b.example)));
        all.truncate(most);
        all
    }
}

fn of_boxes(metric: &MetricSpec, cells: &[f32], objects: &Objects, example: usize) -> f64 {
    let mut alone = Metric::new(metric);
    alone.add_boxes(cells, objects.of(example), objects.size(example));
    let surest = || read(cells, Wanted { score: 0.0, overlap: 1.0, most: 1 }).first().map_or(0.0, |found| found.score);
    alone.value().map_or_else(surest, |precision| 1.0 - precision)
}

fn of_numbers(example: u32, scores: &[f32], target: &[f32]) -> Judged {
    let sum: f64 = scores.iter().zip(target).map(|(a, b)| f64::from(a - b).abs()).sum();
    Judged { example, cost: sum / target.len().max(1) as f64, classes: None }
}

/// The classes' axis is the last. Points whose class is none of them are left out.
fn of_classes(example: u32, scores: &[f32], target: &[f32]) -> Judged {
    let classes = scores.len() / target.len().max(1);
    let (mut sum, mut count) = (0.0, 0.0);
    let mut taken = 0;
    for (scores, truth) in scores.chunks(classes.max(1)).zip(target) {
        taken = best(scores);
        if let Some(own) = scores.get(*truth as usize).filter(|_| *truth >= 0.0) {
            let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let all: f64 = scores.iter().map(|x| f64::from(x - most).exp()).sum();
            sum += f64::from(most - own) + all.ln();
            count += 1.0;
        }
    }
    let single = (target.len() == 1).then(|| (target[0].max(0.0) as usize, taken));
    Judged { example, cost: if count > 0.0 { sum / count } else { 0.0 }, classes: single }
}

/// The first of the largest.
fn best(scores: &[f32]) -> usize {
    let larger = |best: usize, (i, x): (usize, &f32)| if *x > scores[best] { i } else { best };
    scores.iter().enumerate().fold(0, larger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::objects::Object;
    use crate::metrics::{ApRule, Points};

    #[test]
    fn the_surest_mistake_is_the_worst() {
        let right = of_classes(0, &[0.0, 9.0], &[1.0]);
        let wrong = of_classes(1, &[9.0, 0.0], &[1.0]);
        assert!(right.cost < 0.001 && wrong.cost > 8.9);
        assert_eq!((right.classes, wrong.classes), (Some((1, 1)), Some((1, 0))));
        // Two points, of which one is of no class.
        let masked = of_classes(2, &[1.0, 1.0, 5.0, 0.0], &[0.0, 7.0]);
        assert!((masked.cost - 2f64.ln()).abs() < 1e-6);
        assert_eq!(masked.classes, None);
        // An object found, one missed, and one that is not there.
        let spec = |kind| MetricSpec {
            name: "mean_ap".into(),
            kind,
            scores: "seen".into(),
            target: "objects".into(),
            class_axis: None,
            classes: vec![],
            ignored: vec![],
            variable: vec![],
        };
        let rule = spec(MetricKind::MeanAp(ApRule { points: Points::Voc, iou: None, overlap: 0.5 }));
        let mut objects = Objects::default();
        let object = |left: f64| Object { class: 0, corners: [left, 0.0, left + 10.0, 10.0], ignored: false };
        objects.push([object(0.0)], [10.0, 20.0]);
        objects.push([object(0.0), object(10.0)], [10.0, 20.0]);
        objects.push([], [10.0, 20.0]);
        let cells = [0.75, 0.0, 0.0, 0.0, 0.5, 1.0];
        let costs = [0, 1, 2].map(|example| of_boxes(&rule, &cells, &objects, example));
        assert_eq!(costs, [0.0, 0.5, 0.75]);
        assert_eq!(of_numbers(3, &[1.0, 2.0], &[2.0, 4.0]).cost, 1.5);
    }
}

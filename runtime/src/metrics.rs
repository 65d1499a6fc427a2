//! Scores of predictions, gathered batch by batch in `f64` and in the order of the examples.

use crate::data::objects::Object;
use crate::found::{Wanted, read};

mod auc;
mod average_precision;
mod classes;
mod told;

use auc::Auc;
pub use average_precision::{ApRule, AveragePrecision, Points};
pub use classes::ClassScore;
pub use told::{Bleu, Exact};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricKind {
    /// Share of right classes.
    Accuracy,
    /// How often which class was taken for which.
    Confusion,
    /// Mean absolute error.
    Mae,
    /// Mean of absolute errors as shares of the targets; targets of 0 are left out.
    Mape,
    /// Mean of the scores where the target is not 0.
    Mean,
    /// Mean squared error.
    Mse,
    /// Its root.
    Rmse,
    /// Harmonic mean of precision and recall: of class 1 where there are two classes, else the mean
    /// over the classes that occur, be it in the truth or in what was taken for it.
    F1,
    /// Points of a class in both over points of it in either; the mean over the classes that occur, as for F1.
    Iou,
    /// Twice the points of a class in both over the points of it in each; the mean over the classes that occur, as for F1.
    Dice,
    /// Share of examples that have the commonest class of their cluster.
    Purity,
    /// Share of examples whose class is among the k best scores.
    Top(usize),
    /// Among how many equally likely classes the scores, as logits, leave the choice: e to the mean cross-entropy.
    Perplexity,
    /// How often something of a class is ranked above something else; of more than 33 million scores in a sample of them.
    Auc,
    /// Mean average precision of boxes.
    MeanAp(ApRule),
    /// Of texts that the network tells: BLEU of all together.
    Bleu,
    /// Of texts that the network tells: the share that is right word for word.
    Exact,
    /// The same of those whose text the training part does not have.
    ExactNew,
}

/// A metric of a training block; plain data from the compiler.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSpec {
    /// As it stands in tables: `accuracy`.
    pub name: String,
    pub kind: MetricKind,
    /// The output of the network that is judged.
    pub scores: String,
    /// What it should be: an output of the network, or else a field of the data.
    pub target: String,
    /// The axis of the scores, batch included, that counts classes. `None`: the scores are indices
    /// already (classification) or numbers (regression).
    pub class_axis: Option<usize>,
    /// Names of the classes, where they have any.
    pub classes: Vec<String>,
    /// Classes whose points the data leaves out: no mean over classes has them, even where something is taken for one.
    pub ignored: Vec<usize>,
    /// Per axis of the target the dim along which each example has its own length.
    pub variable: Vec<Option<String>>,
}

impl MetricKind {
    /// Whether it needs how often which class was taken for which.
    fn counts(self) -> bool {
        use MetricKind::{Confusion, Dice, F1, Iou, Purity};
        matches!(self, Confusion | F1 | Iou | Dice | Purity)
    }

    /// Whether it judges what the network tells by itself, and not what it answers to the data.
    pub fn is_told(self) -> bool {
        matches!(self, MetricKind::Bleu | MetricKind::Exact | MetricKind::ExactNew)
    }

    /// Whether a larger value is a better one.
    pub fn larger_is_better(self) -> bool {
        use MetricKind::{Mae, Mape, Mean, Mse, Perplexity, Rmse};
        !matches!(self, Mae | Mape | Mean | Mse | Rmse | Perplexity)
    }
}

/// Counts `[is, taken for]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Confusion {
    pub classes: usize,
    pub counts: Vec<u64>,
}

/// Larger tables would be of no use to anyone.
const MOST_CLASSES: usize = 4096;

impl Confusion {
    fn grow(&mut self, classes: usize) {
        let classes = classes.min(MOST_CLASSES);
        if classes <= self.classes {
            return;
        }
        let mut counts = vec![0; classes * classes];
        for is in 0..self.classes {
            for taken in 0..self.classes {
                counts[is * classes + taken] = self.get(is, taken);
            }
        }
        (self.classes, self.counts) = (classes, counts);
    }

    pub fn get(&self, is: usize, taken_for: usize) -> u64 {
        self.counts.get(is * self.classes + taken_for).copied().unwrap_or(0)
    }

    fn add(&mut self, is: usize, taken_for: usize) {
        if let Some(count) = self.counts.get_mut(is * self.classes + taken_for) {
            *count += 1;
        }
    }

    fn purity(&self) -> f64 {
        let most = |taken: usize| (0..self.classes).map(|is| self.get(is, taken)).max().unwrap_or(0);
        let all: u64 = self.counts.iter().sum();
        (0..self.classes).map(most).sum::<u64>() as f64 / all.max(1) as f64
    }

    fn f1(&self, class: usize) -> Option<f64> {
        let all = 0..self.classes;
        let right = self.get(class, class) as f64;
        let is: u64 = all.clone().map(|taken| self.get(class, taken)).sum();
        let taken: u64 = all.map(|is| self.get(is, class)).sum();
        (is + taken > 0).then(|| 2.0 * right / (is + taken) as f64)
    }
}

/// A metric over the batches so far.
#[derive(Clone, Debug)]
pub struct Metric {
    pub spec: MetricSpec,
    count: u64,
    sum: f64,
    confusion: Confusion,
    boxes: Option<AveragePrecision>,
    ranks: Auc,
}

/// Boxes that are less sure than this are not ranked.
const LEAST_SCORE: f64 = 0.01;
/// Boxes of one picture that are ranked.
const MOST_BOXES: usize = 300;

impl Metric {
    pub fn new(spec: &MetricSpec) -> Metric {
        let mut confusion = Confusion::default();
        if spec.kind.counts() {
            confusion.grow(spec.classes.len());
        }
        let boxes = match spec.kind {
            MetricKind::MeanAp(rule) => Some(AveragePrecision::new(rule)),
            _ => None,
        };
        Metric { spec: spec.clone(), count: 0, sum: 0.0, confusion, boxes, ranks: Auc::default() }
    }

    /// The cells of one picture of this height and width, and the objects in it.
    pub fn add_boxes(&mut self, cells: &[f32], objects: &[Object], [h, w]: [f64; 2]) {
        let MetricKind::MeanAp(rule) = self.spec.kind else { return };
        let mut found = read(cells, Wanted { score: LEAST_SCORE, overlap: rule.overlap, most: MOST_BOXES });
        let sides = [w, h, w, h];
        found.iter_mut().for_each(|found| found.corners = [0, 1, 2, 3].map(|i| found.corners[i] * sides[i]));
        if let Some(boxes) = &mut self.boxes {
            boxes.add(&found, objects);
        }
    }

    /// One batch. `shape` is that of the scores, batch first.
    pub fn add(&mut self, scores: &[f32], shape: &[usize], target: &[f32]) {
        use MetricKind::*;
        match self.spec.kind {
            Mape => {
                for (score, target) in scores.iter().zip(target).filter(|(_, target)| **target != 0.0) {
                    self.sum += ((f64::from(*score) - f64::from(*target)) / f64::from(*target)).abs();
                    self.count += 1;
                }
            }
            Mean => {
                for (score, _) in scores.iter().zip(target).filter(|(_, counts)| **counts != 0.0) {
                    self.sum += f64::from(*score);
                    self.count += 1;
                }
            }
            Mae | Mse | Rmse => {
                for (score, target) in scores.iter().zip(target) {
                    let error = f64::from(*score) - f64::from(*target);
                    let squared = matches!(self.spec.kind, Mse | Rmse);
                    self.sum += if squared { error * error } else { error.abs() };
                    self.count += 1;
                }
            }
            // By pictures, `add_boxes`; by texts, `told`.
            MeanAp(_) | Bleu | Exact | ExactNew => {}
            Auc if self.spec.class_axis.is_none() => {
                scores.iter().zip(target).for_each(|(score, target)| self.ranks.add(0, *score, *target > 0.5));
            }
            Accuracy | Auc | Confusion | F1 | Iou | Dice | Purity | Top(_) | Perplexity => {
                self.add_classes(scores, shape, target)
            }
        }
    }

    /// The same for some elements of the target. The classes' axis is the last of the scores.
    pub fn add_places(&mut self, scores: &[f32], target: &[f32], places: &[usize]) {
        let width = scores.len() / target.len().max(1);
        let of = |place: &usize| scores.get(place * width..(place + 1) * width).unwrap_or_default();
        let chosen: Vec<f32> = places.iter().flat_map(of).copied().collect();
        let truth: Vec<f32> = places.iter().filter_map(|place| target.get(*place)).copied().collect();
        let axis = self.spec.class_axis;
        self.spec.class_axis = axis.map(|_| 1);
        self.add(&chosen, &[places.len(), width], &truth);
        self.spec.class_axis = axis;
    }

    fn add_classes(&mut self, scores: &[f32], shape: &[usize], target: &[f32]) {
        let axis = self.spec.class_axis.filter(|axis| *axis < shape.len());
        let classes = axis.map_or(1, |axis| shape[axis]);
        let inner: usize = axis.map_or(1, |axis| shape[axis + 1..].iter().product());
        if axis.is_some() && self.spec.kind.counts() {
            self.confusion.grow(classes);
        }
        for (at, target) in target.iter().enumerate() {
            let target = *target as usize;
            // A point that belongs to no class.
            if axis.is_some() && target >= classes && self.spec.kind != MetricKind::Purity {
                continue;
            }
            let first = match axis {
                Some(_) => at / inner * inner * classes + at % inner,
                None => at,
            };
            let score = |class: usize| scores.get(first + class * inner).copied();
            let taken_for = match axis {
                Some(_) => best(classes, score),
                None => score(0).unwrap_or(0.0) as usize,
            };
            self.count += 1;
            match self.spec.kind {
                MetricKind::Auc => self.ranks.add_logits(classes, target, |class| score(class).unwrap_or(0.0)),
                MetricKind::Perplexity => self.sum += surprise(classes, target, score),
                MetricKind::Top(k) => self.sum += f64::from(rank(classes, target, score) < k),
                _ => self.sum += f64::from(taken_for == target),
            }
            if self.spec.kind.counts() {
                self.confusion.grow(target.max(taken_for) + 1);
                self.confusion.add(target, taken_for);
            }
        }
    }

    /// Nothing before the first batch, and for tables.
    pub fn value(&self) -> Option<f64> {
        if let Some(boxes) = &self.boxes {
            return boxes.value();
        }
        if self.spec.kind == MetricKind::Auc {
            return self.ranks.value();
        }
        if self.count == 0 {
            return None;
        }
        let mean = self.sum / self.count as f64;
        match self.spec.kind {
            MetricKind::Rmse => Some(mean.sqrt()),
            MetricKind::Perplexity => Some(mean.exp()),
            MetricKind::Confusion => None,
            MetricKind::F1 => Some(self.f1()),
            MetricKind::Purity => Some(self.confusion.purity()),
            MetricKind::Dice => Some(self.mean_of_classes(|f1| f1)),
            MetricKind::Iou => Some(self.mean_of_classes(|f1| f1 / (2.0 - f1))),
            _ => Some(mean),
        }
    }

    /// Of boxes: how many objects each class has, and its average precision.
    pub fn precisions(&self) -> Option<Vec<(usize, Option<f64>)>> {
        let boxes = self.boxes.as_ref()?;
        let classes = boxes.classes().max(self.spec.classes.len());
        Some((0..classes).map(|class| (boxes.objects(class), boxes.of_class(class))).collect())
    }

    fn f1(&self) -> f64 {
        if self.confusion.classes == 2 {
            return self.confusion.f1(1).unwrap_or(0.0);
        }
        self.mean_of_classes(|f1| f1)
    }

    /// Classes that a mean has if they occur.
    fn counted(&self) -> impl Iterator<Item = usize> {
        (0..self.confusion.classes).filter(|class| !self.spec.ignored.contains(class))
    }

    fn mean_of_classes(&self, score: impl Fn(f64) -> f64) -> f64 {
        let all: Vec<f64> = self.counted().filter_map(|class| self.confusion.f1(class)).map(score).collect();
        all.iter().sum::<f64>() / all.len().max(1) as f64
    }

    pub fn confusion(&self) -> Option<&Confusion> {
        (self.spec.kind == MetricKind::Confusion).then_some(&self.confusion)
    }
}

/// The class with the largest score, the first of equals.
fn best(classes: usize, score: impl Fn(usize) -> Option<f32>) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for class in 0..classes {
        let value = score(class).unwrap_or(f32::NEG_INFINITY);
        if value > best.1 {
            best = (class, value);
        }
    }
    best.0
}

/// The cross-entropy of logits.
fn surprise(classes: usize, target: usize, score: impl Fn(usize) -> Option<f32>) -> f64 {
    let score = |class: usize| score(class).map_or(f64::NEG_INFINITY, f64::from);
    let most = (0..classes).map(score).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = (0..classes).map(|class| (score(class) - most).exp()).sum();
    most + sum.ln() - score(target)
}

/// How many classes come before `target`.
fn rank(classes: usize, target: usize, score: impl Fn(usize) -> Option<f32>) -> usize {
    let Some(own) = score(target).filter(|_| target < classes) else { return classes };
    let before = |class: &usize| {
        let value = score(*class).unwrap_or(f32::NEG_INFINITY);
        value > own || (value == own && *class < target) || own.is_nan()
    };
    (0..classes).filter(before).count()
}

/// A mean over examples, or over their elements, of what is a mean over each batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    pub fn add(&mut self, value: f64, weight: f64) {
        self.sum += value * weight;
        self.count += weight;
    }

    pub fn value(&self) -> f64 {
        self.sum / self.count
    }
}

#[cfg(test)]
mod tests;

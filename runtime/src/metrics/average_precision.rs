//! Mean average precision: of boxes, ranked by how sure the network is, how many are right.
//!
//! COCO's rule: precision at 101 recalls, at most 100 boxes of each class in a picture, and, where no overlap is asked
//! for, the mean over the ten overlaps 0.50, 0.55 ... 0.95. Pascal VOC's: the whole area below the curve of precision (since
//! 2010), or the mean at 11 recalls (2007); there a box belongs to the object that it shares most with.

use crate::data::objects::{Object, area};
use crate::found::{Found, common, shared};

/// Where the curve is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Points {
    /// At 101 recalls.
    Coco,
    /// Everywhere.
    Voc,
    /// At 11 recalls.
    Voc11,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ApRule {
    pub points: Points,
    /// What a box must share with an object. `None`: COCO's ten, Pascal's 0.5.
    pub iou: Option<f64>,
    /// How much boxes of one class may share before they are one.
    pub overlap: f64,
}

/// Boxes of a class in one picture that COCO looks at.
const MOST: usize = 100;

impl ApRule {
    fn thresholds(&self) -> Vec<f64> {
        match (self.iou, self.points) {
            (Some(iou), _) => vec![iou],
            // To the last bit as NumPy spaces them: shares may lie right on one.
            (None, Points::Coco) => (0..9).map(|i| 0.5 + f64::from(i) * ((0.95 - 0.5) / 9.0)).chain([0.95]).collect(),
            (None, _) => vec![0.5],
        }
    }
}

/// What became of one box at one threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Right,
    Wrong,
    /// It found what is ignored.
    Passed,
}

/// One class so far.
#[derive(Clone, Debug, Default)]
struct Class {
    /// Objects that are to be found.
    objects: usize,
    /// Scores, in the order of pictures and within one falling, and what became of each at each threshold.
    scores: Vec<f64>,
    verdicts: Vec<Verdict>,
}

/// The pictures so far.
#[derive(Clone, Debug)]
pub struct AveragePrecision {
    rule: ApRule,
    thresholds: Vec<f64>,
    classes: Vec<Class>,
}

impl AveragePrecision {
    pub fn new(rule: ApRule) -> AveragePrecision {
        AveragePrecision { rule, thresholds: rule.thresholds(), classes: Vec::new() }
    }

    /// One picture: what was found and what is there, in the same unit.
    pub fn add(&mut self, found: &[Found], objects: &[Object]) {
        let classes = found.iter().map(|found| found.class).chain(objects.iter().map(|object| object.class));
        let most = classes.max().map_or(0, |class| class as usize + 1);
        if most > self.classes.len() {
            self.classes.resize_with(most, Class::default);
        }
        for (number, class) in self.classes.iter_mut().enumerate() {
            let mut mine: Vec<&Found> = found.iter().filter(|found| found.class as usize == number).collect();
            mine.sort_by(|a, b| b.score.total_cmp(&a.score));
            if self.rule.points == Points::Coco {
                mine.truncate(MOST);
            }
            let theirs: Vec<&Object> = objects.iter().filter(|object| object.class as usize == number).collect();
            class.objects += theirs.iter().filter(|object| !object.ignored).count();
            class.scores.extend(mine.iter().map(|found| found.score));
            let matched: Vec<Vec<Verdict>> = self
                .thresholds
                .iter()
                .map(|threshold| match self.rule.points {
                    Points::Coco => coco(&mine, &theirs, *threshold),
                    Points::Voc | Points::Voc11 => voc(&mine, &theirs, *threshold),
                })
                .collect();
            for at in 0..mine.len() {
                class.verdicts.extend(matched.iter().filter_map(|verdicts| verdicts.get(at)));
            }
        }
    }

    /// The mean over classes that have objects; none before the first.
    pub fn value(&self) -> Option<f64> {
        let each: Vec<f64> = (0..self.classes.len()).filter_map(|class| self.of_class(class)).collect();
        (!each.is_empty()).then(|| each.iter().sum::<f64>() / each.len() as f64)
    }

    /// Classes that were met, be it in the truth or in what was found.
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// Objects of one class that are to be found.
    pub fn objects(&self, class: usize) -> usize {
        self.classes.get(class).map_or(0, |class| class.objects)
    }

    /// Of one class, the mean over the thresholds; none where it has no objects.
    pub fn of_class(&self, class: usize) -> Option<f64> {
        let class = self.classes.get(class).filter(|class| class.objects > 0)?;
        let all = (0..self.thresholds.len()).map(|at| self.at(class, at));
        Some(all.sum::<f64>() / self.thresholds.len() as f64)
    }

    fn at(&self, class: &Class, threshold: usize) -> f64 {
        let mut order: Vec<usize> = (0..class.scores.len()).collect();
        order.sort_by(|a, b| class.scores[*b].total_cmp(&class.scores[*a]));
        let (mut right, mut wrong) = (0.0, 0.0);
        let (mut recall, mut precision) = (Vec::new(), Vec::new());
        for at in order {
            match class.verdicts.get(at * self.thresholds.len() + threshold) {
                Some(Verdict::Right) => right += 1.0,
                Some(Verdict::Wrong) => wrong += 1.0,
                _ => continue,
            }
            recall.push(right / class.objects as f64);
            precision.push(right / (right + wrong));
        }
        for at in (1..precision.len()).rev() {
            precision[at - 1] = f64::max(precision[at - 1], precision[at]);
        }
        let at_recall = |wanted: f64| {
            let first = recall.partition_point(|recall| *recall < wanted);
            precision.get(first).copied().unwrap_or(0.0)
        };
        match self.rule.points {
            Points::Coco => (0..=100).map(|i| at_recall(f64::from(i) * 0.01)).sum::<f64>() / 101.0,
            Points::Voc11 => (0..=10).map(|i| at_recall(f64::from(i) * 0.1)).sum::<f64>() / 11.0,
            Points::Voc => {
                let steps = recall.iter().scan(0.0, |before, recall| {
                    let step = recall - *before;
                    *before = *recall;
                    Some(step)
                });
                steps.zip(&precision).map(|(step, precision)| step * precision).sum()
            }
        }
    }
}

/// Each box takes the free object that it shares most with, one that counts before one that is ignored; the last of equals.
fn coco(found: &[&Found], objects: &[&Object], threshold: f64) -> Vec<Verdict> {
    let mut order: Vec<usize> = (0..objects.len()).collect();
    order.sort_by_key(|at| objects[*at].ignored);
    let mut taken = vec![false; objects.len()];
    let mut verdicts = Vec::new();
    for found in found {
        let mut best: (f64, Option<usize>) = (threshold.min(1.0 - 1e-10), None);
        for at in &order {
            let object = objects[*at];
            // A crowd may be found many times.
            if taken[*at] && !object.ignored {
                continue;
            }
            if best.1.is_some_and(|best| !objects[best].ignored) && object.ignored {
                break;
            }
            let share = match object.ignored {
                true => common(&found.corners, &object.corners) / area(&found.corners).max(f64::MIN_POSITIVE),
                false => shared(&found.corners, &object.corners),
            };
            if share >= best.0 {
                best = (share, Some(*at));
            }
        }
        verdicts.push(match best.1 {
            Some(at) => {
                taken[at] = true;
                if objects[at].ignored { Verdict::Passed } else { Verdict::Right }
            }
            None => Verdict::Wrong,
        });
    }
    verdicts
}

/// Each box belongs to the object that it shares most with, the first of equals; the second box of an object is wrong.
fn voc(found: &[&Found], objects: &[&Object], threshold: f64) -> Vec<Verdict> {
    let mut taken = vec![false; objects.len()];
    let mut verdicts = Vec::new();
    for found in found {
        let mut best = (0.0, None);
        for (at, object) in objects.iter().enumerate() {
            let share = shared(&found.corners, &object.corners);
            if share > best.0 {
                best = (share, Some(at));
            }
        }
        verdicts.push(match best {
            (share, Some(at)) if share >= threshold => match (objects[at].ignored, taken[at]) {
                (true, _) => Verdict::Passed,
                (false, true) => Verdict::Wrong,
                (false, false) => {
                    taken[at] = true;
                    Verdict::Right
                }
            },
            _ => Verdict::Wrong,
        });
    }
    verdicts
}

#[cfg(test)]
mod tests;

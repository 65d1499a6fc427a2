//! The area under the ROC curve: how often something of a class is ranked above something that is not of it.

use crate::init::mix;

/// Scores that are kept, of all classes together. Of more each has the same chance to be kept: what is told then is off by half of one over the
/// root of the kept ones of a class, as a standard deviation, or less.
const MOST: usize = 1 << 25;

/// The scores so far.
#[derive(Clone, Debug)]
pub struct Auc {
    /// For each class the scores of what is of it, and of the others.
    classes: Vec<[Sample; 2]>,
    held: usize,
    most: usize,
}

impl Default for Auc {
    fn default() -> Auc {
        Auc { classes: vec![], held: 0, most: MOST }
    }
}

/// Scores, all or some of them.
#[derive(Clone, Debug, Default)]
struct Sample {
    kept: Vec<f32>,
    seen: u64,
}

impl Auc {
    /// One score, and whether it should be high. What is no number is the least.
    pub fn add(&mut self, class: usize, score: f32, is: bool) {
        if class >= self.classes.len() {
            self.classes.resize_with(class + 1, Default::default);
        }
        let Some(sample) = self.classes.get_mut(class).map(|both| &mut both[usize::from(!is)]) else { return };
        let score = if score.is_nan() { f32::NEG_INFINITY } else { score };
        sample.seen += 1;
        if self.held < self.most {
            sample.kept.push(score);
            self.held += 1;
        } else {
            // The place is drawn among all that were seen: one beyond the kept ones is none.
            let place = mix(sample.seen ^ ((class as u64) << 48)) % sample.seen;
            if let Some(kept) = sample.kept.get_mut(place as usize) {
                *kept = score;
            }
        }
    }

    /// Logits of all classes: each class against the others, of two classes the second.
    pub fn add_logits(&mut self, classes: usize, target: usize, logit: impl Fn(usize) -> f32) {
        let most = (0..classes).map(&logit).fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = (0..classes).map(|class| (logit(class) - most).exp()).sum();
        match classes {
            2 => self.add(0, logit(1) - logit(0), target == 1),
            _ => (0..classes).for_each(|class| self.add(class, (logit(class) - most).exp() / sum, class == target)),
        }
    }

    /// The mean over the classes of which there is something and not everything.
    pub fn value(&self) -> Option<f64> {
        let each: Vec<f64> = self.classes.iter().filter_map(|[of, others]| area(&of.kept, &others.kept)).collect();
        (!each.is_empty()).then(|| each.iter().sum::<f64>() / each.len() as f64)
    }
}

/// Equal scores are half a win.
fn area(of: &[f32], others: &[f32]) -> Option<f64> {
    let sorted = |scores: &[f32]| {
        // Zeros are equal, whatever their sign.
        let mut sorted: Vec<f32> = scores.iter().map(|score| score + 0.0).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        sorted
    };
    let (of, others) = (sorted(of), sorted(others));
    let (mut below, mut upto, mut wins) = (0, 0, 0.0);
    for score in &of {
        below += others[below..].iter().take_while(|other| *other < score).count();
        upto = upto.max(below);
        upto += others[upto..].iter().take_while(|other| *other <= score).count();
        wins += (below + upto) as f64 / 2.0;
    }
    let pairs = of.len() as f64 * others.len() as f64;
    (pairs > 0.0).then(|| wins / pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_all_pairs_say() {
        let scores = [(0.1, false), (0.4, true), (0.4, false), (-0.0, false), (0.0, true), (0.9, true), (0.4, true)];
        let mut auc = Auc::default();
        scores.iter().for_each(|(score, is)| auc.add(0, *score, *is));
        let pairs = scores.iter().filter(|a| a.1).flat_map(|a| scores.iter().filter(|b| !b.1).map(move |b| (a.0, b.0)));
        let wins: Vec<f64> =
            pairs.map(|(a, b)| f64::from(u8::from(a > b)) + 0.5 * f64::from(u8::from(a == b))).collect();
        assert_eq!(auc.value(), Some(wins.iter().sum::<f64>() / wins.len() as f64));
    }

    #[test]
    fn classes_and_none() {
        let mut auc = Auc::default();
        assert_eq!(auc.value(), None);
        auc.add_logits(2, 1, |class| [0.0, 2.0][class]);
        assert_eq!(auc.value(), None);
        auc.add_logits(2, 0, |class| [0.0, 3.0][class]);
        assert_eq!(auc.value(), Some(0.0));
        let mut three = Auc::default();
        three.add_logits(3, 0, |class| [9.0, 8.0, 0.0][class]);
        three.add_logits(3, 1, |class| [1.0, 0.0, 0.0][class]);
        three.add_logits(3, 1, |class| [0.0, f32::NAN, 0.0][class]);
        assert_eq!(three.value(), Some((1.0 + 0.0) / 2.0));
    }

    #[test]
    fn a_sample_stands_for_all() {
        let of = |most: usize| {
            let mut auc = Auc { most, ..Auc::default() };
            // What comes first is not like the rest.
            for at in 0..60_000u64 {
                let (is, draw) = (at % 3 == 0, (mix(at) % 1000) as f32 / 1000.0);
                let easy = at < 3_000;
                auc.add(0, if is { draw + if easy { 1.0 } else { 0.25 } } else { draw }, is);
            }
            assert_eq!(auc.held, most.min(60_000));
            auc.value().unwrap()
        };
        let (all, some) = (of(MOST), of(3_000));
        assert!((0.7..0.8).contains(&all), "{all}");
        assert!((all - some).abs() < 0.03, "{all} and {some}");
        assert_eq!(some, of(3_000));
    }
}

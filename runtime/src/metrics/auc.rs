//! The area under the ROC curve: how often something of a class is ranked above something that is not of it.

/// Scores that are kept, of all classes together: the ranks of more are told by the first of them.
const MOST: usize = 1 << 25;

/// The scores so far.
#[derive(Clone, Debug, Default)]
pub struct Auc {
    /// For each class the scores, and whether each is of it.
    classes: Vec<Vec<(f32, bool)>>,
    held: usize,
}

impl Auc {
    /// One score, and whether it should be high. What is no number is the least.
    pub fn add(&mut self, class: usize, score: f32, is: bool) {
        if self.held >= MOST {
            return;
        }
        if class >= self.classes.len() {
            self.classes.resize_with(class + 1, Vec::new);
        }
        if let Some(scores) = self.classes.get_mut(class) {
            scores.push((if score.is_nan() { f32::NEG_INFINITY } else { score }, is));
            self.held += 1;
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
        let each: Vec<f64> = self.classes.iter().filter_map(|scores| area(scores)).collect();
        (!each.is_empty()).then(|| each.iter().sum::<f64>() / each.len() as f64)
    }
}

/// Equal scores are half a win.
fn area(scores: &[(f32, bool)]) -> Option<f64> {
    let mut sorted = scores.to_vec();
    // Zeros are equal, whatever their sign.
    sorted.iter_mut().for_each(|(score, _)| *score += 0.0);
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut wins) = (0.0, 0.0);
    for equal in sorted.chunk_by(|a, b| a.0 == b.0) {
        let of = equal.iter().filter(|(_, is)| *is).count() as f64;
        let others = equal.len() as f64 - of;
        wins += of * (below + 0.5 * others);
        below += others;
    }
    let of = scores.len() as f64 - below;
    (of > 0.0 && below > 0.0).then(|| wins / (of * below))
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
}

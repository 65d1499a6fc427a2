//! Scores of single classes, out of a confusion.

use super::Confusion;

/// One class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScore {
    /// How often it is there, and how often something was taken for it.
    pub is: u64,
    pub taken: u64,
    /// Of those taken for it, how many are it; nothing where none was.
    pub precision: Option<f64>,
    /// Of those that are it, how many were found.
    pub recall: Option<f64>,
    pub f1: Option<f64>,
    /// Right ones over all that are it or were taken for it.
    pub iou: Option<f64>,
}

impl Confusion {
    pub fn of_class(&self, class: usize) -> ClassScore {
        let right = self.get(class, class);
        let is: u64 = (0..self.classes).map(|taken| self.get(class, taken)).sum();
        let taken: u64 = (0..self.classes).map(|is| self.get(is, class)).sum();
        let share = |of: u64| (of > 0).then(|| right as f64 / of as f64);
        let f1 = (is + taken > 0).then(|| 2.0 * right as f64 / (is + taken) as f64);
        ClassScore { is, taken, precision: share(taken), recall: share(is), f1, iou: share(is + taken - right) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_three() {
        let counts = Confusion { classes: 3, counts: vec![2, 1, 0, 1, 3, 0, 0, 0, 0] };
        let score = counts.of_class(1);
        assert_eq!((score.is, score.taken, score.precision, score.recall), (4, 4, Some(0.75), Some(0.75)));
        assert_eq!((score.f1, score.iou), (Some(0.75), Some(0.6)));
        let never = counts.of_class(2);
        assert_eq!((never.precision, never.recall, never.f1, never.iou), (None, None, None, None));
    }
}

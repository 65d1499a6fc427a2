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
    /// Twice the right ones over those that are it and those taken for it together: Dice's coefficient.
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
mod tests;

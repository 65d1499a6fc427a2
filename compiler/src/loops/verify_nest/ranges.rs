//! What values a coordinate can take: intervals of loop variables, narrowed by conditions.

use crate::base::Var;
use crate::loops::Affine;

/// `low <= at <= high`, known from a loop's condition or a guard.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub at: Affine,
    pub low: Option<i64>,
    pub high: i64,
    /// How many loop variables were bound when the condition was tested: an expression that depends on none of the
    /// last may be computed before the test.
    pub depth: usize,
}

/// A linear address: an affine part and more terms that run from 0 to `count - 1` steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Linear {
    pub at: Affine,
    /// Step and number of values: indices from data, rows and lanes of tiles.
    pub more: Vec<(i64, usize)>,
}

impl Linear {
    /// The least and the greatest of the terms that are not affine.
    fn spread(&self) -> (i64, i64) {
        self.more.iter().fold((0, 0), |(low, high), (step, count)| {
            let end = step * (*count as i64 - 1);
            (low + end.min(0), high + end.max(0))
        })
    }
}

/// Variables in scope and what is known of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    /// Loops first (the task is the first of all), then variables of reductions.
    pub vars: Vec<(Var, usize)>,
    pub facts: Vec<Fact>,
}

/// Which end of a range.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Low,
    High,
}

impl Ranges {
    pub fn extent(&self, var: Var) -> Option<usize> {
        self.vars.iter().rev().find(|(v, _)| *v == var).map(|(_, n)| *n)
    }

    /// `Err` names a variable without a loop.
    pub fn bound(&self, at: &Affine) -> Result<(), String> {
        match at.terms.iter().find(|(v, _)| self.extent(*v).is_none()) {
            Some((v, _)) => Err(format!("{v} is not bound in {at}")),
            None => Ok(()),
        }
    }

    /// Position of the innermost variable of `at` among the first `loops`, plus one.
    pub fn depth(&self, at: &Affine, loops: usize) -> usize {
        let position = |v: Var| self.vars[..loops].iter().position(|(w, _)| *w == v).map_or(0, |i| i + 1);
        at.terms.iter().map(|(v, _)| position(*v)).max().unwrap_or(0)
    }

    /// The least and the greatest value of `at`, with conditions tested at `depth` or before.
    pub fn range(&self, at: &Affine, depth: usize) -> (i64, i64) {
        let facts: Vec<&Fact> = self.facts.iter().filter(|f| f.depth <= depth).collect();
        (self.end(at, End::Low, &facts), self.end(at, End::High, &facts))
    }

    pub fn linear(&self, l: &Linear, depth: usize) -> (i64, i64) {
        let (low, high) = self.range(&l.at, depth);
        let (less, more) = l.spread();
        (low + less, high + more)
    }

    /// An end of the range of `at`: from the variables alone, or better from `at = factor * fact + rest`.
    fn end(&self, at: &Affine, end: End, facts: &[&Fact]) -> i64 {
        let plain = at.range(&|v| self.extent(v).unwrap_or(1));
        let mut best = if end == End::Low { plain.0 } else { plain.1 };
        for (i, fact) in facts.iter().enumerate() {
            let mut tried = vec![];
            for (var, c) in &fact.at.terms {
                let own = at.coefficient(*var);
                if own == 0 || own % c != 0 || tried.contains(&(own / c)) {
                    continue;
                }
                let factor = own / c;
                tried.push(factor);
                let bound = if (factor > 0) == (end == End::High) { Some(fact.high) } else { fact.low };
                if let Some(bound) = bound {
                    let rest = at - &(&fact.at * factor);
                    let found = factor * bound + self.end(&rest, end, &facts[i + 1..]);
                    best = if end == End::Low { best.max(found) } else { best.min(found) };
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges() -> (Ranges, Affine, Affine) {
        let (task, i) = (Var(0), Var(1));
        let at = &(&Affine::from(task) * 8) + &Affine::from(i);
        let facts = vec![Fact { at: at.clone(), low: None, high: 29, depth: 2 }];
        (Ranges { vars: vec![(task, 4), (i, 8)], facts }, at, Affine::from(task))
    }

    #[test]
    fn a_condition_narrows_multiples_of_itself() {
        let (r, at, _) = ranges();
        assert_eq!(r.range(&at, 2), (0, 29));
        assert_eq!(r.range(&(&at * 10), 2), (0, 290));
        assert_eq!(r.range(&(&(&at * -2) + 5), 2), (-53, 5));
    }

    #[test]
    fn what_may_be_computed_before_the_condition_is_not_narrowed() {
        let (r, at, task) = ranges();
        assert_eq!(r.range(&at, 1), (0, 31));
        assert_eq!(r.range(&task, 2), (0, 3));
    }
}

//! Which elements an access touches: addresses that lie evenly in several directions.

use super::ranges::{Fact, Linear, Ranges};
use crate::base::Var;
use crate::loops::Affine;

/// The addresses `first + sum of step * i` for all `i` below the counts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Region {
    pub first: i64,
    /// Step and count; the largest step first, and no run that ends where the next larger goes on.
    pub runs: Vec<(i64, i64)>,
    /// Otherwise not all of these elements are touched, but no others.
    pub exact: bool,
}

impl Region {
    /// A buffer of `size` elements.
    pub fn whole(size: i64) -> Region {
        Region { first: 0, runs: merged(vec![(1, size)]), exact: true }
    }

    /// All elements of an access in a scope. `None` where conditions never hold.
    pub fn new(linear: &Linear, ranges: &Ranges) -> Option<Region> {
        let mut b = Building { at: linear.at.clone(), clipped: vec![], runs: vec![], exact: true };
        let used = |f: &Fact| f.at.terms.iter().filter(|(v, _)| linear.at.coefficient(*v) != 0).count();
        ranges.facts.iter().filter(|f| used(f) == 1).try_for_each(|f| b.clip(f, ranges))?;
        ranges.facts.iter().filter(|f| used(f) > 1).try_for_each(|f| b.join(f, ranges))?;
        for (var, c) in b.at.terms.clone() {
            let (low, high) = b.range(var, ranges);
            b.at.constant += c * low;
            b.runs.push((c, high - low + 1));
        }
        b.runs.extend(linear.more.iter().map(|(step, count)| (*step, *count as i64)));
        let first = b.at.constant + b.runs.iter().map(|(s, n)| (s * (n - 1)).min(0)).sum::<i64>();
        Some(Region { first, runs: merged(b.runs), exact: b.exact })
    }
}

struct Building {
    /// What is not yet among the runs.
    at: Affine,
    /// Ranges of variables with a condition of their own.
    clipped: Vec<(Var, (i64, i64))>,
    runs: Vec<(i64, i64)>,
    exact: bool,
}

impl Building {
    fn range(&self, var: Var, ranges: &Ranges) -> (i64, i64) {
        let clipped = self.clipped.iter().find(|(v, _)| *v == var).map(|(_, r)| *r);
        clipped.unwrap_or((0, ranges.extent(var).unwrap_or(1) as i64 - 1))
    }

    /// A condition with one variable of the address: those of its values for which the others can make it hold.
    fn clip(&mut self, fact: &Fact, ranges: &Ranges) -> Option<()> {
        let (var, c) = *fact.at.terms.iter().find(|(v, _)| self.at.coefficient(*v) != 0)?;
        let rest = &fact.at - &(&Affine::from(var) * c);
        let (least, most) = rest.range(&|v| ranges.extent(v).unwrap_or(1));
        // `c * var` lies between these.
        let (from, to) = (fact.low.map(|low| low - most), fact.high - least);
        let (mut low, mut high) = self.range(var, ranges);
        if c > 0 {
            high = high.min(to.div_euclid(c));
            low = from.map_or(low, |from| low.max(-(-from).div_euclid(c)));
        } else {
            low = low.max(-to.div_euclid(-c));
            high = from.map_or(high, |from| high.min((-from).div_euclid(-c)));
        }
        self.clipped.retain(|(v, _)| *v != var);
        self.clipped.push((var, (low, high)));
        (low <= high).then_some(())
    }

    /// A condition with several: where the address has a multiple of it that takes evenly spaced values, it is one run.
    fn join(&mut self, fact: &Fact, ranges: &Ranges) -> Option<()> {
        let (var, c) = fact.at.terms[0];
        let factor = self.at.coefficient(var) / c;
        let multiple = factor != 0 && fact.at.terms.iter().all(|(v, c)| self.at.coefficient(*v) == factor * c);
        let mut first = fact.at.constant;
        let mut runs = vec![];
        for (v, c) in &fact.at.terms {
            let (low, high) = self.range(*v, ranges);
            first += (c * low).min(c * high);
            runs.push((*c, high - low + 1));
        }
        let (step, count) = match merged(runs)[..] {
            [] => (1, 1),
            [run] => run,
            _ => (0, 0),
        };
        if !multiple || step == 0 {
            self.exact = false;
            return Some(());
        }
        let skipped = fact.low.map_or(0, |low| (low - first + step - 1).div_euclid(step).max(0));
        let end = count.min((fact.high - first).div_euclid(step) + 1);
        if skipped >= end {
            return None;
        }
        self.at = &self.at - &(&fact.at * factor);
        self.at.constant += factor * (first + skipped * step);
        self.runs.push((factor * step, end - skipped));
        Some(())
    }
}

/// Runs in one direction, those that go on where another ends made one.
pub(super) fn merged(mut runs: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    runs.retain(|(step, count)| *step != 0 && *count > 1);
    runs.iter_mut().for_each(|(step, _)| *step = step.abs());
    runs.sort_unstable();
    let mut found: Vec<(i64, i64)> = vec![];
    for (step, count) in runs {
        match found.last_mut() {
            Some((s, n)) if step % *s == 0 && step <= *s * *n => *n += step / *s * (count - 1),
            _ => found.push((step, count)),
        }
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn affine(terms: &[(u32, i64)], constant: i64) -> Affine {
        Affine { terms: terms.iter().map(|(v, c)| (Var(*v), *c)).collect(), constant }
    }

    fn region(terms: &[(u32, i64)], vars: &[usize], facts: Vec<Fact>) -> Option<(i64, Vec<(i64, i64)>, bool)> {
        let vars = vars.iter().enumerate().map(|(i, n)| (Var(i as u32), *n)).collect();
        let linear = Linear { at: affine(terms, 0), more: vec![] };
        Region::new(&linear, &Ranges { vars, facts }).map(|r| (r.first, r.runs, r.exact))
    }

    fn fact(terms: &[(u32, i64)], constant: i64, low: Option<i64>, high: i64) -> Fact {
        Fact { at: affine(terms, constant), low, high, depth: 0 }
    }

    #[test]
    fn loops_that_walk_on_are_one_run() {
        assert_eq!(region(&[(0, 40), (1, 10), (2, 1)], &[3, 4, 10], vec![]), Some((0, vec![(1, 120)], true)));
        assert_eq!(region(&[(0, 80), (1, 1)], &[3, 40], vec![]), Some((0, vec![(80, 3), (1, 40)], true)));
        assert_eq!(region(&[(0, 2), (1, 1)], &[5, 3], vec![]), Some((0, vec![(1, 11)], true)));
        assert_eq!(region(&[(0, -2)], &[5], vec![]), Some((-8, vec![(2, 5)], true)));
    }

    #[test]
    fn a_condition_ends_the_run_of_its_variables() {
        let within = |high| fact(&[(0, 8), (1, 1)], 0, None, high);
        assert_eq!(region(&[(0, 80), (1, 10)], &[4, 8], vec![within(28)]), Some((0, vec![(10, 29)], true)));
        assert_eq!(region(&[(0, 10)], &[4, 8], vec![within(23)]), Some((0, vec![(10, 3)], true)));
        assert_eq!(region(&[(0, 80), (1, 20)], &[4, 8], vec![within(28)]).map(|r| r.2), Some(false));
    }

    #[test]
    fn guards_cut_both_ends() {
        let guard = fact(&[(0, 1), (1, 1)], -1, Some(0), 3);
        assert_eq!(region(&[(0, 5), (1, 5)], &[4, 3], vec![guard.clone()]), Some((5, vec![(5, 4)], true)));
        assert_eq!(region(&[(0, 1)], &[6], vec![fact(&[(0, -2)], 7, Some(0), 3)]), Some((2, vec![(1, 2)], true)));
        assert_eq!(region(&[(0, 1)], &[6], vec![fact(&[(0, 1)], 9, Some(0), 3)]), None);
    }
}

//! Tasks of one step never touch what another of them writes.
//!
//! All accesses to one memory must have the form `step * task + rest`, or be made by one task alone. Either the rests
//! of different tasks never meet as they are (each task has a block), or they do not meet modulo the size of some
//! trailing axes (each task has some columns), where the rest of the address is a multiple of that size. An access with
//! another step must be apart from all others whichever tasks make them.

use super::ranges::{Linear, Ranges};
use crate::base::Var;
use crate::loops::Affine;

/// An access as the tasks see it: `step * task + rest`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Form {
    step: i64,
    /// The least and the greatest rest.
    rest: (i64, i64),
    /// First and last task that makes it.
    tasks: (i64, i64),
}

impl Form {
    /// Where it may be, whichever task makes it.
    fn reach(&self) -> (i64, i64) {
        let ends = [self.step * self.tasks.0, self.step * self.tasks.1];
        (self.rest.0 + ends[0].min(ends[1]), self.rest.1 + ends[0].max(ends[1]))
    }
}

/// An access to memory that its step writes, seen as it is and modulo each of some sizes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Access {
    writes: bool,
    /// `None` where the part below the modulus does not stay below it.
    forms: Vec<Option<Form>>,
}

impl Access {
    pub const READS: bool = false;
    pub const WRITES: bool = true;

    /// `moduli`: sizes of trailing axes of the shapes that the memory has.
    pub fn new(task: Var, linear: &Linear, writes: bool, moduli: &[i64], ranges: &Ranges) -> Access {
        let all = [None].into_iter().chain(moduli.iter().copied().map(Some));
        Access { writes, forms: all.map(|m| form(task, linear, m, ranges)).collect() }
    }
}

/// Can no two tasks meet, of which at least one writes? Never true if they can.
pub(super) fn disjoint(accesses: &[Access]) -> bool {
    let Some(first) = accesses.first() else { return true };
    (0..first.forms.len()).any(|m| apart(accesses, m))
}

/// Are all accesses apart, seen modulo the `m`th size?
fn apart(accesses: &[Access], m: usize) -> bool {
    let mut forms = vec![];
    for access in accesses {
        match &access.forms[m] {
            Some(form) => forms.push((access.writes, form.clone())),
            None => return false,
        }
    }
    let several = forms.iter().filter(|(_, f)| f.tasks.0 < f.tasks.1).map(|(_, f)| f.step).max();
    let Some(step) = several.or(forms.iter().map(|(_, f)| f.step).max()) else { return true };
    let (mut forms, others): (Vec<_>, Vec<_>) =
        forms.into_iter().partition(|(_, f)| f.step == step || f.tasks.0 == f.tasks.1);
    let far = |(a_writes, a): &(bool, Form), (b_writes, b): &(bool, Form)| {
        let (a, b) = (a.reach(), b.reach());
        !(*a_writes || *b_writes) || b.1 < a.0 || a.1 < b.0
    };
    let strangers =
        others.iter().enumerate().all(|(i, a)| !a.0 && others[i + 1..].iter().chain(&forms).all(|b| far(a, b)));
    if !strangers {
        return false;
    }
    for (_, f) in forms.iter_mut().filter(|(_, f)| f.step != step) {
        // Of one task alone: any multiple of the task is as good.
        let shift = (f.step - step) * f.tasks.0;
        f.rest = (f.rest.0 + shift, f.rest.1 + shift);
    }
    let meet = |(a_writes, a): &(bool, Form), (b_writes, b): &(bool, Form)| {
        // `a` by an earlier task, `b` by one that is `by` later: the first address may be one of those that many steps further.
        let last = b.tasks.1 - a.tasks.0;
        let possible = (*a_writes || *b_writes) && last > 0;
        if step <= 0 {
            return possible && (step < 0 || b.rest.0 <= a.rest.1 && a.rest.0 <= b.rest.1);
        }
        let by = -(b.rest.1 - a.rest.0).div_euclid(step);
        possible && by.max(1) <= last.min((a.rest.1 - b.rest.0).div_euclid(step))
    };
    forms.iter().all(|a| forms.iter().all(|b| !meet(a, b)))
}

/// The part of an address below `modulus`.
fn form(task: Var, linear: &Linear, modulus: Option<i64>, ranges: &Ranges) -> Option<Form> {
    let mut low = linear.clone();
    if let Some(m) = modulus {
        low.at.terms.retain(|(_, c)| c % m != 0);
        low.at.constant = low.at.constant.rem_euclid(m);
        low.more.retain(|(step, _)| step % m != 0);
        let (least, most) = ranges.linear(&low, usize::MAX);
        if least < 0 || most >= m {
            return None;
        }
    }
    let step = low.at.coefficient(task);
    let mut rest = low;
    rest.at = &rest.at - &(&Affine::from(task) * step);
    let tasks = ranges.range(&Affine::from(task), usize::MAX);
    Some(Form { step, rest: ranges.linear(&rest, usize::MAX), tasks })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair of writes by three tasks, small enough to be tried place by place.
    #[test]
    fn tasks_meet_where_some_of_them_do() {
        let access = |step: i64, first: i64, length: i64| Access {
            writes: true,
            forms: vec![Some(Form { step, rest: (first, first + length), tasks: (0, 2) })],
        };
        let mut met = 0;
        for (step, at, a, b) in (0..216).map(|i| (i % 6 + 1, i / 6 % 12, i / 6 % 3, i / 18 % 4)) {
            let list = [access(step, 0, a), access(step, at, b)];
            let places = |task: i64| (step * task..=step * task + a).chain(step * task + at..=step * task + at + b);
            let meet = (0..3).any(|t| (0..t).any(|u| places(t).any(|x| places(u).any(|y| x == y))));
            assert_eq!(!disjoint(&list), meet, "steps of {step}, {a} from 0 and {b} from {at}");
            met += usize::from(meet);
        }
        assert!(met > 20 && met < 200, "{met} meet");
    }
}

//! Filters of single channels: sums of products whose factors share the innermost axis of the result, so that channels do
//! not mix. Depthwise convolutions are of this form, and both of their gradients: points and taps change places.
//!
//! The innermost other axis of the result are the points of a call, the innermost sums its taps. Where taps leave the
//! picture, points are taken apart into runs that see the same taps: every call is plain strides.

use super::contraction::{Operand, product};
use super::ending::Ending;
use super::strips::{RowThen, Then};
use super::tile_nest::{Builder, for_each, only_where};
use crate::base::{Buffer, Var};
use crate::loops::nest::{Accumulate, Filter, For, Kind, Place, Stmt};
use crate::loops::{Affine, Coord, Fold, Home, How, Kernel, Node};
use std::collections::HashMap;

/// More taps than this are walked row by row, so that what they read stays in the first-level cache.
const MOST_TAPS: usize = 64;

/// A kernel of this form; nothing varies along an axis of one point.
#[derive(Clone, Debug)]
pub struct Channels {
    /// What moves with the points, and the taps, which do not.
    a: Operand,
    b: Operand,
    c: Buffer,
    c_at: Vec<Affine>,
    column: (Var, usize),
    /// Axes of the result that only `a` follows; the last are the points.
    rows: Vec<(Var, usize)>,
    /// Axes that both factors follow.
    outer: Vec<(Var, usize)>,
    sum: Vec<(Var, usize)>,
    /// What follows each row of points, or is done to every point.
    pub then: Option<RowThen>,
    finish: Option<Ending>,
}

/// The variables of these axes that have one value are that value.
fn fix(at: &[Affine], ones: &[Var]) -> Vec<Affine> {
    let f = |v: Var| if ones.contains(&v) { Affine::default() } else { Affine::from(v) };
    at.iter().map(|a| a.substitute(&f)).collect()
}

pub fn recognize(kernel: &Kernel) -> Option<Channels> {
    let [store] = &kernel.stores[..] else { return None };
    let Node::Reduce { fold: Fold::Add, vars, body } = &*store.value else { return None };
    if store.how != How::Set {
        return None;
    }
    let (mut a, mut b) = product(body)?;
    let place = |c: &Coord| if let Coord::Affine(a) = c { Some(a.clone()) } else { None };
    let ones: Vec<Var> = kernel.axes.iter().chain(vars).filter(|(_, n)| *n == 1).map(|(v, _)| *v).collect();
    let c_at = fix(&store.at.iter().map(place).collect::<Option<Vec<_>>>()?, &ones);
    for o in [&mut a, &mut b] {
        o.at = fix(&o.at, &ones);
        o.inside.iter_mut().for_each(|(at, _)| *at = fix(std::slice::from_ref(at), &ones).remove(0));
    }
    let column = c_at.last()?.as_var()?;
    let column = *kernel.axes.iter().find(|(v, n)| *v == column && *n > 1)?;
    let along = |at: &[Affine]| {
        let (last, others) = at.split_last()?;
        let alone = others.iter().all(|x| x.coefficient(column.0) == 0);
        (alone && last.coefficient(column.0) == 1).then_some(())
    };
    [&a.at, &b.at, &c_at].into_iter().try_for_each(|at| along(at))?;
    let axes: Vec<_> = kernel.axes.iter().filter(|(v, n)| *n > 1 && *v != column.0).copied().collect();
    if !axes.iter().any(|(v, _)| a.depends(*v) && !b.depends(*v)) {
        std::mem::swap(&mut a, &mut b);
    }
    let sum: Vec<_> = vars.iter().filter(|(_, n)| *n > 1).copied().collect();
    let (outer, rows): (Vec<_>, Vec<_>) = axes.into_iter().partition(|(v, _)| b.depends(*v));
    let follows = rows.iter().chain(&outer).all(|(v, _)| a.depends(*v));
    let summed = sum.iter().all(|(v, _)| a.depends(*v) && b.depends(*v));
    let found = Channels { a, b, c: store.buffer, c_at, column, rows, outer, sum, then: None, finish: None };
    (!found.rows.is_empty() && follows && summed && found.is_plain()).then_some(found)
}

/// Values of a variable, from the first and up to the second.
type Range = (i64, i64);

/// A run of neighbours along an axis of rows, and the terms that they all see.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    first: usize,
    count: usize,
    seen: HashMap<Var, Range>,
}

fn meet(a: &mut HashMap<Var, Range>, b: &HashMap<Var, Range>) {
    for (v, (low, high)) in b {
        let range = a.entry(*v).or_insert((*low, *high));
        *range = (range.0.max(*low), range.1.min(*high));
    }
}

/// For which values of `c * x + at` with `x` in `0..n` is it in `0..bound`?
fn solutions(c: i64, at: i64, n: usize, bound: usize) -> Range {
    let holds = |x: &i64| (0..bound as i64).contains(&(c * x + at));
    let first = (0..n as i64).find(holds);
    let last = (0..n as i64).rev().find(holds);
    first.zip(last).map_or((0, 0), |(first, last)| (first, last + 1))
}

impl Channels {
    /// Does every guard speak of one row and one sum at most, and does every point see something?
    fn is_plain(&self) -> bool {
        let known = |v: Var| self.rows.iter().chain(&self.sum).any(|(w, _)| *w == v);
        let rows = |at: &Affine| at.terms.iter().filter(|(v, _)| self.rows.iter().any(|(w, _)| w == v)).count();
        let plain = |(at, _): &(Affine, usize)| {
            at.terms.iter().all(|(v, _)| known(*v)) && rows(at) <= 1 && at.terms.len() - rows(at) <= 1
        };
        self.b.inside.is_empty() && self.a.inside.iter().all(plain) && self.all_see_something()
    }

    fn all_see_something(&self) -> bool {
        // With one guard for each sum, no two axes of rows take from the same.
        let twice = |v: Var| self.a.inside.iter().filter(|(at, _)| at.coefficient(v) != 0).count() > 1;
        let sees = |run: Run| {
            let mut seen = self.everywhere();
            meet(&mut seen, &run.seen);
            seen.values().all(|(low, high)| low < high)
        };
        !self.sum.iter().any(|(v, _)| twice(*v))
            && self.everywhere().values().all(|(low, high)| low < high)
            && self.rows.iter().all(|axis| self.runs(*axis).into_iter().all(sees))
    }

    /// What guards without rows leave of the sums.
    fn everywhere(&self) -> HashMap<Var, Range> {
        let mut seen: HashMap<Var, Range> = self.sum.iter().map(|(v, n)| (*v, (0, *n as i64))).collect();
        for (at, bound) in self.a.inside.iter().filter(|(at, _)| self.rows.iter().all(|(v, _)| at.coefficient(*v) == 0))
        {
            meet(&mut seen, &self.within(at, 0, *bound));
        }
        seen
    }

    /// The terms of a guard with its row at a number.
    fn within(&self, at: &Affine, row: i64, bound: usize) -> HashMap<Var, Range> {
        let start = at.constant + row;
        match self.sum.iter().find(|(v, _)| at.coefficient(*v) != 0) {
            Some((v, n)) => HashMap::from([(*v, solutions(at.coefficient(*v), start, *n, bound))]),
            // Nothing at all is seen where it does not hold.
            None if (0..bound as i64).contains(&start) => HashMap::new(),
            None => HashMap::from([(self.column.0, (0, 0))]),
        }
    }

    /// Neighbours along an axis that see the same terms.
    fn runs(&self, (var, n): (Var, usize)) -> Vec<Run> {
        let mut found: Vec<Run> = vec![];
        for i in 0..n {
            let mut seen = HashMap::new();
            for (at, bound) in self.a.inside.iter().filter(|(at, _)| at.coefficient(var) != 0) {
                meet(&mut seen, &self.within(at, at.coefficient(var) * i as i64, *bound));
            }
            match found.last_mut() {
                Some(run) if run.seen == seen => run.count += 1,
                _ => found.push(Run { first: i, count: 1, seen }),
            }
        }
        found
    }
}

/// Where a call stands: values of rows and sums, the taps of each axis, and the points.
struct Spot<'a> {
    put: &'a HashMap<Var, Affine>,
    taps: [Option<(Var, usize)>; 2],
    points: (Var, usize),
    accumulate: Vec<Var>,
}

impl Builder<'_> {
    /// Lets a kernel follow filters whose rows of points are rows of a picture: what is filtered becomes a row of scratch. Says
    /// whether it does.
    pub fn follow_filters(&mut self, c: &mut Channels, then: Then) -> bool {
        let taps: usize = c.sum.iter().map(|(_, n)| n).product();
        if let Some((ending, to)) = then.ending(&c.c_at, c.column.0, &c.rows)
            && ending.is_alone()
            && c.outer.is_empty()
            && c.sum.len() <= 2
            && taps <= MOST_TAPS
        {
            ((c.c, c.c_at), c.finish) = (to, Some(ending));
            return true;
        }
        let ([_, points], []) = (&c.rows[..], &c.outer[..]) else { return false };
        let made = self.buffer(&[points.1, c.column.1], Home::Scratch, "row");
        let at = std::mem::replace(&mut c.c_at, vec![points.0.into(), c.column.0.into()]);
        c.then = Some(RowThen::new(then, at, *points, made));
        c.c = made;
        true
    }

    /// Loops over all points. With a `task` its tasks take parts of the first axis; says how many there are. `first`:
    /// variables of outer loops over which the result is accumulated.
    pub fn filter_rows(&mut self, c: &Channels, first: &[Var], task: Option<(Var, usize)>) -> (Vec<Stmt>, usize) {
        let (points, others) = c.rows.split_last().expect("recognized with points");
        let (mut body, mut tasks) = (vec![], 1);
        let Some((axis, inner)) = others.split_first() else {
            body = self.inner(c, &[], *points, (&HashMap::new(), c.everywhere()), first);
            return (for_each(&c.outer, Kind::Serial, body), 1);
        };
        let runs = c.runs(*axis);
        let largest = (0..runs.len()).max_by_key(|i| runs[*i].count).unwrap_or(0);
        if let Some((_, most)) = task {
            let each = runs[largest].count.div_ceil(most);
            tasks = runs[largest].count.div_ceil(each);
        }
        for (i, run) in runs.iter().enumerate() {
            let mut seen = c.everywhere();
            meet(&mut seen, &run.seen);
            let shared = task.filter(|_| i == largest && tasks > 1).map(|(task, _)| task);
            let each = run.count.div_ceil(if shared.is_some() { tasks } else { 1 });
            let var = self.scope.var();
            let own =
                shared.map_or(Affine::from(var), |task| &(&Affine::from(task) * each as i64) + &Affine::from(var));
            let put = HashMap::from([(axis.0, &own + run.first as i64)]);
            let mut stmts = self.inner(c, inner, *points, (&put, seen), first);
            if let Some(then) = &c.then {
                stmts.insert(0, Stmt::Mark(then.mark()));
                stmts.extend(self.row_then(then, &put));
            }
            let within = (shared.is_some() && run.count % each != 0).then_some((own, run.count));
            let part = Stmt::For(For { var, extent: each, kind: Kind::Serial, within, body: stmts });
            // The edges go with the parts beside them.
            match task {
                Some((task, _)) if i != largest && tasks > 1 => {
                    let (once, task) = (self.scope.var(), Affine::from(task));
                    let at = if i < largest { task } else { &Affine::constant(tasks as i64 - 1) - &task };
                    body.push(only_where(once, at, 1, vec![part]));
                }
                _ => body.push(part),
            }
        }
        (for_each(&c.outer, Kind::Serial, body), tasks)
    }

    /// The axes of rows that are left, the loops over sums, and the calls.
    fn inner(
        &mut self,
        c: &Channels,
        axes: &[(Var, usize)],
        points: (Var, usize),
        (put, seen): (&HashMap<Var, Affine>, HashMap<Var, Range>),
        first: &[Var],
    ) -> Vec<Stmt> {
        let mut stmts = vec![];
        if let Some((axis, inner)) = axes.split_first() {
            for run in c.runs(*axis) {
                let (mut put, mut seen) = (put.clone(), seen.clone());
                meet(&mut seen, &run.seen);
                let var = self.scope.var();
                put.insert(axis.0, &Affine::from(var) + run.first as i64);
                let body = self.inner(c, inner, points, (&put, seen), first);
                stmts.extend(for_each(&[(var, run.count)], Kind::Serial, body));
            }
            return stmts;
        }
        let large = c.sum.len() > 1 && c.sum[c.sum.len() - 2..].iter().map(|(_, n)| n).product::<usize>() > MOST_TAPS;
        let (loops, taps) = c.sum.split_at(c.sum.len().saturating_sub(if large { 1 } else { 2 }));
        // Points side by side that see the same of what is looped over share these loops.
        let mut before: Option<(Vec<Range>, Vec<(Var, usize)>)> = None;
        let mut calls = vec![];
        for run in c.runs(points) {
            let mut seen = seen.clone();
            meet(&mut seen, &run.seen);
            let ranges: Vec<Range> = loops.iter().map(|(v, _)| seen[v]).collect();
            if before.as_ref().is_none_or(|(b, _)| *b != ranges) {
                if let Some((_, vars)) = before.take() {
                    stmts.extend(for_each(&vars, Kind::Serial, std::mem::take(&mut calls)));
                }
                let vars = ranges.iter().map(|(low, high)| (self.scope.var(), (high - low) as usize)).collect();
                before = Some((ranges.clone(), vars));
            }
            let vars = before.as_ref().map_or(&[][..], |(_, vars)| vars);
            let mut put = put.clone();
            for (((v, _), (low, _)), (var, _)) in loops.iter().zip(&ranges).zip(vars) {
                put.insert(*v, &Affine::from(*var) + *low);
            }
            let tap = |(v, _): &(Var, usize)| (*v, (seen[v].1 - seen[v].0) as usize);
            for (v, _) in taps {
                put.insert(*v, Affine::constant(seen[v].0));
            }
            put.insert(points.0, Affine::constant(run.first as i64));
            put.insert(c.column.0, Affine::default());
            let taps = [taps.len().checked_sub(2).map(|i| tap(&taps[i])), taps.last().map(tap)];
            let accumulate = first.iter().copied().chain(vars.iter().map(|(v, _)| *v)).collect();
            calls.push(self.call(c, &Spot { put: &put, taps, points: (points.0, run.count), accumulate }));
        }
        if let Some((_, vars)) = before {
            stmts.extend(for_each(&vars, Kind::Serial, calls));
        }
        stmts
    }

    fn call(&self, c: &Channels, spot: &Spot<'_>) -> Stmt {
        let f = |v: Var| spot.put.get(&v).cloned().unwrap_or(Affine::from(v));
        let first = |v: Var| if v == c.column.0 { Affine::default() } else { f(v) };
        let place = |buffer: Buffer, at: &[Affine]| Place { buffer, at: at.iter().map(|a| a.substitute(&f)).collect() };
        let [a, b, y] = [c.a.buffer, c.b.buffer, c.c].map(|buffer| self.strides(buffer));
        let taps = |o: &Operand, s: &[i64]| spot.taps.map(|tap| tap.map_or(0, |(v, _)| o.stride(s, v)));
        let [row, col] = taps(&c.a, &a);
        let next = |at: &[Affine], s: &[i64]| at.iter().zip(s).map(|(x, s)| x.coefficient(spot.points.0) * s).sum();
        Stmt::Filter(Filter {
            from: place(c.a.buffer, &c.a.at),
            from_strides: [row, col, next(&c.a.at, &a)],
            by: place(c.b.buffer, &c.b.at),
            by_strides: taps(&c.b, &b),
            to: place(c.c, &c.c_at),
            to_next: next(&c.c_at, &y),
            taps: spot.taps.map(|tap| tap.map_or(1, |(_, n)| n)),
            count: spot.points.1,
            channels: c.column.1,
            accumulate: Accumulate::AfterFirst(spot.accumulate.clone()),
            finish: c.finish.as_ref().map(|ending| ending.finish(&first)),
        })
    }
}

//! One block of examples, or one picture: there are no examples to share out, so each kernel is a step whose tasks take
//! parts of a picture: rows, or panels of columns.

use super::bands::Unit;
use super::contraction::{Contraction, product, recognize};
use super::ending::Follower;
use super::filters;
use super::steps::Steps;
use super::strips::Then;
use super::tile_nest::{Builder, Plan, RowRange};
use super::winograd::{Allowed, Winograd};
use crate::base::{Buffer, Var};
use crate::loops::{Affine, Home, Kernel, Node, Store};
use dlc_runtime::abi::Part;
use std::collections::{HashMap, HashSet};

/// Parts that an axis is cut in at most.
const PARTS: usize = 8;
/// A contraction of less work is one task.
const LEAST_WORK: u64 = 200_000;

/// What may follow in the step of an item.
#[derive(Clone)]
pub(super) enum Next<'a> {
    Nothing,
    /// Strip by strip, if not in the registers of tiles or filters.
    Then(Then),
    /// In the registers of tiles, or not at all.
    Ending(&'a Kernel),
}

impl Next<'_> {
    /// Lets it follow the tiles of a plan that makes so many `points`, if it can: says whether it does.
    fn follows(self, b: &mut Builder<'_>, plan: &mut Plan, points: usize) -> bool {
        match self {
            Next::Nothing => false,
            Next::Then(then) => b.follow(plan, then),
            Next::Ending(kernel) => {
                let follower = Follower::new(kernel, plan.c.c, &plan.c.c_at, points);
                follower.is_some_and(|follower| b.end_with(plan, &follower))
            }
        }
    }

    fn then(self) -> Option<Then> {
        if let Next::Then(then) = self { Some(then) } else { None }
    }
}

impl Steps {
    /// These items, each a step of its own or part of one.
    pub(super) fn all_in_parts(&mut self, members: &[usize]) {
        let mut units: Vec<Unit> = vec![];
        for (at, i) in members.iter().enumerate() {
            if let Some((next, then)) = self.follower(*i, &members[at + 1..]) {
                // Of two that one kernel adds, the later is made in its step.
                units.retain(|u| u.next != next);
                units.push(Unit { item: *i, next, then });
            }
        }
        // Units have their own way to follow.
        let is_unit = |m: &usize| units.iter().any(|u| u.item == *m || u.next == *m);
        let mut ended = self.endings(members);
        ended.retain(|j, i| !is_unit(j) && !is_unit(i));
        let bands = self.bands(&units, members);
        units.retain(|u| bands.iter().all(|(items, _)| !items.contains(&u.next)));
        let mut bands: Vec<_> = bands.into_iter().map(Some).collect();
        let mut loops: Vec<usize> = vec![];
        for (at, m) in members.iter().enumerate() {
            let last = |items: &HashSet<usize>| !members[at + 1..].iter().any(|m| items.contains(m));
            if let Some(band) = bands.iter_mut().find(|b| b.as_ref().is_some_and(|(items, _)| items.contains(m))) {
                if let Some((_, steps)) = band.take_if(|(items, _)| last(items)) {
                    self.loops_in_parts(&std::mem::take(&mut loops));
                    self.program.steps.extend(steps);
                }
                continue;
            }
            if units.iter().any(|u| u.item == *m) || ended.values().any(|of| of == m) {
                continue;
            }
            let unit = units.iter().find(|u| u.next == *m);
            if unit.is_none() && !ended.contains_key(m) && self.is_loops(*m) {
                loops.push(*m);
                continue;
            }
            self.loops_in_parts(&std::mem::take(&mut loops));
            let done = if let Some(u) = unit {
                self.in_parts(u.item, Next::Then(u.then.clone()))
            } else if let Some(of) = ended.get(m) {
                let kernel = self.items[*m].kernel.clone();
                self.in_parts(*of, Next::Ending(&kernel))
            } else {
                false
            };
            if !done {
                self.in_parts(*m, Next::Nothing);
            }
        }
        self.loops_in_parts(&loops);
    }

    /// Item `m` as steps of its own. With a kernel that may follow in the same step: says whether it does.
    pub(super) fn in_parts(&mut self, m: usize, next: Next<'_>) -> bool {
        let item = self.items[m].clone();
        let mut followed = false;
        for part in separate(&item.kernel) {
            let (next, label) = (next.clone(), item.label.clone());
            let found = match &part.stores[..] {
                [store] => recognize(&part.axes, store),
                _ => None,
            };
            followed = match (found, filters::recognize(&part)) {
                (Some(c), _) => {
                    let parts = self.below_diagonal(&HashMap::new(), c);
                    // What follows sees the whole.
                    let next = if parts.len() == 1 { next } else { Next::Nothing };
                    let made = parts.into_iter().map(|c| self.contraction_in_parts(c, label.clone(), next.clone()));
                    made.fold(false, |_, followed| followed)
                }
                (None, Some(c)) => self.filters(c, &part, label, next.then()),
                (None, None) => {
                    self.loops(&part, label);
                    false
                }
            };
        }
        followed
    }

    fn contraction_in_parts(&mut self, mut c: Contraction, label: String, next: Next<'_>) -> bool {
        let task = self.scope.var();
        let batch = self.program.batch;
        // Several examples are parts already.
        let mut tasks = match c.rows.first() {
            Some((_, n)) if batch > 1 && *n == batch => self.cut(&mut c, task),
            _ => 1,
        };
        let may = Allowed { numerics: self.numerics, picture: true, parts: tasks == 1, filter: false };
        let flop = c.flop() * tasks as u64;
        let vars = [self.scope.var(), self.scope.var(), task];
        let tiles = self.tiles;
        let mut b = self.builder();
        let found = b.winograd(&c, 1, may);
        let other = found.as_ref().err().copied().flatten();
        if let Ok(w) = found {
            self.winograd_in_parts(w, tasks, vars, label, flop);
            return false;
        }
        // Tasks of rows read all of `b` each, tasks of panels all of `a`.
        let several = c.rows.iter().filter(|(_, n)| *n > 1).count() > 1;
        let one_panel = c.column.1 <= tiles.max_vectors() * tiles.lanes;
        let padded = !c.a.inside.is_empty();
        let by_rows = several && (one_panel || padded && self.count(c.a.buffer) >= self.count(c.b.buffer));
        if tasks == 1 && flop >= LEAST_WORK && by_rows {
            tasks = self.cut(&mut c, task);
        }
        // Each task packs what it alone reads; weights of one group are packed once for all runs.
        let grouped = c.c_at.last().is_none_or(|at| at.as_var() != Some(c.column.0));
        let mut before = true;
        if tasks == 1 && flop >= LEAST_WORK && (grouped || !self.builder().lasts(c.b.buffer)) {
            tasks = self.cut_outer(&mut c, task);
            before = tasks == 1;
        }
        let mut plan = self.planned(c, before, &label);
        let points = plan.c.points() * tasks;
        let followed = next.follows(&mut self.builder(), &mut plan, points);
        if tasks == 1 {
            if !plan.fill.is_empty() && plan.c.outer.iter().all(|(_, n)| *n == 1) {
                // All tasks read the copy.
                let fill = std::mem::take(&mut plan.fill);
                self.program.buffers[plan.c.a.buffer.index()].home = Home::Arena;
                self.push(vars[1], 1, fill, Part::new(&label, "pad", 0));
            }
            self.panels_or_rows(plan, label, other);
            return followed;
        }
        let body = self.builder().columns(&mut plan, &RowRange::All);
        let part = Part { flop, ..plan.part(tiles, label, other) };
        let follows = plan.after.and_then(|after| after.part());
        self.push_parts(task, tasks, body, [part].into_iter().chain(follows).collect());
        followed
    }

    /// Steps of a convolution by Winograd's algorithm: pictures are parts, or rows of tiles of one.
    fn winograd_in_parts(&mut self, w: Winograd, tasks: usize, vars: [Var; 3], label: String, flop: u64) {
        let tiles = self.tiles;
        let mut b = self.builder();
        let part = w.part(tiles, &label, flop);
        let filters = Part::new(format!("{label} weights"), "winograd filters", 0);
        if tasks > 1 {
            let (body, weights, panels) = b.winograd_picture(w, vars[0]);
            self.push(vars[0], panels, weights, filters);
            self.push(vars[2], tasks, body, part);
            return;
        }
        let parts = b.winograd_parts(w, vars);
        let (weights, panels) = parts.weights;
        self.push(vars[0], panels, weights, filters);
        for (body, tasks) in parts.before {
            self.push(vars[1], tasks, body, Part::new(&label, "winograd tiles", 0));
        }
        let (body, tasks) = parts.products;
        self.push(vars[2], tasks, body, part);
    }

    fn count(&self, b: Buffer) -> usize {
        self.program.buffers[b.index()].shape.iter().product()
    }

    /// Gives each of some tasks an equal part of the first axis of rows; says how many there are.
    fn cut(&mut self, c: &mut Contraction, task: Var) -> usize {
        let Some(first) = c.rows.iter().position(|(_, n)| *n > 1) else { return 1 };
        let Some(tasks) = equal_parts(c.rows[first].1) else { return 1 };
        self.cut_rows(c, first, task, tasks);
        tasks
    }

    /// The same of the first outer axis, such as the groups of a convolution.
    fn cut_outer(&mut self, c: &mut Contraction, task: Var) -> usize {
        let Some(first) = c.outer.iter().position(|(_, n)| *n > 1) else { return 1 };
        let Some(tasks) = equal_parts(c.outer[first].1) else { return 1 };
        c.outer[first] = self.cut_axis(c, c.outer[first], task, tasks);
        tasks
    }

    /// Gives each task an equal part of an axis of rows; gives the variable that counts its rows.
    pub(super) fn cut_rows(&mut self, c: &mut Contraction, axis: usize, task: Var, tasks: usize) -> Var {
        c.rows[axis] = self.cut_axis(c, c.rows[axis], task, tasks);
        c.rows[axis].0
    }

    /// Puts the part of a task in the place of an axis; gives the axis of the part.
    fn cut_axis(&mut self, c: &mut Contraction, (var, n): (Var, usize), task: Var, tasks: usize) -> (Var, usize) {
        let (inner, each) = (self.scope.var(), n / tasks);
        c.replace(var, &(&(&Affine::from(task) * each as i64) + &Affine::from(inner)));
        (inner, each)
    }
}

/// Into how many equal parts an axis is cut: as many as are wanted, or the next number of them that divides it.
fn equal_parts(n: usize) -> Option<usize> {
    (2..=PARTS).rev().chain(PARTS..=n).find(|parts| n.is_multiple_of(*parts))
}

/// Stores that do not read what others of the kernel write, each with a kernel of its own where it is a contraction or filters
/// channels; between them may be constants and single products, as in the input gradient of a convolution that skips
/// elements.
pub(super) fn separate(kernel: &Kernel) -> Vec<Kernel> {
    let alone = |s: &Store| Kernel { axes: kernel.axes.clone(), stores: vec![s.clone()] };
    let sums = |s: &Store| recognize(&kernel.axes, s).is_some() || filters::recognize(&alone(s)).is_some();
    let apart = |s: &Store| sums(s) || matches!(*s.value, Node::Const(_)) || product(&s.value).is_some();
    if kernel.stores.len() > 1 && kernel.stores.iter().all(apart) && kernel.stores.iter().any(sums) {
        return kernel.stores.iter().map(alone).collect();
    }
    vec![kernel.clone()]
}

//! A recurrence of few examples: tasks share out its units, and go through the iterations in lockstep.
//!
//! One example has nobody to share its iterations with, but within an iteration every unit of a recurrent layer is
//! computed alone: from all units of the iterations before, and from itself in this one. So each task takes some units of
//! every kernel, as many as some panels of the contraction have columns. Its weights stay in the cache of its core, which is what one
//! core alone is slow at: an LSTM of 256 units reads 1 MB of weights in each iteration.
//!
//! That needs kernels whose last axis counts the units; what is made in an iteration is read there only at the same unit,
//! or at places where iterations before have written.

use super::contraction::recognize;
use super::examples::Examples;
use super::filters;
use super::group::{Along, loads};
use super::kernels::Item;
use super::parts::separate;
use super::recur::Body;
use super::steps::{Steps, rewrite, root_of, work};
use super::tile_nest::{Builder, Plan, RowRange, for_each};
use super::tiling::{Choice, choose_among};
use crate::base::{Buffer, Var};
use crate::loops::nest::{For, Kind, Step, Stmt};
use crate::loops::{Affine, Coord, Kernel, Node, Store};
use dlc_runtime::micro::Tiles;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Terms of one iteration that are worth meeting for.
const LEAST_WORK: usize = 128 * 1024;

/// Units of a task at most: enough that the loops over them hide the latency of their functions.
const MOST_UNITS: usize = 128;

/// Units, and how they are shared out.
#[derive(Clone, Copy)]
pub(super) struct Units {
    count: usize,
    /// The tile of the contractions: panels of it make up all units.
    pub(super) choice: Choice,
    /// Columns of a panel.
    width: usize,
    /// Panels of a task.
    panels: usize,
}

impl Units {
    /// At least two tasks of whole panels, and as few as may be.
    fn new(tiles: &Tiles, rows: usize, count: usize, terms: usize) -> Option<Units> {
        let width = |vectors: usize| vectors * tiles.lanes;
        let divides = |vectors: usize| count.is_multiple_of(width(vectors));
        let choice = choose_among(tiles, [rows, count, terms], divides)?;
        let width = choice.width(tiles);
        let may = |n: &usize| count.is_multiple_of(n * width) && n * width < count;
        let panels = (1..=(MOST_UNITS / width).max(1)).rev().find(may)?;
        Some(Units { count, choice, width, panels })
    }

    fn each(self) -> usize {
        self.width * self.panels
    }
}

impl Steps {
    /// A step of a recurrence whose kernels follow the examples, all of them in every task. Says whether it is possible.
    pub(super) fn in_lockstep(&mut self, body: &Body, label: &str) -> bool {
        let batch = self.program.batch;
        let (task, i) = (self.scope.var(), self.scope.var());
        let mut e = Examples::new(task, i, [1, 1, batch], true);
        e.example = Affine::default();
        e.repeated = Some(body.of.var());
        let Some(units) = self.units(&e, &body.items) else { return false };
        e.units = Some(units);
        e.scratch = self.local(body, Some(batch));
        for item in &body.items {
            let along = Along::Each(item.kernel.axes[0].0);
            let kernel = self.in_block(&e, &item.kernel, along);
            self.each(&mut e, &kernel, vec![], &item.label);
        }
        let (times, var) = (body.of.length, body.of.var());
        let rounds = For { var, extent: times, kind: Kind::Recurrent, within: None, body: std::mem::take(&mut e.body) };
        let (body, label) = (vec![Stmt::For(rounds)], label.to_string());
        let parts = e.parts.into_iter().map(|part| super::recur_steps::repeated(part, times)).collect();
        let tasks = units.count / units.each();
        self.program.steps.push(Step { task, tasks, lockstep: true, body, label, parts });
        true
    }

    /// The units of a recurrence, if they can be shared out and that pays.
    fn units(&self, e: &Examples, items: &[Item]) -> Option<Units> {
        let (_, count) = *items.first()?.kernel.axes.last()?;
        if items.iter().map(|item| work(&item.kernel)).sum::<usize>() < LEAST_WORK || !self.apart(items, count) {
            return None;
        }
        let mut found: Option<Units> = None;
        for item in items {
            let kernel = self.in_block(e, &item.kernel, Along::Each(item.kernel.axes[0].0));
            for part in separate(&kernel) {
                let (unit, _) = *part.axes.last().filter(|(_, n)| *n == count)?;
                let contraction = match &part.stores[..] {
                    [store] => recognize(&part.axes, store),
                    _ => None,
                };
                let Some(c) = contraction else {
                    let alone = part.stores.iter().all(|s| trails(&s.at, unit)) && filters::recognize(&part).is_none();
                    alone.then_some(())?;
                    continue;
                };
                let size = |axes: &[(Var, usize)]| axes.iter().map(|(_, n)| n).product();
                let units = Units::new(self.tiles, size(&c.rows), count, size(&c.sum))?;
                if c.column.0 != unit || found.is_some_and(|found| found.width != units.width) {
                    return None;
                }
                found = Some(units);
            }
        }
        found
    }

    /// Is every unit computed from itself and from iterations before?
    fn apart(&self, items: &[Item], count: usize) -> bool {
        let root = |b: Buffer| root_of(&self.program.buffers, b);
        let last = |b: Buffer| self.program.buffers[b.index()].shape.last();
        let stores: Vec<&Store> = items.iter().flat_map(|i| &i.kernel.stores).collect();
        items.iter().all(|item| {
            let Some((unit, n)) = item.kernel.axes.last().copied() else { return false };
            let mut apart = n == count && item.kernel.axes.len() > 1;
            let mut seen = HashSet::new();
            for s in &item.kernel.stores {
                apart &= trails(&s.at, unit);
                loads(&s.value, &mut seen, &mut |b, at| {
                    let own = |s: &Store| trails(at, unit) && last(s.buffer) == last(b);
                    let earlier = |s: &Store| s.buffer == b && elsewhere(&s.at, at);
                    apart &= stores.iter().filter(|s| root(s.buffer) == root(b)).all(|s| own(s) || earlier(s));
                });
            }
            apart
        })
    }
}

impl Builder<'_> {
    /// A contraction of one task: its panels, in every one of the outer loops.
    pub(super) fn panels_of_task(&mut self, p: &mut Plan, task: Var, units: Units) -> Vec<Stmt> {
        let first = &Affine::from(task) * units.panels as i64;
        let mut body = p.fill();
        body.extend(self.neighbours(p, &first, (units.panels, units.width), &RowRange::All));
        for_each(&p.c.outer, Kind::Serial, body)
    }
}

/// The units of one task of a kernel whose last axis counts them.
pub(super) fn of_task(kernel: &Kernel, task: Var, units: Units) -> Kernel {
    let Some((unit, _)) = kernel.axes.last().copied() else { return kernel.clone() };
    let at = &(&Affine::from(task) * units.each() as i64) + &Affine::from(unit);
    let mut kernel = rewrite(kernel, &HashMap::from([(unit, at)]), &mut |b, at| Arc::new(Node::Load(b, at)));
    kernel.axes.iter_mut().filter(|(v, _)| *v == unit).for_each(|(_, n)| *n = units.each());
    kernel
}

/// Is the last coordinate `unit` alone, and is `unit` in no other?
fn trails(at: &[Coord], unit: Var) -> bool {
    let Some((Coord::Affine(last), others)) = at.split_last() else { return false };
    last.as_var() == Some(unit)
        && others.iter().all(|c| match c {
            Coord::Affine(a) => a.coefficient(unit) == 0,
            Coord::Index { .. } => true,
        })
}

/// Do two places of one table lie apart, by a distance along some axis that is always the same?
fn elsewhere(a: &[Coord], b: &[Coord]) -> bool {
    a.iter().zip(b).any(|(a, b)| match (a, b) {
        (Coord::Affine(a), Coord::Affine(b)) => {
            let apart = a - b;
            apart.is_constant() && apart.constant != 0
        }
        _ => false,
    })
}

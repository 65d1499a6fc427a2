//! Updates in the epilogue of weight gradients: where a gradient's only reader is an element-wise kernel, one step makes
//! a strip of its rows and updates the weights from it while it is in the cache. The gradient is never stored.

use super::contraction::{Contraction, recognize};
use super::group::{Group, loads};
use super::steps::{Steps, plain, rewrite, root_of};
use super::sums::has_reduce;
use super::tile_nest::{Packing, Plan, RowRange};
use super::tiling::choose;
use crate::base::{Buffer, Var};
use crate::loops::nest::{For, Kind, Step, Stmt};
use crate::loops::{Affine, Coord, Home, How, Kernel, Node};
use dlc_runtime::abi::Part;
use dlc_runtime::micro::Tiles;
use std::collections::{HashMap, HashSet};

/// Rows of a strip.
const STRIP: std::ops::RangeInclusive<usize> = 24..=96;
/// Floats of the operand that every strip reads: it stays in the second-level cache.
const LARGEST_SHARED: usize = 80 * 1024;
/// Less work does not pay for packing that operand in a step of its own.
const LEAST_WORK: u64 = 4_000_000;

/// Results of which no second-level cache holds a sum for each task.
const MANY: usize = 256 * 1024;
/// Rows of the shortest strip of so many results, and the fewest that are shared out.
const SHORT: usize = 32;
const LEAST_SHARED: usize = 4 * SHORT;
/// Terms that are worth it.
const LEAST_TERMS: usize = 256;
/// Floats of a strip and of a panel beside it, which stay in the second-level cache together.
const NEAR: usize = 192 * 1024;

/// Is it a weight gradient with so many terms and results that strips of its rows, each summed as a whole, take less time than
/// sums for each task that are added up?
pub(super) fn is_deep(c: &Contraction) -> bool {
    let [(row, rows)] = c.rows[..] else { return false };
    let terms: usize = c.sum.iter().map(|(_, n)| n).product();
    let is_row = |at: Option<&Affine>| at.is_some_and(|at| at.as_var() == Some(row));
    let simple = c.a.inside.is_empty() && c.b.inside.is_empty() && is_row(c.c_at.first()) && is_row(c.a.at.last());
    let by_b = c.outer.iter().all(|(v, _)| !c.a.depends(*v) && c.b.depends(*v));
    let enough = rows >= LEAST_SHARED && c.points() >= MANY && terms >= LEAST_TERMS;
    simple && by_b && enough && rows.is_multiple_of(SHORT) && fits(SHORT, terms)
}

/// Does a strip stay near, with a panel beside it?
fn fits(rows: usize, terms: usize) -> bool {
    (rows + SHORT) * terms <= NEAR
}

/// Which groups of one kernel are done in the step of a later one: by the place of the later, that of the earlier.
pub(super) fn pairs(s: &Steps, groups: &[Group], followers: &[Vec<usize>]) -> HashMap<usize, usize> {
    let places: HashMap<usize, usize> =
        groups.iter().enumerate().filter_map(|(g, group)| group.single().map(|item| (item, g))).collect();
    let mut found = HashMap::new();
    for (g, group) in groups.iter().enumerate() {
        let Group::Whole(i) = group else { continue };
        let Some((j, _)) = s.update_of(*i) else { continue };
        let Some(&to) = places.get(&j).filter(|to| **to > g) else { continue };
        let waits = |other: &Group| other.items().any(|item| followers[*i].contains(&item));
        if matches!(groups[to], Group::Whole(_)) && !groups[g + 1..to].iter().any(waits) {
            found.insert(to, g);
        }
    }
    found
}

impl Steps {
    /// The contraction of item `i`, and the element-wise kernel that alone reads its result.
    fn update_of(&self, i: usize) -> Option<(usize, Contraction)> {
        let kernel = &self.items[i].kernel;
        let [store] = &kernel.stores[..] else { return None };
        let c = recognize(&kernel.axes, store)?;
        let root = |b: Buffer| root_of(&self.program.buffers, b);
        let target = store.buffer;
        let terms: usize = c.sum.iter().map(|(_, n)| n).product();
        strips(self.tiles, &c)?;
        let simple = c.a.inside.is_empty() && c.b.inside.is_empty() && c.c_at.len() == 2 + c.outer.len();
        let shared = c.outer.is_empty() && terms * c.column.1 <= LARGEST_SHARED;
        let fits = (shared || is_deep(&c)) && c.flop() >= LEAST_WORK;
        let own = self.program.buffers[target.index()].home == Home::Arena && root(target) == target;
        let kept = self.program.outputs.iter().any(|(_, b)| root(*b) == target);
        let [j] = self.readers.get(&target)?[..] else { return None };
        if !simple || !fits || !own || kept || self.writers.get(&target)?[..] != [i] {
            return None;
        }
        if self.items[i].body.is_some() || self.items[j].body.is_some() {
            return None;
        }
        let update = &self.items[j].kernel;
        let place: Vec<Coord> = update.axes.iter().map(|(v, _)| Coord::Affine((*v).into())).collect();
        let here = |at: &[Coord]| *at == place[..];
        let mut fits = update.axes.iter().map(|(_, n)| n).eq(&self.program.buffers[target.index()].shape);
        fits &= c.c_at.iter().all(|at| at.as_var().is_some()) && c.c_at[0].as_var() == Some(c.rows[0].0);
        let mut seen = HashSet::new();
        for s in &update.stores {
            fits &= here(&s.at) && s.how == How::Set && !has_reduce(&s.value);
            loads(&s.value, &mut seen, &mut |b, at| fits &= root(b) != target || b == target && here(at));
        }
        fits.then_some((j, c))
    }

    /// Item `i` and the update that reads it, as one step.
    pub(super) fn with_update(&mut self, i: usize, j: usize) {
        let Some((_, mut c)) = self.update_of(i) else {
            self.whole(i);
            return self.whole(j);
        };
        let (task, tiles, flop) = (self.scope.var(), self.tiles, c.flop());
        let label = self.items[j].label.clone();
        let Some(tasks) = strips(tiles, &c) else { return };
        let inner = self.cut_rows(&mut c, 0, task, tasks);
        let each = c.rows[0].1;
        // The strip's own rows, counted from its first.
        let mut shape = self.program.buffers[c.c.index()].shape.clone();
        shape[0] = each;
        let strip = self.builder().buffer(&shape, Home::Scratch, "gradient");
        let gradient = std::mem::replace(&mut c.c, strip);
        c.c_at[0] = inner.into();
        let mut body = self.builder().gather(&mut c);
        let mut plan = self.planned_by_terms(c, &label);
        let gradient_part = Part { flop, ..plan.part(tiles, &self.items[i].label, None) };
        body.extend(self.builder().columns(&mut plan, &RowRange::All));
        body.push(Stmt::Mark(1));
        body.push(self.update(j, gradient, strip, (task, each)));
        body.insert(0, Stmt::Mark(0));
        let parts = vec![gradient_part, Part::new(&label, "loops", 0)];
        self.program.steps.push(Step { task, tasks, lockstep: false, body, label, parts });
    }

    /// A deep gradient that nothing updates at once, as one step.
    pub(super) fn deep(&mut self, mut c: Contraction, tasks: usize, label: String) {
        let (task, tiles, flop) = (self.scope.var(), self.tiles, c.flop());
        self.cut_rows(&mut c, 0, task, tasks);
        let mut body = self.builder().gather(&mut c);
        let mut plan = self.planned_by_terms(c, &label);
        let part = Part { flop, ..plan.part(tiles, &label, None) };
        body.extend(self.builder().columns(&mut plan, &RowRange::All));
        self.push(task, tasks, body, part);
    }

    /// A plan whose `b` is packed before, where its rows are long in the order in which they lie.
    fn planned_by_terms(&mut self, c: Contraction, label: &str) -> Plan {
        let mut plan = self.builder().plan(c, vec![], true, true);
        if plan.packing != Packing::Before {
            return plan;
        }
        let task = self.scope.var();
        let part = Part::new(format!("{label} weights"), "pack", 0);
        match self.builder().pack_by_terms(&mut plan) {
            Some(kernel) => {
                let (tasks, body) = self.split(&kernel, 0, task);
                self.push(task, tasks, body, part);
            }
            None => {
                let (body, tasks) = self.builder().pack_before(&mut plan, task);
                self.push(task, tasks, body, part);
            }
        }
        plan
    }

    /// The update `j` of a strip of `each` rows.
    fn update(&mut self, j: usize, gradient: Buffer, strip: Buffer, (task, each): (Var, usize)) -> Stmt {
        let kernel = &self.items[j].kernel;
        let (r, _) = kernel.axes[0];
        let i = self.scope.var();
        let at = &(&Affine::from(task) * each as i64) + &Affine::from(i);
        let with = HashMap::from([(r, at.clone())]);
        let kernel = rewrite(kernel, &with, &mut |b, mut at| {
            if b == gradient {
                at[0] = Coord::Affine(i.into());
            }
            std::sync::Arc::new(Node::Load(if b == gradient { strip } else { b }, at))
        });
        let body = plain(&Kernel { axes: kernel.axes[1..].to_vec(), stores: kernel.stores });
        Stmt::For(For { var: i, extent: each, kind: Kind::Serial, within: None, body })
    }
}

/// The number of strips, all of the same size, whose tiles take the least time.
pub(super) fn strips(tiles: &Tiles, c: &Contraction) -> Option<usize> {
    let [(_, rows)] = c.rows[..] else { return None };
    let terms: usize = c.sum.iter().map(|(_, n)| n).product();
    let near = |size: usize| !is_deep(c) || fits(size, terms);
    let sizes = STRIP.filter(|size| rows.is_multiple_of(*size) && *size < rows && near(*size));
    let cycles = |size: usize| choose(tiles, size, c.column.1, terms).cycles * (rows / size) as f64;
    let best = sizes.min_by(|a, b| cycles(*a).total_cmp(&cycles(*b)))?;
    Some(rows / best)
}

//! One block of examples, or one picture: there are no examples to share out, so each kernel is a step whose tasks take
//! parts of a picture: rows, or panels of columns.

use super::contraction::{Contraction, product, recognize};
use super::filters;
use super::steps::Steps;
use super::strips::Then;
use super::tile_nest::RowRange;
use super::winograd::Allowed;
use crate::base::{Buffer, Var};
use crate::loops::{Affine, Home, Kernel, Node, Store};
use dlc_runtime::abi::Part;
use std::collections::HashMap;

/// Parts that an axis is cut in at most.
const PARTS: usize = 8;
/// A contraction of less work is one task.
const LEAST_WORK: u64 = 200_000;

impl Steps {
    /// Item `m` as steps of its own. With a kernel that may follow in the same step: says whether it does.
    pub(super) fn in_parts(&mut self, m: usize, then: Option<Then>) -> bool {
        let item = self.items[m].clone();
        let mut followed = false;
        for part in separate(&item.kernel) {
            let (then, label) = (then.clone(), item.label.clone());
            let found = match &part.stores[..] {
                [store] => recognize(&part.axes, store),
                _ => None,
            };
            followed = match (found, filters::recognize(&part)) {
                (Some(c), _) => {
                    let parts = self.below_diagonal(&HashMap::new(), c);
                    // What follows sees the whole.
                    let then = then.filter(|_| parts.len() == 1);
                    let made = parts.into_iter().map(|c| self.contraction_in_parts(c, label.clone(), then.clone()));
                    made.fold(false, |_, followed| followed)
                }
                (None, Some(c)) => self.filters(c, &part, label, then),
                (None, None) => {
                    self.loops(&part, label);
                    false
                }
            };
        }
        followed
    }

    fn contraction_in_parts(&mut self, mut c: Contraction, label: String, then: Option<Then>) -> bool {
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
            let part = w.part(tiles, &label, flop);
            let filters = Part::new(format!("{label} weights"), "winograd filters", 0);
            if tasks > 1 {
                let (body, weights, panels) = b.winograd_picture(w, vars[0]);
                self.push(vars[0], panels, weights, filters);
                self.push(task, tasks, body, part);
                return false;
            }
            let parts = b.winograd_parts(w, vars);
            let (weights, panels) = parts.weights;
            self.push(vars[0], panels, weights, filters);
            for (body, tasks) in parts.before {
                self.push(vars[1], tasks, body, Part::new(&label, "winograd tiles", 0));
            }
            let (body, tasks) = parts.products;
            self.push(task, tasks, body, part);
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
        let mut plan = self.planned(c, true, &label);
        let followed = then.is_some_and(|then| self.builder().follow(&mut plan, then));
        if tasks == 1 {
            if !plan.fill.is_empty() {
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

    fn count(&self, b: Buffer) -> usize {
        self.program.buffers[b.index()].shape.iter().product()
    }

    /// Gives each of some tasks an equal part of the first axis of rows; says how many there are.
    fn cut(&mut self, c: &mut Contraction, task: Var) -> usize {
        let Some(first) = c.rows.iter().position(|(_, n)| *n > 1) else { return 1 };
        let n = c.rows[first].1;
        let mut few = (2..=PARTS).rev().chain(PARTS..=n);
        let Some(tasks) = few.find(|tasks| n % tasks == 0) else { return 1 };
        self.cut_rows(c, first, task, tasks);
        tasks
    }

    /// Gives each task an equal part of an axis of rows; gives the variable that counts its rows.
    pub(super) fn cut_rows(&mut self, c: &mut Contraction, axis: usize, task: Var, tasks: usize) -> Var {
        let (var, n) = c.rows[axis];
        let (inner, each) = (self.scope.var(), n / tasks);
        let whole = &(&Affine::from(task) * each as i64) + &Affine::from(inner);
        c.replace(var, &whole);
        c.rows[axis] = (inner, each);
        inner
    }
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

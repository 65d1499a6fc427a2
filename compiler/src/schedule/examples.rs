//! A group of examples as one step: its kernels one after the other for each example, with what only the group needs
//! in scratch, and sums over the examples kept apart for each task and added up in a fixed order.

use super::contraction::{Contraction, loose_flop, recognize};
use super::ending::Follower;
use super::filters;
use super::group::{Along, rest};
use super::lockstep::{self, Units};
use super::parts::separate;
use super::steps::{SMALL, Steps, TASKS, plain, rewrite, work};
use super::tile_nest::{Packing, RowRange};
use super::winograd::Allowed;
use crate::base::{Buffer, Var};
use crate::loops::nest::{For, Kind, Step, Stmt};
use crate::loops::{Affine, Coord, Home, Kernel, Node};
use dlc_runtime::abi::Part;
use std::collections::HashMap;

/// Tasks of a group that keeps sums: each task has its own.
const TASKS_WITH_SUMS: usize = 8;

/// Rows of so many columns lie close enough together to be read as they are.
const CLOSE_COLUMNS: usize = 64;
/// Points and terms of a group of one block that are worth sharing out.
const LEAST_SHARED: usize = 256 * 1024;

pub(super) struct Examples {
    pub(super) task: Var,
    /// Counts the blocks of a task.
    pub(super) i: Var,
    pub(super) tasks: usize,
    /// Examples of a block.
    pub(super) block: usize,
    /// Has every task the same number of blocks?
    pub(super) exact: bool,
    /// The first example of a block.
    pub(super) example: Affine,
    pub(super) scratch: HashMap<Buffer, Buffer>,
    /// Before the loop over examples.
    pub(super) head: Vec<Stmt>,
    pub(super) body: Vec<Stmt>,
    /// After it.
    pub(super) tail: Vec<Stmt>,
    /// Steps after this one.
    pub(super) after: Vec<Step>,
    pub(super) parts: Vec<Part>,
    /// Targets and the buffers of their parts.
    pub(super) sums: Vec<(Buffer, Buffer)>,
    /// The last loops that add to sums, and where in the body they stand.
    pub(super) adding: Option<(usize, Kernel)>,
    /// Counts the iterations of a recurrence, where the body is one of it.
    pub(super) repeated: Option<Var>,
    /// What tasks share out, where it is not the examples: the last axis of every kernel.
    pub(super) units: Option<Units>,
}

impl Examples {
    /// Nothing yet: `tasks` of `each` blocks of `block` examples.
    pub(super) fn new(task: Var, i: Var, [tasks, each, block]: [usize; 3], exact: bool) -> Examples {
        let example = &(&Affine::from(task) * (each * block) as i64) + &(&Affine::from(i) * block as i64);
        Examples {
            task,
            i,
            tasks,
            block,
            exact,
            example,
            scratch: HashMap::new(),
            head: vec![],
            body: vec![],
            tail: vec![],
            after: vec![],
            parts: vec![],
            sums: vec![],
            adding: None,
            repeated: None,
            units: None,
        }
    }

    /// Begins a part, or goes on with the last one if it is of the same kind; says which it is.
    pub(super) fn begin(&mut self, part: Part) -> usize {
        match self.parts.last_mut() {
            Some(last) if last.label == part.label && last.algorithm == part.algorithm => last.flop += part.flop,
            Some(_) | None => self.parts.push(part),
        }
        let number = self.parts.len() - 1;
        self.body.push(Stmt::Mark(number));
        number
    }
}

impl Steps {
    pub(super) fn examples(&mut self, members: &[(usize, Along)], block: usize, fuse: bool) {
        let n = self.program.batch;
        let sums = members.iter().any(|(_, a)| matches!(a, Along::Sum(_)));
        let total: usize = members.iter().map(|(i, _)| work(&self.items[*i].kernel)).sum();
        let most = if total <= SMALL {
            1
        } else if sums {
            TASKS_WITH_SUMS
        } else {
            TASKS
        };
        let blocks = n / block;
        if blocks == 1 && !sums && total > LEAST_SHARED {
            return self.all_in_parts(&members.iter().map(|(m, _)| *m).collect::<Vec<_>>());
        }
        let each = blocks.div_ceil(most.min(blocks));
        let tasks = blocks.div_ceil(each);
        let (task, i) = (self.scope.var(), self.scope.var());
        let mut e = Examples::new(task, i, [tasks, each, block], blocks.is_multiple_of(each));
        let example = e.example.clone();
        if fuse {
            e.scratch = self.scratch(members, block);
        }
        let ended = if fuse { self.ended_members(members) } else { HashMap::new() };
        for (m, along) in members {
            if ended.values().any(|(i, _)| i == m) {
                continue;
            }
            let done = ended.get(m).is_some_and(|of| self.member_and_ending(&mut e, *of, (*m, *along)));
            if !done {
                self.member(&mut e, *m, *along);
            }
        }
        self.ask_early(&mut e);
        let mut body = e.head;
        // Blocks are whole: the last begins with so many examples before the end.
        let within = (!e.exact).then_some((example, n - block + 1));
        body.push(Stmt::For(For { var: i, extent: each, kind: Kind::Sequence, within, body: e.body }));
        body.extend(e.tail);
        let first = &self.items[members[0].0].label;
        let last = &self.items[members[members.len() - 1].0].label;
        let label = if members.len() == 1 { first.clone() } else { format!("{first} .. {last}") };
        self.program.steps.push(Step { task, tasks, lockstep: false, body, label, parts: e.parts });
        self.program.steps.extend(e.after);
        for (buffer, partial) in e.sums {
            self.finish_sum(buffer, partial, tasks);
        }
    }

    pub(super) fn member(&mut self, e: &mut Examples, m: usize, along: Along) {
        let kernel = self.items[m].kernel.clone();
        let parts = if matches!(along, Along::Each(_)) { self.strips_below_diagonal(&kernel) } else { vec![kernel] };
        parts.iter().for_each(|part| self.member_part(e, part, m, along));
    }

    /// Of members along the examples: those that may be the ending of an earlier one, and of which.
    fn ended_members(&self, members: &[(usize, Along)]) -> HashMap<usize, (usize, Along)> {
        let order: Vec<usize> = members.iter().map(|(m, _)| *m).collect();
        let each = |m: usize| members.iter().find(|(i, along)| *i == m && matches!(along, Along::Each(_))).copied();
        let pairs = self.endings(&order).into_iter();
        pairs.filter_map(|(j, i)| each(j).and(each(i)).map(|of| (j, of))).collect()
    }

    /// A contraction, and what may be its ending: says whether it is.
    fn member_and_ending(&mut self, e: &mut Examples, of: (usize, Along), with: (usize, Along)) -> bool {
        let [kernel, then] = [of, with].map(|(m, along)| self.in_block(e, &self.items[m].kernel, along));
        let label = self.items[of.0].label.clone();
        let found = match &separate(&kernel)[..] {
            [part] => part.stores.first().and_then(|store| recognize(&part.axes, store)),
            _ => None,
        };
        let whole = found.map(|c| self.below_diagonal(&e.scratch, c));
        match whole.as_deref() {
            Some([c]) => self.contraction_part(e, c.clone(), vec![], &label, Some(&then)),
            Some(_) | None => {
                self.member(e, of.0, of.1);
                false
            }
        }
    }

    fn member_part(&mut self, e: &mut Examples, kernel: &Kernel, m: usize, along: Along) {
        let kernel = self.in_block(e, kernel, along);
        match along {
            Along::Each(_) => self.each(e, &kernel, vec![], &self.items[m].label.clone()),
            Along::Sum(var) => self.sum(e, kernel, var, m),
        }
    }

    /// A kernel as a block of examples sees it.
    pub(super) fn in_block(&self, e: &Examples, kernel: &Kernel, along: Along) -> Kernel {
        let (Along::Each(var) | Along::Sum(var)) = along;
        let several = e.block > 1;
        let own = if several { Affine::from(var) } else { Affine::default() };
        let with = HashMap::from([(var, &e.example + &own)]);
        let scratch = &e.scratch;
        let inside = |at: Vec<Coord>| {
            let first = several.then(|| Coord::Affine(own.clone()));
            first.into_iter().chain(rest(at)).collect::<Vec<_>>()
        };
        let mut kernel = rewrite(kernel, &with, &mut |b, at| match scratch.get(&b) {
            Some(b) => std::sync::Arc::new(Node::Load(*b, inside(at))),
            None => std::sync::Arc::new(Node::Load(b, at)),
        });
        for s in &mut kernel.stores {
            if let Some(b) = scratch.get(&s.buffer) {
                s.buffer = *b;
                s.at = inside(std::mem::take(&mut s.at));
            }
        }
        if matches!(along, Along::Each(_)) {
            kernel.axes[0].1 = e.block;
            kernel.axes.drain(..usize::from(!several));
        }
        kernel
    }

    /// A kernel for one example.
    pub(super) fn each(&mut self, e: &mut Examples, kernel: &Kernel, first: Vec<Var>, label: &str) {
        for part in separate(kernel) {
            let found = match &part.stores[..] {
                [store] => recognize(&part.axes, store),
                _ => None,
            };
            match found {
                Some(c) => self.example_contraction(e, c, first.clone(), label),
                None => {
                    let flop = loose_flop(&part) * (self.program.batch / e.block) as u64;
                    let part = e.units.map_or(part.clone(), |units| lockstep::of_task(&part, e.task, units));
                    match filters::recognize(&part) {
                        Some(c) => {
                            e.begin(Part::new(label, "filter", flop));
                            e.body.extend(self.builder().filter_rows(&c, &first, None).0);
                        }
                        None => {
                            e.begin(Part::new(label, "loops", flop));
                            e.body.extend(plain(&part));
                        }
                    }
                }
            }
        }
    }

    fn example_contraction(&mut self, e: &mut Examples, c: Contraction, first: Vec<Var>, label: &str) {
        for part in self.below_diagonal(&e.scratch, c) {
            self.contraction_part(e, part, first.clone(), label, None);
        }
    }

    /// With a kernel that may be its ending: says whether it is.
    fn contraction_part(
        &mut self,
        e: &mut Examples,
        c: Contraction,
        first: Vec<Var>,
        label: &str,
        then: Option<&Kernel>,
    ) -> bool {
        let flop = c.flop() * (self.program.batch / e.block) as u64;
        let varies = [e.task, e.i].iter().chain(&e.repeated).any(|v| c.b.depends(*v));
        let made = matches!(self.program.buffers[c.b.buffer.index()].home, Home::Scratch);
        let before = !varies && !made;
        let tiles = self.tiles;
        let task = self.scope.var();
        let runs = self.program.batch / e.block;
        let may = Allowed { numerics: self.numerics, picture: before, parts: false, filter: e.exact };
        let mut b = self.builder();
        let found = if e.repeated.is_none() { b.winograd(&c, runs, may) } else { Err(None) };
        let other = found.as_ref().err().copied().flatten();
        if let Ok(w) = found {
            let number = e.begin(w.part(tiles, label, flop));
            if w.is_summed() {
                let summed = b.winograd_filter(w, &first);
                e.body.extend(summed.body);
                e.tail.push(Stmt::Mark(number));
                e.tail.extend(summed.tail);
            } else {
                let (body, weights, tasks) = b.winograd_picture(w, task);
                e.body.extend(body);
                self.push(task, tasks, weights, Part::new(format!("{label} weights"), "winograd filters", 0));
            }
            return false;
        }
        let summed = !first.is_empty();
        let mut plan = b.plan(c, first, before, false);
        if let Some(units) = e.units {
            plan.choice = units.choice;
        }
        if e.repeated.is_some() && before && plan.packing == Packing::Direct && plan.c.column.1 > CLOSE_COLUMNS {
            // Read again in every iteration, be it for one row.
            plan.packing = Packing::Before;
        }
        let follower = then.and_then(|then| Follower::new(then, plan.c.c, &plan.c.c_at, plan.c.points()));
        let ended = follower.is_some_and(|follower| b.end_with(&mut plan, &follower));
        let mut pack = None;
        if plan.packing == Packing::Before {
            pack = Some(b.pack_before(&mut plan, task));
        }
        let together = summed && b.fits_together(&plan);
        e.begin(Part { flop, ..plan.part(tiles, label, other) });
        e.body.extend(match e.units {
            Some(units) => b.panels_of_task(&mut plan, e.task, units),
            None if together => b.together(&mut plan),
            None => b.columns(&mut plan, &RowRange::All),
        });
        if let Some((body, tasks)) = pack {
            self.push(task, tasks, body, Part::new(format!("{label} weights"), "pack", 0));
        }
        ended
    }
}

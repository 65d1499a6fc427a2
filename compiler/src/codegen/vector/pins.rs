//! What keeps the units of a processor busy in long code: constants stay in registers, and two vectors are computed side
//! by side, since one alone is a chain of results that wait for each other.

use super::emit::{Emitter, Item};
use super::plan::Phase;
use super::registers::usable;
use super::values::{Id, Level, Op};
use super::vex;
use std::collections::HashMap;

/// Code of so many items is long.
const LONG: usize = 10;
/// Registers for operands that come from memory, and for a result.
const SPARE: usize = 3;
/// With fewer vectors in a call, constants are read where they are used.
const LEAST_VECTORS: usize = 8;

impl Emitter<'_> {
    /// The operation of a value, of a later vector too.
    pub(super) fn op(&self, id: Id) -> Op {
        let count = self.plan.values.ops.len();
        let by = id as usize / count;
        self.plan.values.ops[id as usize % count].0.with(|x| self.later(x, by))
    }

    /// The id of a value `by` vectors later.
    pub(super) fn later(&self, id: Id, by: usize) -> Id {
        let count = self.plan.values.ops.len();
        let moves = matches!(self.plan.values.ops[id as usize % count].1, Level::Vector(_));
        if moves { id + (by * count) as Id } else { id }
    }

    /// How many vectors are computed side by side.
    pub(super) fn together(&self, items: &[Item], phase: &Phase) -> usize {
        let long = phase.folds.is_none() && items.len() >= LONG && phase.extent >= 2 * self.lanes;
        let room = || usable(self.lanes).count() >= 2 * self.pressure(items) + SPARE;
        if long && room() { 2 } else { 1 }
    }

    /// The most values of a vector that are waiting for a use at once.
    fn pressure(&self, items: &[Item]) -> usize {
        let mut last: HashMap<Id, usize> = HashMap::new();
        for (at, item) in items.iter().enumerate() {
            last.extend(item.reads(self).into_iter().map(|id| (id, at)));
        }
        let lives = items.iter().enumerate().filter_map(|(at, item)| match item {
            Item::Compute(id) => Some((at, *last.get(id)?)),
            Item::Store(..) | Item::Fold(..) => None,
        });
        let lives: Vec<(usize, usize)> = lives.collect();
        let waiting = |at: usize| lives.iter().filter(|(from, to)| *from <= at && at < *to).count();
        (0..items.len()).map(waiting).max().unwrap_or(0)
    }

    /// Keeps what is read most often, of constants and what is computed `once`, in registers that nothing else needs.
    pub(super) fn pin(&mut self, once: &[Id]) {
        let rows: usize = self.plan.loops.iter().map(|l| l.extent).product();
        let vectors: usize = self.plan.phases.iter().map(|p| p.extent / self.lanes).sum();
        if vectors * rows < LEAST_VECTORS {
            return;
        }
        let all: Vec<vex::Reg> = usable(self.lanes).collect();
        let mut needed = SPARE;
        let mut reads: HashMap<Id, usize> = HashMap::new();
        for (k, phase) in self.plan.phases.iter().enumerate() {
            let items = self.items(k, phase);
            needed = needed.max(self.together(&items, phase) * self.pressure(&items) + SPARE);
            items.iter().flat_map(|i| i.reads(self)).for_each(|id| *reads.entry(id).or_default() += phase.extent);
        }
        let same = |id: &Id| once.contains(id) || self.op(*id).is_constant();
        let mut hot: Vec<(Id, usize)> = reads.into_iter().filter(|(id, _)| same(id)).collect();
        hot.sort_unstable_by_key(|(id, n)| (std::cmp::Reverse(*n), *id));
        hot.truncate(all.len().saturating_sub(needed));
        let (free, own) = all.split_at(all.len() - hot.len());
        self.stays = hot.iter().map(|(id, _)| *id).zip(own.iter().copied()).collect();
        self.free = Some(free.to_vec());
        for (id, r) in &self.stays {
            let home = self.frame.home(*id).expect("bug in codegen: what stays has a home");
            self.a.wide(vex::LOAD, *r, 0, home);
        }
    }
}

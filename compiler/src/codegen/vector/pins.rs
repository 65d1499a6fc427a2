//! What keeps the units of a processor busy in long code: constants stay in registers, and two vectors are computed side
//! by side, since one alone is a chain of results that wait for each other.

use super::emit::{Emitter, Item};
use super::plan::Phase;
use super::registers::usable;
use super::values::{Id, Level, Op};
use super::vex;
use std::collections::HashMap;
use std::ops::Range;

/// Code of so many items is long.
const LONG: usize = 10;
/// Registers for operands that come from memory, and for a result.
const SPARE: usize = 3;
/// So many rows are written one and one.
const PAIR: usize = 2;
/// With fewer vectors in a call, constants are read where they are used.
const LEAST_VECTORS: usize = 8;

impl Emitter<'_> {
    /// The operation of a value, of a later vector too.
    pub(super) fn op(&self, id: Id) -> Op {
        let count = self.plan.values.ops.len();
        let by = id as usize / count;
        self.plan.values.ops[id as usize % count].0.with(|x| self.later(x, by))
    }

    /// The id of a value `by` vectors later; of rows, where they are straight code.
    pub(super) fn later(&self, id: Id, by: usize) -> Id {
        let count = self.plan.values.ops.len();
        let (op, level) = self.plan.values.ops[id as usize % count];
        let moves = match self.plan.straight.is_empty() {
            true => matches!(level, Level::Vector(_)),
            false => level != Level::Call && !op.is_constant(),
        };
        if moves { id + (by * count) as Id } else { id }
    }

    /// How many vectors are computed side by side.
    pub(super) fn together(&self, items: &[Item], phase: &Phase) -> usize {
        let long = phase.folds.is_none() && items.len() >= LONG && phase.extent >= 2 * self.lanes;
        let room = || usable(self.lanes).count() >= 2 * self.pressure(items) + SPARE;
        if long && room() { 2 } else { 1 }
    }

    /// What straight code does for a row.
    pub(super) fn row_items(&self) -> Vec<Item> {
        let (mut items, mut next) = (vec![], 0);
        let ids = self.at_level(|level| level != Level::Call);
        for put in &self.plan.straight {
            let computed = ids.iter().filter(|id| (next..put.after).contains(&(**id as usize)));
            items.extend(computed.map(|id| Item::Compute(*id)));
            items.push(Item::Put(put.to, put.id));
            next = put.after;
        }
        items
    }

    /// The items of so many vectors or rows, each with the number of its own: one and one, of four rows two and two, turn by
    /// turn.
    pub(super) fn side_by_side(&self, items: &[Item], together: usize) -> Vec<(Item, usize)> {
        let copies =
            |item: &Item, own: Range<usize>| own.map(|by| (item.with(|id| self.later(id, by)), by)).collect::<Vec<_>>();
        if together <= PAIR {
            return items.iter().flat_map(|item| copies(item, 0..together)).collect();
        }
        let turn = |item: &Item| match item {
            Item::Compute(id) => self.plan.values.turns.get(*id as usize),
            Item::Store(..) | Item::Put(..) | Item::Fold(..) => None,
        };
        let goes_on = |_: &Item, next: &Item| turn(next).is_none();
        let pieces: Vec<&[Item]> = items.chunk_by(goes_on).collect();
        let mut list = vec![];
        for turns in pieces.chunk_by(|a, b| turn(&a[0]) == turn(&b[0])) {
            for first in (0..together).step_by(PAIR) {
                let own = first..together.min(first + PAIR);
                list.extend(turns.iter().flat_map(|p| p.iter()).flat_map(|item| copies(item, own.clone())));
            }
        }
        list
    }

    /// How many rows are computed side by side: one alone waits for its folds, which costs more than some values that lie
    /// in memory meanwhile.
    fn rows_together(&self, items: &[Item]) -> usize {
        let Some(rows) = self.plan.loops.last().filter(|rows| rows.counted.is_none()) else { return 1 };
        let room = usable(self.lanes).count();
        let fits = |n: &usize| {
            let all: Vec<Item> = self.side_by_side(items, *n).into_iter().map(|(item, _)| item).collect();
            rows.extent.is_multiple_of(*n) && room + self.lanes >= self.pressure(&all) + SPARE
        };
        [2 * PAIR, PAIR].into_iter().find(fits).unwrap_or(1)
    }

    /// The most values of a vector that are waiting for a use at once.
    fn pressure(&self, items: &[Item]) -> usize {
        let mut last: HashMap<Id, usize> = HashMap::new();
        for (at, item) in items.iter().enumerate() {
            last.extend(item.reads(self).into_iter().map(|id| (id, at)));
        }
        let lives = items.iter().enumerate().filter_map(|(at, item)| match item {
            Item::Compute(id) => Some((at, *last.get(id)?)),
            Item::Store(..) | Item::Put(..) | Item::Fold(..) => None,
        });
        let mut change = vec![0i64; items.len() + 1];
        for (from, to) in lives {
            change[from] += 1;
            change[to] -= 1;
        }
        let waiting = change.iter().scan(0, |waiting, by| {
            *waiting += by;
            Some(*waiting)
        });
        waiting.max().unwrap_or(0) as usize
    }

    /// Keeps what is read most often, of constants and what is computed `once`, in registers that nothing else needs.
    pub(super) fn pin(&mut self, once: &[Id]) {
        let rows: usize = self.plan.loops.iter().map(|l| l.extent).product();
        let vectors: usize = self.plan.phases.iter().map(|p| p.extent / self.lanes).sum();
        if vectors.max(self.plan.straight.len()) * rows < LEAST_VECTORS {
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
        if !self.plan.straight.is_empty() {
            let items = self.row_items();
            self.rows = self.rows_together(&items);
            let all: Vec<Item> = self.side_by_side(&items, self.rows).into_iter().map(|(item, _)| item).collect();
            needed = needed.max(self.pressure(&all) + SPARE);
            items.iter().flat_map(|i| i.reads(self)).for_each(|id| *reads.entry(id).or_default() += 1);
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

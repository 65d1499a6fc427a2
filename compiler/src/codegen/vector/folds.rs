//! Folds of vectors, into registers.

use super::emit::{Emitter, Item};
use super::registers::Registers;
use super::values::{Id, Op, Two};
use super::vex::{self, Code, Reg};
use crate::loops::Fold;

impl Emitter<'_> {
    /// Products that are only added up go into the sum by a fused multiplication.
    pub(super) fn products(&self, items: &[Item], uses: &mut [Vec<Id>]) -> Vec<Id> {
        let mut found = vec![];
        for (at, item) in items.iter().enumerate() {
            let Item::Fold(Fold::Add, id, _) = item else { continue };
            let Op::Two(Two::Mul, a, b) = self.op(*id) else { continue };
            let own = items.iter().position(|i| matches!(i, Item::Compute(x) if x == id));
            let once = uses.iter().flatten().filter(|x| *x == id).count() == 1;
            if let Some(own) = own
                && once
                && !self.by_mask()
            {
                uses[own] = vec![];
                uses[at] = vec![a, b];
                found.push(*id);
            }
        }
        found
    }

    /// Do lanes that are not there have to stay out of a fold? Of columns each has its own.
    fn by_mask(&self) -> bool {
        self.masked && self.plan.columns.is_empty()
    }

    pub(super) fn fold(&mut self, r: &mut Registers, (fold, into): (Fold, Reg), id: Id, product: bool, at: usize) {
        if product && let Op::Two(_, x, y) = self.op(id) {
            let x_in = r.fetch(&mut self.a, &mut self.frame, x);
            let y_in = r.place(&self.frame, y);
            self.a.wide(vex::FMA231, into, x_in, y_in);
            r.release([x, y], at);
            return r.done();
        }
        if self.by_mask() {
            let from = r.fetch(&mut self.a, &mut self.frame, id);
            self.a.fold_masked(combines(fold), into, from, start(fold));
        } else {
            let from = r.place(&self.frame, id);
            self.a.wide(combines(fold), into, into, from);
        }
        r.release([id], at);
        r.done();
    }
}

pub(super) fn combines(fold: Fold) -> Code {
    if fold == Fold::Add { vex::ADD } else { vex::MAX }
}

/// What a fold begins with.
pub(super) fn start(fold: Fold) -> u32 {
    if fold == Fold::Add { 0 } else { f32::NEG_INFINITY.to_bits() }
}

//! Scans to recurrences of the graph.

use super::lower::Lower;
use crate::base::Value;
use crate::hir::layer::{Layer, What};
use crate::ops::Recur;

impl Lower<'_> {
    /// The recurrence of a scan, made when it is first needed.
    pub fn recurrence(&mut self, scan: usize) -> Recur {
        if let Some(of) = self.recurs.get(&scan) {
            return *of;
        }
        let found = &self.scans[scan];
        let (length, reverse) = (self.size(&found.length), found.reverse);
        let of = self.graph.recurrence(length, reverse);
        self.recurs.insert(scan, of);
        of
    }

    pub fn recur(&mut self, layer: &Layer) -> Value {
        let input = layer.inputs[0];
        match &layer.what {
            What::Pick { scan, axis } => {
                let (of, at) = (self.recurrence(*scan), self.position(self.ty(input), axis));
                let x = self.value(input);
                self.e().pick(x, of, at)
            }
            What::Carry { scan, .. } => {
                let of = self.recurrence(*scan);
                let init = self.aligned(input, &layer.ty);
                self.graph.carry(of, init)
            }
            What::Stack { scan } => {
                let of = self.recurrence(*scan);
                let x = self.value(input);
                self.e().stack(x, of, usize::from(layer.ty.batched))
            }
            other => unreachable!("lowered elsewhere: {other:?}"),
        }
    }

    /// Gives the states of all scans that were met their next values.
    pub fn carry_on(&mut self, reached: &[bool]) {
        for scan in self.recurs.clone().into_keys() {
            for (carry, next) in self.scans[scan].states.clone() {
                let (true, Some(next)) = (reached[carry.index()], next) else { continue };
                let value = self.aligned(next, self.ty(carry));
                let carry = self.value(carry);
                let value = self.carried(scan, carry, value);
                self.graph.set_next(carry, value);
            }
        }
    }
}

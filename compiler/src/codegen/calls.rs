//! Calls of microkernels: their arguments are laid out in a slot of the stack.

use super::function::Lowerer;
use super::vector::Call;
use crate::loops::Coord;
use crate::loops::nest::{Accumulate, Filter, Finish, For, Place, Stmt, Tile, Transform, Transpose};
use cranelift_codegen::ir::{
    Endianness, InstBuilder, MemFlagsData, StackSlot, StackSlotData, StackSlotKind, Value, types,
};
use dlc_runtime::micro::{self, AHEAD, Matrix};
use std::collections::{BTreeSet, HashMap};

/// A microkernel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Callee {
    /// Of so many rows and vectors.
    Tile(usize, usize),
    Transpose,
    Transform(Matrix),
    Filter,
    /// A loop over vectors, by its number.
    Vectors(usize),
    Clock,
}

/// The microkernels that some statements call.
pub(super) fn callees_of(stmts: &[Stmt], found: &mut BTreeSet<Callee>) {
    for stmt in stmts {
        match stmt {
            Stmt::For(f) => callees_of(&f.body, found),
            Stmt::Tile(t) => {
                found.insert(Callee::Tile(t.rows, t.vectors));
            }
            Stmt::Transpose(_) => {
                found.insert(Callee::Transpose);
            }
            Stmt::Transform(t) => {
                found.insert(Callee::Transform(t.matrix));
            }
            Stmt::Filter(_) => {
                found.insert(Callee::Filter);
            }
            Stmt::Group(_) | Stmt::Mark(_) => {}
        }
    }
}

impl Lowerer<'_, '_> {
    fn slot(&mut self, words: usize) -> StackSlot {
        let size = words as u32 * 8;
        self.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, size, 3))
    }

    fn fill(&mut self, slot: StackSlot, words: &[Value]) -> Value {
        for (i, w) in words.iter().enumerate() {
            self.b.ins().stack_store(types::I64, *w, slot, i as i32 * 8);
        }
        self.b.ins().stack_addr(types::I64, slot, 0)
    }

    /// A loop around one tile whose `b` stays the same, as a single call: the tile walks over the blocks of rows itself.
    /// `None`: it is none.
    pub(super) fn tiles(&mut self, f: &For) -> Option<()> {
        let [Stmt::Tile(t)] = &f.body[..] else { return None };
        let finish = t.finish.iter().flat_map(|finish| &finish.add.at);
        let fixed = t.b.at.iter().chain(finish).all(|at| at.coefficient(f.var) == 0);
        let first = matches!(&t.accumulate, Accumulate::AfterFirst(vars) if vars.contains(&f.var));
        let counts = f.within.as_ref().is_none_or(|(at, _)| at.coefficient(f.var) == 1);
        if !fixed || first || !counts {
            return None;
        }
        let extent = self.b.ins().iconst(types::I64, f.extent as i64);
        let zero = self.b.ins().iconst(types::I64, 0);
        self.bound(f.var, zero, 1, |s| {
            let blocks = match &f.within {
                None => extent,
                Some((at, bound)) => {
                    let begin = s.affine(at);
                    let bound = s.b.ins().iconst(types::I64, *bound as i64);
                    let left = s.b.ins().isub(bound, begin);
                    let some = s.b.ins().smax(left, zero);
                    s.b.ins().smin(some, extent)
                }
            };
            let step = |place: &Place| {
                let at: Vec<Coord> = place.at.iter().cloned().map(Coord::Affine).collect();
                s.position(place.buffer, &at).coefficient(f.var)
            };
            let beside = t.beside.as_ref().map_or(0, |b| step(&b.place));
            let steps = [step(&t.a), step(&t.c), beside, t.ahead.as_ref().map_or(0, step)];
            s.tile(t, blocks, steps);
        });
        Some(())
    }

    /// A tile, for so many blocks of rows that lie so far apart.
    pub(super) fn tile(&mut self, t: &Tile, blocks: Value, [a, c, beside, ahead_step]: [i64; 4]) {
        let mut words = vec![self.place(&t.a), self.place(&t.b), self.place(&t.c)];
        let ahead = match &t.ahead {
            Some(place) => {
                let bytes = self.place(place);
                let bytes = self.b.ins().isub(bytes, words[1]);
                self.b.ins().sshr_imm_u(bytes, 2)
            }
            None => self.b.ins().iconst(types::I64, AHEAD as i64 * t.b_k),
        };
        let numbers =
            [t.a_row, t.a_k, t.a_batch, t.b_k, t.b_batch, t.c_row, t.k as i64, t.batches as i64, t.last as i64];
        for n in numbers {
            let n = self.b.ins().iconst(types::I64, n);
            words.push(n);
        }
        words.extend([self.adds(&t.accumulate), blocks]);
        for n in [a, c] {
            let n = self.b.ins().iconst(types::I64, n);
            words.push(n);
        }
        words.extend(self.finish(t.finish.as_ref()));
        let table = t.beside.as_ref().map(|b| self.place(&b.place));
        words.push(table.unwrap_or_else(|| self.b.ins().iconst(types::I64, 0)));
        for n in [t.beside.as_ref().map_or(0, |b| b.row), beside] {
            let n = self.b.ins().iconst(types::I64, n);
            words.push(n);
        }
        words.push(ahead);
        words.push(self.b.ins().iconst(types::I64, ahead_step));
        let slot = self.slot(words.len());
        let args = self.fill(slot, &words);
        let callee = self.callees[&Callee::Tile(t.rows, t.vectors)];
        self.b.ins().call(callee, &[args]);
    }

    /// Where the numbers lie that are added, and both bounds in one word.
    fn finish(&mut self, finish: Option<&Finish>) -> [Value; 2] {
        let nothing = micro::Finish::NOTHING.bounds;
        let bounds = finish.map_or(nothing, |f| f.bounds).map(f32::to_ne_bytes);
        let word: [u8; 8] = std::array::from_fn(|i| bounds[i / 4][i % 4]);
        let add = finish.map(|f| self.place(&f.add));
        let add = add.unwrap_or_else(|| self.b.ins().iconst(types::I64, 0));
        [add, self.b.ins().iconst(types::I64, i64::from_ne_bytes(word))]
    }

    /// Not 0 where a sum begins with what is there.
    fn adds(&mut self, accumulate: &Accumulate) -> Value {
        match accumulate {
            Accumulate::Always => self.b.ins().iconst(types::I64, 1),
            Accumulate::AfterFirst(vars) => {
                let mut any = self.b.ins().iconst(types::I64, 0);
                for v in vars {
                    let v = self.var(*v);
                    any = self.b.ins().bor(any, v);
                }
                any
            }
        }
    }

    pub(super) fn filter(&mut self, t: &Filter) {
        let mut words = vec![self.place(&t.from), self.place(&t.by), self.place(&t.to)];
        let strides = t.from_strides.iter().chain(&t.by_strides).copied().chain([t.to_next]);
        let extents = [t.taps[0], t.taps[1], t.count, t.channels];
        for n in strides.chain(extents.map(|n| n as i64)) {
            let n = self.b.ins().iconst(types::I64, n);
            words.push(n);
        }
        words.push(self.adds(&t.accumulate));
        words.extend(self.finish(t.finish.as_ref()));
        let slot = self.slot(words.len());
        let args = self.fill(slot, &words);
        let callee = self.callees[&Callee::Filter];
        self.b.ins().call(callee, &[args]);
    }

    pub(super) fn transform(&mut self, t: &Transform) {
        let mut words = vec![self.place(&t.from), self.place(&t.to)];
        let numbers = t.from_strides.iter().chain(&t.to_strides).copied();
        let extents = [t.count, t.channels, t.rows[0], t.rows[1], t.cols[0], t.cols[1], t.step];
        for n in numbers.chain(extents.map(|n| n as i64)) {
            let n = self.b.ins().iconst(types::I64, n);
            words.push(n);
        }
        let slot = self.slot(words.len());
        let args = self.fill(slot, &words);
        let callee = self.callees[&Callee::Transform(t.matrix)];
        self.b.ins().call(callee, &[args]);
    }

    /// Tells the clock, if there is one, which part of the step begins; without a number: none.
    pub(super) fn mark(&mut self, part: Option<usize>) {
        let Some(clock) = self.clock else { return };
        let words = self.b.ins().iadd_imm_s(self.homes[2], clock.at as i64);
        let number = match part {
            Some(part) => self.b.ins().iadd_imm_s(clock.first, part as i64),
            None => self.b.ins().iconst(types::I64, 0),
        };
        let slot = self.slot(2);
        let args = self.fill(slot, &[words, number]);
        let callee = self.callees[&Callee::Clock];
        self.b.ins().call(callee, &[args]);
    }

    /// A nest that is a function of its own.
    pub(super) fn vectors(&mut self, call: &Call) {
        let zero = self.b.ins().iconst(types::I64, 0);
        self.vars.extend(call.vars.iter().map(|(v, n)| (*v, zero, *n)));
        self.scopes.push(HashMap::new());
        let mut words = vec![];
        for (buffer, at) in &call.pointers {
            words.push(self.address(*buffer, at));
        }
        for e in &call.scalars {
            let number = self.eval(e).v;
            let flags = MemFlagsData::new().with_endianness(Endianness::Little);
            let bits = self.b.ins().bitcast(types::I32, flags, number);
            words.push(self.b.ins().uextend(types::I64, bits));
        }
        self.scopes.pop();
        self.vars.truncate(self.vars.len() - call.vars.len());
        let slot = self.slot(words.len());
        let args = self.fill(slot, &words);
        let callee = self.callees[&Callee::Vectors(call.code)];
        self.b.ins().call(callee, &[args]);
    }

    pub(super) fn transpose(&mut self, t: &Transpose) {
        let from = self.place(&t.from);
        let to = self.place(&t.to);
        let mut words = vec![from, to];
        for n in [t.rows as i64, t.columns as i64, t.from_row, t.to_row] {
            let n = self.b.ins().iconst(types::I64, n);
            words.push(n);
        }
        let slot = self.slot(words.len());
        let args = self.fill(slot, &words);
        let callee = self.callees[&Callee::Transpose];
        self.b.ins().call(callee, &[args]);
    }
}

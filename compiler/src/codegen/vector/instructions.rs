//! Instructions for single values.

use super::emit::{Emitter, INDEX, LIST, POINTERS, ROW};
use super::folds::combines;
use super::registers::Registers;
use super::rows::Spot;
use super::values::{Id, Op, Two};
use super::vex::{self, Code, HELPER, Reg, Rm, SUM, gpr};
use crate::loops::Fold;

impl Emitter<'_> {
    /// Where a pointer shows, with the index of the loop or without.
    pub(super) fn memory(&mut self, pointer: u16, indexed: bool) -> Rm {
        let base = POINTERS.get(pointer as usize).copied().unwrap_or_else(|| {
            self.a.load(gpr::RAX, LIST, i32::from(pointer) * 8);
            gpr::RAX
        });
        let (rows, vectors) = self.beside;
        let row = self.plan.loops.last().map_or(0, |rows| rows.steps[pointer as usize]);
        let mut far = rows * row as i32 * 4;
        if indexed {
            far += vectors * self.lanes as i32 * 4;
        }
        match (indexed, far) {
            (true, 0) => Rm::Sum(base, INDEX),
            (true, _) => Rm::Far(base, INDEX, far),
            (false, _) => Rm::At(base, far),
        }
    }

    /// Computes a value; gives the register that holds it.
    pub(super) fn compute(&mut self, r: &mut Registers, id: Id, at: usize) -> Reg {
        let op = self.op(id);
        let to = match op {
            Op::Across(max, x) => {
                let x_in = r.place(&self.frame, x);
                self.a.wide(vex::LOAD, SUM, 0, x_in);
                r.release([x], at);
                self.a.together(combines(if max { Fold::Max } else { Fold::Add }), SUM);
                let to = r.take(&mut self.a, &mut self.frame);
                self.a.wide(vex::BROADCAST, to, 0, Rm::Reg(SUM));
                to
            }
            Op::Two(two, x, y) => self.two(r, two, [x, y], at),
            Op::Fma(x, y, z) => self.fma(r, [x, y, z], at),
            Op::Choose(predicate, x, y, yes, no) => {
                let x_in = r.fetch(&mut self.a, &mut self.frame, x);
                let no_in = r.fetch(&mut self.a, &mut self.frame, no);
                let (y_in, yes_in) = (r.place(&self.frame, y), r.place(&self.frame, yes));
                r.release([x, y, yes, no], at);
                let to = r.take(&mut self.a, &mut self.frame);
                self.a.choose(predicate, to, (x_in, y_in), yes_in, no_in);
                to
            }
            Op::Sqrt(x) => self.one(r, vex::SQRT, x, at),
            Op::ToFloat(x) => self.one(r, vex::TO_FLOAT, x, at),
            Op::Floor(x) => {
                let x_in = r.place(&self.frame, x);
                r.release([x], at);
                let to = r.take(&mut self.a, &mut self.frame);
                self.a.wide_with(vex::ROUND, to, 0, x_in, 9);
                to
            }
            Op::Shift(kind, x, by) => {
                let x_in = r.fetch(&mut self.a, &mut self.frame, x);
                r.release([x], at);
                let to = r.take(&mut self.a, &mut self.frame);
                self.a.shift(kind, to, x_in, by);
                to
            }
            Op::Constant(_) | Op::Table(_) | Op::Lanes(_) | Op::Folded(_) => {
                panic!("bug in codegen: it has a home already")
            }
            Op::Compare(..) => panic!("bug in codegen: a comparison is a part of a choice"),
            source => self.source(r, source),
        };
        r.hold(to, id);
        to
    }

    /// What comes from memory or from counters.
    fn source(&mut self, r: &mut Registers, op: Op) -> Reg {
        let to = r.take(&mut self.a, &mut self.frame);
        match op {
            Op::Scalar(i) => {
                let at = Rm::At(LIST, (self.plan.pointers.len() as i32 + i32::from(i)) * 8);
                self.a.wide(vex::BROADCAST, to, 0, at);
            }
            Op::Shown(p) => {
                let at = self.memory(p, false);
                self.a.wide(vex::BROADCAST, to, 0, at);
            }
            Op::Load(p) => {
                let at = self.memory(p, true);
                match self.masked {
                    true => self.a.load_masked(to, at),
                    false => self.a.wide(vex::LOAD, to, 0, at),
                }
            }
            Op::ShownAt(pointer, floats) => {
                let at = self.spot(Spot { pointer, floats, wide: false });
                self.a.wide(vex::BROADCAST, to, 0, at);
            }
            Op::LoadAt(pointer, floats) => {
                let at = self.spot(Spot { pointer, floats, wide: true });
                self.a.wide(vex::LOAD, to, 0, at);
            }
            Op::Round(place) => {
                let own = self.plan.loops.iter().position(|l| l.counted == Some(place));
                match own.and_then(|k| self.counters[k]) {
                    Some(counter) => self.a.wide(vex::BROADCAST, to, 0, counter),
                    None => self.a.spread(to, ROW),
                }
                self.a.wide(vex::TO_FLOAT, to, 0, Rm::Reg(to));
            }
            _ if self.written_out => {
                let first = self.beside.1 as usize * self.lanes;
                let places = self.a.constants(|i| ((first + i) as f32).to_bits());
                self.a.wide(vex::LOAD, to, 0, places);
            }
            _ => {
                // The index counts bytes.
                self.a.spread(to, INDEX);
                self.a.shift(2, to, to, 2);
                let first = self.beside.1 as u32 * self.lanes as u32;
                let lanes = self.a.constants(|i| first + i as u32);
                self.a.wide(vex::PLUS, to, to, lanes);
                self.a.wide(vex::TO_FLOAT, to, 0, Rm::Reg(to));
            }
        }
        to
    }

    /// A place in a row.
    fn spot(&mut self, spot: Spot) -> Rm {
        match self.memory(spot.pointer, false) {
            Rm::At(base, far) => Rm::At(base, far + 4 * spot.floats),
            other => other,
        }
    }

    /// Stores a vector or a number in a row.
    pub(super) fn put(&mut self, r: &mut Registers, to: Spot, id: Id, at: usize) {
        if to.wide {
            let from = r.fetch(&mut self.a, &mut self.frame, id);
            let to = self.spot(to);
            self.a.wide(vex::STORE, from, 0, to);
        } else {
            let from = r.place(&self.frame, id);
            self.a.wide(vex::LOAD, HELPER, 0, from);
            let to = self.spot(to);
            self.a.narrow(vex::STORE_ONE, HELPER, 0, to);
        }
        r.release([id], at);
        r.done();
    }

    fn one(&mut self, r: &mut Registers, code: Code, x: Id, at: usize) -> Reg {
        let x_in = r.place(&self.frame, x);
        r.release([x], at);
        let to = r.take(&mut self.a, &mut self.frame);
        self.a.wide(code, to, 0, x_in);
        to
    }

    fn two(&mut self, r: &mut Registers, two: Two, [mut x, mut y]: [Id; 2], at: usize) -> Reg {
        if two.commutes() && !matches!(r.place(&self.frame, x), Rm::Reg(_)) {
            std::mem::swap(&mut x, &mut y);
        }
        let x_in = r.fetch(&mut self.a, &mut self.frame, x);
        let y_in = r.place(&self.frame, y);
        r.release([x, y], at);
        let to = r.take(&mut self.a, &mut self.frame);
        self.a.wide(encoding(two), to, x_in, y_in);
        to
    }

    /// `x * y + z`, over whichever operand is not needed any more.
    fn fma(&mut self, r: &mut Registers, [mut x, mut y, z]: [Id; 3], at: usize) -> Reg {
        if !matches!(r.place(&self.frame, x), Rm::Reg(_)) {
            std::mem::swap(&mut x, &mut y);
        }
        let x_in = r.fetch(&mut self.a, &mut self.frame, x);
        let z_in = r.place(&self.frame, z);
        if let (Rm::Reg(sum), true) = (z_in, r.dies(z, at) && z != x && z != y) {
            let y_in = r.place(&self.frame, y);
            self.a.wide(vex::FMA231, sum, x_in, y_in);
            r.release([x, y, z], at);
            return sum;
        }
        let y_in = r.fetch(&mut self.a, &mut self.frame, y);
        let z_in = r.place(&self.frame, z);
        for (own, other, id) in [(x_in, y_in, x), (y_in, x_in, y)] {
            if r.dies(id, at) && x != y && id != z {
                self.a.wide(vex::FMA213, own, other, z_in);
                r.release([x, y, z], at);
                return own;
            }
        }
        let to = r.take(&mut self.a, &mut self.frame);
        self.a.wide(vex::LOAD, to, 0, Rm::Reg(x_in));
        self.a.wide(vex::FMA213, to, y_in, z_in);
        r.release([x, y, z], at);
        to
    }
}

fn encoding(two: Two) -> Code {
    match two {
        Two::Add => vex::ADD,
        Two::Sub => vex::SUB,
        Two::Mul => vex::MUL,
        Two::Div => vex::DIV,
        Two::Min => vex::MIN,
        Two::Max => vex::MAX,
        Two::And => vex::AND,
        Two::Xor => vex::XOR,
        Two::Plus => vex::PLUS,
        Two::Minus => vex::MINUS,
        Two::Scale => vex::SCALE,
        Two::Entry => vex::ENTRY,
    }
}

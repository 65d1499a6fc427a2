//! The counter-based generator as Cranelift instructions.

use super::function::{LANES, Lowerer};
use super::math::Machine;
use crate::loops::{Affine, Expr};
use cranelift_codegen::ir::{InstBuilder, Value, types};

impl Lowerer<'_, '_> {
    /// [`crate::loops::expr::random_number`], instruction by instruction.
    pub(super) fn random(&mut self, key: u64, step: &Expr, counter: &Affine) -> Value {
        let step = self.narrow(|s| s.value(step));
        let step = self.b.ins().fcvt_to_uint_sat(types::I32, step);
        let golden = self.b.ins().iconst(types::I32, 0x9E37_79B9);
        let salt = self.b.ins().imul(step, golden);
        let i = self.affine(counter);
        let i = self.b.ins().ireduce(types::I32, i);
        let mut x = i;
        let mut salt = salt;
        if let Some(var) = self.vector {
            x = self.b.ins().splat(types::I32X4, i);
            let one = self.b.ins().iconst(types::I32, counter.coefficient(var));
            let mut offsets = self.b.ins().iconst(types::I32, 0);
            let mut lanes = self.b.ins().splat(types::I32X4, offsets);
            for lane in 1..LANES {
                offsets = self.b.ins().iadd(offsets, one);
                lanes = self.b.ins().insertlane(lanes, offsets, lane as u8);
            }
            x = self.b.ins().iadd(x, lanes);
            salt = self.b.ins().splat(types::I32X4, salt);
        }
        let low = self.word(x, key as u32);
        let x = self.b.ins().bxor(x, low);
        let x = self.b.ins().iadd(x, salt);
        let x = self.mix(x);
        let high = self.word(x, (key >> 32) as u32);
        let x = self.b.ins().bxor(x, high);
        let x = self.mix(x);
        let x = self.b.ins().ushr_imm_u(x, 8);
        let ty = if self.vector.is_some() { types::F32X4 } else { types::F32 };
        let x = self.b.ins().fcvt_from_sint(ty, x);
        let scale = self.number(x, 1.0 / 16_777_216.0);
        self.b.ins().fmul(x, scale)
    }

    fn word(&mut self, like: Value, bits: u32) -> Value {
        let scalar = self.b.ins().iconst(types::I32, i64::from(bits));
        let vector = self.b.func.dfg.value_type(like).is_vector();
        if vector { self.b.ins().splat(types::I32X4, scalar) } else { scalar }
    }

    fn mix(&mut self, x: Value) -> Value {
        let mut x = x;
        for (shift, factor) in [(16, 0x85EB_CA6B), (13, 0xC2B2_AE35)] {
            let high = self.b.ins().ushr_imm_u(x, shift);
            x = self.b.ins().bxor(x, high);
            let factor = self.word(x, factor);
            x = self.b.ins().imul(x, factor);
        }
        let high = self.b.ins().ushr_imm_u(x, 16);
        self.b.ins().bxor(x, high)
    }
}

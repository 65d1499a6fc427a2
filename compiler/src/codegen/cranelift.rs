//! Cranelift's instructions as a [`Machine`], for one number or four lanes.

use super::function::Lowerer;
use super::math::Machine;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Type, Value, types};

impl Lowerer<'_, '_> {
    /// Lanes of `x` where the comparison `mask` holds, else of `y`.
    pub fn choose(&mut self, mask: Value, x: Value, y: Value) -> Value {
        if self.is_vector(x) {
            let mask = self.seen_as(types::F32X4, mask);
            self.b.ins().bitselect(mask, x, y)
        } else {
            self.b.ins().select(mask, x, y)
        }
    }

    fn is_vector(&self, x: Value) -> bool {
        self.b.func.dfg.value_type(x).is_vector()
    }

    fn seen_as(&mut self, ty: Type, x: Value) -> Value {
        self.b.ins().bitcast(ty, MemFlagsData::new().with_endianness(Endianness::Little), x)
    }
}

impl Machine for Lowerer<'_, '_> {
    type Number = Value;

    fn number(&mut self, like: Value, value: f32) -> Value {
        let scalar = self.b.ins().f32const(value);
        if self.is_vector(like) { self.b.ins().splat(types::F32X4, scalar) } else { scalar }
    }

    fn whole(&mut self, like: Value, value: i32) -> Value {
        let scalar = self.b.ins().iconst(types::I32, i64::from(value as u32));
        if self.is_vector(like) { self.b.ins().splat(types::I32X4, scalar) } else { scalar }
    }

    fn add(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().fadd(a, b)
    }

    fn sub(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().fsub(a, b)
    }

    fn mul(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().fmul(a, b)
    }

    fn div(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().fdiv(a, b)
    }

    fn fma(&mut self, a: Value, b: Value, c: Value) -> Value {
        if self.has_fma {
            return self.b.ins().fma(a, b, c);
        }
        let product = self.b.ins().fmul(a, b);
        self.b.ins().fadd(product, c)
    }

    fn neg(&mut self, x: Value) -> Value {
        self.b.ins().fneg(x)
    }

    fn abs(&mut self, x: Value) -> Value {
        self.b.ins().fabs(x)
    }

    fn bits(&mut self, x: Value) -> Value {
        let ty = if self.is_vector(x) { types::I32X4 } else { types::I32 };
        self.seen_as(ty, x)
    }

    fn unbits(&mut self, x: Value) -> Value {
        let ty = if self.is_vector(x) { types::F32X4 } else { types::F32 };
        self.seen_as(ty, x)
    }

    fn plus(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().iadd(a, b)
    }

    fn minus(&mut self, a: Value, b: Value) -> Value {
        self.b.ins().isub(a, b)
    }

    fn left(&mut self, x: Value, by: u8) -> Value {
        self.b.ins().ishl_imm_u(x, i64::from(by))
    }

    fn right(&mut self, x: Value, by: u8) -> Value {
        self.b.ins().sshr_imm_u(x, i64::from(by))
    }

    fn float(&mut self, x: Value) -> Value {
        let ty = if self.is_vector(x) { types::F32X4 } else { types::F32 };
        self.b.ins().fcvt_from_sint(ty, x)
    }

    fn pick(&mut self, cc: FloatCC, [a, b]: [Value; 2], x: Value, y: Value) -> Value {
        let mask = self.b.ins().fcmp(cc, a, b);
        self.choose(mask, x, y)
    }
}

//! Elementary functions as Cranelift instructions, for one number or four lanes alike.
//!
//! Polynomials after Cephes (exp, log; Moshier), Eigen's `ptanh` and N. Juffa's `erff`; at most 4 ulp from the correctly
//! rounded result over all normal numbers, 5 for `tanh`, measured by `compiler/tests/math.rs`. NaN gives NaN.
//! Sine, cosine and powers are in [`super::wide`].
//! Results below the least normal number may be 0, since kernels run with denormals flushed.

use super::function::Lowerer;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};

/// 1.5 * 2^23: adding it leaves the nearest whole number in the low bits of the mantissa.
const ROUNDER: f32 = 12_582_912.0;

impl Lowerer<'_, '_> {
    /// A constant of the type of `like`.
    pub fn number(&mut self, like: Value, value: f32) -> Value {
        let ty = self.b.func.dfg.value_type(like);
        let scalar = self.b.ins().f32const(value);
        if ty == types::F32X4 { self.b.ins().splat(ty, scalar) } else { scalar }
    }

    fn whole(&mut self, like: Value, value: i32) -> Value {
        let ty = self.b.func.dfg.value_type(like);
        let scalar = self.b.ins().iconst(types::I32, i64::from(value as u32));
        if ty.is_vector() { self.b.ins().splat(types::I32X4, scalar) } else { scalar }
    }

    fn int_type(&self, x: Value) -> Type {
        if self.b.func.dfg.value_type(x) == types::F32X4 { types::I32X4 } else { types::I32 }
    }

    fn bits(&mut self, x: Value) -> Value {
        let ty = self.int_type(x);
        let flags = MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little);
        self.b.ins().bitcast(ty, flags, x)
    }

    fn from_bits(&mut self, x: Value) -> Value {
        let vector = self.b.func.dfg.value_type(x).is_vector();
        let ty = if vector { types::F32X4 } else { types::F32 };
        let flags = MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little);
        self.b.ins().bitcast(ty, flags, x)
    }

    /// `a * b + c`, fused where the target can.
    pub fn fma(&mut self, a: Value, b: Value, c: Value) -> Value {
        if self.has_fma {
            return self.b.ins().fma(a, b, c);
        }
        let product = self.b.ins().fmul(a, b);
        self.b.ins().fadd(product, c)
    }

    /// `a < b ? x : y` in every lane; false where a or b is NaN.
    pub fn pick(&mut self, cc: FloatCC, a: Value, b: Value, x: Value, y: Value) -> Value {
        let mask = self.b.ins().fcmp(cc, a, b);
        self.choose(mask, x, y)
    }

    /// Lanes of `x` where the comparison `mask` holds, else of `y`.
    pub fn choose(&mut self, mask: Value, x: Value, y: Value) -> Value {
        if self.b.func.dfg.value_type(x) == types::F32X4 {
            let flags = MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little);
            let mask = self.b.ins().bitcast(types::F32X4, flags, mask);
            self.b.ins().bitselect(mask, x, y)
        } else {
            self.b.ins().select(mask, x, y)
        }
    }

    /// The larger of a constant bound and `x`; NaN where `x` is.
    fn at_least(&mut self, bound: f32, x: Value) -> Value {
        let bound = self.number(x, bound);
        self.pick(FloatCC::LessThan, x, bound, bound, x)
    }

    fn at_most(&mut self, bound: f32, x: Value) -> Value {
        let bound = self.number(x, bound);
        self.pick(FloatCC::LessThan, bound, x, bound, x)
    }

    fn horner(&mut self, x: Value, coefficients: &[f32]) -> Value {
        let mut y = self.number(x, coefficients[0]);
        for c in &coefficients[1..] {
            let c = self.number(x, *c);
            y = self.fma(y, x, c);
        }
        y
    }

    pub fn exp(&mut self, x: Value) -> Value {
        let x = self.at_least(-104.0, x);
        let x = self.at_most(89.0, x);
        let (p, whole) = self.exp_parts(x);
        // 2^n in two factors, so that neither overflows where the result does not.
        let half = self.b.ins().sshr_imm_u(whole, 1);
        let rest = self.b.ins().isub(whole, half);
        let a = self.power_of_two(x, half);
        let b = self.power_of_two(x, rest);
        let p = self.b.ins().fmul(p, a);
        self.b.ins().fmul(p, b)
    }

    /// `p` and `n` so that `exp(x)` is `p * 2^n`.
    fn exp_parts(&mut self, x: Value) -> (Value, Value) {
        let log2e = self.number(x, std::f32::consts::LOG2_E);
        let rounder = self.number(x, ROUNDER);
        let scaled = self.b.ins().fmul(x, log2e);
        let shifted = self.b.ins().fadd(scaled, rounder);
        let n = self.b.ins().fsub(shifted, rounder);
        let high = self.number(x, -0.693_359_4);
        let low = self.number(x, 2.121_944_4e-4);
        let r = self.fma(n, high, x);
        let r = self.fma(n, low, r);
        let p = self
            .horner(r, &[1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.000_000_1e-1]);
        let square = self.b.ins().fmul(r, r);
        let p = self.fma(p, square, r);
        let one = self.number(x, 1.0);
        let p = self.b.ins().fadd(p, one);
        let raw = self.bits(shifted);
        let offset = self.whole(x, ROUNDER.to_bits() as i32);
        (p, self.b.ins().isub(raw, offset))
    }

    fn power_of_two(&mut self, like: Value, n: Value) -> Value {
        let bias = self.whole(like, 127);
        let biased = self.b.ins().iadd(n, bias);
        let raw = self.b.ins().ishl_imm_u(biased, 23);
        self.from_bits(raw)
    }

    pub fn log(&mut self, x: Value) -> Value {
        let raw = self.bits(x);
        let root_half = self.whole(x, 0x3F35_04F3);
        let from_root = self.b.ins().isub(raw, root_half);
        let exponent = self.b.ins().sshr_imm_u(from_root, 23);
        let shifted = self.b.ins().ishl_imm_u(exponent, 23);
        let mantissa = self.b.ins().isub(raw, shifted);
        let m = self.from_bits(mantissa);
        let ty = self.b.func.dfg.value_type(x);
        let e = self.b.ins().fcvt_from_sint(ty, exponent);
        let one = self.number(x, 1.0);
        let f = self.b.ins().fsub(m, one);
        let z = self.b.ins().fmul(f, f);
        let p = self.horner(
            f,
            &[
                7.037_683_6e-2,
                -1.151_461e-1,
                1.167_699_9e-1,
                -1.242_014_1e-1,
                1.424_932_3e-1,
                -1.666_805_8e-1,
                2.000_071_4e-1,
                -2.499_999_4e-1,
                3.333_333e-1,
            ],
        );
        let p = self.b.ins().fmul(p, f);
        let p = self.b.ins().fmul(p, z);
        let low = self.number(x, -2.121_944_4e-4);
        let y = self.fma(e, low, p);
        let minus_half = self.number(x, -0.5);
        let y = self.fma(z, minus_half, y);
        let y = self.b.ins().fadd(f, y);
        let high = self.number(x, 0.693_359_4);
        let y = self.fma(e, high, y);
        self.log_edges(x, y)
    }

    /// log at 0, below it, at infinity and NaN.
    fn log_edges(&mut self, x: Value, y: Value) -> Value {
        let infinity = self.number(x, f32::INFINITY);
        let y = self.pick(FloatCC::Equal, x, infinity, infinity, y);
        let least = self.number(x, f32::MIN_POSITIVE);
        let minus = self.number(x, f32::NEG_INFINITY);
        let y = self.pick(FloatCC::LessThan, x, least, minus, y);
        let zero = self.number(x, 0.0);
        let nan = self.number(x, f32::NAN);
        let y = self.pick(FloatCC::LessThan, x, zero, nan, y);
        self.pick(FloatCC::Unordered, x, x, x, y)
    }

    /// A quotient of polynomials, the minimax one of Eigen's `ptanh`; from the bound on, it is 1.
    pub fn tanh(&mut self, x: Value) -> Value {
        const BOUND: f32 = 8.017_733_6;
        let x = self.at_least(-BOUND, x);
        let x = self.at_most(BOUND, x);
        let z = self.b.ins().fmul(x, x);
        let cube = self.b.ins().fmul(z, x);
        let p = self.horner(z, &[1.394_553_6e-8, 2.102_733_6e-5, 3.520_756_7e-3, 1.340_216_1e-1]);
        let p = self.fma(cube, p, x);
        let q = self.horner(z, &[8.015_777e-7, 3.326_951_4e-4, 2.597_254_5e-2, 4.673_548_3e-1, 1.0]);
        self.b.ins().fdiv(p, q)
    }

    fn with_sign_of(&mut self, magnitude: Value, x: Value) -> Value {
        let raw = self.bits(x);
        let sign = self.whole(x, i32::MIN);
        let sign = self.b.ins().band(raw, sign);
        let m = self.bits(magnitude);
        let m = self.b.ins().bor(m, sign);
        self.from_bits(m)
    }

    /// Within these bounds `exp(-x)` is normal; beyond, the result is 1 or less than the least normal number.
    pub fn sigmoid(&mut self, x: Value) -> Value {
        let minus = self.b.ins().fneg(x);
        let minus = self.at_least(-87.0, minus);
        let minus = self.at_most(88.0, minus);
        let (p, n) = self.exp_parts(minus);
        let power = self.power_of_two(x, n);
        let one = self.number(x, 1.0);
        let d = self.fma(p, power, one);
        self.b.ins().fdiv(one, d)
    }

    pub fn erf(&mut self, x: Value) -> Value {
        let t = self.b.ins().fabs(x);
        let s = self.b.ins().fmul(x, x);
        let r = self.horner(t, &[-1.728_534_7e-5, 3.831_972e-4]);
        let u = self.horner(t, &[-3.883_964_4e-3, 2.425_462_2e-2]);
        let r = self.fma(r, s, u);
        let mut far = r;
        for c in [-1.067_778_8e-1, -6.348_468_7e-1, -1.287_175_1e-1] {
            let c = self.number(x, c);
            far = self.fma(far, t, c);
        }
        let minus_t = self.b.ins().fneg(t);
        let far = self.fma(far, t, minus_t);
        let e = self.exp(far);
        let one = self.number(x, 1.0);
        let far = self.b.ins().fsub(one, e);
        let far = self.with_sign_of(far, x);
        let p = self.horner(
            s,
            &[-5.967_617e-4, 4.991_194e-3, -2.676_813_5e-2, 1.128_199_3e-1, -3.761_253_4e-1, 1.283_791_7e-1],
        );
        // Not `p * x + x`, whose product would be flushed near the least number.
        let factor = self.b.ins().fadd(p, one);
        let near = self.b.ins().fmul(factor, x);
        let edge = self.number(x, 0.927_734_4);
        let y = self.pick(FloatCC::GreaterThan, t, edge, far, near);
        self.pick(FloatCC::Unordered, x, x, x, y)
    }
}

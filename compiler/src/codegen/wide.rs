//! Functions that need more digits on the way than an `f32` has: sine and cosine of large numbers, powers.
//!
//! Computed in `f64`, a vector of four numbers as two halves. Sine and cosine subtract multiples of pi/2 held in
//! 25 + 53 bits, which is exact enough up to 2^28 (the method of FreeBSD's `rem_pio2f`); beyond, the result is some
//! number in -1..=1. Powers are `exp(b * log(|a|))` with about 40 bits, so that no digit of the result is lost.

use super::function::Lowerer;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Type, Value, types};

/// 1.5 * 2^52: adding it leaves the nearest whole number in the low bits of the mantissa.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// pi/2: the first 25 bits, and the rest.
const HALF_PI: [f64; 2] = [1.570_796_310_901_641_8, 1.589_325_477_352_819_7e-8];
/// log 2: the first 33 bits, and the rest.
const LOG_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];

/// `sin(r)` for |r| <= pi/4: factors of r^3, r^5, .. r^11.
const SINE: [f64; 5] = [-1.0 / 39_916_800.0, 1.0 / 362_880.0, -1.0 / 5_040.0, 1.0 / 120.0, -1.0 / 6.0];
/// `cos(r)`: factors of r^2, r^4, .. r^12.
const COSINE: [f64; 6] = [1.0 / 479_001_600.0, -1.0 / 3_628_800.0, 1.0 / 40_320.0, -1.0 / 720.0, 1.0 / 24.0, -0.5];

impl Lowerer<'_, '_> {
    fn cast(&mut self, to: Type, x: Value) -> Value {
        let flags = MemFlagsData::new().with_endianness(Endianness::Little);
        self.b.ins().bitcast(to, flags, x)
    }

    fn double(&mut self, like: Value, value: f64) -> Value {
        let scalar = self.b.ins().f64const(value);
        let ty = self.b.func.dfg.value_type(like);
        if ty == types::F64X2 { self.b.ins().splat(ty, scalar) } else { scalar }
    }

    fn long(&mut self, like: Value, value: i64) -> Value {
        let scalar = self.b.ins().iconst(types::I64, value);
        let vector = self.b.func.dfg.value_type(like).is_vector();
        if vector { self.b.ins().splat(types::I64X2, scalar) } else { scalar }
    }

    fn raw(&mut self, x: Value) -> Value {
        let vector = self.b.func.dfg.value_type(x).is_vector();
        self.cast(if vector { types::I64X2 } else { types::I64 }, x)
    }

    fn unraw(&mut self, x: Value) -> Value {
        let vector = self.b.func.dfg.value_type(x).is_vector();
        self.cast(if vector { types::F64X2 } else { types::F64 }, x)
    }

    /// `mask ? x : y`, lane by lane.
    fn either(&mut self, cc: FloatCC, a: Value, b: Value, x: Value, y: Value) -> Value {
        let mask = self.b.ins().fcmp(cc, a, b);
        if self.b.func.dfg.value_type(x).is_vector() {
            let mask = self.cast(types::F64X2, mask);
            self.b.ins().bitselect(mask, x, y)
        } else {
            self.b.ins().select(mask, x, y)
        }
    }

    fn polynomial(&mut self, x: Value, coefficients: &[f64]) -> Value {
        let mut y = self.double(x, coefficients[0]);
        for c in &coefficients[1..] {
            let c = self.double(x, *c);
            let product = self.b.ins().fmul(y, x);
            y = self.b.ins().fadd(product, c);
        }
        y
    }

    /// Applies `f` in `f64` to one number, or to the halves of four.
    fn widened(&mut self, x: &[Value], f: impl Fn(&mut Self, &[Value]) -> Value) -> Value {
        if !self.b.func.dfg.value_type(x[0]).is_vector() {
            let wide: Vec<Value> = x.iter().map(|x| self.b.ins().fpromote(types::F64, *x)).collect();
            let y = f(self, &wide);
            return self.b.ins().fdemote(types::F32, y);
        }
        let low: Vec<Value> = x.iter().map(|x| self.b.ins().fvpromote_low(*x)).collect();
        let mut high = vec![];
        for x in x {
            let pairs = self.cast(types::I64X2, *x);
            let upper = self.b.ins().extractlane(pairs, 1);
            let pairs = self.b.ins().splat(types::I64X2, upper);
            let upper = self.cast(types::F32X4, pairs);
            high.push(self.b.ins().fvpromote_low(upper));
        }
        let (low, high) = (f(self, &low), f(self, &high));
        let (low, high) = (self.b.ins().fvdemote(low), self.b.ins().fvdemote(high));
        let (low, high) = (self.cast(types::I64X2, low), self.cast(types::I64X2, high));
        let upper = self.b.ins().extractlane(high, 0);
        let both = self.b.ins().insertlane(low, upper, 1);
        self.cast(types::F32X4, both)
    }

    /// The nearest whole number, and the same in the low bits of an integer.
    fn nearest(&mut self, x: Value) -> (Value, Value) {
        let rounder = self.double(x, ROUNDER);
        let shifted = self.b.ins().fadd(x, rounder);
        let n = self.b.ins().fsub(shifted, rounder);
        let raw = self.raw(shifted);
        let offset = self.long(x, ROUNDER.to_bits() as i64);
        (n, self.b.ins().isub(raw, offset))
    }

    /// `x - n * (parts[0] + parts[1])`
    fn reduced(&mut self, x: Value, n: Value, parts: [f64; 2]) -> Value {
        parts.into_iter().fold(x, |x, part| {
            let part = self.double(x, part);
            let multiple = self.b.ins().fmul(n, part);
            self.b.ins().fsub(x, multiple)
        })
    }

    /// Sine (`quarter` 0) or cosine (`quarter` 1).
    pub fn sine(&mut self, x: Value, quarter: i64) -> Value {
        self.widened(&[x], |s, x| s.sine_wide(x[0], quarter))
    }

    fn sine_wide(&mut self, x: Value, quarter: i64) -> Value {
        let two_over_pi = self.double(x, std::f64::consts::FRAC_2_PI);
        let turns = self.b.ins().fmul(x, two_over_pi);
        let (n, q) = self.nearest(turns);
        let r = self.reduced(x, n, HALF_PI);
        // Outside only for numbers without digits; NaN stays.
        let edge = self.double(x, 0.79);
        let r = self.either(FloatCC::GreaterThan, r, edge, edge, r);
        let edge = self.double(x, -0.79);
        let r = self.either(FloatCC::LessThan, r, edge, edge, r);
        let z = self.b.ins().fmul(r, r);
        let p = self.polynomial(z, &SINE);
        let zr = self.b.ins().fmul(z, r);
        let p = self.b.ins().fmul(p, zr);
        let sin = self.b.ins().fadd(r, p);
        let p = self.polynomial(z, &COSINE);
        let p = self.b.ins().fmul(p, z);
        let one = self.double(x, 1.0);
        let cos = self.b.ins().fadd(p, one);
        let quarter = self.long(x, quarter);
        let q = self.b.ins().iadd(q, quarter);
        let bit = self.long(x, 1);
        let odd = self.b.ins().band(q, bit);
        let none = self.long(x, 0);
        let odd = self.b.ins().isub(none, odd);
        let (sin, cos) = (self.raw(sin), self.raw(cos));
        let chosen = self.b.ins().bitselect(odd, cos, sin);
        let bit = self.long(x, 2);
        let sign = self.b.ins().band(q, bit);
        let sign = self.b.ins().ishl_imm_u(sign, 62);
        let signed = self.b.ins().bxor(chosen, sign);
        self.unraw(signed)
    }

    /// `a ^ b`. A negative base has a result where the exponent is whole (and below 2^51).
    pub fn pow(&mut self, a: Value, b: Value) -> Value {
        self.widened(&[a, b], |s, x| s.pow_wide(x[0], x[1]))
    }

    fn pow_wide(&mut self, a: Value, b: Value) -> Value {
        let size = self.b.ins().fabs(a);
        let log = self.log_wide(size);
        let product = self.b.ins().fmul(b, log);
        let y = self.exp_wide(product);
        let (n, q) = self.nearest(b);
        let odd = self.b.ins().ishl_imm_u(q, 63);
        let raw = self.raw(y);
        let raw = self.b.ins().bxor(raw, odd);
        let negative = self.unraw(raw);
        let nan = self.double(a, f64::NAN);
        let negative = self.either(FloatCC::Equal, n, b, negative, nan);
        let zero = self.double(a, 0.0);
        let y = self.either(FloatCC::LessThan, a, zero, negative, y);
        let one = self.double(a, 1.0);
        let y = self.either(FloatCC::Equal, b, zero, one, y);
        let y = self.either(FloatCC::Equal, a, one, one, y);
        let either_nan = self.b.ins().fadd(a, b);
        self.either(FloatCC::Unordered, a, b, either_nan, y)
    }

    /// log of a number that is not negative.
    fn log_wide(&mut self, x: Value) -> Value {
        let raw = self.raw(x);
        // The exponent such that the mantissa lies between sqrt(1/2) and sqrt(2), plus 1024.
        let root_half = self.long(x, 0x3FE6_A09E_0000_0000 - (1 << 62));
        let from_root = self.b.ins().isub(raw, root_half);
        let exponent = self.b.ins().ushr_imm_u(from_root, 52);
        let shifted = self.b.ins().ishl_imm_u(exponent, 52);
        let mantissa = self.b.ins().isub(raw, shifted);
        let bias = self.long(x, 1 << 62);
        let mantissa = self.b.ins().iadd(mantissa, bias);
        let m = self.unraw(mantissa);
        // A small whole number as the low bits of 2^52 + it.
        let big = 4_503_599_627_370_496.0f64;
        let magic = self.long(x, big.to_bits() as i64);
        let e = self.b.ins().bor(exponent, magic);
        let e = self.unraw(e);
        let offset = self.double(x, big + 1024.0);
        let e = self.b.ins().fsub(e, offset);
        let one = self.double(x, 1.0);
        let f = self.b.ins().fsub(m, one);
        let d = self.b.ins().fadd(m, one);
        let s = self.b.ins().fdiv(f, d);
        let z = self.b.ins().fmul(s, s);
        let p =
            self.polynomial(z, &[2.0 / 15.0, 2.0 / 13.0, 2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0]);
        let p = self.b.ins().fmul(p, s);
        let log2 = self.double(x, std::f64::consts::LN_2);
        let whole = self.b.ins().fmul(e, log2);
        let y = self.b.ins().fadd(whole, p);
        let least = self.double(x, f64::from(f32::MIN_POSITIVE));
        let minus = self.double(x, f64::NEG_INFINITY);
        let y = self.either(FloatCC::LessThan, x, least, minus, y);
        let infinity = self.double(x, f64::INFINITY);
        self.either(FloatCC::Equal, x, infinity, infinity, y)
    }

    fn exp_wide(&mut self, x: Value) -> Value {
        // Far beyond what an f32 holds; NaN stays.
        let edge = self.double(x, 100.0);
        let x = self.either(FloatCC::GreaterThan, x, edge, edge, x);
        let edge = self.double(x, -150.0);
        let x = self.either(FloatCC::LessThan, x, edge, edge, x);
        let scale = self.double(x, std::f64::consts::LOG2_E);
        let scaled = self.b.ins().fmul(x, scale);
        let (n, i) = self.nearest(scaled);
        let r = self.reduced(x, n, LOG_2);
        let p = self.polynomial(
            r,
            &[
                1.0 / 3_628_800.0,
                1.0 / 362_880.0,
                1.0 / 40_320.0,
                1.0 / 5_040.0,
                1.0 / 720.0,
                1.0 / 120.0,
                1.0 / 24.0,
                1.0 / 6.0,
                0.5,
                1.0,
                1.0,
            ],
        );
        let bias = self.long(x, 1023);
        let biased = self.b.ins().iadd(i, bias);
        let power = self.b.ins().ishl_imm_u(biased, 52);
        let power = self.unraw(power);
        self.b.ins().fmul(p, power)
    }
}

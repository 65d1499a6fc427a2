//! Elementary functions, for one number or several lanes alike, on any [`Machine`]: Cranelift's instructions or those of
//! [`super::vector`].
//!
//! Polynomials after Cephes (exp, log; Moshier) and Eigen's `ptanh`, and one of our own (erf); at most 4 ulp from the correctly
//! rounded result over all normal numbers, 5 for `tanh` and `erf` (`erf` 6 without fused multiply-adds, 4 with sixteen lanes),
//! measured by `compiler/tests/math.rs`. NaN gives NaN.
//! Sine, cosine and powers are in [`super::wide`]; where sixteen numbers are looked up by one instruction, exp and erf are
//! those of [`super::tables`], which has gelu as one function, too.
//! Results below the least normal number may be 0, since kernels run with denormals flushed.

use super::tables;
use cranelift_codegen::ir::condcodes::FloatCC;

/// 1.5 * 2^23: adding it leaves the nearest whole number in the low bits of the mantissa.
const ROUNDER: f32 = 12_582_912.0;

/// Arithmetic on numbers of 32 bits, read as floats or as integers.
pub trait Machine {
    type Number: Copy;

    /// A constant in as many lanes as `like` has.
    fn number(&mut self, like: Self::Number, value: f32) -> Self::Number;
    /// A whole constant, as an integer.
    fn whole(&mut self, like: Self::Number, value: i32) -> Self::Number;
    fn add(&mut self, a: Self::Number, b: Self::Number) -> Self::Number;
    fn sub(&mut self, a: Self::Number, b: Self::Number) -> Self::Number;
    fn mul(&mut self, a: Self::Number, b: Self::Number) -> Self::Number;
    fn div(&mut self, a: Self::Number, b: Self::Number) -> Self::Number;
    /// `a * b + c`, fused where the target can.
    fn fma(&mut self, a: Self::Number, b: Self::Number, c: Self::Number) -> Self::Number;
    fn neg(&mut self, x: Self::Number) -> Self::Number;
    fn abs(&mut self, x: Self::Number) -> Self::Number;
    /// The bits of a float as an integer.
    fn bits(&mut self, x: Self::Number) -> Self::Number;
    /// Bits as a float.
    fn unbits(&mut self, x: Self::Number) -> Self::Number;
    fn plus(&mut self, a: Self::Number, b: Self::Number) -> Self::Number;
    fn minus(&mut self, a: Self::Number, b: Self::Number) -> Self::Number;
    fn left(&mut self, x: Self::Number, by: u8) -> Self::Number;
    /// Shifted to the right with its sign.
    fn right(&mut self, x: Self::Number, by: u8) -> Self::Number;
    /// An integer as a float.
    fn float(&mut self, x: Self::Number) -> Self::Number;
    /// Are there [`Machine::entry`] and [`Machine::scaled`], of one instruction each?
    fn looks_up(&self) -> bool {
        false
    }
    /// The number of a table that the lowest four bits of `at` name.
    fn entry(&mut self, at: Self::Number, table: &[f32; 16]) -> Self::Number {
        let _ = (at, table);
        panic!("bug in codegen: this machine has no tables")
    }
    /// `x * 2^n`, `n` rounded down.
    fn scaled(&mut self, x: Self::Number, n: Self::Number) -> Self::Number {
        let _ = (x, n);
        panic!("bug in codegen: this machine does not scale")
    }
    /// `x` where the comparison of `a` with `b` holds, else `y`.
    fn pick(&mut self, cc: FloatCC, ab: [Self::Number; 2], x: Self::Number, y: Self::Number) -> Self::Number;
}

/// The functions, for every machine.
pub trait Functions: Machine + Sized {
    /// The larger of a constant bound and `x`; NaN where `x` is.
    fn at_least(&mut self, bound: f32, x: Self::Number) -> Self::Number {
        let bound = self.number(x, bound);
        self.pick(FloatCC::LessThan, [x, bound], bound, x)
    }

    fn at_most(&mut self, bound: f32, x: Self::Number) -> Self::Number {
        let bound = self.number(x, bound);
        self.pick(FloatCC::LessThan, [bound, x], bound, x)
    }

    fn horner(&mut self, x: Self::Number, coefficients: &[f32]) -> Self::Number {
        let mut y = self.number(x, coefficients[0]);
        for c in &coefficients[1..] {
            let c = self.number(x, *c);
            y = self.fma(y, x, c);
        }
        y
    }

    fn exp(&mut self, x: Self::Number) -> Self::Number {
        let x = self.at_least(-104.0, x);
        let x = self.at_most(89.0, x);
        if self.looks_up() {
            let (p, n) = tables::exp_parts(self, x);
            return self.scaled(p, n);
        }
        let (p, whole) = self.exp_parts(x);
        // 2^n in two factors, so that neither overflows where the result does not.
        let half = self.right(whole, 1);
        let rest = self.minus(whole, half);
        let a = self.power_of_two(x, half);
        let b = self.power_of_two(x, rest);
        let p = self.mul(p, a);
        self.mul(p, b)
    }

    /// `p` and the integer `n` so that `exp(x)` is `p * 2^n`.
    fn exp_parts(&mut self, x: Self::Number) -> (Self::Number, Self::Number) {
        let log2e = self.number(x, std::f32::consts::LOG2_E);
        let rounder = self.number(x, ROUNDER);
        let scaled = self.mul(x, log2e);
        let shifted = self.add(scaled, rounder);
        let n = self.sub(shifted, rounder);
        let high = self.number(x, -0.693_359_4);
        let low = self.number(x, 2.121_944_4e-4);
        let r = self.fma(n, high, x);
        let r = self.fma(n, low, r);
        let p = self
            .horner(r, &[1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.000_000_1e-1]);
        let square = self.mul(r, r);
        let p = self.fma(p, square, r);
        let one = self.number(x, 1.0);
        let p = self.add(p, one);
        let raw = self.bits(shifted);
        let offset = self.whole(x, ROUNDER.to_bits() as i32);
        (p, self.minus(raw, offset))
    }

    fn power_of_two(&mut self, like: Self::Number, n: Self::Number) -> Self::Number {
        let bias = self.whole(like, 127);
        let biased = self.plus(n, bias);
        let raw = self.left(biased, 23);
        self.unbits(raw)
    }

    fn log(&mut self, x: Self::Number) -> Self::Number {
        let raw = self.bits(x);
        let root_half = self.whole(x, 0x3F35_04F3);
        let from_root = self.minus(raw, root_half);
        let exponent = self.right(from_root, 23);
        let shifted = self.left(exponent, 23);
        let mantissa = self.minus(raw, shifted);
        let m = self.unbits(mantissa);
        let e = self.float(exponent);
        let one = self.number(x, 1.0);
        let f = self.sub(m, one);
        let z = self.mul(f, f);
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
        let p = self.mul(p, f);
        let p = self.mul(p, z);
        let low = self.number(x, -2.121_944_4e-4);
        let y = self.fma(e, low, p);
        let minus_half = self.number(x, -0.5);
        let y = self.fma(z, minus_half, y);
        let y = self.add(f, y);
        let high = self.number(x, 0.693_359_4);
        let y = self.fma(e, high, y);
        self.log_edges(x, y)
    }

    /// log at 0, below it, at infinity and NaN.
    fn log_edges(&mut self, x: Self::Number, y: Self::Number) -> Self::Number {
        let infinity = self.number(x, f32::INFINITY);
        let y = self.pick(FloatCC::Equal, [x, infinity], infinity, y);
        let least = self.number(x, f32::MIN_POSITIVE);
        let minus = self.number(x, f32::NEG_INFINITY);
        let y = self.pick(FloatCC::LessThan, [x, least], minus, y);
        let zero = self.number(x, 0.0);
        let nan = self.number(x, f32::NAN);
        let y = self.pick(FloatCC::LessThan, [x, zero], nan, y);
        self.pick(FloatCC::Unordered, [x, x], x, y)
    }

    /// A quotient of polynomials, the minimax one of Eigen's `ptanh`; from the bound on, it is 1.
    fn tanh(&mut self, x: Self::Number) -> Self::Number {
        const BOUND: f32 = 8.017_733_6;
        let x = self.at_least(-BOUND, x);
        let x = self.at_most(BOUND, x);
        let z = self.mul(x, x);
        let cube = self.mul(z, x);
        let p = self.horner(z, &[1.394_553_6e-8, 2.102_733_6e-5, 3.520_756_7e-3, 1.340_216_1e-1]);
        let p = self.fma(cube, p, x);
        let q = self.horner(z, &[8.015_777e-7, 3.326_951_4e-4, 2.597_254_5e-2, 4.673_548_3e-1, 1.0]);
        self.div(p, q)
    }

    /// Within these bounds `exp(-x)` is normal; beyond, the result is 1 or less than the least normal number.
    fn sigmoid(&mut self, x: Self::Number) -> Self::Number {
        let minus = self.neg(x);
        let minus = self.at_least(-87.0, minus);
        let minus = self.at_most(88.0, minus);
        let one = self.number(x, 1.0);
        let (p, power) = if self.looks_up() {
            let (p, n) = tables::exp_parts(self, minus);
            (p, self.scaled(one, n))
        } else {
            let (p, whole) = self.exp_parts(minus);
            (p, self.power_of_two(x, whole))
        };
        let d = self.fma(p, power, one);
        self.div(one, d)
    }

    /// A quotient of polynomials in the square, fitted for the least relative error; from the bound on, it is 1.
    fn erf(&mut self, x: Self::Number) -> Self::Number {
        if self.looks_up() {
            return tables::erf(self, x);
        }
        const BOUND: f32 = 3.677_115_4;
        let x = self.at_least(-BOUND, x);
        let x = self.at_most(BOUND, x);
        let s = self.mul(x, x);
        let p = self.horner(s, &[4.389_738_3e-4, 6.531_236e-3, 9.766_089e-2, 3.549_530_2e-1, 2.162_726_6]);
        let q = self.horner(
            s,
            &[-2.260_125e-7, 4.513_208_8e-5, 1.950_758e-3, 2.696_573_2e-2, 2.127_088_8e-1, 9.534_565_2e-1, 1.916_666_6],
        );
        let p = self.mul(p, x);
        self.div(p, q)
    }
}

impl<M: Machine> Functions for M {}

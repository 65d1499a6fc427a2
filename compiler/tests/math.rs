//! Elementary functions in machine code: at most 4 units in the last place (`tanh` and `erf`: 5, without fused multiply-adds `erf`: 6) from the exact result, on every
//! instruction set, one by one and in vectors, over all exponents and 2^20 patterns spread over all floats. Denormals may count as 0.

#[path = "engines/accuracy.rs"]
mod accuracy;

use accuracy::{FUNCTIONS, Function, MOST, Machine, ROW, distance, distance_of, holds};
use dlc_compiler::loops::scalar;
use dlc_runtime::micro::Isa;

const CHUNK: usize = 1 << 16;

/// All exponents and both signs with some mantissas, and the special numbers.
fn exponents() -> Vec<f32> {
    let mut list = vec![0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    let mantissas = [0, 1, 2, 0x1234, 0x3504F3, 0x3504F4, 0x400000, 0x5A8279, 0x7FFFFE, 0x7FFFFF];
    for exponent in 0..=254u32 {
        for mantissa in mantissas.into_iter().chain((0..54).map(|i| i * 0x25_1A3)) {
            for sign in [0, 1 << 31] {
                list.push(f32::from_bits(sign | exponent << 23 | mantissa));
            }
        }
    }
    list
}

/// 2^20 patterns, evenly over all bits.
fn spread() -> Vec<f32> {
    (0..1u32 << 20).map(|i| f32::from_bits(i << 12 | (i.wrapping_mul(0x9E37_79B9) >> 20))).collect()
}

/// Numbers where the functions bend: dense between -128 and 128.
fn middle() -> Vec<f32> {
    (0..1i32 << 17).map(|i| (i - (1 << 16)) as f32 * 0.001_953_1).collect()
}

fn worst(f: &Function, (isa, row): (Isa, usize), numbers: &[f32]) -> Result<(), String> {
    let mut machine = Machine::unary(f.op, isa, CHUNK, row);
    let mut worst = (0.0, None);
    for chunk in numbers.chunks(CHUNK) {
        let mut x = chunk.to_vec();
        x.resize(CHUNK, 1.0);
        let y = machine.run(&[&x]);
        for (x, y) in x.into_iter().zip(y) {
            let d = distance_of(f, x, y);
            if !holds(f, (isa, row), x, y) && (worst.1.is_none() || d > worst.0) {
                worst = (d, Some((x, y)));
            }
        }
    }
    match worst {
        (_, None) => Ok(()),
        (d, Some((x, y))) => Err(format!(
            "{:?} {isa:?} in rows of {row}: f({x:e}) = {y:e}, not {:e}: {d} units\n",
            f.op,
            (f.exact)(f64::from(x))
        )),
    }
}

#[test]
fn functions_of_one_number() {
    let numbers = [exponents(), spread(), middle()].concat();
    let wrong: String = FUNCTIONS
        .iter()
        .flat_map(|f| Isa::available().into_iter().map(move |isa| (f, isa)))
        .flat_map(|(f, isa)| [1, ROW].map(|row| (f, (isa, row))))
        .filter_map(|(f, how)| worst(f, how, &numbers).err())
        .collect();
    assert!(wrong.is_empty(), "{wrong}");
}

/// On both sides of 0 it is as accurate as its operand is large, whether it is computed as one function or in parts.
#[test]
fn gelu() {
    let numbers = [exponents(), spread(), middle()].concat();
    for (isa, row) in Isa::available().into_iter().flat_map(|isa| [1, ROW].map(|row| (isa, row))) {
        let mut machine = Machine::gelu(isa, CHUNK, row);
        for chunk in numbers.chunks(CHUNK) {
            let mut chunk = chunk.to_vec();
            chunk.resize(CHUNK, 1.0);
            let y = machine.run(&[&chunk]);
            for (x, y) in chunk.into_iter().zip(y) {
                let wide = f64::from(x);
                let exact = wide * 0.5 * (1.0 + scalar::erf(wide * std::f64::consts::FRAC_1_SQRT_2));
                let holds = match x {
                    _ if x.is_nan() => y.is_nan(),
                    f32::INFINITY => y == x,
                    f32::NEG_INFINITY => y.is_nan() || y.abs() < 1e-6,
                    _ => (f64::from(y) - exact).abs() <= 2f64.powi(-22) * wide.abs() + f64::from(f32::MIN_POSITIVE),
                };
                assert!(holds, "{isa:?} in rows of {row}: gelu({x:e}) = {y:e}, not {exact:e}");
            }
        }
    }
}

/// Bases over all exponents with exponents of every size that keeps some results finite.
#[test]
fn powers() {
    let bases: Vec<f32> =
        exponents().into_iter().filter(|a| *a >= 0.0 && a.is_sign_positive() && !a.is_subnormal()).collect();
    let powers = [0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, 0.1, -0.75, 1.5, 2.4, -7.3, 1e-3, 1e-6, 31.7, 1e3, 1e5, -4e6];
    let pairs: Vec<(f32, f32)> = bases.iter().flat_map(|a| powers.map(|b| (*a, b))).collect();
    for isa in Isa::available() {
        let mut machine = Machine::pow(isa, CHUNK);
        for chunk in pairs.chunks(CHUNK) {
            let mut chunk = chunk.to_vec();
            chunk.resize(CHUNK, (1.0, 1.0));
            let (a, b): (Vec<f32>, Vec<f32>) = chunk.into_iter().unzip();
            let y = machine.run(&[&a, &b]);
            for ((a, b), y) in a.into_iter().zip(b).zip(y) {
                let exact = f64::from(a).powf(f64::from(b));
                let d = distance(y, exact);
                assert!(d <= MOST, "{isa:?}: {a:e} ^ {b} = {y:e}, not {exact:e}: {d} units");
            }
        }
    }
}

/// A negative base with a whole exponent keeps its sign; with another there is no result.
#[test]
fn powers_of_negative_bases() {
    for isa in Isa::available() {
        let mut machine = Machine::pow(isa, 8);
        let a = [-2.0, -2.0, -2.0, -3.5, -1.0, -0.0, f32::NAN, 2.0];
        let b = [3.0, 2.0, 0.5, -1.0, 1001.0, 2.0, 1.0, f32::NAN];
        let y = machine.run(&[&a, &b]);
        for ((a, b), y) in a.into_iter().zip(b).zip(y) {
            let exact = f64::from(a).powf(f64::from(b));
            assert!(distance(y, exact) <= MOST, "{isa:?}: {a} ^ {b} = {y}, not {exact}");
        }
    }
}

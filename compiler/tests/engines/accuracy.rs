//! Elementary functions in machine code against references in `f64`.
#![allow(dead_code)]

use dlc_compiler::base::Numerics;
use dlc_compiler::base::{TensorType, Value};
use dlc_compiler::codegen::{self, Options};
use dlc_compiler::graph::Graph;
use dlc_compiler::loops::{Binary, Unary, scalar};
use dlc_compiler::ops::Emit;
use dlc_compiler::plan;
use dlc_compiler::schedule::{self, Target};
use dlc_runtime::abi::Executable;
use dlc_runtime::micro::Isa;
use dlc_runtime::session::Session;

/// What a result may differ from the correctly rounded one, in units of its last place.
pub const MOST: f64 = 4.0;

/// The same for each function: near 1 the quotients for `tanh` and `erf` have two roundings more, and without fused
/// multiply-adds `erf` has another; with sixteen lanes it is no quotient.
pub fn most(op: Unary, isa: Isa, row: usize) -> f64 {
    match op {
        Unary::Tanh => 5.0,
        Unary::Erf if isa == Isa::Portable => 6.0,
        Unary::Erf if isa == Isa::Avx512 && row >= ROW => 4.0,
        Unary::Erf => 5.0,
        _ => MOST,
    }
}

/// Numbers that lie in rows of so many are computed in vectors of eight or sixteen where the processor has them; rows of
/// one by one.
pub const ROW: usize = 64;

/// Sine and cosine are accurate up to here; beyond, a result is some number in -1..=1.
pub const SINE_RANGE: f32 = 268_435_456.0;

/// A function of one number and its domain of accuracy.
pub struct Function {
    pub op: Unary,
    pub exact: fn(f64) -> f64,
    pub largest: f32,
}

/// All functions that are approximated.
pub const FUNCTIONS: [Function; 8] = [
    Function { op: Unary::Exp, exact: f64::exp, largest: f32::MAX },
    Function { op: Unary::Log, exact: f64::ln, largest: f32::MAX },
    Function { op: Unary::Sqrt, exact: f64::sqrt, largest: f32::MAX },
    Function { op: Unary::Tanh, exact: f64::tanh, largest: f32::MAX },
    Function { op: Unary::Sigmoid, exact: |x| 1.0 / (1.0 + (-x).exp()), largest: f32::MAX },
    Function { op: Unary::Erf, exact: scalar::erf, largest: f32::MAX },
    Function { op: Unary::Sin, exact: f64::sin, largest: SINE_RANGE },
    Function { op: Unary::Cos, exact: f64::cos, largest: SINE_RANGE },
];

/// A compiled graph of one op over vectors.
pub struct Machine {
    executable: Executable,
    session: Session,
    operands: usize,
}

impl Machine {
    /// `n` numbers at a time, in rows of `row`.
    pub fn unary(op: Unary, isa: Isa, n: usize, row: usize) -> Machine {
        Machine::new(isa, [n / row, row], 1, |e, x| e.unary(op, x[0]))
    }

    /// `0.5 * x * (1 + erf(x / sqrt(2)))`
    pub fn gelu(isa: Isa, n: usize, row: usize) -> Machine {
        Machine::new(isa, [n / row, row], 1, |e, x| {
            let scaled = e.scale(x[0], std::f32::consts::FRAC_1_SQRT_2);
            let erf = e.unary(Unary::Erf, scaled);
            let one = e.filled_like(1.0, erf);
            let sum = e.binary(Binary::Add, one, erf);
            let half = e.scale(x[0], 0.5);
            e.binary(Binary::Mul, half, sum)
        })
    }

    pub fn pow(isa: Isa, n: usize) -> Machine {
        Machine::new(isa, [n, 1], 2, |e, x| e.binary(Binary::Pow, x[0], x[1]))
    }

    fn new(isa: Isa, shape: [usize; 2], operands: usize, op: impl Fn(&mut dyn Emit, &[Value]) -> Value) -> Machine {
        let mut g = Graph::new();
        g.batch = shape[0];
        let x: Vec<Value> = (0..operands).map(|i| g.input(&format!("x{i}"), TensorType::new(&shape))).collect();
        let y = op(g.emit_here(), &x);
        g.set_output("y", y);
        let program = schedule::run(&g, &Target { isa, fuse: true, numerics: Numerics::Fast });
        let plan = plan::run(&program);
        let options = Options { isa, listings: false, verify: true, clock: false };
        let executable = codegen::compile(&program, &plan, &options).executable;
        let session = Session::new(1, &executable).expect("memory");
        Machine { executable, session, operands }
    }

    pub fn run(&mut self, x: &[&[f32]]) -> Vec<f32> {
        assert_eq!(x.len(), self.operands);
        for (i, x) in x.iter().enumerate() {
            self.session.write_input(&self.executable, &format!("x{i}"), x).expect("an input");
        }
        self.session.run(&self.executable).expect("a run");
        self.session.read_output(&self.executable, "y").expect("an output")
    }
}

/// How far `y` is from `exact`, in units in the last place of the exact result. 0 where it is as good as can be:
/// NaN for NaN, infinity for what is too large; what is below the least normal number may be 0.
pub fn distance(y: f32, exact: f64) -> f64 {
    if exact.is_nan() || y.is_nan() {
        return if exact.is_nan() && y.is_nan() { 0.0 } else { f64::INFINITY };
    }
    let least = f64::from(f32::MIN_POSITIVE);
    if exact.abs() < least && f64::from(y).abs() <= least {
        return 0.0;
    }
    let rounded = exact as f32;
    if rounded.is_infinite() || y.is_infinite() {
        let near = |v: f32| {
            if v.is_infinite() {
                f64::from(f32::MAX).copysign(f64::from(v)) * (1.0 + 2f64.powi(-24))
            } else {
                f64::from(v)
            }
        };
        return (near(y) - near(rounded)).abs() / 2f64.powi(104);
    }
    let exponent = exact.abs().max(least).log2().floor() as i32;
    (f64::from(y) - exact).abs() / 2f64.powi(exponent.clamp(-126, 127) - 23)
}

/// The same where the operand may have been flushed to 0.
pub fn distance_of(f: &Function, x: f32, y: f32) -> f64 {
    let wide = f64::from(x);
    let as_given = distance(y, (f.exact)(wide));
    if x.is_subnormal() { as_given.min(distance(y, (f.exact)(0.0f64.copysign(wide)))) } else { as_given }
}

/// Does a result hold, given its distance?
pub fn holds(f: &Function, (isa, row): (Isa, usize), x: f32, y: f32) -> bool {
    if x.is_finite() && x.abs() > f.largest {
        return y.abs() <= 1.0;
    }
    distance_of(f, x, y) <= most(f.op, isa, row)
}

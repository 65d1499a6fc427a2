//! What the scalar functions mean: slow, accurate references in `f64`.

use super::expr::{Binary, Fold, Unary};

impl Unary {
    pub fn apply(self, x: f32) -> f32 {
        let wide = f64::from(x);
        let y = match self {
            Unary::Neg => -wide,
            Unary::Abs => wide.abs(),
            Unary::Exp => wide.exp(),
            Unary::Log => wide.ln(),
            Unary::Sqrt => wide.sqrt(),
            Unary::Tanh => wide.tanh(),
            Unary::Sigmoid => 1.0 / (1.0 + (-wide).exp()),
            Unary::Erf => erf(wide),
            Unary::Sin => wide.sin(),
            Unary::Cos => wide.cos(),
            Unary::Floor => wide.floor(),
        };
        y as f32
    }

    pub fn name(self) -> &'static str {
        match self {
            Unary::Neg => "neg",
            Unary::Abs => "abs",
            Unary::Exp => "exp",
            Unary::Log => "log",
            Unary::Sqrt => "sqrt",
            Unary::Tanh => "tanh",
            Unary::Sigmoid => "sigmoid",
            Unary::Erf => "erf",
            Unary::Sin => "sin",
            Unary::Cos => "cos",
            Unary::Floor => "floor",
        }
    }
}

impl Binary {
    pub fn apply(self, a: f32, b: f32) -> f32 {
        let truth = |holds: bool| if holds { 1.0 } else { 0.0 };
        match self {
            Binary::Add => a + b,
            Binary::Sub => a - b,
            Binary::Mul => a * b,
            Binary::Div => a / b,
            Binary::Pow => f64::from(a).powf(f64::from(b)) as f32,
            Binary::Max if a.is_nan() || b.is_nan() => f32::NAN,
            Binary::Max => a.max(b),
            Binary::Min if a.is_nan() || b.is_nan() => f32::NAN,
            Binary::Min => a.min(b),
            Binary::Lt => truth(a < b),
            Binary::Le => truth(a <= b),
            Binary::Gt => truth(a > b),
            Binary::Ge => truth(a >= b),
            Binary::Eq => truth(a == b),
            Binary::Ne => truth(a != b),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Binary::Add => "add",
            Binary::Sub => "sub",
            Binary::Mul => "mul",
            Binary::Div => "div",
            Binary::Pow => "pow",
            Binary::Max => "max",
            Binary::Min => "min",
            Binary::Lt => "lt",
            Binary::Le => "le",
            Binary::Gt => "gt",
            Binary::Ge => "ge",
            Binary::Eq => "eq",
            Binary::Ne => "ne",
        }
    }
}

impl Fold {
    /// All of `values`, in order.
    pub fn apply(self, values: impl Iterator<Item = f32>) -> f32 {
        match self {
            Fold::Add => values.map(f64::from).sum::<f64>() as f32,
            Fold::Max => values.fold(f32::NEG_INFINITY, |a, b| Binary::Max.apply(a, b)),
            Fold::ArgMax => {
                let first = (0, f32::NEG_INFINITY);
                values.enumerate().fold(first, |best, (i, x)| if x > best.1 { (i, x) } else { best }).0 as f32
            }
        }
    }
}

/// The error function: `2/sqrt(pi) exp(-x^2) sum of 2^n x^(2n+1) / (1 * 3 * .. * (2n+1))`, whose
/// terms are all of one sign. Beyond 6 it is 1 to the last bit of an `f64`.
pub fn erf(x: f64) -> f64 {
    if x.is_nan() || x.abs() >= 6.0 {
        return if x.is_nan() { x } else { x.signum() };
    }
    let mut term = x;
    let mut sum = x;
    let mut n = 0.0;
    while term.abs() > sum.abs() * 1e-18 {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

//! Element by element: functions of one number, powers, `select`.

use crate::hir::args::Call;
use crate::hir::elab::{Elab, Res};
use crate::hir::layer::What;
use crate::hir::value::{Size, Table, Val, opaque};
use crate::loops::{Binary, Unary};

/// One function of one number, on tables and on compile-time numbers.
fn unary<'a>(e: &mut Elab<'a>, c: &mut Call<'a>, op: Unary, f: fn(f64) -> f64) -> Res<Val<'a>> {
    match e.take_any(c, "x")? {
        Some((Val::Number(x), span)) => e.finite(f(x), span),
        Some((Val::Dim(d), span)) => match e.dim_size(&d, span)? {
            Size::Known(n) => e.finite(f(n as f64), span),
            Size::Variable(v) => e.no_number(&v, span),
            Size::Unknown(_) => Ok(Val::Opaque(opaque(format!("{}({d})", c.name)))),
        },
        Some((Val::Opaque(t), _)) => Ok(Val::Opaque(opaque(format!("{}({t})", c.name)))),
        Some(placed) => {
            let span = placed.1;
            let x = e.real_table(placed)?;
            e.number_type(x, span)?;
            e.unary(op, x, c.span).map(Val::Table)
        }
        None => e.fail("E0407", c.span, format!("`{}` needs a table or a number", c.name)),
    }
}

macro_rules! unaries {
    ($($name:ident => $op:ident, $f:expr;)*) => {$(
        pub fn $name<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
            unary(e, c, Unary::$op, $f)
        }
    )*};
}

unaries! {
    abs => Abs, f64::abs;
    exp => Exp, f64::exp;
    log => Log, f64::ln;
    sqrt => Sqrt, f64::sqrt;
    tanh => Tanh, f64::tanh;
    sigmoid => Sigmoid, |x| 1.0 / (1.0 + (-x).exp());
    erf => Erf, erf_number;
    sin => Sin, f64::sin;
    cos => Cos, f64::cos;
    floor => Floor, f64::floor;
}

/// The series near zero, the continued complement elsewhere; to about 1e-12.
fn erf_number(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let mut term = x;
    let mut sum = x;
    for n in 1..200 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    2.0 / std::f64::consts::PI.sqrt() * sum
}

pub fn pow<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    two(e, c, Binary::Pow, "pow", f64::powf)
}

/// A function of two numbers or tables.
pub fn two<'a>(e: &mut Elab<'a>, c: &mut Call<'a>, op: Binary, shown: &str, f: fn(f64, f64) -> f64) -> Res<Val<'a>> {
    let (Some(a), Some(b)) = (e.take_any(c, "x")?, e.take_any(c, "y")?) else {
        return e.fail("E0407", c.span, format!("`{shown}` needs two values"));
    };
    if let (Val::Number(x), Val::Number(y)) = (&a.0, &b.0) {
        return e.finite(f(*x, *y), c.span);
    }
    e.table_infix(op, shown, a, b, c.span).map(Val::Table)
}

/// `select(condition, a, b)`: `a` where the condition is not 0.
pub fn select<'a>(e: &mut Elab<'a>, c: &mut Call<'a>) -> Res<Val<'a>> {
    let (condition, cs) = e.take_table(c, "condition")?;
    let (a, sa) = e.take_table(c, "then")?;
    let (b, sb) = e.take_table(c, "otherwise")?;
    let tc = e.number_type(condition, cs)?;
    let ta = e.number_type(a, sa)?;
    let tb = e.number_type(b, sb)?;
    let ab = e.join("select", (&ta, sa), (&tb, sb), c.span)?;
    let ty: Table = e.join("select", (&tc, cs), (&ab, c.span), c.span)?;
    e.push(What::Select, &[condition, a, b], ty, c.span).map(Val::Table)
}

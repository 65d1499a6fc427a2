//! What `fold_constants` knows of numbers.

use crate::base::Value;
use crate::graph::Graph;
use crate::loops::{Binary, Fold, Unary};
use crate::ops::{Emit, Map, Op, Reduce, Zip};

/// The number that `value` is everywhere, if it is constant.
pub(super) fn splat(graph: &Graph, value: Value) -> Option<f32> {
    match graph.op(value) {
        Some(Op::Broadcast(_) | Op::Reshape(_)) => splat(graph, graph.operands(value)[0]),
        Some(_) | None => graph.as_constant(value),
    }
}

/// A simpler value equal to `v`, which is `op` of `x`.
pub(super) fn simplify(g: &mut Graph, v: Value, op: &Op, x: &[Value]) -> Option<Value> {
    let known: Vec<Option<f32>> = x.iter().map(|x| splat(g, *x)).collect();
    if let Some(value) = constant(g, op, x, &known) {
        return Some(g.emit_here().filled_like(value, v));
    }
    match (op, x) {
        (Op::Map(Map(Unary::Neg)), [x]) => negate(g, *x),
        (Op::Zip(Zip(op)), [a, b]) => match (known[0], known[1]) {
            (_, Some(c)) => with_constant(g, *op, *a, c),
            (Some(c), _) => from_constant(g, *op, c, *b),
            (None, None) => of_two(g, *op, *a, *b),
        },
        (Op::Select(_), [_, a, b]) => match known[0] {
            Some(condition) => Some(if condition != 0.0 { *a } else { *b }),
            None => (a == b).then_some(*a),
        },
        _ => None,
    }
}

/// The number that `op` gives everywhere.
fn constant(g: &Graph, op: &Op, x: &[Value], known: &[Option<f32>]) -> Option<f32> {
    match (op, known) {
        (Op::Map(Map(op)), [Some(x)]) => Some(op.apply(*x)),
        (Op::Zip(Zip(op)), [Some(a), Some(b)]) => Some(op.apply(*a, *b)),
        (Op::Reduce(Reduce { fold: Fold::Max, .. }), [Some(c)]) => Some(*c),
        (Op::Reduce(Reduce { axes, .. }), [Some(c)]) => {
            let count: usize = axes.iter().map(|a| g.ty(x[0]).shape[*a]).product();
            Some(c * count as f32)
        }
        (Op::Transpose(_) | Op::Reshape(_) | Op::Slice(_) | Op::MaxPool(_), [Some(c)]) => Some(*c),
        _ if is_linear(op) && known.contains(&Some(0.0)) => Some(0.0),
        _ => None,
    }
}

/// Is the result 0 wherever one operand is 0 everywhere? (An index of 0 is no such operand.)
fn is_linear(op: &Op) -> bool {
    matches!(
        op,
        Op::Contract(_) | Op::Conv(_) | Op::ConvDx(_) | Op::ConvDw(_) | Op::Pad(_) | Op::SumPool(_) | Op::SumPoolDx(_)
    )
}

fn unary_of(g: &Graph, value: Value, op: Unary) -> Option<Value> {
    match g.op(value) {
        Some(Op::Map(Map(found))) if *found == op => Some(g.operands(value)[0]),
        Some(_) | None => None,
    }
}

/// `x * c` for a constant `c`: both.
fn scaled(g: &Graph, value: Value) -> Option<(Value, f32)> {
    let Some(Op::Zip(Zip(Binary::Mul))) = g.op(value) else {
        return None;
    };
    let [a, b] = g.operands(value)[..] else {
        return None;
    };
    splat(g, b).map(|c| (a, c)).or_else(|| splat(g, a).map(|c| (b, c)))
}

fn negate(g: &mut Graph, x: Value) -> Option<Value> {
    if let Some(inner) = unary_of(g, x, Unary::Neg) {
        return Some(inner);
    }
    let (inner, c) = scaled(g, x)?;
    Some(g.emit_here().scale(inner, -c))
}

/// `op(a, c)`
fn with_constant(g: &mut Graph, op: Binary, a: Value, c: f32) -> Option<Value> {
    match op {
        Binary::Add | Binary::Sub if c == 0.0 => Some(a),
        Binary::Div | Binary::Mul if c == 1.0 => Some(a),
        Binary::Mul => times(g, a, c),
        // Exact: the reciprocal of a power of two is one.
        Binary::Div if c.is_normal() && c.to_bits() << 9 == 0 && c.recip().is_normal() => {
            Some(g.emit_here().scale(a, c.recip()))
        }
        Binary::Pow => power(g, a, c),
        Binary::Add
        | Binary::Sub
        | Binary::Div
        | Binary::Max
        | Binary::Min
        | Binary::Lt
        | Binary::Le
        | Binary::Gt
        | Binary::Ge
        | Binary::Eq
        | Binary::Ne => None,
    }
}

/// `a * c`
fn times(g: &mut Graph, a: Value, c: f32) -> Option<Value> {
    let e = g.emit_here();
    if c == 0.0 {
        return Some(e.filled_like(0.0, a));
    }
    if c == -1.0 {
        return Some(e.neg(a));
    }
    if let Some((x, inner)) = scaled(g, a) {
        return Some(g.emit_here().scale(x, inner * c));
    }
    let inner = unary_of(g, a, Unary::Neg)?;
    Some(g.emit_here().scale(inner, -c))
}

/// `op(c, b)`
fn from_constant(g: &mut Graph, op: Binary, c: f32, b: Value) -> Option<Value> {
    match op {
        Binary::Add if c == 0.0 => Some(b),
        Binary::Mul if c == 1.0 => Some(b),
        Binary::Mul => times(g, b, c),
        Binary::Sub if c == 0.0 => Some(g.emit_here().neg(b)),
        Binary::Div if c == 0.0 => Some(g.emit_here().filled_like(0.0, b)),
        Binary::Add
        | Binary::Sub
        | Binary::Div
        | Binary::Pow
        | Binary::Max
        | Binary::Min
        | Binary::Lt
        | Binary::Le
        | Binary::Gt
        | Binary::Ge
        | Binary::Eq
        | Binary::Ne => None,
    }
}

fn of_two(g: &mut Graph, op: Binary, a: Value, b: Value) -> Option<Value> {
    let minus_a = unary_of(g, a, Unary::Neg);
    let minus_b = unary_of(g, b, Unary::Neg);
    let e = g.emit_here();
    match (op, minus_a, minus_b) {
        (Binary::Add, _, Some(b)) => Some(e.sub(a, b)),
        (Binary::Add, Some(a), None) => Some(e.sub(b, a)),
        (Binary::Sub, _, Some(b)) => Some(e.add(a, b)),
        (Binary::Mul, Some(a), Some(b)) => Some(e.mul(a, b)),
        (Binary::Div, Some(a), Some(b)) => Some(e.div(a, b)),
        (Binary::Max | Binary::Min, _, _) => (a == b).then_some(a),
        _ => None,
    }
}

/// Powers with a whole exponent up to 16 are products; those of a half are roots.
fn power(g: &mut Graph, x: Value, exponent: f32) -> Option<Value> {
    let e = g.emit_here();
    if exponent == 0.5 {
        return Some(e.sqrt(x));
    }
    if exponent == -0.5 {
        let root = e.sqrt(x);
        let one = e.filled_like(1.0, x);
        return Some(e.div(one, root));
    }
    if exponent.fract() != 0.0 || exponent.abs() > 16.0 {
        return None;
    }
    let mut left = exponent.abs() as u32;
    let mut square = x;
    let mut product = None;
    while left > 0 {
        if left & 1 == 1 {
            product = Some(product.map_or(square, |p| e.mul(p, square)));
        }
        left >>= 1;
        if left > 0 {
            square = e.mul(square, square);
        }
    }
    let one = e.filled_like(1.0, x);
    match product {
        None => Some(one),
        Some(p) if exponent < 0.0 => Some(e.div(one, p)),
        product => product,
    }
}

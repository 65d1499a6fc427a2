//! Scalar expressions: one element of a tensor in terms of elements of others.

use super::affine::Affine;
use crate::base::{Buffer, Var};
use std::sync::Arc;

/// A shared expression node: composition of element rules makes a DAG, never a copied tree.
pub type Expr = Arc<Node>;

/// One coordinate of a load or a store.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Coord {
    Affine(Affine),
    /// A whole number computed from data; range-checked where the data is read, so always in `0..extent`.
    Index {
        from: Expr,
        extent: usize,
    },
}

/// Element-wise functions of one operand. NaN in, NaN out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unary {
    Neg,
    Abs,
    Exp,
    Log,
    Sqrt,
    Tanh,
    Sigmoid,
    Erf,
    Sin,
    Cos,
    Floor,
}

/// Element-wise functions of two operands. Comparisons give 1 or 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    /// `a ^ b` for a >= 0 as `exp(b * log(a))`; whole constant exponents are multiplications before they get here.
    Pow,
    /// The larger; NaN if either is.
    Max,
    Min,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
}

/// How a reduction combines.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fold {
    /// From 0.
    Add,
    /// From minus infinity.
    Max,
    /// The position (row-major over the reduced variables) of the first largest element, as a number.
    ArgMax,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Node {
    /// Bits of an `f32`, so that expressions can be compared and hashed.
    Const(u32),
    /// A coordinate as a number.
    Coord(Affine),
    Load(Buffer, Vec<Coord>),
    Unary(Unary, Expr),
    Binary(Binary, Expr, Expr),
    /// `condition != 0 ? then : otherwise`; both sides may be evaluated.
    Select(Expr, Expr, Expr),
    /// Folds `body` over every value of `vars`.
    Reduce {
        fold: Fold,
        vars: Vec<(Var, usize)>,
        body: Expr,
    },
    /// `body` where every coordinate lies in `0..extent`, else `otherwise` (bits); `body` is not evaluated outside.
    Guard {
        inside: Vec<(Affine, usize)>,
        body: Expr,
        otherwise: u32,
    },
    /// A number in [0, 1) from a counter-based generator: a function of (key, step, counter) alone.
    Random {
        key: u64,
        step: Expr,
        counter: Affine,
    },
}

pub fn constant(value: f32) -> Expr {
    Arc::new(Node::Const(value.to_bits()))
}

pub fn load(buffer: Buffer, at: &[Affine]) -> Expr {
    Arc::new(Node::Load(buffer, at.iter().cloned().map(Coord::Affine).collect()))
}

pub fn unary(op: Unary, x: Expr) -> Expr {
    Arc::new(Node::Unary(op, x))
}

pub fn binary(op: Binary, a: Expr, b: Expr) -> Expr {
    Arc::new(Node::Binary(op, a, b))
}

pub fn select(condition: Expr, then: Expr, otherwise: Expr) -> Expr {
    Arc::new(Node::Select(condition, then, otherwise))
}

pub fn reduce(fold: Fold, vars: Vec<(Var, usize)>, body: Expr) -> Expr {
    Arc::new(Node::Reduce { fold, vars, body })
}

pub fn guard(inside: Vec<(Affine, usize)>, body: Expr, otherwise: f32) -> Expr {
    Arc::new(Node::Guard { inside, body, otherwise: otherwise.to_bits() })
}

/// The generator behind [`Node::Random`]: 24 uniform bits from a keyed mix of (key, step, counter).
///
/// Two rounds of the finalizer of MurmurHash3 over 32-bit words; machine code repeats it exactly.
pub fn random_number(key: u64, step: u32, counter: u32) -> f32 {
    let mut x = counter ^ (key as u32);
    x = mix(x.wrapping_add(step.wrapping_mul(0x9E37_79B9)));
    x = mix(x ^ ((key >> 32) as u32));
    (x >> 8) as f32 * (1.0 / 16_777_216.0)
}

fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x85EB_CA6B);
    x ^= x >> 13;
    x = x.wrapping_mul(0xC2B2_AE35);
    x ^ (x >> 16)
}

/// The expressions directly inside `e`, indices of loads included.
pub fn children(e: &Expr) -> Vec<&Expr> {
    match &**e {
        Node::Const(_) | Node::Coord(_) => vec![],
        Node::Load(_, at) => at
            .iter()
            .filter_map(|c| match c {
                Coord::Affine(_) => None,
                Coord::Index { from, .. } => Some(from),
            })
            .collect(),
        Node::Unary(_, x) => vec![x],
        Node::Binary(_, a, b) => vec![a, b],
        Node::Select(c, a, b) => vec![c, a, b],
        Node::Reduce { body, .. } | Node::Guard { body, .. } => vec![body],
        Node::Random { step, .. } => vec![step],
    }
}

/// Rewrites an expression: coordinates by `affine`, loads by `load` (which sees rewritten coordinates).
/// Shared nodes stay shared.
pub struct Rewrite<'a> {
    pub affine: &'a dyn Fn(&Affine) -> Affine,
    pub load: &'a mut dyn FnMut(Buffer, Vec<Coord>) -> Expr,
    memo: std::collections::HashMap<*const Node, Expr>,
}

impl<'a> Rewrite<'a> {
    pub fn new(
        affine: &'a dyn Fn(&Affine) -> Affine,
        load: &'a mut dyn FnMut(Buffer, Vec<Coord>) -> Expr,
    ) -> Rewrite<'a> {
        Rewrite { affine, load, memo: Default::default() }
    }

    pub fn coord(&mut self, c: &Coord) -> Coord {
        match c {
            Coord::Affine(a) => Coord::Affine((self.affine)(a)),
            Coord::Index { from, extent } => Coord::Index { from: self.expr(from), extent: *extent },
        }
    }

    pub fn expr(&mut self, e: &Expr) -> Expr {
        if let Some(known) = self.memo.get(&Arc::as_ptr(e)) {
            return known.clone();
        }
        let new = match &**e {
            Node::Const(_) => e.clone(),
            Node::Coord(a) => Arc::new(Node::Coord((self.affine)(a))),
            Node::Load(b, at) => {
                let at = at.iter().map(|c| self.coord(c)).collect();
                (self.load)(*b, at)
            }
            Node::Unary(op, x) => unary(*op, self.expr(x)),
            Node::Binary(op, a, b) => {
                let a = self.expr(a);
                binary(*op, a, self.expr(b))
            }
            Node::Select(c, a, b) => {
                let (c, a) = (self.expr(c), self.expr(a));
                select(c, a, self.expr(b))
            }
            Node::Reduce { fold, vars, body } => reduce(*fold, vars.clone(), self.expr(body)),
            Node::Guard { inside, body, otherwise } => {
                let inside = inside.iter().map(|(a, n)| ((self.affine)(a), *n)).collect();
                Arc::new(Node::Guard { inside, body: self.expr(body), otherwise: *otherwise })
            }
            Node::Random { key, step, counter } => {
                Arc::new(Node::Random { key: *key, step: self.expr(step), counter: (self.affine)(counter) })
            }
        };
        self.memo.insert(Arc::as_ptr(e), new.clone());
        new
    }
}

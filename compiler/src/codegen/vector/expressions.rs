//! Expressions to operations on vectors.

use super::LEAST;
use super::plan::{Phase, Planner, UNROLL, reads};
use super::values::{Id, Op, Two};
use crate::base::{Buffer, Var};
use crate::codegen::expr::comparison;
use crate::codegen::math::{Functions, Machine};
use crate::codegen::tables;
use crate::loops::{Affine, Binary, Coord, Expr, Fold, Node, Unary, expr};
use cranelift_codegen::ir::condcodes::FloatCC;
use std::sync::Arc;

impl Planner<'_, '_> {
    /// What an expression is known by where the planner stands.
    fn key(&self, e: &Expr) -> (*const Node, u16) {
        (Arc::as_ptr(e), if self.stand.is_some() { self.plan.values.turn } else { self.plan.values.phase })
    }

    pub(super) fn value(&mut self, e: &Expr) -> Option<Id> {
        let key = self.key(e);
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        let id = self.compute(e)?;
        self.known.insert(key, id);
        Some(id)
    }

    fn compute(&mut self, e: &Expr) -> Option<Id> {
        if let Node::Const(bits) = **e {
            return Some(self.plan.values.get(Op::Constant(bits)));
        }
        if self.is_fixed(e) {
            return self.scalar(e);
        }
        match &**e {
            Node::Const(_) | Node::Random { .. } => None,
            Node::Coord(a) => self.coordinate(a),
            Node::Load(b, at) => self.load(*b, at),
            Node::Unary(op, x) => {
                let x = self.value(x)?;
                self.unary(*op, x)
            }
            Node::Binary(op, a, b) => self.binary(*op, a, b),
            Node::Select(c, a, b) => {
                if let Some(holds) = self.decided(c) {
                    return self.value(if holds { a } else { b });
                }
                let (a, b) = (self.value(a)?, self.value(b)?);
                let mask = self.condition(c)?;
                Some(self.plan.values.choose(mask, a, b))
            }
            Node::Reduce { fold, vars, body } => self.reduce(*fold, vars, body),
            Node::Guard { inside, body, .. } => {
                let extents = &self.extents;
                let holds = inside.iter().all(|(a, n)| {
                    let known = a.terms.iter().all(|(v, _)| extents.contains_key(v));
                    let (low, high) = a.range(&|v| extents.get(&v).copied().unwrap_or(1));
                    known && low >= 0 && high < *n as i64
                });
                if holds { self.value(body) } else { None }
            }
        }
    }

    fn scalar(&mut self, e: &Expr) -> Option<Id> {
        if reads(e, &self.context.free, &self.written) {
            return None;
        }
        let known = self.plan.scalars.iter().position(|x| Arc::ptr_eq(x, e));
        let i = known.unwrap_or_else(|| {
            self.plan.scalars.push(e.clone());
            self.plan.scalars.len() - 1
        });
        Some(self.plan.values.get(Op::Scalar(i as u16)))
    }

    fn coordinate(&mut self, a: &Affine) -> Option<Id> {
        if self.of_columns {
            return None;
        }
        let rounds = self.moving.iter().enumerate().map(|(k, (v, _))| (*v, Op::Round(k as u16)));
        let moving: Vec<(Var, Op)> = rounds.chain(self.inner.map(|v| (v, Op::Places))).collect();
        let mut rest = a.clone();
        let mut sum = None;
        for (var, op) in moving {
            let by = rest.coefficient(var);
            if by == 0 {
                continue;
            }
            rest = rest.substitute(&|v| if v == var { Affine::default() } else { Affine::from(v) });
            let place = match op {
                Op::Places if self.stand.is_some() => self.lanes_in_row()?,
                _ => self.plan.values.get(op),
            };
            let term = match by {
                1 => place,
                _ => {
                    let by = self.plan.values.constant(by as f32);
                    self.plan.values.mul(place, by)
                }
            };
            sum = Some(match sum {
                None => term,
                Some(sum) => self.plan.values.add(sum, term),
            });
        }
        let sum = sum?;
        if rest.is_constant() {
            if rest.constant == 0 {
                return Some(sum);
            }
            let rest = self.plan.values.constant(rest.constant as f32);
            return Some(self.plan.values.add(sum, rest));
        }
        let rest: Expr = Arc::new(Node::Coord(rest));
        self.context.kept.push(rest.clone());
        let rest = self.scalar(&rest)?;
        Some(self.plan.values.add(sum, rest))
    }

    fn load(&mut self, buffer: Buffer, at: &[Coord]) -> Option<Id> {
        if self.stand.is_some() {
            return self.load_in_row(buffer, at);
        }
        let (pointer, step) = self.pointer(buffer, at)?;
        let written = self.written.contains(&self.context.free.root(buffer));
        match step {
            0 if !written => Some(self.plan.values.get(Op::Shown(pointer))),
            // What is written may be read where the same element is written next.
            1 if !written || self.plan.values.phase == u16::MAX => Some(self.plan.values.get(Op::Load(pointer))),
            _ => None,
        }
    }

    fn unary(&mut self, op: Unary, x: Id) -> Option<Id> {
        let v = &mut self.plan.values;
        Some(match op {
            Unary::Neg => v.neg(x),
            Unary::Abs => v.abs(x),
            Unary::Exp => v.exp(x),
            Unary::Log => v.log(x),
            Unary::Sqrt => v.get(Op::Sqrt(x)),
            Unary::Tanh => v.tanh(x),
            Unary::Sigmoid => v.sigmoid(x),
            Unary::Erf => v.erf(x),
            Unary::Floor => v.get(Op::Floor(x)),
            Unary::Sin | Unary::Cos => return None,
        })
    }

    /// The comparison that holds where `c` is not zero.
    fn condition(&mut self, c: &Expr) -> Option<Id> {
        if let Node::Binary(op, a, b) = &**c
            && let Some(cc) = comparison(*op)
            && !self.is_fixed(c)
        {
            let (a, b) = (self.value(a)?, self.value(b)?);
            return Some(self.plan.values.compare(cc, a, b));
        }
        let c = self.value(c)?;
        let zero = self.plan.values.constant(0.0);
        Some(self.plan.values.compare(FloatCC::NotEqual, c, zero))
    }

    fn binary(&mut self, op: Binary, a: &Expr, b: &Expr) -> Option<Id> {
        if op == Binary::Add {
            for (product, other) in [(a, b), (b, a)] {
                let key = self.key(product);
                if let Node::Binary(Binary::Mul, p, q) = &**product
                    && !self.known.contains_key(&key)
                    && !self.is_fixed(product)
                {
                    let (p, q, c) = (self.value(p)?, self.value(q)?, self.value(other)?);
                    return Some(self.plan.values.fma(p, q, c));
                }
            }
        }
        if op == Binary::Mul
            && let Some(x) = self.gelu(a, b)
        {
            return Some(tables::gelu(&mut self.plan.values, x));
        }
        let (x, y) = (self.value(a)?, self.value(b)?);
        let v = &mut self.plan.values;
        Some(match op {
            Binary::Add => v.add(x, y),
            Binary::Sub => v.sub(x, y),
            Binary::Mul => v.mul(x, y),
            Binary::Div => v.quotient(x, y),
            Binary::Max => self.extreme(Two::Max, (a, x), (b, y)),
            Binary::Min => self.extreme(Two::Min, (a, x), (b, y)),
            Binary::Pow => return None,
            Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne => {
                let (one, zero) = (v.constant(1.0), v.constant(0.0));
                let mask = v.compare(comparison(op)?, x, y);
                v.choose(mask, one, zero)
            }
        })
    }

    /// The `x` of `0.5 * x * (1 + erf(x / sqrt(2)))`, which has a shorter formula than its parts.
    fn gelu(&mut self, a: &Expr, b: &Expr) -> Option<Id> {
        let half = times(a, 0.5)?;
        let Node::Binary(Binary::Add, p, q) = &**b else { return None };
        let Node::Unary(Unary::Erf, of) = (if is(p, 1.0) { &**q } else { &**p }) else { return None };
        let scaled = times(of, std::f32::consts::FRAC_1_SQRT_2)?;
        if !self.plan.values.looks_up() || !(is(p, 1.0) || is(q, 1.0)) || self.is_fixed(half) {
            return None;
        }
        let (x, same) = (self.value(half)?, self.value(scaled)?);
        (x == same).then_some(x)
    }

    /// The larger or smaller; NaN if either is. The instruction gives its second operand where one is NaN.
    fn extreme(&mut self, op: Two, (a, x): (&Expr, Id), (b, y): (&Expr, Id)) -> Id {
        let number = |e: &Expr| matches!(**e, Node::Const(bits) if !f32::from_bits(bits).is_nan());
        let v = &mut self.plan.values;
        if number(b) {
            return v.get(Op::Two(op, y, x));
        }
        let larger = v.get(Op::Two(op, x, y));
        if number(a) {
            return larger;
        }
        let mask = v.compare(FloatCC::Unordered, x, x);
        v.choose(mask, x, larger)
    }

    fn reduce(&mut self, fold: Fold, vars: &[(Var, usize)], body: &Expr) -> Option<Id> {
        let count: usize = vars.iter().map(|(_, n)| n).product();
        if fold == Fold::ArgMax {
            return None;
        }
        if self.stand.is_some() && count > UNROLL {
            return self.fold_in_row(fold, vars, body);
        }
        if count <= UNROLL {
            return self.written_out(fold, vars, body);
        }
        let [(var, n)] = vars[..] else { return None };
        // One loop is not inside another.
        let stores = self.plan.values.phase == u16::MAX && !self.of_columns;
        if !stores || self.inner.is_some_and(|inner| self.context.free.depends(body, inner)) || n < LEAST {
            return None;
        }
        let inner = self.inner.replace(var);
        let phase = self.plan.phases.len() as u16;
        self.plan.values.phase = phase;
        self.extents.insert(var, n);
        self.plan.vars.push((var, n));
        // Its place is taken before a phase inside could be.
        self.plan.phases.push(Phase { extent: n, folds: None });
        let value = self.value(body)?;
        self.plan.phases[phase as usize].folds = Some((fold, value));
        self.inner = inner;
        self.plan.values.phase = u16::MAX;
        Some(self.plan.values.get(Op::Folded(phase)))
    }

    fn written_out(&mut self, fold: Fold, vars: &[(Var, usize)], body: &Expr) -> Option<Id> {
        let shape: Vec<usize> = vars.iter().map(|(_, n)| *n).collect();
        let mut points = vec![];
        crate::base::tensor::for_each_index(&shape, |at| points.push(at.to_vec()));
        let start = if fold == Fold::Max { f32::NEG_INFINITY } else { 0.0 };
        let mut sum = self.plan.values.constant(start);
        for at in points {
            let f = |a: &Affine| {
                a.substitute(&|v| {
                    let i = vars.iter().position(|(own, _)| *own == v);
                    i.map_or_else(|| Affine::from(v), |i| Affine::constant(at[i] as i64))
                })
            };
            let mut load = |b: Buffer, at: Vec<Coord>| -> Expr { Arc::new(Node::Load(b, at)) };
            let body = expr::Rewrite::new(&f, &mut load).expr(body);
            self.context.kept.push(body.clone());
            sum = match (fold, &*body) {
                (Fold::Add, Node::Binary(Binary::Mul, p, q)) => {
                    let (p, q) = (self.value(p)?, self.value(q)?);
                    self.plan.values.fma(p, q, sum)
                }
                _ => {
                    let x = self.value(&body)?;
                    let v = &mut self.plan.values;
                    if fold == Fold::Add { v.add(sum, x) } else { v.get(Op::Two(Two::Max, sum, x)) }
                }
            };
        }
        Some(sum)
    }
}

fn is(e: &Expr, number: f32) -> bool {
    matches!(**e, Node::Const(bits) if bits == number.to_bits())
}

/// The other factor of a product with a number.
fn times(e: &Expr, number: f32) -> Option<&Expr> {
    let Node::Binary(Binary::Mul, a, b) = &**e else { return None };
    if is(a, number) { Some(b) } else { is(b, number).then_some(a) }
}

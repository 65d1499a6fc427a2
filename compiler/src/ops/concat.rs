//! `concat(a, b, axis)`: `b` after `a` along one axis.
//!
//! # Shape
//! Equal but for `axis`, whose extents add up.
//!
//! # Gradient
//! The slices of `dy`.

use super::rules::{demand, where_inside};
use super::{Emit, Misfit, OpDef, Operand, Scatter};
use crate::base::{Buffer, Element, Tensor, TensorType, Value};
use crate::loops::{Affine, Binary, Coord, Expr, How, Scope, Store, expr};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Concat {
    pub axis: usize,
}

impl dyn Emit + '_ {
    pub fn concat(&mut self, a: Value, b: Value, axis: usize) -> Value {
        self.emit(Concat { axis }.into(), &[a, b])
    }
}

impl Concat {
    /// `at` in the second operand, which begins at `start`.
    fn second(&self, at: &[Affine], start: i64) -> Vec<Affine> {
        let mut own = at.to_vec();
        own[self.axis] = &own[self.axis] - &Affine::constant(start);
        own
    }
}

impl OpDef<2> for Concat {
    const NAME: &'static str = "concat";

    fn attributes(&self) -> String {
        format!("axis={}", self.axis)
    }

    fn infer(&self, [a, b]: [&TensorType; 2]) -> Result<TensorType, Misfit> {
        demand(self.axis < a.rank(), 0, || format!("an axis {}", self.axis))?;
        let mut shape = a.shape.clone();
        let Some(n) = b.shape.get(self.axis) else {
            return super::rules::misfit(1, format!("an axis {}", self.axis));
        };
        shape[self.axis] = *n;
        super::rules::same_shape(1, b, &shape)?;
        shape[self.axis] += a.shape[self.axis];
        let element = if a.element == b.element { a.element } else { Element::Number };
        Ok(TensorType { element, shape })
    }

    fn element(&self, s: &mut Scope, [a, b]: [&dyn Operand; 2], at: &[Affine]) -> Expr {
        let [m, n] = [a, b].map(|x| x.ty().shape[self.axis]);
        let later = self.second(at, m as i64);
        let in_a = vec![(at[self.axis].clone(), m)];
        let in_b = vec![(later[self.axis].clone(), n)];
        let a = where_inside(in_a, a.at(s, at), 0.0);
        let b = where_inside(in_b, b.at(s, &later), 0.0);
        expr::binary(Binary::Add, a, b)
    }

    fn scatter(&self, s: &mut Scope, [a, b]: [&dyn Operand; 2], _: &TensorType) -> Option<Vec<Scatter>> {
        let start = a.ty().shape[self.axis] as i64;
        let part = |s: &mut Scope, x: &dyn Operand, start: i64| {
            let (axes, at) = s.axes(&x.ty().shape);
            let value = x.at(s, &at);
            let at = self.second(&at, -start).into_iter().map(Coord::Affine).collect();
            Scatter { axes, stores: vec![Store { buffer: Buffer(0), at, value, how: How::Set }] }
        };
        Some(vec![part(s, a, 0), part(s, b, start)])
    }

    fn grad(&self, e: &mut dyn Emit, [a, b]: [Value; 2], _: Value, dy: Value) -> [Option<Value>; 2] {
        let [m, n] = [a, b].map(|x| e.ty(x).shape[self.axis]);
        [Some(e.slice(dy, self.axis, 0, m)), Some(e.slice(dy, self.axis, m, n))]
    }

    fn eval(&self, [a, b]: [&Tensor; 2]) -> Tensor {
        let mut shape = a.shape.clone();
        shape[self.axis] += b.shape[self.axis];
        Tensor::from_fn(&shape, |at| {
            let mut own = at.to_vec();
            if own[self.axis] < a.shape[self.axis] {
                return a.get(&own);
            }
            own[self.axis] -= a.shape[self.axis];
            b.get(&own)
        })
    }

    fn samples() -> Vec<(Self, [TensorType; 2])> {
        let sample = |axis, a: &[usize], b: &[usize]| (Concat { axis }, [TensorType::new(a), TensorType::new(b)]);
        vec![
            sample(0, &[2, 3], &[1, 3]),
            sample(1, &[2, 3], &[2, 4]),
            sample(1, &[2, 1, 3], &[2, 2, 3]),
            sample(0, &[2], &[3]),
        ]
    }
}

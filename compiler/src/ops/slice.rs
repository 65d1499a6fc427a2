//! `slice(x, axis, start, len)`: a range of one axis; `pad(x, axis, before, after)`: zeros around it.
//!
//! # Shape
//! The extent of `axis` becomes `len`, or grows by `before + after`.
//!
//! # Gradient
//! Each is the other's.

use super::rules::{demand, where_inside};
use super::{Emit, Misfit, OpDef, Operand};
use crate::base::{Tensor, TensorType, Value};
use crate::loops::{Affine, Expr, Scope};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Slice {
    pub axis: usize,
    pub start: usize,
    pub len: usize,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pad {
    pub axis: usize,
    pub before: usize,
    pub after: usize,
}

impl dyn Emit + '_ {
    pub fn slice(&mut self, x: Value, axis: usize, start: usize, len: usize) -> Value {
        self.emit(Slice { axis, start, len }.into(), &[x])
    }

    pub fn pad(&mut self, x: Value, axis: usize, before: usize, after: usize) -> Value {
        self.emit(Pad { axis, before, after }.into(), &[x])
    }
}

impl OpDef<1> for Slice {
    const NAME: &'static str = "slice";

    fn attributes(&self) -> String {
        format!("axis={} {}..{}", self.axis, self.start, self.start + self.len)
    }

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        let end = self.start.checked_add(self.len);
        let inside = x.shape.get(self.axis).is_some_and(|n| end.is_some_and(|end| end <= *n));
        demand(inside && self.len > 0, 0, || format!("elements {} on axis {}", self.attributes(), self.axis))?;
        let mut y = x.clone();
        y.shape[self.axis] = self.len;
        Ok(y)
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        let mut own = at.to_vec();
        own[self.axis] = &own[self.axis] + self.start as i64;
        x.at(s, &own)
    }

    fn grad(&self, e: &mut dyn Emit, [x]: [Value; 1], _: Value, dy: Value) -> [Option<Value>; 1] {
        let after = e.ty(x).shape[self.axis] - self.start - self.len;
        [Some(e.pad(dy, self.axis, self.start, after))]
    }

    fn eval(&self, [x]: [&Tensor; 1]) -> Tensor {
        let mut shape = x.shape.clone();
        shape[self.axis] = self.len;
        Tensor::from_fn(&shape, |at| {
            let mut own = at.to_vec();
            own[self.axis] += self.start;
            x.get(&own)
        })
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        vec![
            (Slice { axis: 0, start: 1, len: 2 }, [TensorType::new(&[4, 3])]),
            (Slice { axis: 1, start: 0, len: 1 }, [TensorType::new(&[2, 3])]),
            (Slice { axis: 1, start: 2, len: 3 }, [TensorType::new(&[2, 5, 2])]),
            (Slice { axis: 0, start: 0, len: 3 }, [TensorType::new(&[3])]),
        ]
    }
}

impl OpDef<1> for Pad {
    const NAME: &'static str = "pad";

    fn attributes(&self) -> String {
        format!("axis={} before={} after={}", self.axis, self.before, self.after)
    }

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        demand(self.axis < x.rank(), 0, || format!("an axis {}", self.axis))?;
        let mut y = x.clone();
        y.shape[self.axis] += self.before + self.after;
        Ok(y)
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        let mut own = at.to_vec();
        own[self.axis] = &own[self.axis] - &Affine::constant(self.before as i64);
        let mut inside = vec![];
        if self.before + self.after > 0 {
            inside.push((own[self.axis].clone(), x.ty().shape[self.axis]));
        }
        where_inside(inside, x.at(s, &own), 0.0)
    }

    fn grad(&self, e: &mut dyn Emit, [x]: [Value; 1], _: Value, dy: Value) -> [Option<Value>; 1] {
        let extent = e.ty(x).shape[self.axis];
        [Some(e.slice(dy, self.axis, self.before, extent))]
    }

    fn eval(&self, [x]: [&Tensor; 1]) -> Tensor {
        let mut shape = x.shape.clone();
        shape[self.axis] += self.before + self.after;
        Tensor::from_fn(&shape, |at| {
            let mut own = at.to_vec();
            if own[self.axis] < self.before || own[self.axis] >= self.before + x.shape[self.axis] {
                return 0.0;
            }
            own[self.axis] -= self.before;
            x.get(&own)
        })
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        vec![
            (Pad { axis: 0, before: 1, after: 2 }, [TensorType::new(&[2, 3])]),
            (Pad { axis: 1, before: 0, after: 1 }, [TensorType::new(&[2, 3])]),
            (Pad { axis: 1, before: 2, after: 0 }, [TensorType::new(&[2, 1, 2])]),
            (Pad { axis: 0, before: 0, after: 0 }, [TensorType::new(&[3])]),
        ]
    }
}

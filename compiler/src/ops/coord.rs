//! `coord(shape, axis)`: at every place its own coordinate along `axis`, as a number.
//!
//! # Shape
//! `shape`; no operands.

use super::rules::demand;
use super::{Emit, Misfit, OpDef, Operand};
use crate::base::{Tensor, TensorType, Value};
use crate::loops::{Affine, Expr, Node, Scope};
use std::sync::Arc;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Coordinate {
    pub shape: Vec<usize>,
    pub axis: usize,
}

impl dyn Emit + '_ {
    pub fn coord(&mut self, shape: &[usize], axis: usize) -> Value {
        self.emit(Coordinate { shape: shape.to_vec(), axis }.into(), &[])
    }
}

impl OpDef<0> for Coordinate {
    const NAME: &'static str = "coord";

    fn attributes(&self) -> String {
        format!("axis={}", self.axis)
    }

    fn infer(&self, []: [&TensorType; 0]) -> Result<TensorType, Misfit> {
        demand(self.axis < self.shape.len(), 0, || format!("an axis {}", self.axis))?;
        Ok(TensorType::new(&self.shape))
    }

    fn element(&self, _: &mut Scope, []: [&dyn Operand; 0], at: &[Affine]) -> Expr {
        Arc::new(Node::Coord(at[self.axis].clone()))
    }

    fn grad(&self, _: &mut dyn Emit, []: [Value; 0], _: Value, _: Value) -> [Option<Value>; 0] {
        []
    }

    fn eval(&self, []: [&Tensor; 0]) -> Tensor {
        Tensor::from_fn(&self.shape, |at| at[self.axis] as f32)
    }

    fn samples() -> Vec<(Self, [TensorType; 0])> {
        vec![(Coordinate { shape: vec![3, 2], axis: 0 }, []), (Coordinate { shape: vec![3, 1, 4], axis: 2 }, [])]
    }
}

//! `random(key, step, shape)`: uniform numbers in [0, 1), a function of key, step and place alone.
//!
//! # Shape
//! `step` is one whole number; the result has `shape`. Places are counted within a table that is at least as large, so
//! that what is drawn at a place does not depend on how far a smaller one reaches.
//!
//! # Gradient
//! None: constant between two steps.

use super::rules::{by, demand, flat, same_shape};
use super::{Emit, Misfit, OpDef, Operand};
use crate::base::{Tensor, TensorType, Value};
use crate::loops::{Affine, Expr, Node, Scope, expr::random_number};
use std::sync::Arc;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Random {
    pub key: u64,
    pub shape: Vec<usize>,
    /// No axis is smaller than that of `shape`.
    pub within: Vec<usize>,
}

impl dyn Emit + '_ {
    pub fn random(&mut self, key: u64, step: Value, shape: &[usize]) -> Value {
        self.random_within(key, step, shape, shape)
    }

    /// The numbers that `random` draws at the same places of a table of shape `within`.
    pub fn random_within(&mut self, key: u64, step: Value, shape: &[usize], within: &[usize]) -> Value {
        self.emit(Random { key, shape: shape.to_vec(), within: within.to_vec() }.into(), &[step])
    }
}

impl OpDef<1> for Random {
    const NAME: &'static str = "random";

    fn attributes(&self) -> String {
        match self.within == self.shape {
            true => format!("key={:#x}", self.key),
            false => format!("key={:#x} within={}", self.key, by(&self.within)),
        }
    }

    fn infer(&self, [step]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        same_shape(0, step, &[])?;
        let holds = self.shape.len() == self.within.len() && self.shape.iter().zip(&self.within).all(|(n, w)| n <= w);
        demand(holds, 0, || format!("places of {} within {}", by(&self.shape), by(&self.within)))?;
        Ok(TensorType::new(&self.shape))
    }

    fn element(&self, s: &mut Scope, [step]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        let step = step.at(s, &[]);
        Arc::new(Node::Random { key: self.key, step, counter: flat(&self.within, at) })
    }

    fn grad(&self, _: &mut dyn Emit, _: [Value; 1], _: Value, _: Value) -> [Option<Value>; 1] {
        [None]
    }

    fn eval(&self, [step]: [&Tensor; 1]) -> Tensor {
        Tensor::from_fn(&self.shape, |at| {
            let counter = at.iter().zip(&self.within).fold(0, |sum, (i, n)| sum * n + i);
            random_number(self.key, step.data[0] as u32, counter as u32)
        })
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        let step = TensorType::index(1 << 20, &[]);
        vec![
            (Random { key: 7, shape: vec![3, 4], within: vec![3, 4] }, [step.clone()]),
            (Random { key: 7, shape: vec![3, 2, 4], within: vec![3, 5, 4] }, [step.clone()]),
            (Random { key: 0x9E37_79B9_7F4A_7C15, shape: vec![2, 1, 5], within: vec![2, 1, 5] }, [step.clone()]),
            (Random { key: 1, shape: vec![], within: vec![] }, [step]),
        ]
    }
}

//! `random(key, step, shape)`: uniform numbers in [0, 1), a function of key, step and place alone.
//!
//! # Shape
//! `step` is one whole number; the result has `shape`.
//!
//! # Gradient
//! None: constant between two steps.

use super::rules::{flat, same_shape};
use super::{Emit, Misfit, OpDef, Operand};
use crate::base::{Tensor, TensorType, Value};
use crate::loops::{Affine, Expr, Node, Scope, expr::random_number};
use std::sync::Arc;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Random {
    pub key: u64,
    pub shape: Vec<usize>,
}

impl dyn Emit + '_ {
    pub fn random(&mut self, key: u64, step: Value, shape: &[usize]) -> Value {
        self.emit(Random { key, shape: shape.to_vec() }.into(), &[step])
    }
}

impl OpDef<1> for Random {
    const NAME: &'static str = "random";

    fn attributes(&self) -> String {
        format!("key={:#x}", self.key)
    }

    fn infer(&self, [step]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        same_shape(0, step, &[])?;
        Ok(TensorType::new(&self.shape))
    }

    fn element(&self, s: &mut Scope, [step]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        let step = step.at(s, &[]);
        Arc::new(Node::Random { key: self.key, step, counter: flat(&self.shape, at) })
    }

    fn grad(&self, _: &mut dyn Emit, _: [Value; 1], _: Value, _: Value) -> [Option<Value>; 1] {
        [None]
    }

    fn eval(&self, [step]: [&Tensor; 1]) -> Tensor {
        let mut counter = 0;
        Tensor::from_fn(&self.shape, |_| {
            counter += 1;
            random_number(self.key, step.data[0] as u32, counter - 1)
        })
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        let step = TensorType::index(1 << 20, &[]);
        vec![
            (Random { key: 7, shape: vec![3, 4] }, [step.clone()]),
            (Random { key: 0x9E37_79B9_7F4A_7C15, shape: vec![2, 1, 5] }, [step.clone()]),
            (Random { key: 1, shape: vec![] }, [step]),
        ]
    }
}

//! `detach(x)`: `x`, but constant in the eyes of differentiation.
//!
//! # Shape
//! That of `x`.
//!
//! # Gradient
//! None, on purpose: the one op whose gradient is not its derivative.

use super::{Emit, Misfit, OpDef, Operand};
use crate::base::{Tensor, TensorType, Value};
use crate::loops::{Affine, Expr, Scope};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Detach;

impl dyn Emit + '_ {
    pub fn detach(&mut self, x: Value) -> Value {
        self.emit(Detach.into(), &[x])
    }
}

impl OpDef<1> for Detach {
    const NAME: &'static str = "detach";

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        Ok(x.clone())
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        x.at(s, at)
    }

    fn grad(&self, _: &mut dyn Emit, _: [Value; 1], _: Value, _: Value) -> [Option<Value>; 1] {
        [None]
    }

    fn eval(&self, [x]: [&Tensor; 1]) -> Tensor {
        x.clone()
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        // An index, since only for indices is no gradient the right gradient.
        vec![(Detach, [TensorType::index(5, &[2, 3])])]
    }
}

//! `select(condition, a, b)`: element by element, `condition != 0 ? a : b`.
//!
//! # Shape
//! All operands have one shape; the result has it too.
//!
//! # Gradient
//! `dy` to the one that was chosen, 0 to the other. The condition has none.

use super::rules::same_shape;
use super::{Emit, Misfit, OpDef, Operand};
use crate::base::{Tensor, TensorType, Value};
use crate::loops::{Affine, Expr, Scope, expr};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Select;

impl dyn Emit + '_ {
    pub fn select(&mut self, condition: Value, a: Value, b: Value) -> Value {
        self.emit(Select.into(), &[condition, a, b])
    }

    /// `x` where `condition` holds, 0 elsewhere.
    pub fn keep_where(&mut self, condition: Value, x: Value) -> Value {
        let zero = self.filled_like(0.0, x);
        self.select(condition, x, zero)
    }
}

impl OpDef<3> for Select {
    const NAME: &'static str = "select";

    fn infer(&self, [condition, a, b]: [&TensorType; 3]) -> Result<TensorType, Misfit> {
        same_shape(1, a, &condition.shape)?;
        same_shape(2, b, &condition.shape)?;
        Ok(TensorType::new(&a.shape))
    }

    fn element(&self, s: &mut Scope, [condition, a, b]: [&dyn Operand; 3], at: &[Affine]) -> Expr {
        expr::select(condition.at(s, at), a.at(s, at), b.at(s, at))
    }

    fn grad(&self, e: &mut dyn Emit, [condition, ..]: [Value; 3], _: Value, dy: Value) -> [Option<Value>; 3] {
        let zero = e.filled_like(0.0, dy);
        [None, Some(e.select(condition, dy, zero)), Some(e.select(condition, zero, dy))]
    }

    fn eval(&self, [condition, a, b]: [&Tensor; 3]) -> Tensor {
        Tensor::from_fn(&a.shape, |at| if condition.get(at) != 0.0 { a.get(at) } else { b.get(at) })
    }

    fn samples() -> Vec<(Self, [TensorType; 3])> {
        let ty = TensorType::new(&[3, 2]);
        vec![(Select, [ty.clone(), ty.clone(), ty])]
    }
}

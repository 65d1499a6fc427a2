//! `broadcast(x, shape, axes)`: repeats `x` along the axes of `shape` that are not its own.
//!
//! # Shape
//! Axis `i` of `x` becomes axis `axes[i]` of the result, with the same extent; `axes` increases.
//!
//! # Gradient
//! The sum over the added axes.

use super::rules::{are_axes, demand, others, pick};
use super::{Emit, Misfit, OpDef, Operand};
use crate::base::{Tensor, TensorType, Value};
use crate::loops::{Affine, Expr, Fold, Scope};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Broadcast {
    pub shape: Vec<usize>,
    pub axes: Vec<usize>,
}

impl dyn Emit + '_ {
    pub fn broadcast(&mut self, x: Value, shape: &[usize], axes: &[usize]) -> Value {
        self.emit(Broadcast { shape: shape.to_vec(), axes: axes.to_vec() }.into(), &[x])
    }
}

impl OpDef<1> for Broadcast {
    const NAME: &'static str = "broadcast";

    fn attributes(&self) -> String {
        format!("axes={:?}", self.axes)
    }

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        let fits = are_axes(&self.axes, self.shape.len()) && x.shape == pick(&self.shape, &self.axes);
        demand(fits, 0, || format!("the axes {:?} of {:?}", self.axes, self.shape))?;
        Ok(TensorType { element: x.element, shape: self.shape.clone() })
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        let own: Vec<Affine> = self.axes.iter().map(|&i| at[i].clone()).collect();
        x.at(s, &own)
    }

    fn grad(&self, e: &mut dyn Emit, _: [Value; 1], _: Value, dy: Value) -> [Option<Value>; 1] {
        let added = others(self.shape.len(), &self.axes);
        [Some(if added.is_empty() { dy } else { e.reduce(Fold::Add, dy, &added) })]
    }

    fn eval(&self, [x]: [&Tensor; 1]) -> Tensor {
        Tensor::from_fn(&self.shape, |at| x.get(&pick(at, &self.axes)))
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        let sample = |x: &[usize], shape: &[usize], axes: &[usize]| {
            (Broadcast { shape: shape.to_vec(), axes: axes.to_vec() }, [TensorType::new(x)])
        };
        vec![
            sample(&[], &[2, 3], &[]),
            sample(&[3], &[2, 3], &[1]),
            sample(&[2], &[2, 3], &[0]),
            sample(&[2, 4], &[2, 3, 4, 1], &[0, 2]),
            sample(&[2, 3], &[2, 3], &[0, 1]),
        ]
    }
}

//! `transpose(x, perm)`: axes in another order; axis `i` of the result is axis `perm[i]` of `x`.
//!
//! # Shape
//! That of `x`, permuted.
//!
//! # Gradient
//! `dy`, permuted back.

use super::rules::{demand, pick};
use super::{Emit, Misfit, OpDef, Operand};
use crate::base::{Tensor, TensorType, Value};
use crate::loops::{Affine, Expr, Scope};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Transpose {
    pub perm: Vec<usize>,
}

impl dyn Emit + '_ {
    pub fn transpose(&mut self, x: Value, perm: &[usize]) -> Value {
        self.emit(Transpose { perm: perm.to_vec() }.into(), &[x])
    }
}

impl Transpose {
    fn inverse(&self) -> Vec<usize> {
        let mut inverse = vec![0; self.perm.len()];
        self.perm.iter().enumerate().for_each(|(i, &p)| inverse[p] = i);
        inverse
    }
}

impl OpDef<1> for Transpose {
    const NAME: &'static str = "transpose";

    fn attributes(&self) -> String {
        format!("perm={:?}", self.perm)
    }

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        let mut sorted = self.perm.clone();
        sorted.sort_unstable();
        demand(sorted.into_iter().eq(0..x.rank()), 0, || format!("{} axes", self.perm.len()))?;
        Ok(TensorType { element: x.element, shape: pick(&x.shape, &self.perm) })
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        let own: Vec<Affine> = self.inverse().into_iter().map(|i| at[i].clone()).collect();
        x.at(s, &own)
    }

    fn grad(&self, e: &mut dyn Emit, _: [Value; 1], _: Value, dy: Value) -> [Option<Value>; 1] {
        [Some(e.transpose(dy, &self.inverse()))]
    }

    fn eval(&self, [x]: [&Tensor; 1]) -> Tensor {
        let inverse = self.inverse();
        Tensor::from_fn(&pick(&x.shape, &self.perm), |at| x.get(&pick(at, &inverse)))
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        let sample = |x: &[usize], perm: &[usize]| (Transpose { perm: perm.to_vec() }, [TensorType::new(x)]);
        vec![
            sample(&[2, 3], &[1, 0]),
            sample(&[2, 3, 4], &[1, 2, 0]),
            sample(&[2, 3, 1, 2], &[3, 0, 2, 1]),
            sample(&[2, 3], &[0, 1]),
        ]
    }
}

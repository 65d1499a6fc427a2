//! `reshape(x, shape)`: the same elements in row-major order under another shape.
//!
//! # Shape
//! As many elements as before.
//!
//! # Gradient
//! `dy`, reshaped back.
//!
//! A view: no kernel computes it. Where an axis of `x` is split, its element rule is one load; where axes
//! are merged no affine coordinate says which element is meant, and the rule is a search that must
//! never run as written.

use super::rules::{demand, flat, fold};
use super::{Emit, Misfit, OpDef, Operand};
use crate::base::{Tensor, TensorType, Value};
use crate::loops::{Affine, Expr, Fold, Scope, expr};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reshape {
    pub shape: Vec<usize>,
}

impl dyn Emit + '_ {
    pub fn reshape(&mut self, x: Value, shape: &[usize]) -> Value {
        self.emit(Reshape { shape: shape.to_vec() }.into(), &[x])
    }
}

/// The shortest runs of axes of `x` and of `y` that hold equally many elements.
fn runs(x: &[usize], y: &[usize]) -> Vec<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    let (mut i, mut j) = (0, 0);
    let mut runs = vec![];
    while i < x.len() || j < y.len() {
        let start = (i, j);
        let (mut a, mut b) = (1, 1);
        loop {
            if a <= b && i < x.len() && (a < b || i == start.0) {
                a *= x[i];
                i += 1;
            } else if j < y.len() && (b < a || j == start.1) {
                b *= y[j];
                j += 1;
            } else {
                break;
            }
        }
        runs.push((start.0..i, start.1..j));
    }
    runs
}

impl OpDef<1> for Reshape {
    const NAME: &'static str = "reshape";

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        let count: usize = self.shape.iter().product();
        demand(x.count() == count, 0, || format!("{count} elements"))?;
        Ok(TensorType { element: x.element, shape: self.shape.clone() })
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        let shape = x.ty().shape.clone();
        let mut own = vec![Affine::constant(0); shape.len()];
        let mut searched = vec![];
        let mut targets = vec![];
        for (from, to) in runs(&shape, &self.shape) {
            let target = flat(&self.shape[to.clone()], &at[to]);
            let wide: Vec<usize> = from.clone().filter(|&i| shape[i] > 1).collect();
            match wide[..] {
                [] => {}
                [only] => own[only] = target,
                _ => {
                    searched.extend(wide.iter().copied());
                    targets.push((from, target));
                }
            }
        }
        let extents: Vec<usize> = searched.iter().map(|&i| shape[i]).collect();
        fold(s, Fold::Add, &extents, |s, over| {
            searched.iter().zip(over).for_each(|(&i, a)| own[i] = a.clone());
            let here = |(from, target): &(std::ops::Range<usize>, Affine)| {
                (&flat(&shape[from.clone()], &own[from.clone()]) - target, 1)
            };
            let inside: Vec<(Affine, usize)> = targets.iter().map(here).collect();
            let element = x.at(s, &own);
            if inside.is_empty() { element } else { expr::guard(inside, element, 0.0) }
        })
    }

    fn is_view(&self) -> bool {
        true
    }

    fn grad(&self, e: &mut dyn Emit, [x]: [Value; 1], _: Value, dy: Value) -> [Option<Value>; 1] {
        let shape = e.shape(x);
        [Some(e.reshape(dy, &shape))]
    }

    fn eval(&self, [x]: [&Tensor; 1]) -> Tensor {
        Tensor { shape: self.shape.clone(), data: x.data.clone() }
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        let sample = |x: &[usize], y: &[usize]| (Reshape { shape: y.to_vec() }, [TensorType::new(x)]);
        vec![
            sample(&[2, 3, 4], &[2, 12]),
            sample(&[2, 12], &[2, 3, 4]),
            sample(&[2, 1, 3], &[2, 3]),
            sample(&[6], &[2, 3, 1]),
            sample(&[4, 3], &[2, 6]),
            sample(&[2, 3, 4, 2], &[6, 8]),
            sample(&[1, 1], &[]),
        ]
    }
}

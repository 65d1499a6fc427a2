//! `max_pool_dx(dy, argmax, spec, spatial)`: each `dy` goes to the tap that won;
//! `pool_pick(x, argmax, spec)`: the element at that tap.
//!
//! # Shape
//! `dy`, `argmax` and the picked have the shape of `max_pool(x, spec)`; `spatial` are the sliding extents
//! of `x`, the type that `max_pool_dx` gives.
//!
//! # Gradient
//! Each is the other's; both are linear in the first operand.

use super::conv_spec::between;
use super::max_pool::{PoolSpec, place, samples};
use super::rules::{by, flat, fold, misfit, same_shape};
use super::sliding::{Adjoint, Term, by_phase, kernels, readers, window};
use super::{Emit, Misfit, OpDef, Operand, Scatter};
use crate::base::{Tensor, TensorType, Value, tensor::for_each_index};
use crate::loops::{Affine, Binary, Expr, Fold, Node, Scope, expr};
use std::sync::Arc;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MaxPoolDx {
    pub spec: PoolSpec,
    pub spatial: Vec<usize>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PoolPick {
    pub spec: PoolSpec,
}

impl dyn Emit + '_ {
    pub fn max_pool_dx(&mut self, dy: Value, argmax: Value, spec: &PoolSpec, spatial: &[usize]) -> Value {
        let op = MaxPoolDx { spec: spec.clone(), spatial: spatial.to_vec() };
        self.emit(op.into(), &[dy, argmax])
    }

    pub fn pool_pick(&mut self, x: Value, argmax: Value, spec: &PoolSpec) -> Value {
        self.emit(PoolPick { spec: spec.clone() }.into(), &[x, argmax])
    }
}

/// `value` if `argmax` is tap `k`, else 0.
fn if_won(spec: &PoolSpec, argmax: Expr, k: &[Affine], value: Expr) -> Expr {
    let tap = Arc::new(Node::Coord(flat(&spec.kernel, k)));
    expr::select(expr::binary(Binary::Eq, argmax, tap), value, expr::constant(0.0))
}

/// The taps of a window as coordinates of a tap number.
fn unflatten(spec: &PoolSpec, tap: usize) -> Vec<usize> {
    let mut rest = tap;
    let mut k = vec![0; spec.kernel.len()];
    for (k, n) in k.iter_mut().zip(&spec.kernel).rev() {
        *k = rest % n;
        rest /= n;
    }
    k
}

impl OpDef<2> for MaxPoolDx {
    const NAME: &'static str = "max_pool_dx";

    fn attributes(&self) -> String {
        format!("{} to={}", self.spec.text(), by(&self.spatial))
    }

    fn infer(&self, [dy, argmax]: [&TensorType; 2]) -> Result<TensorType, Misfit> {
        let (Some(n), Some(c)) = (dy.shape.first(), dy.shape.last()) else {
            return misfit(0, "a batch and features");
        };
        let x = TensorType::new(&[&[*n], &self.spatial[..], &[*c]].concat());
        same_shape(0, dy, &self.spec.pooled(&x)?)?;
        same_shape(1, argmax, &dy.shape)?;
        Ok(x)
    }

    fn element(&self, s: &mut Scope, [dy, argmax]: [&dyn Operand; 2], at: &[Affine]) -> Expr {
        let slides = self.spec.verified(&self.spatial);
        let last = at.len() - 1;
        readers(s, &slides, &at[1..last], &[], |s, o, k, _| {
            let reader = [&at[..1], o, &at[last..]].concat();
            let argmax = argmax.at(s, &reader);
            let dy = dy.at(s, &reader);
            if_won(&self.spec, argmax, k, dy)
        })
    }

    fn scatter(&self, s: &mut Scope, [dy, argmax]: [&dyn Operand; 2], y: &TensorType) -> Option<Vec<Scatter>> {
        let slides = self.spec.verified(&self.spatial);
        if slides.iter().all(|s| s.stride == 1) {
            return None;
        }
        let (lead, tail) = (&y.shape[..1], &y.shape[y.rank() - 1..]);
        let adjoint = Adjoint { slides: &slides, lead, tail, extra: &[] };
        let place = |lead: &[Affine], spatial: &[Affine], tail: &[Affine]| [lead, spatial, tail].concat();
        Some(by_phase(s, &adjoint, &place, &|s, at: Term<'_>| {
            let reader = [at.lead, at.o, at.tail].concat();
            let argmax = argmax.at(s, &reader);
            let dy = dy.at(s, &reader);
            if_won(&self.spec, argmax, at.k, dy)
        }))
    }

    fn grad(&self, e: &mut dyn Emit, [_, argmax]: [Value; 2], _: Value, ddx: Value) -> [Option<Value>; 2] {
        [Some(e.pool_pick(ddx, argmax, &self.spec)), None]
    }

    fn eval(&self, [dy, argmax]: [&Tensor; 2]) -> Tensor {
        let slides = self.spec.verified(&self.spatial);
        let (n, c) = (dy.shape[0], dy.shape[dy.shape.len() - 1]);
        let mut dx = Tensor::filled(&[&[n], &self.spatial[..], &[c]].concat(), 0.0);
        for_each_index(&dy.shape, |at| {
            let k = unflatten(&self.spec, argmax.get(at) as usize);
            if let Some(i) = place(&slides, at, &k) {
                dx.set(&i, dx.get(&i) + dy.get(at));
            }
        });
        dx
    }

    fn samples() -> Vec<(Self, [TensorType; 2])> {
        let of = |(spec, x): (PoolSpec, TensorType)| {
            let y = spec.pooled(&x).expect("samples fit");
            let operands = [TensorType::new(&y), TensorType::index(spec.taps(), &y)];
            (MaxPoolDx { spec, spatial: between(&x.shape).to_vec() }, operands)
        };
        samples().into_iter().map(of).collect()
    }
}

impl OpDef<2> for PoolPick {
    const NAME: &'static str = "pool_pick";

    fn attributes(&self) -> String {
        self.spec.text()
    }

    fn infer(&self, [x, argmax]: [&TensorType; 2]) -> Result<TensorType, Misfit> {
        let y = self.spec.pooled(x)?;
        same_shape(1, argmax, &y)?;
        Ok(TensorType::new(&y))
    }

    fn element(&self, s: &mut Scope, [x, argmax]: [&dyn Operand; 2], at: &[Affine]) -> Expr {
        let slides = self.spec.verified(between(&x.ty().shape));
        let last = at.len() - 1;
        fold(s, Fold::Add, &kernels(&slides), |s, k| {
            let argmax = argmax.at(s, at);
            let x = window(&slides, &at[1..last], k, 0.0, |i| x.at(s, &[&at[..1], i, &at[last..]].concat()));
            if_won(&self.spec, argmax, k, x)
        })
    }

    fn grad(&self, e: &mut dyn Emit, [x, argmax]: [Value; 2], _: Value, dy: Value) -> [Option<Value>; 2] {
        let spatial = between(&e.ty(x).shape).to_vec();
        [Some(e.max_pool_dx(dy, argmax, &self.spec, &spatial)), None]
    }

    fn eval(&self, [x, argmax]: [&Tensor; 2]) -> Tensor {
        let slides = self.spec.verified(between(&x.shape));
        Tensor::from_fn(&argmax.shape, |at| {
            let k = unflatten(&self.spec, argmax.get(at) as usize);
            place(&slides, at, &k).map_or(0.0, |i| x.get(&i))
        })
    }

    fn samples() -> Vec<(Self, [TensorType; 2])> {
        let of = |(spec, x): (PoolSpec, TensorType)| {
            let y = spec.pooled(&x).expect("samples fit");
            let argmax = TensorType::index(spec.taps(), &y);
            (PoolPick { spec }, [x, argmax])
        };
        samples().into_iter().map(of).collect()
    }
}

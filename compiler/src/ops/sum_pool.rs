//! `sum_pool(x, spec)`: the sum of each window; `sum_pool_dx(dy, spec, spatial)`: its adjoint.
//!
//! # Shape
//! As `max_pool`, and back to the sliding extents `spatial`. An average is a sum divided by a count.
//!
//! # Gradient
//! Each is the other's.

use super::conv_spec::between;
use super::max_pool::{PoolSpec, place, samples};
use super::rules::{by, misfit, same_shape};
use super::sliding::{Adjoint, Term, by_phase, readers};
use super::{Emit, Misfit, OpDef, Operand, Scatter};
use crate::base::{Tensor, TensorType, Value, tensor::for_each_index};
use crate::loops::{Affine, Expr, Fold, Scope};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SumPool {
    pub spec: PoolSpec,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SumPoolDx {
    pub spec: PoolSpec,
    pub spatial: Vec<usize>,
}

impl dyn Emit + '_ {
    pub fn sum_pool(&mut self, x: Value, spec: &PoolSpec) -> Value {
        self.emit(SumPool { spec: spec.clone() }.into(), &[x])
    }

    pub fn sum_pool_dx(&mut self, dy: Value, spec: &PoolSpec, spatial: &[usize]) -> Value {
        let op = SumPoolDx { spec: spec.clone(), spatial: spatial.to_vec() };
        self.emit(op.into(), &[dy])
    }
}

impl OpDef<1> for SumPool {
    const NAME: &'static str = "sum_pool";

    fn attributes(&self) -> String {
        self.spec.text()
    }

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        Ok(TensorType::new(&self.spec.pooled(x)?))
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        self.spec.element(Fold::Add, s, x, at)
    }

    fn grad(&self, e: &mut dyn Emit, [x]: [Value; 1], _: Value, dy: Value) -> [Option<Value>; 1] {
        let spatial = between(&e.ty(x).shape).to_vec();
        [Some(e.sum_pool_dx(dy, &self.spec, &spatial))]
    }

    fn eval(&self, [x]: [&Tensor; 1]) -> Tensor {
        self.spec.eval(Fold::Add, x)
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        samples().into_iter().map(|(spec, x)| (SumPool { spec }, [x])).collect()
    }
}

impl OpDef<1> for SumPoolDx {
    const NAME: &'static str = "sum_pool_dx";

    fn attributes(&self) -> String {
        format!("{} to={}", self.spec.text(), by(&self.spatial))
    }

    fn infer(&self, [dy]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        let (Some(n), Some(c)) = (dy.shape.first(), dy.shape.last()) else {
            return misfit(0, "a batch and features");
        };
        let x = TensorType::new(&[&[*n], &self.spatial[..], &[*c]].concat());
        same_shape(0, dy, &self.spec.pooled(&x)?)?;
        Ok(x)
    }

    fn element(&self, s: &mut Scope, [dy]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        let slides = self.spec.verified(&self.spatial);
        let last = at.len() - 1;
        readers(s, &slides, &at[1..last], &[], |s, o, _, _| dy.at(s, &[&at[..1], o, &at[last..]].concat()))
    }

    fn scatter(&self, s: &mut Scope, [dy]: [&dyn Operand; 1], y: &TensorType) -> Option<Vec<Scatter>> {
        let slides = self.spec.verified(&self.spatial);
        if slides.iter().all(|s| s.stride == 1) {
            return None;
        }
        let (lead, tail) = (&y.shape[..1], &y.shape[y.rank() - 1..]);
        let adjoint = Adjoint { slides: &slides, lead, tail, extra: &[] };
        let place = |lead: &[Affine], spatial: &[Affine], tail: &[Affine]| [lead, spatial, tail].concat();
        Some(by_phase(s, &adjoint, &place, &|s, at: Term<'_>| dy.at(s, &[at.lead, at.o, at.tail].concat())))
    }

    fn grad(&self, e: &mut dyn Emit, _: [Value; 1], _: Value, ddx: Value) -> [Option<Value>; 1] {
        [Some(e.sum_pool(ddx, &self.spec))]
    }

    fn eval(&self, [dy]: [&Tensor; 1]) -> Tensor {
        let slides = self.spec.verified(&self.spatial);
        let (n, c) = (dy.shape[0], dy.shape[dy.shape.len() - 1]);
        let mut dx = Tensor::filled(&[&[n], &self.spatial[..], &[c]].concat(), 0.0);
        for_each_index(&dy.shape, |at| {
            for_each_index(&self.spec.kernel, |k| {
                if let Some(i) = place(&slides, at, k) {
                    dx.set(&i, dx.get(&i) + dy.get(at));
                }
            });
        });
        dx
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        let of = |(spec, x): (PoolSpec, TensorType)| {
            let y = spec.pooled(&x).expect("samples fit");
            (SumPoolDx { spec, spatial: between(&x.shape).to_vec() }, [TensorType::new(&y)])
        };
        samples().into_iter().map(of).collect()
    }
}

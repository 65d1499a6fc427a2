//! `max_pool(x, spec)`: the largest element of each window; `pool_argmax(x, spec)`: which tap it is.
//!
//! # Shape
//! `x [n, s.., c]` gives `[n, s'.., c]`, with `s'` as for `conv`. The axes between batch and features slide.
//!
//! # Gradient
//! `dy` at the first largest element of each window (`max_pool_dx`). Taps in the padding never win.

use super::conv_spec::{between, pad_text};
use super::rules::{by, demand, fold, misfit};
use super::sliding::{Slide, kernels, outputs, window};
use super::{Emit, Misfit, OpDef, Operand};
use crate::base::{Tensor, TensorType, Value, tensor::for_each_index};
use crate::loops::{Affine, Expr, Fold, Scope};

/// One entry per sliding axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PoolSpec {
    pub kernel: Vec<usize>,
    pub stride: Vec<usize>,
    /// Places before and after that hold no element; less than a window.
    pub pad: Vec<(usize, usize)>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MaxPool {
    pub spec: PoolSpec,
}

/// The number, row-major over the window, of the first largest tap.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PoolArgMax {
    pub spec: PoolSpec,
}

impl dyn Emit + '_ {
    pub fn max_pool(&mut self, x: Value, spec: &PoolSpec) -> Value {
        self.emit(MaxPool { spec: spec.clone() }.into(), &[x])
    }

    pub fn pool_argmax(&mut self, x: Value, spec: &PoolSpec) -> Value {
        self.emit(PoolArgMax { spec: spec.clone() }.into(), &[x])
    }
}

impl PoolSpec {
    /// `None` if some window does not fit, or lies in the padding altogether.
    pub(super) fn slides(&self, spatial: &[usize]) -> Option<Vec<Slide>> {
        let rank = self.kernel.len();
        if rank == 0 || [self.stride.len(), self.pad.len(), spatial.len()].iter().any(|n| *n != rank) {
            return None;
        }
        (0..rank)
            .map(|i| {
                let (before, after) = self.pad[i];
                let slide = Slide::new(spatial[i], self.kernel[i], self.stride[i], 1, (before, after))?;
                (before.max(after) < self.kernel[i]).then_some(slide)
            })
            .collect()
    }

    pub(super) fn verified(&self, spatial: &[usize]) -> Vec<Slide> {
        self.slides(spatial).expect("verified: windows fit")
    }

    pub fn output(&self, spatial: &[usize]) -> Option<Vec<usize>> {
        Some(outputs(&self.slides(spatial)?))
    }

    pub(super) fn text(&self) -> String {
        format!("kernel={} stride={}{}", by(&self.kernel), by(&self.stride), pad_text(&self.pad))
    }

    /// The shape of the pooled `x`.
    pub(super) fn pooled(&self, x: &TensorType) -> Result<Vec<usize>, Misfit> {
        let rank = self.kernel.len();
        demand(x.rank() == rank + 2, 0, || format!("a batch, {rank} sliding axes and features"))?;
        match self.output(between(&x.shape)) {
            Some(output) => Ok([&[x.shape[0]], &output[..], &[x.shape[rank + 1]]].concat()),
            None => misfit(0, format!("room for windows of {}", self.text())),
        }
    }

    /// Number of taps of a window.
    pub(super) fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Folds every window of `x`.
    pub(super) fn element(&self, f: Fold, s: &mut Scope, x: &dyn Operand, at: &[Affine]) -> Expr {
        let slides = self.verified(between(&x.ty().shape));
        let last = at.len() - 1;
        let outside = if f == Fold::Add { 0.0 } else { f32::NEG_INFINITY };
        fold(s, f, &kernels(&slides), |s, k| {
            window(&slides, &at[1..last], k, outside, |i| x.at(s, &[&at[..1], i, &at[last..]].concat()))
        })
    }

    pub(super) fn eval(&self, f: Fold, x: &Tensor) -> Tensor {
        let rank = self.kernel.len();
        let slides = self.verified(between(&x.shape));
        let outside = if f == Fold::Add { 0.0 } else { f32::NEG_INFINITY };
        let shape = [&[x.shape[0]], &outputs(&slides)[..], &[x.shape[rank + 1]]].concat();
        Tensor::from_fn(&shape, |at| {
            let mut taps = vec![];
            for_each_index(&self.kernel, |k| {
                taps.push(place(&slides, at, k).map_or(outside, |i| x.get(&i)));
            });
            f.apply(taps.into_iter())
        })
    }
}

/// The index that tap `k` of the window for `at` reads, if it is not in the padding.
pub(super) fn place(slides: &[Slide], at: &[usize], k: &[usize]) -> Option<Vec<usize>> {
    let mut index = at.to_vec();
    for (i, slide) in slides.iter().enumerate() {
        let place = (at[i + 1] * slide.stride + k[i]).checked_sub(slide.before)?;
        index[i + 1] = place;
        if place >= slide.input {
            return None;
        }
    }
    Some(index)
}

/// Tiling, leaving a rest, overlapping, padded, with gaps; with the type of `x`.
pub(super) fn samples() -> Vec<(PoolSpec, TensorType)> {
    let sample = |kernel: &[usize], stride: &[usize], pad: &[(usize, usize)], x: &[usize]| {
        let spec = PoolSpec { kernel: kernel.to_vec(), stride: stride.to_vec(), pad: pad.to_vec() };
        (spec, TensorType::new(x))
    };
    vec![
        sample(&[2, 2], &[2, 2], &[(0, 0), (0, 0)], &[2, 4, 6, 2]),
        sample(&[2, 2], &[2, 2], &[(0, 0), (0, 0)], &[1, 5, 3, 2]),
        sample(&[3, 3], &[1, 1], &[(1, 1), (1, 1)], &[1, 3, 4, 1]),
        sample(&[3, 3], &[2, 2], &[(1, 0), (0, 1)], &[1, 6, 5, 2]),
        sample(&[3], &[2], &[(1, 1)], &[2, 5, 2]),
        sample(&[2], &[3], &[(0, 0)], &[1, 8, 3]),
        sample(&[1], &[1], &[(0, 0)], &[2, 3, 1]),
        sample(&[4, 1], &[4, 1], &[(0, 0), (0, 0)], &[1, 4, 2, 1]),
        sample(&[2, 1, 2], &[1, 1, 2], &[(0, 0), (0, 0), (1, 1)], &[1, 2, 2, 2, 1]),
    ]
}

impl OpDef<1> for MaxPool {
    const NAME: &'static str = "max_pool";

    fn attributes(&self) -> String {
        self.spec.text()
    }

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        Ok(TensorType::new(&self.spec.pooled(x)?))
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        self.spec.element(Fold::Max, s, x, at)
    }

    fn grad(&self, e: &mut dyn Emit, [x]: [Value; 1], _: Value, dy: Value) -> [Option<Value>; 1] {
        let spatial = between(&e.ty(x).shape).to_vec();
        let argmax = e.pool_argmax(x, &self.spec);
        [Some(e.max_pool_dx(dy, argmax, &self.spec, &spatial))]
    }

    fn eval(&self, [x]: [&Tensor; 1]) -> Tensor {
        self.spec.eval(Fold::Max, x)
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        samples().into_iter().map(|(spec, x)| (MaxPool { spec }, [x])).collect()
    }
}

impl OpDef<1> for PoolArgMax {
    const NAME: &'static str = "pool_argmax";

    fn attributes(&self) -> String {
        self.spec.text()
    }

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        Ok(TensorType::index(self.spec.taps(), &self.spec.pooled(x)?))
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        self.spec.element(Fold::ArgMax, s, x, at)
    }

    fn grad(&self, _: &mut dyn Emit, _: [Value; 1], _: Value, _: Value) -> [Option<Value>; 1] {
        [None]
    }

    fn eval(&self, [x]: [&Tensor; 1]) -> Tensor {
        self.spec.eval(Fold::ArgMax, x)
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        samples().into_iter().map(|(spec, x)| (PoolArgMax { spec }, [x])).collect()
    }
}

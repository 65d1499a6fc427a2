//! `conv(x, w, spec)`: convolution over one to three sliding axes.
//!
//! # Shape
//! `x [n, s.., c]`, `w [k.., c/groups, f]` give `y [n, s'.., f]` with
//! `s' = (s + pad - dilation * (k - 1) - 1) / stride + 1`. Output channel `f` reads the input channels of
//! its group only; `groups = c` is a depthwise convolution.
//!
//! # Gradient
//! `conv_dx` and `conv_dw`, see there. The three are closed under differentiation.

use super::conv_spec::{ConvSpec, between, for_each_term, mul, samples};
use super::rules::{demand, fold, misfit, same_shape};
use super::sliding::{kernels, outputs, window};
use super::{Emit, Misfit, OpDef, Operand, Scatter};
use crate::base::{Buffer, Tensor, TensorType, Value};
use crate::loops::{Affine, Coord, Expr, Fold, How, Scope, Store};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Conv {
    pub spec: ConvSpec,
}

impl dyn Emit + '_ {
    pub fn conv(&mut self, x: Value, w: Value, spec: &ConvSpec) -> Value {
        self.emit(Conv { spec: spec.clone() }.into(), &[x, w])
    }
}

impl Conv {
    /// `y[n, o.., f]` for output channel `f` of group `g`.
    fn sum(&self, s: &mut Scope, [x, w]: [&dyn Operand; 2], at: &[Affine], g: &Affine, f: &Affine) -> Expr {
        let spatial = between(&x.ty().shape).to_vec();
        let slides = self.spec.verified(&spatial);
        let groups = self.spec.groups(x.ty().shape[spatial.len() + 1], w.ty().shape[spatial.len() + 1]);
        let (n, o) = (&at[0], &at[1..=slides.len()]);
        let extents = [&kernels(&slides)[..], &[groups.c]].concat();
        fold(s, Fold::Add, &extents, |s, over| {
            let (k, c) = over.split_at(slides.len());
            let channel = groups.input(g, &c[0]);
            let x = window(&slides, o, k, 0.0, |i| x.at(s, &[&[n.clone()], i, &[channel]].concat()));
            let w = w.at(s, &[k, &[c[0].clone(), f.clone()]].concat());
            mul(x, w)
        })
    }
}

impl OpDef<2> for Conv {
    const NAME: &'static str = "conv";

    fn attributes(&self) -> String {
        self.spec.text()
    }

    fn infer(&self, [x, w]: [&TensorType; 2]) -> Result<TensorType, Misfit> {
        let rank = self.spec.kernel.len();
        demand(x.rank() == rank + 2, 0, || format!("a batch, {rank} sliding axes and channels"))?;
        let Some(output) = self.spec.output(between(&x.shape)) else {
            return misfit(0, format!("room for windows of {}", self.spec.text()));
        };
        let (c, f) = (x.shape[rank + 1], w.shape.last().copied().unwrap_or(0));
        demand(self.spec.divides(c, f), 1, || format!("channels in {} groups", self.spec.groups))?;
        let weights = [&self.spec.kernel[..], &[c / self.spec.groups, f]].concat();
        same_shape(1, w, &weights)?;
        Ok(TensorType::new(&[&[x.shape[0]], &output[..], &[f]].concat()))
    }

    fn element(&self, s: &mut Scope, [x, w]: [&dyn Operand; 2], at: &[Affine]) -> Expr {
        let last = at.len() - 1;
        let groups = self.spec.groups(x.ty().shape[last], w.ty().shape[last]);
        groups.of_output(s, &at[last], |s, g, _| self.sum(s, [x, w], at, g, &at[last]))
    }

    fn scatter(&self, s: &mut Scope, [x, w]: [&dyn Operand; 2], y: &TensorType) -> Option<Vec<Scatter>> {
        let last = y.rank() - 1;
        let groups = self.spec.groups(x.ty().shape[last], y.shape[last]);
        if groups.count == 1 || groups.f == 1 {
            return None;
        }
        let (axes, at) = s.axes(&[&y.shape[..last], &[groups.count, groups.f]].concat());
        let f = groups.output(&at[last], &at[last + 1]);
        let value = self.sum(s, [x, w], &at, &at[last], &f);
        let target = at[..last].iter().chain([&f]).cloned().map(Coord::Affine).collect();
        Some(vec![Scatter { axes, stores: vec![Store { buffer: Buffer(0), at: target, value, how: How::Set }] }])
    }

    fn grad(&self, e: &mut dyn Emit, [x, w]: [Value; 2], _: Value, dy: Value) -> [Option<Value>; 2] {
        let spatial = between(&e.ty(x).shape).to_vec();
        let dx = e.conv_dx(dy, w, &self.spec, &spatial);
        let dw = e.conv_dw(x, dy, &self.spec);
        [Some(dx), Some(dw)]
    }

    fn eval(&self, [x, w]: [&Tensor; 2]) -> Tensor {
        let rank = self.spec.kernel.len();
        let slides = self.spec.verified(between(&x.shape));
        let f = w.shape[rank + 1];
        let mut y = Tensor::filled(&[&[x.shape[0]], &outputs(&slides)[..], &[f]].concat(), 0.0);
        for_each_term(&self.spec, x.shape[0], &slides, x.shape[rank + 1], f, |i, k, o| {
            y.set(o, y.get(o) + x.get(i) * w.get(k));
        });
        y
    }

    fn samples() -> Vec<(Self, [TensorType; 2])> {
        samples().into_iter().map(|(spec, x, w, _)| (Conv { spec }, [x, w])).collect()
    }
}

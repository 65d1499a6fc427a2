//! `conv_dx(dy, w, spec, spatial)`, which is transposed convolution, and `conv_dw(x, dy, spec)`.
//!
//! # Shape
//! As in `y = conv(x, w, spec)`: `conv_dx` gives the type of `x`, whose sliding extents are `spatial`;
//! `conv_dw` gives the type of `w`.
//!
//! # Gradient
//! All are linear in each operand, so the adjoints are again `conv`, `conv_dx`, `conv_dw`.

use super::conv_spec::{ConvSpec, Groups, between, for_each_term, mul, samples};
use super::rules::{by, demand, fold, misfit, same_shape};
use super::sliding::{Adjoint, Slide, Term, by_phase, outputs, readers, window};
use super::{Emit, Misfit, OpDef, Operand, Scatter};
use crate::base::{Buffer, Tensor, TensorType, Value};
use crate::loops::{Affine, Coord, Expr, Fold, How, Scope, Store};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ConvDx {
    pub spec: ConvSpec,
    /// Sliding extents of the result; several give the same output.
    pub spatial: Vec<usize>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ConvDw {
    pub spec: ConvSpec,
}

impl dyn Emit + '_ {
    pub fn conv_dx(&mut self, dy: Value, w: Value, spec: &ConvSpec, spatial: &[usize]) -> Value {
        let op = ConvDx { spec: spec.clone(), spatial: spatial.to_vec() };
        self.emit(op.into(), &[dy, w])
    }

    pub fn conv_dw(&mut self, x: Value, dy: Value, spec: &ConvSpec) -> Value {
        self.emit(ConvDw { spec: spec.clone() }.into(), &[x, dy])
    }
}

impl ConvDx {
    /// Windows, groups and number of input channels.
    fn geometry(&self, w: &TensorType) -> (Vec<Slide>, Groups, usize) {
        let rank = self.spatial.len();
        let c = w.shape[rank] * self.spec.groups;
        (self.spec.verified(&self.spatial), self.spec.groups(c, w.shape[rank + 1]), c)
    }
}

/// `dy[n, o.., f] * w[k.., c, f]`
fn product(
    s: &mut Scope,
    [dy, w]: [&dyn Operand; 2],
    n: &Affine,
    o: &[Affine],
    k: &[Affine],
    c: &Affine,
    f: &Affine,
) -> Expr {
    let dy = dy.at(s, &[&[n.clone()], o, &[f.clone()]].concat());
    let w = w.at(s, &[k, &[c.clone(), f.clone()]].concat());
    mul(dy, w)
}

impl OpDef<2> for ConvDx {
    const NAME: &'static str = "conv_dx";

    fn attributes(&self) -> String {
        format!("{} to={}", self.spec.text(), by(&self.spatial))
    }

    fn infer(&self, [dy, w]: [&TensorType; 2]) -> Result<TensorType, Misfit> {
        let rank = self.spatial.len();
        let Some(output) = self.spec.output(&self.spatial) else {
            return misfit(0, format!("the output of {}", self.attributes()));
        };
        demand(w.rank() == rank + 2 && w.shape.starts_with(&self.spec.kernel), 1, || "the kernel".into())?;
        let (c, f) = (w.shape[rank], w.shape[rank + 1]);
        demand(self.spec.divides(self.spec.groups, f), 1, || format!("{} groups", self.spec.groups))?;
        let n = dy.shape.first().copied().unwrap_or(0);
        same_shape(0, dy, &[&[n], &output[..], &[f]].concat())?;
        Ok(TensorType::new(&[&[n], &self.spatial[..], &[c * self.spec.groups]].concat()))
    }

    fn element(&self, s: &mut Scope, [dy, w]: [&dyn Operand; 2], at: &[Affine]) -> Expr {
        let (slides, groups, _) = self.geometry(w.ty());
        let last = at.len() - 1;
        groups.of_input(s, &at[last], |s, g, c| {
            readers(s, &slides, &at[1..last], &[groups.f], |s, o, k, f| {
                product(s, [dy, w], &at[0], o, k, c, &groups.output(g, &f[0]))
            })
        })
    }

    fn scatter(&self, s: &mut Scope, [dy, w]: [&dyn Operand; 2], y: &TensorType) -> Option<Vec<Scatter>> {
        let (slides, groups, c) = self.geometry(w.ty());
        let searches = groups.count > 1 && groups.c > 1;
        if !searches && slides.iter().all(|s| s.stride == 1) {
            return None;
        }
        let zero = Affine::constant(0);
        let tail = if searches { vec![groups.count, groups.c] } else { vec![c] };
        let split = |tail: &[Affine]| match (searches, groups.count) {
            (true, _) => (tail[0].clone(), tail[1].clone()),
            (false, 1) => (zero.clone(), tail[0].clone()),
            (false, _) => (tail[0].clone(), zero.clone()),
        };
        let place = |lead: &[Affine], spatial: &[Affine], tail: &[Affine]| {
            let (g, c) = split(tail);
            [lead, spatial, &[groups.input(&g, &c)]].concat()
        };
        let adjoint = Adjoint { slides: &slides, lead: &y.shape[..1], tail: &tail, extra: &[groups.f] };
        Some(by_phase(s, &adjoint, &place, &|s, at: Term<'_>| {
            let (g, c) = split(at.tail);
            product(s, [dy, w], &at.lead[0], at.o, at.k, &c, &groups.output(&g, &at.extra[0]))
        }))
    }

    fn grad(&self, e: &mut dyn Emit, [dy, w]: [Value; 2], _: Value, ddx: Value) -> [Option<Value>; 2] {
        let ddy = e.conv(ddx, w, &self.spec);
        let dw = e.conv_dw(ddx, dy, &self.spec);
        [Some(ddy), Some(dw)]
    }

    fn eval(&self, [dy, w]: [&Tensor; 2]) -> Tensor {
        let rank = self.spatial.len();
        let slides = self.spec.verified(&self.spatial);
        let (c, f) = (w.shape[rank] * self.spec.groups, w.shape[rank + 1]);
        let mut dx = Tensor::filled(&[&[dy.shape[0]], &self.spatial[..], &[c]].concat(), 0.0);
        for_each_term(&self.spec, dy.shape[0], &slides, c, f, |x, k, y| {
            dx.set(x, dx.get(x) + dy.get(y) * w.get(k));
        });
        dx
    }

    fn samples() -> Vec<(Self, [TensorType; 2])> {
        let of = |(spec, x, w, y): (ConvSpec, TensorType, TensorType, TensorType)| {
            (ConvDx { spec, spatial: between(&x.shape).to_vec() }, [y, w])
        };
        samples().into_iter().map(of).collect()
    }
}

impl ConvDw {
    /// `dw[k.., c, f]` for input channel `c` and output channel `f` of group `g`.
    fn sum(&self, s: &mut Scope, [x, dy]: [&dyn Operand; 2], k: &[Affine], channels: [&Affine; 2]) -> Expr {
        let [c, f] = channels;
        let slides = self.spec.verified(between(&x.ty().shape));
        let extents = [&[x.ty().shape[0]], &outputs(&slides)[..]].concat();
        fold(s, Fold::Add, &extents, |s, over| {
            let (n, o) = over.split_at(1);
            let x = window(&slides, o, k, 0.0, |i| x.at(s, &[n, i, &[c.clone()]].concat()));
            let dy = dy.at(s, &[over, &[f.clone()]].concat());
            mul(x, dy)
        })
    }

    fn groups_of(&self, x: &TensorType, dy: &TensorType) -> Groups {
        let last = x.rank() - 1;
        self.spec.groups(x.shape[last], dy.shape[last])
    }
}

impl OpDef<2> for ConvDw {
    const NAME: &'static str = "conv_dw";

    fn attributes(&self) -> String {
        self.spec.text()
    }

    fn infer(&self, [x, dy]: [&TensorType; 2]) -> Result<TensorType, Misfit> {
        let rank = self.spec.kernel.len();
        demand(x.rank() == rank + 2, 0, || format!("a batch, {rank} sliding axes and channels"))?;
        let Some(output) = self.spec.output(between(&x.shape)) else {
            return misfit(0, format!("room for windows of {}", self.spec.text()));
        };
        let (c, f) = (x.shape[rank + 1], dy.shape.last().copied().unwrap_or(0));
        demand(self.spec.divides(c, f), 1, || format!("channels in {} groups", self.spec.groups))?;
        same_shape(1, dy, &[&[x.shape[0]], &output[..], &[f]].concat())?;
        Ok(TensorType::new(&[&self.spec.kernel[..], &[c / self.spec.groups, f]].concat()))
    }

    fn element(&self, s: &mut Scope, [x, dy]: [&dyn Operand; 2], at: &[Affine]) -> Expr {
        let groups = self.groups_of(x.ty(), dy.ty());
        let (k, [c, f]) = at.split_last_chunk().expect("verified: channels are the last two axes");
        groups.of_output(s, f, |s, g, _| self.sum(s, [x, dy], k, [&groups.input(g, c), f]))
    }

    fn scatter(&self, s: &mut Scope, [x, dy]: [&dyn Operand; 2], y: &TensorType) -> Option<Vec<Scatter>> {
        let groups = self.groups_of(x.ty(), dy.ty());
        if groups.count == 1 || groups.f == 1 {
            return None;
        }
        let rank = self.spec.kernel.len();
        let (axes, at) = s.axes(&[&y.shape[..=rank], &[groups.count, groups.f]].concat());
        let (k, c, g) = (&at[..rank], &at[rank], &at[rank + 1]);
        let f = groups.output(g, &at[rank + 2]);
        let value = self.sum(s, [x, dy], k, [&groups.input(g, c), &f]);
        let target = at[..=rank].iter().chain([&f]).cloned().map(Coord::Affine).collect();
        Some(vec![Scatter { axes, stores: vec![Store { buffer: Buffer(0), at: target, value, how: How::Set }] }])
    }

    fn grad(&self, e: &mut dyn Emit, [x, dy]: [Value; 2], _: Value, ddw: Value) -> [Option<Value>; 2] {
        let spatial = between(&e.ty(x).shape).to_vec();
        let dx = e.conv_dx(dy, ddw, &self.spec, &spatial);
        let ddy = e.conv(x, ddw, &self.spec);
        [Some(dx), Some(ddy)]
    }

    fn eval(&self, [x, dy]: [&Tensor; 2]) -> Tensor {
        let rank = self.spec.kernel.len();
        let slides = self.spec.verified(between(&x.shape));
        let (c, f) = (x.shape[rank + 1], dy.shape[rank + 1]);
        let shape = [&self.spec.kernel[..], &[c / self.spec.groups, f]].concat();
        let mut dw = Tensor::filled(&shape, 0.0);
        for_each_term(&self.spec, x.shape[0], &slides, c, f, |i, k, y| {
            dw.set(k, dw.get(k) + x.get(i) * dy.get(y));
        });
        dw
    }

    fn samples() -> Vec<(Self, [TensorType; 2])> {
        samples().into_iter().map(|(spec, x, _, y)| (ConvDw { spec }, [x, y])).collect()
    }
}

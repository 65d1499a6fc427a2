//! What `conv`, `conv_dx` and `conv_dw` have in common: windows, groups, indices, samples.

use super::rules::{by, fold};
use super::sliding::{Slide, kernels, outputs};
use crate::base::{TensorType, tensor::for_each_index};
use crate::loops::{Affine, Binary, Expr, Fold, Scope, expr};

/// What convolutions and their adjoints have in common; one entry per sliding axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ConvSpec {
    pub kernel: Vec<usize>,
    pub stride: Vec<usize>,
    pub dilation: Vec<usize>,
    /// Zeros before and after.
    pub pad: Vec<(usize, usize)>,
    pub groups: usize,
}

/// The channels of one group.
#[derive(Clone, Copy)]
pub(super) struct Groups {
    pub count: usize,
    /// Input channels of each.
    pub c: usize,
    /// Output channels of each.
    pub f: usize,
}

impl Groups {
    /// Input channel `c` of group `g`, among all.
    pub fn input(&self, g: &Affine, c: &Affine) -> Affine {
        &(g * self.c as i64) + c
    }

    pub fn output(&self, g: &Affine, f: &Affine) -> Affine {
        &(g * self.f as i64) + f
    }

    /// `body(s, group, f within the group)` for output channel `f`: direct where the group is an affine
    /// function of the channel, otherwise a search over groups that must never run as written.
    pub fn of_output(
        &self,
        s: &mut Scope,
        f: &Affine,
        body: impl FnOnce(&mut Scope, &Affine, &Affine) -> Expr,
    ) -> Expr {
        split(s, self.count, self.f, f, body)
    }

    /// The same for input channel `c`.
    pub fn of_input(&self, s: &mut Scope, c: &Affine, body: impl FnOnce(&mut Scope, &Affine, &Affine) -> Expr) -> Expr {
        split(s, self.count, self.c, c, body)
    }
}

fn split(
    s: &mut Scope,
    groups: usize,
    size: usize,
    channel: &Affine,
    body: impl FnOnce(&mut Scope, &Affine, &Affine) -> Expr,
) -> Expr {
    let zero = Affine::constant(0);
    if groups == 1 {
        return body(s, &zero, channel);
    }
    if size == 1 {
        return body(s, channel, &zero);
    }
    fold(s, Fold::Add, &[groups], |s, g| {
        let within = channel - &(&g[0] * size as i64);
        let body = body(s, &g[0], &within);
        expr::guard(vec![(within, size)], body, 0.0)
    })
}

impl ConvSpec {
    /// The spec of stride and dilation 1, no padding, one group.
    pub fn plain(kernel: &[usize]) -> ConvSpec {
        let ones = vec![1; kernel.len()];
        ConvSpec {
            kernel: kernel.to_vec(),
            stride: ones.clone(),
            dilation: ones,
            pad: vec![(0, 0); kernel.len()],
            groups: 1,
        }
    }

    /// The windows over an input of extents `spatial`; `None` if some do not fit.
    pub(super) fn slides(&self, spatial: &[usize]) -> Option<Vec<Slide>> {
        let rank = self.kernel.len();
        let consistent = [self.stride.len(), self.dilation.len(), self.pad.len(), spatial.len()];
        if !(1..=3).contains(&rank) || consistent.iter().any(|n| *n != rank) {
            return None;
        }
        (0..rank)
            .map(|i| Slide::new(spatial[i], self.kernel[i], self.stride[i], self.dilation[i], self.pad[i]))
            .collect()
    }

    /// Like `slides`, where the verifier has seen that they fit.
    pub(super) fn verified(&self, spatial: &[usize]) -> Vec<Slide> {
        self.slides(spatial).expect("verified: windows fit")
    }

    /// The extents of the output.
    pub fn output(&self, spatial: &[usize]) -> Option<Vec<usize>> {
        Some(outputs(&self.slides(spatial)?))
    }

    pub(super) fn groups(&self, c: usize, f: usize) -> Groups {
        Groups { count: self.groups, c: c / self.groups, f: f / self.groups }
    }

    /// Can `groups` divide `c` and `f` channels?
    pub(super) fn divides(&self, c: usize, f: usize) -> bool {
        self.groups > 0 && c.is_multiple_of(self.groups) && f.is_multiple_of(self.groups)
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("kernel={}", by(&self.kernel));
        if self.stride.iter().any(|n| *n != 1) {
            text += &format!(" stride={}", by(&self.stride));
        }
        if self.dilation.iter().any(|n| *n != 1) {
            text += &format!(" dilation={}", by(&self.dilation));
        }
        text += &pad_text(&self.pad);
        if self.groups != 1 {
            text += &format!(" groups={}", self.groups);
        }
        text
    }
}

/// ` pad=2` or ` pad=0:1x1:1`, nothing without padding.
pub(super) fn pad_text(pad: &[(usize, usize)]) -> String {
    match pad {
        [] => String::new(),
        _ if pad.iter().all(|p| *p == (0, 0)) => String::new(),
        [(a, b), rest @ ..] if a == b && rest.iter().all(|p| p == &(*a, *b)) => format!(" pad={a}"),
        _ => {
            let axes: Vec<String> = pad.iter().map(|(a, b)| format!("{a}:{b}")).collect();
            format!(" pad={}", axes.join("x"))
        }
    }
}

/// The extents between the first axis and the last.
pub(super) fn between(shape: &[usize]) -> &[usize] {
    shape.get(1..shape.len().saturating_sub(1)).unwrap_or(&[])
}

pub(super) fn mul(a: Expr, b: Expr) -> Expr {
    expr::binary(Binary::Mul, a, b)
}

/// Calls `f` with the indices of every product in a convolution: of `x`, of `w`, of `y`.
pub(super) fn for_each_term(
    spec: &ConvSpec,
    batch: usize,
    slides: &[Slide],
    c: usize,
    f: usize,
    mut term: impl FnMut(&[usize], &[usize], &[usize]),
) {
    let rank = slides.len();
    let groups = spec.groups(c, f);
    let points = [&[batch], &outputs(slides)[..], &[f]].concat();
    let taps = [&kernels(slides)[..], &[groups.c]].concat();
    for_each_index(&points, |y| {
        for_each_index(&taps, |k| {
            let mut x = vec![y[0]];
            for (i, slide) in slides.iter().enumerate() {
                let place = y[1 + i] * slide.stride + k[i] * slide.dilation;
                if place < slide.before || place >= slide.before + slide.input {
                    return;
                }
                x.push(place - slide.before);
            }
            x.push(y[rank + 1] / groups.f * groups.c + k[rank]);
            term(&x, &[k, &[y[rank + 1]]].concat(), y);
        });
    });
}

/// Every choice a spec offers, with the types of x, w and y.
pub(super) fn samples() -> Vec<(ConvSpec, TensorType, TensorType, TensorType)> {
    let sample = |spec: ConvSpec, spatial: &[usize], c: usize, f: usize| {
        let output = spec.output(spatial).expect("samples fit");
        let x = TensorType::new(&[&[2], spatial, &[c]].concat());
        let w = TensorType::new(&[&spec.kernel[..], &[c / spec.groups, f]].concat());
        let y = TensorType::new(&[&[2], &output[..], &[f]].concat());
        (spec, x, w, y)
    };
    let plain = ConvSpec::plain;
    vec![
        sample(plain(&[3, 3]), &[5, 4], 2, 3),
        sample(ConvSpec { pad: vec![(1, 1), (1, 1)], ..plain(&[3, 3]) }, &[4, 3], 1, 2),
        sample(ConvSpec { stride: vec![2, 2], ..plain(&[2, 2]) }, &[5, 4], 2, 2),
        sample(ConvSpec { stride: vec![2, 3], pad: vec![(1, 0), (0, 2)], ..plain(&[3, 2]) }, &[6, 7], 1, 2),
        sample(ConvSpec { dilation: vec![2], pad: vec![(2, 1)], ..plain(&[3]) }, &[6], 2, 1),
        sample(ConvSpec { dilation: vec![2], stride: vec![2], pad: vec![(1, 2)], ..plain(&[3]) }, &[7], 1, 2),
        sample(ConvSpec { dilation: vec![2], stride: vec![3], pad: vec![(2, 2)], ..plain(&[4]) }, &[8], 1, 1),
        sample(ConvSpec { stride: vec![3], ..plain(&[1]) }, &[5], 2, 2),
        sample(ConvSpec { stride: vec![4], ..plain(&[2]) }, &[3], 1, 1),
        sample(ConvSpec { groups: 2, ..plain(&[2]) }, &[4], 4, 6),
        sample(ConvSpec { groups: 2, stride: vec![2], pad: vec![(1, 1)], ..plain(&[3]) }, &[5], 4, 4),
        sample(ConvSpec { groups: 3, pad: vec![(1, 1), (0, 1)], ..plain(&[3, 2]) }, &[3, 3], 3, 3),
        sample(ConvSpec { groups: 2, ..plain(&[2]) }, &[4], 2, 4),
        sample(ConvSpec { groups: 2, ..plain(&[2]) }, &[4], 4, 2),
        sample(ConvSpec { pad: vec![(1, 0), (0, 1), (0, 0)], ..plain(&[2, 2, 1]) }, &[2, 2, 2], 2, 2),
        sample(ConvSpec { stride: vec![4], pad: vec![(1, 0)], ..plain(&[2]) }, &[6], 1, 1),
        sample(plain(&[1, 1]), &[1, 1], 2, 3),
    ]
}

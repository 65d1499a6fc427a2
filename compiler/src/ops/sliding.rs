//! Windows that slide over axes: where they read, and which of them read a given place.

use super::Scatter;
use super::rules::{fold, where_inside};
use crate::base::{Buffer, Var};
use crate::loops::{Affine, Coord, Expr, Fold, How, Scope, Store, expr};

/// A window along one axis: tap `k` of output `o` reads `o * stride + k * dilation - before`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Slide {
    pub input: usize,
    pub output: usize,
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    pub before: usize,
}

/// The input places `stride * t + offset`, `t` in `0..extent`, and what reads them:
/// tap `first + m * step` of output `t + shift - m * skip`, for `m` in `0..taps`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Phase {
    offset: usize,
    extent: usize,
    first: usize,
    step: usize,
    taps: usize,
    shift: i64,
    skip: i64,
}

impl Slide {
    /// `None` where the window does not fit even once.
    pub fn new(input: usize, kernel: usize, stride: usize, dilation: usize, pad: (usize, usize)) -> Option<Slide> {
        if kernel == 0 || stride == 0 || dilation == 0 || input == 0 {
            return None;
        }
        let reach = dilation * (kernel - 1) + 1;
        let room = (input + pad.0 + pad.1).checked_sub(reach)?;
        Some(Slide { input, output: room / stride + 1, kernel, stride, dilation, before: pad.0 })
    }

    /// Where tap `k` of output `o` reads, possibly outside.
    fn reads(&self, o: &Affine, k: &Affine) -> Affine {
        let place = &(o * self.stride as i64) + &(k * self.dilation as i64);
        &place + -(self.before as i64)
    }

    /// Does every tap of every output read inside?
    fn stays_inside(&self) -> bool {
        let last = (self.output - 1) * self.stride + (self.kernel - 1) * self.dilation;
        self.before == 0 && last < self.input
    }

    fn phases(&self) -> Vec<Phase> {
        (0..self.stride.min(self.input)).map(|offset| self.phase(offset)).collect()
    }

    /// Tap `k` reads place `stride * t + offset` iff `offset + before - k * dilation` is a multiple of
    /// `stride`: taps one period apart.
    fn phase(&self, offset: usize) -> Phase {
        let extent = (self.input - offset).div_ceil(self.stride);
        let step = self.stride / gcd(self.dilation, self.stride);
        let base = (offset + self.before) as i64;
        let stride = self.stride as i64;
        let ahead = |k: usize| base - (k * self.dilation) as i64;
        let none = Phase { offset, extent, first: 0, step, taps: 0, shift: 0, skip: 0 };
        let Some(first) = (0..self.kernel.min(step)).find(|k| ahead(*k) % stride == 0) else {
            return none;
        };
        let taps = (self.kernel - first).div_ceil(step);
        let skip = (step * self.dilation) as i64 / stride;
        Phase { taps, first, shift: ahead(first) / stride, skip, ..none }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

pub(super) fn outputs(slides: &[Slide]) -> Vec<usize> {
    slides.iter().map(|s| s.output).collect()
}

pub(super) fn kernels(slides: &[Slide]) -> Vec<usize> {
    slides.iter().map(|s| s.kernel).collect()
}

/// What a window reads: `body` at the places of taps `k` of outputs `o`, `outside` in the padding.
pub(super) fn window(
    slides: &[Slide],
    o: &[Affine],
    k: &[Affine],
    outside: f32,
    body: impl FnOnce(&[Affine]) -> Expr,
) -> Expr {
    let places: Vec<Affine> = slides.iter().zip(o.iter().zip(k)).map(|(s, (o, k))| s.reads(o, k)).collect();
    let leaves = slides.iter().zip(&places).filter(|(s, _)| !s.stays_inside());
    let inside = leaves.map(|(s, place)| (place.clone(), s.input)).collect();
    where_inside(inside, body(&places), outside)
}

/// For definitions only: the sum of `body(s, o, k, extra)` over all windows that read place `at`.
///
/// With stride 1 there is one output per tap; otherwise it is a search over all outputs and taps.
pub(super) fn readers(
    s: &mut Scope,
    slides: &[Slide],
    at: &[Affine],
    extra: &[usize],
    body: impl FnOnce(&mut Scope, &[Affine], &[Affine], &[Affine]) -> Expr,
) -> Expr {
    let strided: Vec<usize> = (0..slides.len()).filter(|&i| slides[i].stride > 1).collect();
    let searched: Vec<usize> = strided.iter().map(|&i| slides[i].output).collect();
    let extents = [&searched[..], &kernels(slides), extra].concat();
    fold(s, Fold::Add, &extents, |s, over| {
        let (found, rest) = over.split_at(strided.len());
        let (k, extra) = rest.split_at(slides.len());
        let mut inside = vec![];
        let mut o = vec![];
        for (i, slide) in slides.iter().enumerate() {
            let reached = &(&at[i] + slide.before as i64) - &(&k[i] * slide.dilation as i64);
            match strided.iter().position(|j| *j == i) {
                Some(j) => {
                    inside.push((&reached - &(&found[j] * slide.stride as i64), 1));
                    o.push(found[j].clone());
                }
                None => {
                    inside.push((reached.clone(), slide.output));
                    o.push(reached);
                }
            }
        }
        let body = body(s, &o, k, extra);
        where_inside(inside, body, 0.0)
    })
}

/// What [`by_phase`] asks of an adjoint.
pub(super) struct Adjoint<'a> {
    pub slides: &'a [Slide],
    /// Axes of the result before and after the sliding ones.
    pub lead: &'a [usize],
    pub tail: &'a [usize],
    /// Further extents summed over.
    pub extra: &'a [usize],
}

/// The coordinates of one term of an adjoint: result axes, reading output and tap, further sums.
pub(super) struct Term<'a> {
    pub lead: &'a [Affine],
    pub tail: &'a [Affine],
    pub o: &'a [Affine],
    pub k: &'a [Affine],
    pub extra: &'a [Affine],
}

/// [`readers`] turned around: one store per phase of the strides, each a sum over exactly the taps of its
/// phase. Phases of one size share a part. `place` maps result axes to coordinates of the result.
pub(super) fn by_phase(
    s: &mut Scope,
    adjoint: &Adjoint<'_>,
    place: &dyn Fn(&[Affine], &[Affine], &[Affine]) -> Vec<Affine>,
    body: &dyn Fn(&mut Scope, Term<'_>) -> Expr,
) -> Vec<Scatter> {
    let mut phases: Vec<Vec<Phase>> = vec![vec![]];
    for slide in adjoint.slides {
        let more = |all: &Vec<Phase>| -> Vec<Vec<Phase>> {
            slide.phases().into_iter().map(|p| [&all[..], &[p]].concat()).collect()
        };
        phases = phases.iter().flat_map(more).collect();
    }
    let extents = |phase: &[Phase]| -> Vec<usize> { phase.iter().map(|p| p.extent).collect() };
    let mut sizes: Vec<Vec<usize>> = phases.iter().map(|p| extents(p)).collect();
    sizes.sort_by(|a, b| b.cmp(a));
    sizes.dedup();
    let part = |size: Vec<usize>| {
        let (axes, at) = s.axes(&[adjoint.lead, &size, adjoint.tail].concat());
        let mut stores = vec![];
        for phase in phases.iter().filter(|p| extents(p) == size) {
            stores.push(store(s, adjoint, phase, &axes, &at, place, body));
        }
        Scatter { axes, stores }
    };
    sizes.into_iter().map(part).collect()
}

fn store(
    s: &mut Scope,
    adjoint: &Adjoint<'_>,
    phase: &[Phase],
    axes: &[(Var, usize)],
    at: &[Affine],
    place: &dyn Fn(&[Affine], &[Affine], &[Affine]) -> Vec<Affine>,
    body: &dyn Fn(&mut Scope, Term<'_>) -> Expr,
) -> Store {
    debug_assert_eq!(axes.len(), at.len());
    let (lead, rest) = at.split_at(adjoint.lead.len());
    let (t, tail) = rest.split_at(phase.len());
    let spatial: Vec<Affine> = phase
        .iter()
        .zip(adjoint.slides)
        .zip(t)
        .map(|((p, slide), t)| &(t * slide.stride as i64) + p.offset as i64)
        .collect();
    let at = place(lead, &spatial, tail).into_iter().map(Coord::Affine).collect();
    let value = if phase.iter().any(|p| p.taps == 0) {
        expr::constant(0.0)
    } else {
        let taps: Vec<usize> = phase.iter().map(|p| p.taps).collect();
        fold(s, Fold::Add, &[&taps[..], adjoint.extra].concat(), |s, over| {
            let (m, extra) = over.split_at(phase.len());
            let mut inside = vec![];
            let (mut o, mut k) = (vec![], vec![]);
            for (i, p) in phase.iter().enumerate() {
                k.push(&(&m[i] * p.step as i64) + p.first as i64);
                o.push(&(&t[i] + p.shift) - &(&m[i] * p.skip));
                let low = p.shift - (p.taps as i64 - 1) * p.skip;
                let high = p.extent as i64 - 1 + p.shift;
                if low < 0 || high >= adjoint.slides[i].output as i64 {
                    inside.push((o[i].clone(), adjoint.slides[i].output));
                }
            }
            let term = Term { lead, tail, o: &o, k: &k, extra };
            let body = body(s, term);
            where_inside(inside, body, 0.0)
        })
    };
    Store { buffer: Buffer(0), at, value, how: How::Set }
}

//! Copies of padded operands with their zeros in place, so that every window is plain strides.

use super::contraction::{Contraction, Operand, offset};
use super::tile_nest::{Builder, for_each, only_where};
use crate::base::{Buffer, Var};
use crate::loops::nest::{Kind, Stmt};
use crate::loops::{Affine, BufferType, Coord, Home, How, Store, expr};
use std::collections::HashMap;

/// Terms of `a` at most this many elements apart need no copy.
const CLOSE_TERMS: usize = 128;

impl Builder<'_> {
    /// Where `a` has guards, replaces it by a copy with zeros in place; gives the statements that make the copy.
    pub(super) fn pad(&mut self, c: &mut Contraction) -> Vec<Stmt> {
        let extents: HashMap<Var, usize> = c.rows.iter().chain(&c.sum).copied().collect();
        let range = |at: &Affine| at.range(&|v| extents.get(&v).copied().unwrap_or(1));
        let always = |(at, n): &(Affine, usize)| {
            let outside = at.terms.iter().any(|(v, _)| !extents.contains_key(v));
            let (low, high) = range(at);
            !outside && low >= 0 && high < *n as i64
        };
        c.a.inside.retain(|g| !always(g));
        if c.a.inside.is_empty() { vec![] } else { self.copied(c) }
    }

    /// Where rows of `a` lie close together but its terms far apart, as in a weight gradient, replaces what the
    /// rows read of it by a copy without gaps: terms a power of two apart would share a few sets of the first-level cache.
    pub(super) fn gather(&mut self, c: &mut Contraction) -> Vec<Stmt> {
        let strides = self.strides(c.a.buffer);
        let far = |(v, _): &(Var, usize)| c.a.stride(&strides, *v).unsigned_abs() as usize > CLOSE_TERMS;
        let close = matches!(c.rows[..], [(row, _)] if c.a.stride(&strides, row) == 1);
        if close && c.sum.iter().any(far) { self.copied(c) } else { vec![] }
    }

    /// Replaces `a` by a copy of what rows and terms read of it; gives the statements that make the copy.
    fn copied(&mut self, c: &mut Contraction) -> Vec<Stmt> {
        let extents: HashMap<Var, usize> = c.rows.iter().chain(&c.sum).copied().collect();
        let range = |at: &Affine| at.range(&|v| extents.get(&v).copied().unwrap_or(1));
        let mut axes = vec![];
        let mut new_at = vec![];
        for at in &c.a.at {
            let (inner, outer) = split(at, &extents);
            if inner.is_constant() {
                continue;
            }
            let (low, high) = range(&inner);
            axes.push(PadAxis { extent: (high - low + 1) as usize, start: &outer + low, inside: vec![] });
            new_at.push(&inner - &Affine::constant(low));
        }
        let mut k = 0;
        for at in &c.a.at {
            if split(at, &extents).0.is_constant() {
                continue;
            }
            for (g, n) in &c.a.inside {
                if let Some(d) = offset(g, at) {
                    axes[k].inside.push((d, *n));
                }
            }
            k += 1;
        }
        let shape: Vec<usize> = axes.iter().map(|a| a.extent).collect();
        let to = self.buffer(&shape, Home::Scratch, "padded");
        let varying: Vec<bool> = c.a.at.iter().map(|at| !split(at, &extents).0.is_constant()).collect();
        let fixed: Vec<Affine> = c.a.at.clone();
        // Guards that only outer loops decide.
        let outer = |(at, _): &&(Affine, usize)| split(at, &extents).0.is_constant();
        let inside = c.a.inside.iter().filter(outer).cloned().collect();
        let mut source = PadSource { buffer: c.a.buffer, at: fixed, varying, inside };
        let flat = self.merged(&mut axes, &mut source, to);
        let fill = self.fill(&axes, &source, flat);
        c.a = Operand { buffer: to, at: new_at, inside: vec![] };
        fill
    }

    /// Where the last axis is copied as a whole, makes one of the last two, so that rows are long; gives the copy with these axes.
    fn merged(&mut self, axes: &mut Vec<PadAxis>, from: &mut PadSource, to: Buffer) -> Buffer {
        let shape = self.buffers[from.buffer.index()].shape.clone();
        let rank = shape.len();
        let [.., outer, inner] = &mut axes[..] else { return to };
        let whole = inner.extent == shape[rank - 1] && inner.start == Affine::default() && inner.inside.is_empty();
        if !whole || !from.varying.ends_with(&[true, true]) {
            return to;
        }
        let n = inner.extent;
        outer.extent *= n;
        outer.start = &outer.start * n as i64;
        outer.inside.iter_mut().for_each(|(d, bound)| (*d, *bound) = (*d * n as i64, *bound * n));
        axes.pop();
        from.varying.pop();
        from.at.pop();
        from.buffer = self.flat(from.buffer);
        self.flat(to)
    }

    /// The same memory with its last two axes as one.
    fn flat(&mut self, of: Buffer) -> Buffer {
        let BufferType { mut shape, home, name, .. } = self.buffers[of.index()].clone();
        let n = shape.pop().unwrap_or(1);
        shape.last_mut().into_iter().for_each(|m| *m *= n);
        let flat = self.buffer(&shape, home, &name);
        self.buffers[flat.index()].alias = Some(of);
        flat
    }

    /// Loops over all axes; an axis whose guard has constant bounds is cut at them. What is copied and each of the edges
    /// are nests of their own, of nothing but loops.
    fn fill(&mut self, axes: &[PadAxis], from: &PadSource, to: Buffer) -> Vec<Stmt> {
        let tested = axes.iter().position(|axis| !axis.start.is_constant() && !axis.inside.is_empty());
        if let Some(k) = tested.filter(|k| axes[k + 1..].iter().any(|axis| axis.extent > 1)) {
            return self.tested(axes, from, to, k);
        }
        let mut nests = vec![];
        // What lies inside along the axes so far: beginning and extent of each.
        let mut inside: Vec<(usize, usize)> = vec![];
        for (k, axis) in axes.iter().enumerate() {
            let (low, high) = axis.live();
            for (start, end) in [(0, low), (high, axis.extent)].into_iter().filter(|(start, end)| start < end) {
                let whole = axes[k + 1..].iter().map(|axis| (0, axis.extent));
                let edge: Vec<_> = inside.iter().copied().chain([(start, end - start)]).chain(whole).collect();
                nests.extend(self.fill_part(&[], &edge, to, &mut |_| expr::constant(0.0)));
            }
            inside.push((low, high - low));
        }
        if inside.iter().all(|(_, extent)| *extent > 0) {
            nests.extend(self.fill_part(&[], &inside, to, &mut |at| from.load(axes, at)));
        }
        nests
    }

    /// An axis of which tasks see different parts, with a guard: each of its places is tested, not every element. What lies
    /// inside goes over zeros.
    fn tested(&mut self, axes: &[PadAxis], from: &PadSource, to: Buffer, k: usize) -> Vec<Stmt> {
        let whole: Vec<_> = axes.iter().map(|axis| (0, axis.extent)).collect();
        let mut nests = self.fill_part(&[], &whole, to, &mut |_| expr::constant(0.0));
        let live: Vec<_> = axes.iter().map(PadAxis::live).map(|(low, high)| (low, high - low)).collect();
        if live.iter().any(|(_, extent)| *extent == 0) {
            return nests;
        }
        let mut free = axes.to_vec();
        let guards = std::mem::take(&mut free[k].inside);
        let loops: Vec<(Var, usize)> = live[..=k].iter().map(|(_, extent)| (self.scope.var(), *extent)).collect();
        let at: Vec<_> = loops.iter().zip(&live).map(|((v, _), (low, _))| &Affine::from(*v) + *low as i64).collect();
        let mut copy = self.fill_part(&at, &live[k + 1..], to, &mut |at| from.load(&free, at));
        for (offset, bound) in guards {
            let at = &(&axes[k].start + &at[k]) + offset;
            let [below, above] = [self.scope.var(), self.scope.var()];
            let inner = only_where(above, at.clone(), bound, copy);
            copy = vec![only_where(below, &Affine::default() - &at, 1, vec![inner])];
        }
        nests.extend(for_each(&loops, Kind::Serial, copy));
        nests
    }

    /// A part of the copy: from where on along each axis, and how far; `outer`: where it stands along axes before.
    fn fill_part(
        &mut self,
        outer: &[Affine],
        part: &[(usize, usize)],
        to: Buffer,
        value: &mut dyn FnMut(&[Affine]) -> expr::Expr,
    ) -> Vec<Stmt> {
        let mut loops = vec![];
        let place = |(from, extent): &(usize, usize)| {
            let from = Affine::constant(*from as i64);
            if *extent == 1 {
                return from;
            }
            loops.push((self.scope.var(), *extent));
            &from + &Affine::from(loops[loops.len() - 1].0)
        };
        let at: Vec<Affine> = outer.iter().cloned().chain(part.iter().map(place)).collect();
        let value = value(&at);
        let at = at.into_iter().map(Coord::Affine).collect();
        for_each(&loops, Kind::Vector, vec![Stmt::Group(vec![Store { buffer: to, at, value, how: How::Set }])])
    }
}

#[derive(Clone)]
struct PadAxis {
    extent: usize,
    /// The coordinate in the source of index 0.
    start: Affine,
    /// `source coordinate + offset` must lie in `0..n`.
    inside: Vec<(i64, usize)>,
}

impl PadAxis {
    /// The indices that lie inside, where the start is a number; guards with variables are tested at run time.
    fn live(&self) -> (usize, usize) {
        let (mut low, mut high) = (0i64, self.extent as i64);
        if self.start.is_constant() {
            for (d, n) in &self.inside {
                low = low.max(-(self.start.constant + d));
                high = high.min(*n as i64 - (self.start.constant + d));
            }
        }
        let low = low.clamp(0, self.extent as i64);
        (low as usize, high.clamp(low, self.extent as i64) as usize)
    }
}

struct PadSource {
    buffer: Buffer,
    at: Vec<Affine>,
    varying: Vec<bool>,
    /// Guards on what does not vary.
    inside: Vec<(Affine, usize)>,
}

impl PadSource {
    fn load(&self, axes: &[PadAxis], done: &[Affine]) -> expr::Expr {
        let mut k = 0;
        let mut inside = self.inside.clone();
        let at: Vec<Affine> = self
            .at
            .iter()
            .zip(&self.varying)
            .map(|(at, varying)| {
                if !varying {
                    return at.clone();
                }
                let place = &axes[k].start + &done[k];
                if !axes[k].start.is_constant() {
                    inside.extend(axes[k].inside.iter().map(|(d, n)| (&place + *d, *n)));
                }
                k += 1;
                place
            })
            .collect();
        let load = expr::load(self.buffer, &at);
        if inside.is_empty() { load } else { expr::guard(inside, load, 0.0) }
    }
}

/// The part of a coordinate that varies with `vars`, and the rest with the constant.
fn split(at: &Affine, vars: &HashMap<Var, usize>) -> (Affine, Affine) {
    let (inner, outer) = at.terms.iter().partition(|(v, _)| vars.contains_key(v));
    (Affine { terms: inner, constant: 0 }, Affine { terms: outer, constant: at.constant })
}

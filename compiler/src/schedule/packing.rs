//! Packing the vector operand of a contraction: `[panel][sum..][columns of the panel]`.

use super::chains::Chain;
use super::contraction::Contraction;
use super::steps::root_of;
use super::tile_nest::{Builder, Packing, Plan, for_each, only_where};
use crate::base::{Buffer, Var};
use crate::loops::nest::{Kind, Place, Stmt, Transpose};
use crate::loops::{Affine, Coord, Home, How, Kernel, Store, expr};

/// With at most this many rows, packing would cost more than it saves, but where it is done once for all runs.
const FEW_ROWS: usize = 8;
/// What is no weight is packed anew for every example, and read as often as there are tiles of rows.
const TWO_TILES: usize = 24;
/// Rows of the operand at most this far apart need no packing.
const CLOSE: i64 = 64;

impl Builder<'_> {
    pub(super) fn packing(
        &self,
        c: &Contraction,
        b: &[i64],
        chains: [&Chain; 2],
        rows: usize,
        before: bool,
    ) -> Packing {
        let plain = c.b.inside.is_empty() && c.b.stride(b, c.column.0) == 1;
        let even = chains.iter().all(|chain| {
            let Some((last, _, _)) = chain.vars.last() else { return true };
            let unit = c.b.stride(b, *last);
            chain.vars.iter().all(|(v, _, m)| c.b.stride(b, *v) == unit * *m as i64)
        });
        let step = chains[0].vars.last().map_or(0, |(v, _, _)| c.b.stride(b, *v));
        // What is packed once costs nothing, and is read in one piece.
        let kept = self.buffers[root_of(self.buffers, c.b.buffer).index()].home == Home::State;
        let few = rows <= if kept { FEW_ROWS } else { TWO_TILES } && !(before && self.lasts(c.b.buffer));
        if plain && even && (few || step.abs() <= CLOSE) {
            Packing::Direct
        } else if before {
            Packing::Before
        } else {
            Packing::Inside
        }
    }

    /// The statements that pack panels of `b`: `panel` is the index of one, with the variable that counts several.
    pub(super) fn pack(
        &mut self,
        p: &Plan,
        to: Buffer,
        lead: &[Affine],
        (panel, several): (&Affine, (Var, usize)),
        columns: usize,
    ) -> Vec<Stmt> {
        let width = p.choice.width(self.tiles) as i64;
        let lane = self.scope.var();
        let z = &(panel * width) + &Affine::from(lane);
        let b = p.c.b.clone();
        let at = |o: &[Affine], z: &Affine| -> Vec<Affine> {
            let f = |v: Var| if v == p.c.column.0 { z.clone() } else { Affine::from(v) };
            o.iter().map(|x| x.substitute(&f)).collect()
        };
        let strides = self.strides(b.buffer);
        let mut to_at = lead.to_vec();
        to_at.extend([p.batch.index(), p.run.index()]);
        let mut loops: Vec<(Var, usize)> = p.batch.vars.iter().chain(&p.run.vars).map(|v| (v.0, v.1)).collect();
        let inner = p.run.vars.last().copied();
        if let Some((k, n, 1)) = inner
            && b.inside.is_empty()
            && b.stride(&strides, k) == 1
            && b.stride(&strides, p.c.column.0) != 1
        {
            loops.retain(|(v, _)| *v != k);
            let zero = |x: &Affine| x.substitute(&|v| if v == k { Affine::default() } else { Affine::from(v) });
            let from = Place { buffer: b.buffer, at: at(&b.at, &(panel * width)).iter().map(zero).collect() };
            to_at.push(Affine::default());
            let to = Place { buffer: to, at: to_at.iter().map(zero).collect() };
            let from_row = b.stride(&strides, p.c.column.0);
            let t = Transpose { from, from_row, to, to_row: width, rows: columns, columns: n };
            if several.1 > 1 {
                loops.insert(0, several);
            }
            return for_each(&loops, Kind::Serial, vec![Stmt::Transpose(t)]);
        }
        to_at.push(Affine::from(lane));
        let mut value = expr::load(b.buffer, &at(&b.at, &z));
        if !b.inside.is_empty() {
            let inside: Vec<Affine> = b.inside.iter().map(|(x, _)| x.clone()).collect();
            let inside = at(&inside, &z).into_iter().zip(b.inside.iter().map(|(_, n)| *n)).collect();
            value = expr::guard(inside, value, 0.0);
        }
        let to_at = to_at.into_iter().map(Coord::Affine).collect();
        let store = Store { buffer: to, at: to_at, value, how: How::Set };
        if several.1 > 1 {
            loops.push(several);
        }
        loops.push((lane, columns));
        for_each(&loops, Kind::Vector, vec![Stmt::Group(vec![store])])
    }

    /// Whole panels and the columns of the last, smaller one.
    pub fn panels(&self, p: &Plan) -> (usize, usize) {
        let width = p.choice.width(self.tiles);
        (p.c.column.1 / width, p.c.column.1 % width)
    }

    /// A kernel that packs all of `b` term by term, so that it is read as it lies: where there are whole panels only.
    pub(super) fn pack_by_terms(&mut self, p: &mut Plan) -> Option<Kernel> {
        let (count, tail) = self.panels(p);
        if tail > 0 || !p.rest.is_empty() || !p.c.b.inside.is_empty() {
            return None;
        }
        let width = p.choice.width(self.tiles);
        let outer: Vec<(Var, usize)> = p.c.outer.iter().copied().filter(|(v, _)| p.c.b.depends(*v)).collect();
        let mut shape: Vec<usize> = outer.iter().map(|(_, n)| *n).collect();
        shape.extend([count, p.batch.extent, p.run.extent, width]);
        let to = self.buffer(&shape, Home::Arena, "packed");
        p.packed = Some(to);
        let (panel, lane) = (self.scope.var(), self.scope.var());
        let column = &(&Affine::from(panel) * width as i64) + &Affine::from(lane);
        let f = |v: Var| if v == p.c.column.0 { column.clone() } else { Affine::from(v) };
        let from: Vec<Affine> = p.c.b.at.iter().map(|x| x.substitute(&f)).collect();
        let mut at: Vec<Affine> = outer.iter().map(|(v, _)| Affine::from(*v)).collect();
        at.extend([Affine::from(panel), p.batch.index(), p.run.index(), Affine::from(lane)]);
        let mut axes: Vec<(Var, usize)> = p.batch.vars.iter().chain(&p.run.vars).map(|v| (v.0, v.1)).collect();
        axes.extend(outer);
        axes.extend([(panel, count), (lane, width)]);
        let at = at.into_iter().map(Coord::Affine).collect();
        Some(Kernel {
            axes,
            stores: vec![Store { buffer: to, at, value: expr::load(p.c.b.buffer, &from), how: How::Set }],
        })
    }

    /// A step's body that packs all of `b`; `task` counts panels.
    pub fn pack_before(&mut self, p: &mut Plan, task: Var) -> (Vec<Stmt>, usize) {
        let (whole, tail) = self.panels(p);
        let count = whole + usize::from(tail > 0);
        let width = p.choice.width(self.tiles);
        let outer: Vec<(Var, usize)> =
            p.rest.iter().chain(&p.c.outer).copied().filter(|(v, _)| p.c.b.depends(*v)).collect();
        let mut shape: Vec<usize> = outer.iter().map(|(_, n)| *n).collect();
        shape.extend([count, p.batch.extent, p.run.extent, width]);
        let to = self.buffer(&shape, Home::Arena, "packed");
        p.packed = Some(to);
        let mut lead: Vec<Affine> = outer.iter().map(|(v, _)| Affine::from(*v)).collect();
        lead.push(Affine::from(task));
        let panel = Affine::from(task);
        let body =
            self.by_task(task, p.c.column.1, width, |s, columns| s.pack(p, to, &lead, (&panel, (task, 1)), columns));
        (for_each(&outer, Kind::Serial, body), count)
    }

    /// The body of a step whose tasks are panels of `columns`: what `make` gives for a whole panel, and for the last.
    pub(super) fn by_task(
        &mut self,
        task: Var,
        columns: usize,
        width: usize,
        make: impl Fn(&mut Self, usize) -> Vec<Stmt>,
    ) -> Vec<Stmt> {
        let (whole, tail) = (columns / width, columns % width);
        let last = &Affine::constant(whole as i64) - &Affine::from(task);
        let mut body = vec![];
        for (columns, at, bound) in [(width, Affine::from(task), whole), (tail, last, 1)] {
            if columns > 0 && bound > 0 {
                let stmts = make(self, columns);
                let once = self.scope.var();
                body.push(only_where(once, at, bound, stmts));
            }
        }
        body
    }
}

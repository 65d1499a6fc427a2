//! Contractions as loops around tile kernels.
//!
//! For every panel of columns: pack `b` if its rows do not lie close together, then walk the rows in blocks of the
//! chosen tile. An `a` with guards (padding) is first copied into a buffer with explicit zeros, so that every window is
//! plain strides. Layouts: `b` is packed as `[panel][sum..][columns of the panel]`.

use super::chains::{Chain, merge};
use super::contraction::Contraction;
use super::steps::root_of;
use super::strips::After;
use super::tiling::{Choice, choose};
use crate::base::{Buffer, Var};
use crate::loops::nest::{Accumulate, For, Kind, Place, Stmt, Tile};
use crate::loops::{Affine, BufferType, Home, Scope};
use dlc_runtime::abi::{Forecast, Part};
use dlc_runtime::micro::Tiles;
use std::collections::HashSet;

/// Runs of more terms than this are cut, so that a panel of `b` stays in the second-level cache.
const LONGEST_RUN: usize = 1024;
/// Floats of `a` that stay in the second-level cache beside panels of `b`.
const STRIP: usize = 32 * 1024;

/// What nests are built in: the buffers of the program and its supply of variables.
pub struct Builder<'a> {
    pub buffers: &'a mut Vec<BufferType>,
    pub scope: &'a mut Scope,
    pub tiles: &'static Tiles,
    /// Memory that is the same at every run.
    pub lasting: &'a HashSet<Buffer>,
}

/// Who packs `b`: a statement inside the loops, or a step of its own before.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Packing {
    Direct,
    Inside,
    Before,
}

/// Everything decided about one contraction.
pub struct Plan {
    pub c: Contraction,
    pub choice: Choice,
    pub(super) rows: Chain,
    pub(super) row_loops: Vec<(Var, usize)>,
    pub(super) run: Chain,
    pub(super) batch: Chain,
    pub(super) rest: Vec<(Var, usize)>,
    pub packing: Packing,
    /// Where `b` is packed, `[rest.., outer.., panel, batch, run, column]`.
    pub(super) packed: Option<Buffer>,
    /// Copies `a` with its zeros; to be run inside the outer loops.
    pub(super) fill: Vec<Stmt>,
    pub(super) first: Vec<Var>,
    pub(super) after: Option<After>,
}

/// Elements from one index of each axis to the next.
pub fn dense_strides(shape: &[usize]) -> Vec<i64> {
    let mut strides = vec![1i64; shape.len()];
    for i in (0..shape.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * shape[i + 1] as i64;
    }
    strides
}

pub fn for_each(axes: &[(Var, usize)], kind: Kind, body: Vec<Stmt>) -> Vec<Stmt> {
    let mut kind = kind;
    axes.iter().rev().fold(body, |body, (var, extent)| {
        let f = For { var: *var, extent: *extent, kind, within: None, body };
        kind = Kind::Serial;
        vec![Stmt::For(f)]
    })
}

pub fn only_where(var: Var, at: Affine, bound: usize, body: Vec<Stmt>) -> Stmt {
    Stmt::For(For { var, extent: 1, kind: Kind::Serial, within: Some((at, bound)), body })
}

impl Builder<'_> {
    pub fn buffer(&mut self, shape: &[usize], home: Home, name: &str) -> Buffer {
        self.buffers.push(BufferType { shape: shape.to_vec(), home, alias: None, name: name.to_string() });
        Buffer(self.buffers.len() as u32 - 1)
    }

    /// Is a buffer the same at every run? Then it is packed once.
    pub fn lasts(&self, b: Buffer) -> bool {
        self.lasting.contains(&root_of(self.buffers, b))
    }

    pub(super) fn strides(&self, b: Buffer) -> Vec<i64> {
        dense_strides(&self.buffers[b.index()].shape)
    }

    /// `first`: variables of outer loops over which the result is accumulated. `before`: may `b` be packed by a step
    /// of its own?
    pub fn plan(&mut self, mut c: Contraction, first: Vec<Var>, before: bool, cut: bool) -> Plan {
        let fill = self.pad(&mut c);
        let a = self.strides(c.a.buffer);
        let b = self.strides(c.b.buffer);
        let y = self.strides(c.c);
        let by = |o: &[Affine], s: &[i64], v: Var| o.iter().zip(s).map(|(x, s)| x.coefficient(v) * s).sum::<i64>();
        let row_strides: Vec<Vec<i64>> =
            c.rows.iter().map(|(v, _)| vec![c.a.stride(&a, *v), by(&c.c_at, &y, *v)]).collect();
        let mut row_chains = merge(&c.rows, &row_strides);
        let longest = row_chains.iter().enumerate().max_by_key(|(_, r)| r.extent).map(|(i, _)| i);
        let rows = longest.map_or(Chain::unit(2), |i| row_chains.remove(i));
        let row_loops: Vec<_> = row_chains.iter().flat_map(|r| r.vars.iter().map(|v| (v.0, v.1))).collect();
        let sum_strides: Vec<Vec<i64>> = c.sum.iter().map(|(v, _)| vec![c.a.stride(&a, *v)]).collect();
        let mut sums = merge(&c.sum, &sum_strides);
        let mut run = sums.pop().unwrap_or(Chain::unit(1));
        let mut rest = vec![];
        if cut {
            rest.extend(self.cut(&mut c, &mut run));
        }
        let batch = sums.pop().unwrap_or(Chain::unit(1));
        rest.splice(0..0, sums.iter().flat_map(|r| r.vars.iter().map(|v| (v.0, v.1))));
        let total_rows = rows.extent * row_loops.iter().map(|(_, n)| n).product::<usize>();
        let packing = self.packing(&c, &b, [&run, &batch], total_rows, before);
        let choice = choose(self.tiles, rows.extent, c.column.1, run.extent * batch.extent);
        let mut first = first;
        first.extend(rest.iter().map(|(v, _)| *v));
        Plan { c, choice, rows, row_loops, run, batch, rest, packing, packed: None, fill, first, after: None }
    }

    /// Cuts a long run of one variable into equal parts; gives the loop over the parts.
    fn cut(&mut self, c: &mut Contraction, run: &mut Chain) -> Option<(Var, usize)> {
        let [(var, n, _)] = run.vars[..] else { return None };
        if n <= LONGEST_RUN {
            return None;
        }
        let least = n.div_ceil(LONGEST_RUN);
        let parts = (least..least + 8).find(|p| n % p == 0)?;
        let size = n / parts;
        let (outer, inner) = (self.scope.var(), self.scope.var());
        let whole = &(&Affine::from(outer) * size as i64) + &Affine::from(inner);
        let f = |v: Var| if v == var { whole.clone() } else { Affine::from(v) };
        for o in [&mut c.a, &mut c.b] {
            for at in o.at.iter_mut().chain(o.inside.iter_mut().map(|(at, _)| at)) {
                *at = at.substitute(&f);
            }
        }
        run.vars = vec![(inner, size, 1)];
        run.extent = size;
        Some((outer, parts))
    }

    // ---- the loops around the tile -------------------------------------------------------------

    /// All columns: whole panels, then the last.
    pub fn columns(&mut self, p: &mut Plan, rows: &RowRange) -> Vec<Stmt> {
        let (whole, tail) = self.panels(p);
        let mut body = p.fill.clone();
        if whole > 0 {
            let panel = self.scope.var();
            let inner = self.panel(p, &Affine::from(panel), p.choice.width(self.tiles), rows);
            body.extend(for_each(&[(panel, whole)], Kind::Serial, inner));
        }
        if tail > 0 {
            body.extend(self.panel(p, &Affine::constant(whole as i64), tail, rows));
        }
        for_each(&p.c.outer, Kind::Serial, body)
    }

    /// All columns, whole panels packed together: then strips of rows are walked by all of them, and what a strip
    /// reads of `a` is read once from far away.
    pub fn together(&mut self, p: &mut Plan) -> Vec<Stmt> {
        let (whole, tail) = self.panels(p);
        let mut body = p.fill.clone();
        let width = p.choice.width(self.tiles);
        body.extend(self.neighbours(p, &Affine::default(), (whole, width), &RowRange::All));
        if tail > 0 {
            body.extend(self.panel(p, &Affine::constant(whole as i64), tail, &RowRange::All));
        }
        for_each(&p.c.outer, Kind::Serial, body)
    }

    /// May all panels of `b` be packed together beside a strip of `a`?
    pub fn fits_together(&self, p: &Plan) -> bool {
        let (whole, _) = self.panels(p);
        let floats = p.run.extent * p.batch.extent * p.c.column.1;
        p.packing == Packing::Inside && whole > 1 && !p.has_row_loops() && floats <= 2 * STRIP
    }

    /// One panel of `columns` columns.
    pub fn panel(&mut self, p: &mut Plan, panel: &Affine, columns: usize, rows: &RowRange) -> Vec<Stmt> {
        self.neighbours(p, panel, (1, columns), rows)
    }

    /// `count` panels from `first` on, each of `columns` columns. Packed together, so that rows of `b` are read in
    /// long pieces.
    pub fn neighbours(
        &mut self,
        p: &mut Plan,
        first: &Affine,
        (count, columns): (usize, usize),
        rows: &RowRange,
    ) -> Vec<Stmt> {
        let mut body = vec![];
        let which = self.scope.var();
        let panel = if count == 1 { first.clone() } else { first + &Affine::from(which) };
        let b = match p.packing {
            Packing::Direct => self.direct(p, &panel),
            Packing::Before => {
                let buffer = p.packed.expect("packed before");
                let outer = p.rest.iter().chain(&p.c.outer).filter(|(v, _)| p.c.b.depends(*v));
                let mut at: Vec<Affine> = outer.map(|(v, _)| Affine::from(*v)).collect();
                at.push(panel.clone());
                self.packed_place(p, buffer, at)
            }
            Packing::Inside => {
                let width = p.choice.width(self.tiles);
                let shape = [count, p.batch.extent, p.run.extent, width];
                let buffer = self.buffer(&shape, Home::Scratch, "panel");
                let each = self.scope.var();
                let lead = if count == 1 { Affine::default() } else { Affine::from(each) };
                let from = first + &lead;
                body.extend(self.pack(p, buffer, &[lead], (&from, (each, count)), columns));
                let at = if count == 1 { Affine::default() } else { Affine::from(which) };
                self.packed_place(p, buffer, vec![at])
            }
        };
        let strips = self.strips(p, count, rows);
        let strip = self.scope.var();
        let mut walks = vec![(vec![], rows)];
        let part = RowRange::Strip(strip, strips);
        if strips > 1 {
            walks = vec![(vec![(strip, strips)], &part), (vec![], &RowRange::Tail)];
        }
        for (mut loops, rows) in walks {
            let blocks = self.blocks(p, &panel, columns, &b, rows);
            loops.extend((count > 1).then_some((which, count)));
            loops.extend(p.row_loops.iter().copied());
            body.extend(if blocks.is_empty() { vec![] } else { for_each(&loops, Kind::Serial, blocks) });
        }
        for_each(&p.rest.clone(), Kind::Serial, body)
    }

    /// How many strips the rows are walked in, each by all `count` panels: what a strip reads of `a` stays in the cache.
    fn strips(&self, p: &Plan, count: usize, rows: &RowRange) -> usize {
        let floats = p.rows.extent * p.run.extent * p.batch.extent;
        if count == 1 || p.has_row_loops() || matches!(rows, RowRange::Task { .. }) {
            return 1;
        }
        floats.div_ceil(STRIP).min(self.row_blocks(p)).max(1)
    }

    fn packed_place(&self, p: &Plan, buffer: Buffer, mut at: Vec<Affine>) -> BPlace {
        let width = p.choice.width(self.tiles) as i64;
        at.extend([Affine::default(), Affine::default(), Affine::default()]);
        BPlace { place: Place { buffer, at }, k: width, batch: width * p.run.extent as i64 }
    }

    fn direct(&self, p: &Plan, panel: &Affine) -> BPlace {
        let strides = self.strides(p.c.b.buffer);
        let width = p.choice.width(self.tiles) as i64;
        let stride = |c: &Chain| c.vars.last().map_or(0, |(v, _, _)| p.c.b.stride(&strides, *v));
        let zero = Affine::default();
        let f = |v: Var| {
            if v == p.c.column.0 {
                return panel * width;
            }
            p.run.place(v, &zero).or_else(|| p.batch.place(v, &zero)).unwrap_or(Affine::from(v))
        };
        let at = p.c.b.at.iter().map(|x| x.substitute(&f)).collect();
        BPlace { place: Place { buffer: p.c.b.buffer, at }, k: stride(&p.run), batch: stride(&p.batch) }
    }

    fn blocks(&mut self, p: &Plan, panel: &Affine, columns: usize, b: &BPlace, rows: &RowRange) -> Vec<Stmt> {
        if let Some(After::Strip(strip)) = &p.after {
            return self.strips_of_blocks(p, strip, (panel, columns), b, rows);
        }
        let size = p.choice.rows;
        let (count, tail) = (p.rows.extent / size, p.rows.extent % size);
        let mut stmts = vec![];
        let tile = |s: &Self, rows: usize, at: &Affine| Stmt::Tile(s.tile(p, rows, (panel, columns), b, at));
        if let RowRange::All = rows
            && count > 0
        {
            let i = self.scope.var();
            let t = tile(self, size, &(&Affine::from(i) * size as i64));
            stmts.extend(for_each(&[(i, count)], Kind::Serial, vec![t]));
        }
        if let RowRange::Task { task: part, tasks: parts } | RowRange::Strip(part, parts) = rows {
            let each = count.div_ceil(*parts);
            let i = self.scope.var();
            let block = &(&Affine::from(*part) * each as i64) + &Affine::from(i);
            let body = vec![tile(self, size, &(&block * size as i64))];
            let within = Some((block, count));
            stmts.push(Stmt::For(For { var: i, extent: each, kind: Kind::Serial, within, body }));
        }
        if tail > 0 {
            let last = tile(self, tail, &Affine::constant((count * size) as i64));
            match rows {
                RowRange::All | RowRange::Tail => stmts.push(last),
                RowRange::Task { task, tasks } => {
                    let once = self.scope.var();
                    let at = &Affine::constant(*tasks as i64 - 1) - &Affine::from(*task);
                    stmts.push(only_where(once, at, 1, vec![last]));
                }
                RowRange::Strip(..) => {}
            }
        }
        stmts
    }

    pub(super) fn tile(
        &self,
        p: &Plan,
        rows: usize,
        (panel, columns): (&Affine, usize),
        b: &BPlace,
        row: &Affine,
    ) -> Tile {
        let vectors = columns.div_ceil(self.tiles.lanes);
        let last = columns - (vectors - 1) * self.tiles.lanes;
        let zero = Affine::default();
        let width = p.choice.width(self.tiles) as i64;
        let f = |v: Var| {
            if v == p.c.column.0 {
                return panel * width;
            }
            p.rows
                .place(v, row)
                .or_else(|| p.run.place(v, &zero))
                .or_else(|| p.batch.place(v, &zero))
                .unwrap_or(Affine::from(v))
        };
        let at = |o: &[Affine]| -> Vec<Affine> { o.iter().map(|x| x.substitute(&f)).collect() };
        let (finish, beside) = p.after.as_ref().map_or((None, None), |after| after.finish(&f));
        Tile {
            rows,
            vectors,
            last,
            k: p.run.extent,
            batches: p.batch.extent,
            a: Place { buffer: p.c.a.buffer, at: at(&p.c.a.at) },
            a_row: p.rows.strides[0],
            a_k: p.run.strides[0],
            a_batch: p.batch.strides[0],
            b: b.place.clone(),
            b_k: b.k,
            b_batch: b.batch,
            c: Place { buffer: p.c.c, at: at(&p.c.c_at) },
            c_row: p.rows.strides[1],
            accumulate: Accumulate::AfterFirst(p.first.clone()),
            finish,
            beside,
            ahead: None,
        }
    }

    /// How many blocks of rows there are, for a step that gives each task some of them.
    pub fn row_blocks(&self, p: &Plan) -> usize {
        let blocks = p.rows.extent / p.choice.rows;
        p.after.as_ref().map_or(blocks, |after| after.count(blocks))
    }
}

impl Plan {
    /// Are there loops over rows or outer axes besides the chain of the tile?
    pub fn has_row_loops(&self) -> bool {
        !self.row_loops.is_empty()
    }

    /// The statements that copy `a` with its zeros.
    pub fn fill(&self) -> Vec<Stmt> {
        self.fill.clone()
    }

    /// The algorithm's name, and what the model of cycles expects of it. `other`: of Winograd's, where it was possible.
    pub fn part(&self, tiles: &Tiles, label: impl Into<String>, other: Option<f64>) -> Part {
        let name = format!("tile {}x{}", self.choice.rows, self.choice.width(tiles));
        let products = self.rows.extent * self.c.column.1 * self.run.extent * self.batch.extent;
        let chosen = Some(tiles.percent(products as f64, self.choice.cycles));
        Part::new(label, name, self.c.flop()).expecting(Forecast { chosen, other })
    }
}

/// Which blocks of rows a nest walks.
pub enum RowRange {
    All,
    /// The share of one of `tasks` tasks.
    Task {
        task: Var,
        tasks: usize,
    },
    /// One of some strips, without what is left over.
    Strip(Var, usize),
    /// What is left over after whole blocks.
    Tail,
}

pub(super) struct BPlace {
    place: Place,
    k: i64,
    batch: i64,
}

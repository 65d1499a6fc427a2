//! Element-wise kernels in the step that makes what they read: a strip of rows is made in scratch, and what follows is done
//! while it lies in the first-level cache. What is made between the two is never stored. Where a number for each column is
//! added and the sum kept within bounds, tiles and filters do it before they store at all.

use super::contraction::recognize;
use super::ending::Ending;
use super::filters;
use super::group::{loads, uses};
use super::steps::{Steps, rewrite, root_of};
use super::tile_nest::{BPlace, Builder, Plan, RowRange, for_each, only_where};
use crate::base::{Buffer, Var};
use crate::loops::nest::{Beside, Finish, For, Kind, Place, Stmt, Tile};
use crate::loops::{Affine, BufferType, Coord, Expr, Home, How, Kernel, Node, expr};
use dlc_runtime::abi::Part;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Floats of a strip: a small part of the first-level cache, so that what is stored leaves while the next tiles are made.
const FLOATS: usize = 2 * 1024;

/// A kernel that follows another point by point.
#[derive(Clone, Debug)]
pub struct Then {
    /// Over rows and columns: all coordinates of the result but the last are one.
    pub(super) kernel: Kernel,
    /// What is made.
    pub(super) made: Buffer,
    /// Of each coordinate but the last: rows from one index to the next.
    multiples: Vec<i64>,
    columns: usize,
    /// Elements from one row to the next: not fewer.
    width: usize,
    label: String,
    /// The number of the part before it in the step.
    mark: usize,
}

/// What is done to the result of a plan.
pub enum After {
    /// Tiles do it before they store. With elements from one row to the next of a table that is added.
    Ending(Ending, i64),
    /// A kernel, strip by strip.
    Strip(Strip),
}

impl After {
    /// The part that it is of the step, if it is one.
    pub fn part(&self) -> Option<Part> {
        if let After::Strip(strip) = self { Some(strip.then.part()) } else { None }
    }

    /// What tiles do to their result where loops have come to.
    pub fn finish(&self, here: &dyn Fn(Var) -> Affine) -> (Option<Finish>, Option<Beside>) {
        match self {
            After::Ending(ending, row) => (Some(ending.finish(here)), ending.beside(*row, here)),
            After::Strip(_) => (None, None),
        }
    }

    /// Of so many blocks of rows: how many times tasks can share them out.
    pub fn count(&self, blocks: usize) -> usize {
        if let After::Strip(strip) = self { blocks / strip.blocks } else { blocks }
    }
}

/// A strip, and how many blocks of rows it has.
#[derive(Clone, Debug)]
pub struct Strip {
    then: Then,
    buffer: Buffer,
    blocks: usize,
}

impl Steps {
    /// The kernel that alone reads what item `i` makes, at the same points, if `i` can wait for its turn.
    pub(super) fn follower(&mut self, i: usize, later: &[usize]) -> Option<(usize, Then)> {
        let (target, j) = self.only_reader(i, later)?;
        Some((j, self.follows(target, j)?))
    }

    /// What item `i`, a contraction or filters, makes, and the item that alone reads it, if `i` can wait for its turn.
    pub(super) fn only_reader(&self, i: usize, later: &[usize]) -> Option<(Buffer, usize)> {
        let buffers = &self.program.buffers;
        let root = |b: Buffer| root_of(buffers, b);
        let kernel = &self.items[i].kernel;
        let [store] = &kernel.stores[..] else { return None };
        if recognize(&kernel.axes, store).is_none() && filters::recognize(kernel).is_none() {
            return None;
        }
        let target = store.buffer;
        let kept = self.program.outputs.iter().any(|(_, b)| root(*b) == target);
        let [j] = self.readers.get(&target)?[..] else { return None };
        let own = root(target) == target && buffers[target.index()].home == Home::Arena && !kept;
        if !own || self.writers.get(&target)?[..] != [i] || self.items[i].body.is_some() || self.items[j].body.is_some()
        {
            return None;
        }
        let (reads, _) = uses(&self.items[i].kernel, &root);
        let place = later.iter().position(|m| *m == j)?;
        let disturbs = |m: &usize| {
            let (_, writes) = uses(&self.items[*m].kernel, &root);
            !writes.is_disjoint(&reads) || self.items[*m].after.contains(&i)
        };
        if later[..=place].iter().any(disturbs) {
            return None;
        }
        Some((target, j))
    }

    /// Item `j` as a kernel over rows and columns of `target`.
    fn follows(&mut self, target: Buffer, j: usize) -> Option<Then> {
        let buffers = &self.program.buffers;
        let kernel = &self.items[j].kernel;
        let shape = buffers[target.index()].shape.clone();
        let here: Vec<Coord> = kernel.axes.iter().map(|(v, _)| Coord::Affine((*v).into())).collect();
        let is_here = |b: Buffer, at: &[Coord]| at == here && buffers[b.index()].shape == shape;
        let (&(column, columns), leading) = kernel.axes.split_last()?;
        let by_column = |at: &[Coord]| {
            let fixed =
                |c: &Coord| matches!(c, Coord::Affine(a) if leading.iter().all(|(v, _)| a.coefficient(*v) == 0));
            at.iter().all(fixed)
        };
        let (width, heights) = shape.split_last()?;
        let mut fits = leading.iter().map(|(_, n)| n).eq(heights) && columns <= *width;
        let mut seen = HashSet::new();
        for s in &kernel.stores {
            fits &= s.how == How::Set && is_here(s.buffer, &s.at) && is_plain(&s.value);
            loads(&s.value, &mut seen, &mut |b, at| {
                let here = is_here(b, at);
                fits &= here || by_column(at);
                fits &= root_of(buffers, b) != target || b == target && here;
            });
        }
        if !fits {
            return None;
        }
        let mut multiples = vec![1; leading.len()];
        for k in (1..leading.len()).rev() {
            multiples[k - 1] = multiples[k] * leading[k].1 as i64;
        }
        let (rows, width) = (heights.iter().product(), *width);
        let row = self.scope.var();
        let flat_at = vec![Coord::Affine(row.into()), Coord::Affine(column.into())];
        let mut flat: HashMap<Buffer, Buffer> = HashMap::new();
        let mut flattened = |b: Buffer| {
            let buffers = &mut self.program.buffers;
            *flat.entry(b).or_insert_with(|| {
                let BufferType { home, name, .. } = buffers[b.index()].clone();
                buffers.push(BufferType { shape: vec![rows, width], home, alias: Some(b), name });
                Buffer(buffers.len() as u32 - 1)
            })
        };
        let mut kernel = rewrite(kernel, &HashMap::new(), &mut |b, at| {
            if at != here || b == target {
                Arc::new(Node::Load(b, at))
            } else {
                Arc::new(Node::Load(flattened(b), flat_at.clone()))
            }
        });
        for s in &mut kernel.stores {
            s.buffer = flattened(s.buffer);
            s.at = flat_at.clone();
        }
        kernel.axes = vec![(row, rows), (column, columns)];
        let label = self.items[j].label.clone();
        Some(Then { kernel, made: target, multiples, columns, width, label, mark: 0 })
    }
}

/// One element from elements.
fn is_plain(e: &Expr) -> bool {
    let plain = matches!(**e, Node::Const(_) | Node::Load(..) | Node::Unary(..) | Node::Binary(..) | Node::Select(..));
    plain && expr::children(e).into_iter().all(is_plain)
}

impl Then {
    /// The same as a part of a larger step; its result goes to a flat table instead, which begins so many rows later.
    pub(super) fn in_band(&self, to: Option<(Buffer, Affine)>, mark: usize) -> Then {
        let mut then = Then { mark, ..self.clone() };
        if let Some((flat, lead)) = to {
            for s in &mut then.kernel.stores {
                s.buffer = flat;
                s.at[0] = Coord::Affine(&Affine::from(then.kernel.axes[0].0) - &lead);
            }
        }
        then
    }

    pub fn part(&self) -> Part {
        Part::new(&self.label, "loops", 0)
    }

    /// The row at coordinates of the result.
    pub(super) fn row(&self, at: &[Affine]) -> Affine {
        at.iter().zip(&self.multiples).fold(Affine::default(), |sum, (x, m)| &sum + &(x * *m))
    }
}

impl Builder<'_> {
    /// Lets a kernel follow the tiles of a plan, where it can: says whether it does.
    pub fn follow(&mut self, p: &mut Plan, then: Then) -> bool {
        if let Some((ending, to)) = then.ending(&p.c.c_at, p.c.column.0, &p.c.rows)
            && p.c.outer.is_empty()
            && self.end(p, ending, to)
        {
            return true;
        }
        let even = p.rows.strides[1] % then.width as i64 == 0 && p.rows.extent > 1;
        if !p.rest.is_empty() || !p.first.is_empty() || !p.c.outer.is_empty() || !even {
            return false;
        }
        let (size, width) = (p.choice.rows, p.choice.width(self.tiles));
        let (count, tail) = (p.rows.extent / size, p.rows.extent % size);
        let most = (FLOATS / (size * width)).clamp(1, count);
        let blocks = count.div_ceil(count.div_ceil(most));
        let buffer = self.buffer(&[blocks * size + tail, width], Home::Scratch, "strip");
        p.after = Some(After::Strip(Strip { then, buffer, blocks }));
        true
    }

    /// Blocks of rows of one panel, strip by strip, each followed by its kernel.
    pub(super) fn strips_of_blocks(
        &mut self,
        p: &Plan,
        strip: &Strip,
        (panel, columns): (&Affine, usize),
        b: &BPlace,
        rows: &RowRange,
    ) -> Vec<Stmt> {
        let (size, each) = (p.choice.rows, strip.blocks);
        let (count, tail) = (p.rows.extent / size, p.rows.extent % size);
        let mut strips = count / each;
        if tail > 0 && count % each == 0 {
            strips -= 1;
        }
        let left = count - strips * each;
        let mut stmts = vec![];
        let place = |i: &Affine| i * (each * size) as i64;
        match rows {
            RowRange::All if strips > 0 => {
                let i = self.scope.var();
                let body = self.strip(p, strip, (panel, columns), b, (&place(&i.into()), each, 0));
                stmts.extend(for_each(&[(i, strips)], Kind::Serial, body));
            }
            RowRange::Task { task: part, tasks: parts } | RowRange::Strip(part, parts) if strips > 0 => {
                let share = strips.div_ceil(*parts);
                let i = self.scope.var();
                let which = &(&Affine::from(*part) * share as i64) + &Affine::from(i);
                let body = self.strip(p, strip, (panel, columns), b, (&place(&which), each, 0));
                let within = Some((which, strips));
                stmts.push(Stmt::For(For { var: i, extent: share, kind: Kind::Serial, within, body }));
            }
            _ => {}
        }
        if left > 0 || tail > 0 {
            let at = place(&Affine::constant(strips as i64));
            match rows {
                RowRange::All | RowRange::Tail => {
                    stmts.extend(self.strip(p, strip, (panel, columns), b, (&at, left, tail)));
                }
                RowRange::Task { task, tasks } => {
                    let last = self.strip(p, strip, (panel, columns), b, (&at, left, tail));
                    let once = self.scope.var();
                    let at = &Affine::constant(*tasks as i64 - 1) - &Affine::from(*task);
                    stmts.push(only_where(once, at, 1, last));
                }
                RowRange::Strip(..) => {}
            }
        }
        stmts
    }

    /// Blocks of rows from a row on, then some rows more: tiles into scratch, and what follows.
    fn strip(
        &mut self,
        p: &Plan,
        strip: &Strip,
        (panel, columns): (&Affine, usize),
        b: &BPlace,
        (first, blocks, tail): (&Affine, usize, usize),
    ) -> Vec<Stmt> {
        let (size, width) = (p.choice.rows, p.choice.width(self.tiles) as i64);
        let tile = |s: &Self, rows: usize, at: Affine| {
            let whole = s.tile(p, rows, (panel, columns), b, &(first + &at));
            let c = Place { buffer: strip.buffer, at: vec![at, Affine::default()] };
            Stmt::Tile(Tile { c, c_row: width, ..whole })
        };
        let mut stmts = vec![Stmt::Mark(strip.then.mark)];
        let i = self.scope.var();
        if blocks > 0 {
            let t = tile(self, size, &Affine::from(i) * size as i64);
            stmts.extend(for_each(&[(i, blocks)], Kind::Serial, vec![t]));
        }
        if tail > 0 {
            stmts.push(tile(self, tail, Affine::constant((blocks * size) as i64)));
        }
        stmts.push(Stmt::Mark(strip.then.mark + 1));
        let leading = &p.c.c_at[..p.c.c_at.len() - 1];
        let at: Vec<Affine> =
            leading.iter().map(|x| x.substitute(&|v| p.rows.place(v, first).unwrap_or(Affine::from(v)))).collect();
        let step = p.rows.strides[1] / strip.then.width as i64;
        let from = (&strip.then.row(&at), step, &(panel * width));
        stmts.extend(self.then(&strip.then, strip.buffer, from, [blocks * size + tail, columns]));
        stmts
    }

    /// A kernel over some rows and columns, of which `made` holds what it follows: from a row on, so far apart, and from a
    /// column on.
    fn then(
        &mut self,
        then: &Then,
        made: Buffer,
        (row, step, column): (&Affine, i64, &Affine),
        [rows, columns]: [usize; 2],
    ) -> Vec<Stmt> {
        let (i, lane) = (self.scope.var(), self.scope.var());
        let [(r, _), (z, _)] = then.kernel.axes[..] else { unreachable!("rows and columns") };
        let (inner, lane_at) = (Affine::from(i), Affine::from(lane));
        let with = HashMap::from([(r, row + &(&inner * step)), (z, column + &lane_at)]);
        let here = vec![Coord::Affine(inner), Coord::Affine(lane_at)];
        let kernel = rewrite(&then.kernel, &with, &mut |b, at| {
            Arc::new(if b == then.made { Node::Load(made, here.clone()) } else { Node::Load(b, at) })
        });
        let axes = [(i, rows), (lane, columns)];
        for_each(&axes, Kind::Vector, vec![Stmt::Group(kernel.stores)])
    }

    /// What follows a row of filtered points; `put`: where the row stands.
    pub(super) fn row_then(&mut self, row: &RowThen, put: &HashMap<Var, Affine>) -> Vec<Stmt> {
        let (points, extent) = row.points;
        let at = |k: i64| {
            let f = |v: Var| {
                if v == points { Affine::constant(k) } else { put.get(&v).cloned().unwrap_or(Affine::from(v)) }
            };
            let leading: Vec<Affine> = row.at[..row.at.len() - 1].iter().map(|x| x.substitute(&f)).collect();
            row.then.row(&leading)
        };
        let (first, second) = (at(0), at(1));
        let from = (&first, (&second - &first).constant, &Affine::default());
        let mut stmts = self.then(&row.then, row.made, from, [extent, row.then.columns]);
        stmts.insert(0, Stmt::Mark(row.then.mark + 1));
        stmts
    }
}

/// A kernel that follows each row of points of some filters.
#[derive(Clone, Debug)]
pub struct RowThen {
    then: Then,
    /// The coordinates of the result.
    at: Vec<Affine>,
    points: (Var, usize),
    /// The row in scratch.
    made: Buffer,
}

impl RowThen {
    pub fn mark(&self) -> usize {
        self.then.mark
    }

    pub fn new(then: Then, at: Vec<Affine>, points: (Var, usize), made: Buffer) -> RowThen {
        RowThen { then, at, points, made }
    }

    pub fn part(&self) -> Part {
        self.then.part()
    }
}

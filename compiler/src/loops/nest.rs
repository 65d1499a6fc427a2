//! A nest: how a kernel is computed. All that code generation reads.

use super::affine::Affine;
use super::expr::{Coord, Expr};
use super::kernel::Store;
use crate::base::{Buffer, Var};
use dlc_runtime::abi::{self, Part};
use dlc_runtime::micro::Matrix;

/// How a loop runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    Serial,
    /// One independent sequence of statements after the other: the examples of a task.
    Sequence,
    /// One after the other: an iteration may read what earlier ones wrote.
    Recurrent,
    /// Several iterations at once in vector lanes; the rest one by one.
    Vector,
}

/// `for var in 0..extent`, ending early where `within` says so.
#[derive(Clone, PartialEq, Debug)]
pub struct For {
    pub var: Var,
    pub extent: usize,
    pub kind: Kind,
    /// The loop ends at the first iteration where this coordinate is not below the bound.
    pub within: Option<(Affine, usize)>,
    pub body: Vec<Stmt>,
}

impl For {
    /// Are its iterations independent but for what tiles accumulate over them, and what lies outside scratch?
    pub fn is_sequence(&self) -> bool {
        matches!(self.kind, Kind::Sequence | Kind::Recurrent) || self.within.is_some()
    }
}

/// A place inside a buffer.
#[derive(Clone, PartialEq, Debug)]
pub struct Place {
    pub buffer: Buffer,
    pub at: Vec<Affine>,
}

/// When a tile adds to what is in its result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Accumulate {
    /// Overwrites while all these variables are 0, adds afterwards. With no variables: always overwrites.
    AfterFirst(Vec<Var>),
    Always,
}

/// What is done to a result before it is stored: a number for each column is added, and the sum is kept within bounds.
#[derive(Clone, PartialEq, Debug)]
pub struct Finish {
    pub add: Place,
    pub bounds: [f32; 2],
}

/// A table whose elements are added to those of a result before it is kept within bounds.
#[derive(Clone, PartialEq, Debug)]
pub struct Beside {
    pub place: Place,
    /// From one row to the next.
    pub row: i64,
}

/// One call of a tile kernel: `c[i, j] (+)= sum over b, k of a * b`.
///
/// Strides are in elements; see `dlc_runtime::micro::TileArgs`.
#[derive(Clone, PartialEq, Debug)]
pub struct Tile {
    pub rows: usize,
    pub vectors: usize,
    /// Live lanes of the last vector.
    pub last: usize,
    pub k: usize,
    pub batches: usize,
    pub a: Place,
    pub a_row: i64,
    pub a_k: i64,
    pub a_batch: i64,
    pub b: Place,
    pub b_k: i64,
    pub b_batch: i64,
    pub c: Place,
    pub c_row: i64,
    pub accumulate: Accumulate,
    pub finish: Option<Finish>,
    /// Only where a result is finished.
    pub beside: Option<Beside>,
    /// What else is asked for meanwhile, as many elements as `b` has: a hint, which may lie beyond its table.
    pub ahead: Option<Place>,
}

/// `to[j, i] = from[i, j]` for a block of `rows` by `columns`; rows of `from` become columns of `to`.
#[derive(Clone, PartialEq, Debug)]
pub struct Transpose {
    pub from: Place,
    pub from_row: i64,
    pub to: Place,
    pub to_row: i64,
    pub rows: usize,
    pub columns: usize,
}

/// A row of tiles transformed by a matrix from both sides; see `dlc_runtime::micro::TransformArgs`.
#[derive(Clone, PartialEq, Debug)]
pub struct Transform {
    pub matrix: Matrix,
    pub from: Place,
    /// From one row, column, tile to the next.
    pub from_strides: [i64; 3],
    pub to: Place,
    pub to_strides: [i64; 3],
    /// Tiles.
    pub count: usize,
    pub channels: usize,
    /// Rows of points that exist on the side that may be cut, from the first and up to the second.
    pub rows: [usize; 2],
    /// Columns of points that exist there, over all tiles.
    pub cols: [usize; 2],
    /// Columns of points from a tile to the next there.
    pub step: usize,
}

impl Transform {
    /// What is read, or written: elements from the place to the first, and steps and extents from there. The tiles of a
    /// row that may be cut lie evenly in it.
    pub fn region(&self, is_target: bool) -> (i64, Vec<(i64, usize)>) {
        let (outs, ins) = self.matrix.size();
        let (points, strides) = if is_target { (outs, self.to_strides) } else { (ins, self.from_strides) };
        let (cut_source, cut_target) = self.matrix.cut();
        let [row, col, next] = strides;
        if if is_target { cut_target } else { cut_source } {
            let ([top, bottom], [left, right]) = (self.rows, self.cols);
            let extents = vec![(row, bottom - top), (col, right - left), (1, self.channels)];
            return (top as i64 * row + left as i64 * col, extents);
        }
        (0, vec![(row, points), (col, points), (next, self.count), (1, self.channels)])
    }
}

/// A row of points of which every channel is filtered on its own: `to[p, c] (+)= sum over i, j of from[p, i, j, c] * by[i, j, c]`;
/// see `dlc_runtime::micro::FilterArgs`.
#[derive(Clone, PartialEq, Debug)]
pub struct Filter {
    pub from: Place,
    /// From one row and column of taps, and from one point, to the next.
    pub from_strides: [i64; 3],
    pub by: Place,
    pub by_strides: [i64; 2],
    pub to: Place,
    pub to_next: i64,
    /// Rows and columns.
    pub taps: [usize; 2],
    /// Points.
    pub count: usize,
    pub channels: usize,
    pub accumulate: Accumulate,
    pub finish: Option<Finish>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Stmt {
    For(For),
    /// All values are computed, then all are stored.
    Group(Vec<Store>),
    Tile(Tile),
    Transpose(Transpose),
    Transform(Transform),
    Filter(Filter),
    /// From here on the step works on this one of its parts. It does nothing, but a clock can be asked to stop here.
    Mark(usize),
}

/// One step of a program: `tasks` independent runs of `body`, each with its own value of `task`.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    pub task: Var,
    pub tasks: usize,
    /// The body is one recurrence, and an iteration begins when all tasks have done the one before: they may read what
    /// others made in it.
    pub lockstep: bool,
    pub body: Vec<Stmt>,
    pub label: String,
    /// The kernels it consists of.
    pub parts: Vec<Part>,
}

impl Step {
    /// The algorithms of its parts, in order; neighbours of the same are one.
    pub fn algorithm(&self) -> String {
        abi::algorithms(&self.parts)
    }

    /// Useful floating-point operations.
    pub fn flop(&self) -> u64 {
        self.parts.iter().map(|part| part.flop).sum()
    }

    /// The recurrence that the tasks go through together.
    pub fn rounds(&self) -> Option<&For> {
        match &self.body[..] {
            [Stmt::For(f)] if self.lockstep => Some(f),
            _ => None,
        }
    }

    /// Buffers read and written, each once, in order of first mention.
    pub fn buffers(&self) -> (Vec<Buffer>, Vec<Buffer>) {
        let mut uses = Uses::default();
        uses.stmts(&self.body);
        (uses.reads, uses.writes)
    }
}

#[derive(Default)]
struct Uses {
    reads: Vec<Buffer>,
    writes: Vec<Buffer>,
    seen: std::collections::HashSet<*const super::expr::Node>,
}

fn push(list: &mut Vec<Buffer>, b: Buffer) {
    if !list.contains(&b) {
        list.push(b);
    }
}

impl Uses {
    fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            match stmt {
                Stmt::For(f) => self.stmts(&f.body),
                Stmt::Group(stores) => {
                    for s in stores {
                        self.expr(&s.value);
                        for c in &s.at {
                            self.coord(c);
                        }
                        if s.how == super::kernel::How::Add {
                            push(&mut self.reads, s.buffer);
                        }
                        push(&mut self.writes, s.buffer);
                    }
                }
                Stmt::Tile(t) => {
                    push(&mut self.reads, t.a.buffer);
                    push(&mut self.reads, t.b.buffer);
                    t.finish.iter().for_each(|f| push(&mut self.reads, f.add.buffer));
                    t.beside.iter().for_each(|b| push(&mut self.reads, b.place.buffer));
                    if t.accumulate == Accumulate::Always {
                        push(&mut self.reads, t.c.buffer);
                    }
                    push(&mut self.writes, t.c.buffer);
                }
                Stmt::Transpose(t) => {
                    push(&mut self.reads, t.from.buffer);
                    push(&mut self.writes, t.to.buffer);
                }
                Stmt::Transform(t) => {
                    push(&mut self.reads, t.from.buffer);
                    push(&mut self.writes, t.to.buffer);
                }
                Stmt::Filter(t) => {
                    push(&mut self.reads, t.from.buffer);
                    push(&mut self.reads, t.by.buffer);
                    t.finish.iter().for_each(|f| push(&mut self.reads, f.add.buffer));
                    if t.accumulate == Accumulate::Always {
                        push(&mut self.reads, t.to.buffer);
                    }
                    push(&mut self.writes, t.to.buffer);
                }
                Stmt::Mark(_) => {}
            }
        }
    }

    fn coord(&mut self, c: &Coord) {
        if let Coord::Index { from, .. } = c {
            self.expr(from);
        }
    }

    fn expr(&mut self, e: &Expr) {
        use super::expr::Node;
        if !self.seen.insert(std::sync::Arc::as_ptr(e)) {
            return;
        }
        match &**e {
            Node::Const(_) | Node::Coord(_) => {}
            Node::Load(b, at) => {
                push(&mut self.reads, *b);
                at.iter().for_each(|c| self.coord(c));
            }
            Node::Unary(_, x) => self.expr(x),
            Node::Binary(_, a, b) => {
                self.expr(a);
                self.expr(b);
            }
            Node::Select(c, a, b) => {
                self.expr(c);
                self.expr(a);
                self.expr(b);
            }
            Node::Reduce { body, .. } | Node::Guard { body, .. } => self.expr(body),
            Node::Random { step, .. } => self.expr(step),
        }
    }
}

/// A whole compiled computation before it is placed in memory.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Program {
    pub buffers: Vec<super::kernel::BufferType>,
    pub steps: Vec<Step>,
    /// How many steps at the front depend on nothing but the state, which no step writes.
    pub prepared: usize,
    /// Examples of one run.
    pub batch: usize,
    pub inputs: Vec<(String, Buffer, Option<usize>)>,
    pub outputs: Vec<(String, Buffer)>,
    /// Weights, statistics, slots in their order in the state.
    pub state: Vec<(String, Buffer)>,
}

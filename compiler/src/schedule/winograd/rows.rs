//! What both directions share: rows of tiles of a picture, panels of columns, and microkernels over rows.

use super::{POINTS, SKEW, Winograd};
use crate::base::{Buffer, Var};
use crate::loops::nest::{Accumulate, Kind, Place, Stmt, Tile, Transform};
use crate::loops::{Affine, Home};
use crate::schedule::tile_nest::{Builder, for_each, only_where};
use dlc_runtime::micro::Matrix;

/// Operands of a tile at some row.
pub(super) struct Operands {
    pub(super) a: Place,
    pub(super) a_row: i64,
    pub(super) a_k: i64,
    pub(super) k: usize,
    pub(super) b: Place,
    pub(super) c: Place,
    pub(super) accumulate: Accumulate,
}

/// A row of tiles in its picture, the first of its tiles in memory, and which of its rows of points exist.
pub(super) struct Row {
    pub(super) row: Affine,
    pub(super) tile: Affine,
    pub(super) points: [usize; 2],
}

/// A block of rows of tiles; `first`: the number of the first that looks like it.
pub(super) struct Block {
    pub(super) index: Affine,
    pub(super) first: usize,
    /// How many look like it, counted by the variable of its index.
    count: (Var, usize),
    /// Is that variable a task?
    by_task: bool,
}

impl Block {
    /// The loop over the blocks that look like it, where no task stands for one.
    pub(super) fn loops(&self) -> Vec<(Var, usize)> {
        if self.by_task || self.count.1 == 1 { vec![] } else { vec![self.count] }
    }
}

/// Neighbours among `0..count` that look the same: the first and how many.
fn runs<T: PartialEq>(count: usize, looks: impl Fn(usize) -> T) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = vec![];
    for i in 0..count {
        match found.last_mut() {
            Some((first, n)) if looks(*first) == looks(i) => *n += 1,
            _ => found.push((i, 1)),
        }
    }
    found
}

/// Memory of transformed tiles: `[lead.., point][tile, channel]`.
pub(super) struct Space {
    pub(super) buffer: Buffer,
    /// Coordinates before the point.
    pub(super) lead: Vec<Affine>,
    pub(super) tiles: usize,
    /// Channels of a tile.
    pub(super) width: usize,
    /// The first example of the block, where the tiles of all examples have a place; else those of a block do.
    pub(super) example: Option<Affine>,
}

impl Space {
    fn step(&self) -> i64 {
        (self.tiles * self.width + SKEW) as i64
    }

    /// From one row of points, point, tile to the next.
    pub(super) fn strides(&self) -> [i64; 3] {
        [6 * self.step(), self.step(), self.width as i64]
    }

    pub(super) fn place(&self, point: &Affine, tile: &Affine, channel: i64) -> Place {
        let element = &(tile * self.width as i64) + channel;
        let at = self.lead.iter().chain([point, &element]).cloned().collect();
        Place { buffer: self.buffer, at }
    }
}

impl Builder<'_> {
    /// Memory for transformed tiles; `lead`: sizes before the points.
    pub(super) fn space(&mut self, lead: &[usize], (tiles, width): (usize, usize), home: Home, name: &str) -> Space {
        let shape = [lead, &[POINTS, tiles * width + SKEW]].concat();
        let buffer = self.buffer(&shape, home, name);
        Space { buffer, lead: vec![Affine::default(); lead.len()], tiles, width, example: None }
    }

    /// Whole panels of columns and the last: the index of a panel, the loop over them, and their columns.
    pub(super) fn panel_ranges(&mut self, w: &Winograd) -> Vec<(Affine, Vec<(Var, usize)>, usize)> {
        let width = w.choice.width(self.tiles);
        let (whole, tail) = (w.c.column.1 / width, w.c.column.1 % width);
        let mut ranges = vec![];
        if whole > 0 {
            let panel = self.scope.var();
            ranges.push((Affine::from(panel), vec![(panel, whole)], width));
        }
        if tail > 0 {
            ranges.push((Affine::constant(whole as i64), vec![], tail));
        }
        ranges
    }

    /// Blocks of rows of tiles that look the same: outer ones may be cut where others are not. With a `task`, it is the
    /// index of a block.
    pub(super) fn tile_blocks(&mut self, w: &Winograd, task: Option<Var>) -> Vec<Block> {
        let looks = |block: usize| -> Vec<[[usize; 2]; 2]> {
            let rows = block * w.rows..(block + 1) * w.rows;
            rows.map(|row| [w.data_rows(row), w.result_rows(row)]).collect()
        };
        let mut found = vec![];
        for (first, count) in runs(w.across[0] / w.rows, looks) {
            let var = task.unwrap_or_else(|| self.scope.var());
            let index = match task {
                Some(task) => Affine::from(task),
                None if count > 1 => &Affine::constant(first as i64) + &Affine::from(var),
                None => Affine::constant(first as i64),
            };
            found.push(Block { index, first, count: (var, count), by_task: task.is_some() });
        }
        found
    }

    /// The loop over the blocks that look like one, or what keeps other tasks away from it.
    pub(super) fn around(&mut self, block: &Block, body: Vec<Stmt>) -> Vec<Stmt> {
        let (var, count) = block.count;
        if !block.by_task {
            return for_each(&block.loops(), Kind::Serial, body);
        }
        let task = Affine::from(var);
        let from = &Affine::constant(block.first as i64) - &task;
        let [outer, inner] = [self.scope.var(), self.scope.var()];
        vec![only_where(outer, task, block.first + count, vec![only_where(inner, from, 1, body)])]
    }

    /// A transform for each row of tiles of a block, whose tiles lie in `space` on one side; `exist`: which rows of
    /// points there are on the other, for each row of tiles of the picture.
    pub(super) fn picture_rows(
        &mut self,
        w: &Winograd,
        space: &Space,
        block: &Block,
        exist: impl Fn(usize) -> [usize; 2],
        mut make: impl FnMut(&Self, &Row) -> Transform,
    ) -> Vec<Stmt> {
        let image = w.slide.image.map_or(Affine::default(), |(v, _)| Affine::from(v));
        let [down, across] = w.across.map(|n| n as i64);
        let mut stmts = vec![];
        for (first, count) in runs(w.rows, |row| exist(block.first * w.rows + row)) {
            let var = self.scope.var();
            let row = Affine::constant(first as i64);
            let row = if count > 1 { &row + &Affine::from(var) } else { row };
            let in_picture = &(&block.index * w.rows as i64) + &row;
            let rows = match &space.example {
                None => &(&image * w.rows as i64) + &row,
                Some(example) => &(&(example + &image) * down) + &in_picture,
            };
            let points = exist(block.first * w.rows + first);
            let one = make(self, &Row { row: in_picture, tile: &rows * across, points });
            let loops = if count > 1 { vec![(var, count)] } else { vec![] };
            stmts.extend(for_each(&loops, Kind::Serial, vec![Stmt::Transform(one)]));
        }
        let images: Vec<(Var, usize)> = w.slide.image.into_iter().collect();
        for_each(&images, Kind::Serial, stmts)
    }

    /// Rows of tiles of the picture to transformed tiles.
    pub(super) fn data(&mut self, w: &Winograd, space: &Space, block: &Block) -> Vec<Stmt> {
        self.picture_rows(
            w,
            space,
            block,
            |row| w.data_rows(row),
            |s, row| {
                let (from, from_strides) = s.picture(w, &w.c.a.at, w.c.a.buffer, &row.row, &Affine::default());
                Transform {
                    matrix: Matrix::Data,
                    from,
                    from_strides,
                    to: space.place(&Affine::default(), &row.tile, 0),
                    to_strides: space.strides(),
                    count: w.across[1],
                    channels: w.slide.channel.1,
                    rows: row.points,
                    cols: w.data_columns(),
                    step: w.slide.points,
                }
            },
        )
    }

    /// The place of a row of tiles in an operand that is a picture, and its strides.
    pub(super) fn picture(
        &self,
        w: &Winograd,
        at: &[Affine],
        buffer: Buffer,
        row: &Affine,
        panel: &Affine,
    ) -> (Place, [i64; 3]) {
        let strides = self.strides(buffer);
        let by = |v: Var| at.iter().zip(&strides).map(|(a, s)| a.coefficient(v) * s).sum::<i64>();
        let [(y, _), (x, _)] = w.slide.pixels;
        let points = w.slide.points as i64;
        let place = w.origin(at, panel, w.choice.width(self.tiles));
        // `origin` leaves the picture's rows at 0.
        let place = place.iter().zip(at).map(|(o, a)| o + &(&(row * points) * a.coefficient(y))).collect();
        (Place { buffer, at: place }, [by(y), by(x), by(x) * points])
    }

    /// Tiles of microkernels over `rows` rows.
    pub(super) fn rows_of_tiles(
        &mut self,
        w: &Winograd,
        rows: usize,
        columns: usize,
        operands: impl Fn(&Affine) -> Operands,
    ) -> Vec<Stmt> {
        let vectors = columns.div_ceil(self.tiles.lanes);
        let last = columns - (vectors - 1) * self.tiles.lanes;
        let width = w.choice.width(self.tiles) as i64;
        let size = w.choice.rows.min(self.tiles.max_rows(vectors));
        let tile = |count: usize, row: &Affine| {
            let o = operands(row);
            Stmt::Tile(Tile {
                finish: None,
                beside: None,
                rows: count,
                vectors,
                last,
                k: o.k,
                batches: 1,
                a: o.a,
                a_row: o.a_row,
                a_k: o.a_k,
                a_batch: 0,
                b: o.b,
                b_k: width,
                b_batch: 0,
                c: o.c,
                c_row: width,
                accumulate: o.accumulate,
                ahead: None,
            })
        };
        let mut stmts = vec![];
        if rows / size > 0 {
            let i = self.scope.var();
            let one = tile(size, &(&Affine::from(i) * size as i64));
            stmts.extend(for_each(&[(i, rows / size)], Kind::Serial, vec![one]));
        }
        if rows % size > 0 {
            stmts.push(tile(rows % size, &Affine::constant((rows / size * size) as i64)));
        }
        stmts
    }
}

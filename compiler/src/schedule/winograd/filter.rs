//! Weight gradient: products of tiles are summed, in the cache of a core or, where there are too many channels for it,
//! one point after the other over the tiles of all examples.

use super::rows::{Block, Operands, Space};
use super::{POINTS, Winograd};
use crate::base::Var;
use crate::loops::nest::{Accumulate, Kind, Place, Stmt, Transform};
use crate::loops::{Affine, Home};
use crate::schedule::tile_nest::{Builder, for_each};

/// What surrounds a weight gradient's loop over blocks.
pub struct Summed {
    pub body: Vec<Stmt>,
    /// After all blocks.
    pub tail: Vec<Stmt>,
}

/// A weight gradient in several steps.
pub struct Spread {
    /// For one block: both pictures are transformed.
    pub body: Vec<Stmt>,
    /// A task's part of the products, the number of tasks, and the same for the transform back.
    pub products: (Vec<Stmt>, usize),
    pub back: (Vec<Stmt>, usize),
}

impl Builder<'_> {
    /// Adds the share of one block; `first` are the loops over blocks around it.
    pub fn winograd_filter(&mut self, w: Winograd, first: &[Var]) -> Summed {
        let w = &self.with_zeros(w);
        let (width, channels, panels) = self.filter_sizes(w);
        let data = self.space(&[], (w.tiles(), channels), Home::Scratch, "tiles");
        let gradient = self.space(&[], (w.tiles(), width), Home::Scratch, "gradient tiles");
        let mut sum = self.space(&[panels], (channels, width), Home::Scratch, "sum of tiles");
        let mut all = w.fill.clone();
        for block in self.tile_blocks(w, None) {
            let mut body = self.data(w, &data, &block);
            let around = block.loops().into_iter().map(|(v, _)| v);
            let add = match block.first {
                0 => Accumulate::AfterFirst(first.iter().copied().chain(around).collect()),
                _ => Accumulate::Always,
            };
            for (panel, count, columns) in self.panel_ranges(w) {
                sum.lead = vec![panel.clone()];
                let mut stmts = self.gradient(w, &gradient, &block, &panel, columns);
                let point = self.scope.var();
                let tiles = self.sums(w, [&data, &gradient, &sum], (&point.into(), columns), &add);
                stmts.extend(for_each(&[(point, POINTS)], Kind::Serial, tiles));
                body.extend(for_each(&count, Kind::Serial, stmts));
            }
            all.extend(self.around(&block, body));
        }
        let mut tail = vec![];
        for (panel, count, columns) in self.panel_ranges(w) {
            sum.lead = vec![panel];
            let back = self.back(w, &sum, columns);
            tail.extend(for_each(&count, Kind::Serial, vec![back]));
        }
        Summed { body: all, tail }
    }

    /// The same in several steps; `example` is the first of a block of the `batch`. Tasks are points, then panels.
    pub fn winograd_spread(&mut self, w: Winograd, example: &Affine, batch: usize, tasks: [Var; 2]) -> Spread {
        let w = &self.with_zeros(w);
        let (width, channels, panels) = self.filter_sizes(w);
        let tiles = batch * w.across[0] * w.across[1];
        let mut data = self.space(&[], (tiles, channels), Home::Arena, "tiles");
        let mut gradient = self.space(&[panels], (tiles, width), Home::Arena, "gradient tiles");
        let mut sum = self.space(&[panels], (channels, width), Home::Arena, "sum of tiles");
        data.example = Some(example.clone());
        gradient.example = Some(example.clone());
        let mut all = w.fill.clone();
        for block in self.tile_blocks(w, None) {
            let mut body = self.data(w, &data, &block);
            for (panel, count, columns) in self.panel_ranges(w) {
                gradient.lead = vec![panel.clone()];
                let stmts = self.gradient(w, &gradient, &block, &panel, columns);
                body.extend(for_each(&count, Kind::Serial, stmts));
            }
            all.extend(self.around(&block, body));
        }
        let mut products = vec![];
        let [point, task] = tasks;
        for (panel, count, columns) in self.panel_ranges(w) {
            gradient.lead = vec![panel.clone()];
            sum.lead = vec![panel.clone()];
            let sums =
                self.sums(w, [&data, &gradient, &sum], (&point.into(), columns), &Accumulate::AfterFirst(vec![]));
            products.extend(for_each(&count, Kind::Serial, sums));
        }
        sum.lead = vec![task.into()];
        let back = self.by_task(task, w.c.column.1, width, |s, columns| vec![s.back(w, &sum, columns)]);
        Spread { body: all, products: (products, POINTS), back: (back, panels) }
    }

    /// Rows of tiles of a panel of the result's gradient to transformed tiles.
    fn gradient(&mut self, w: &Winograd, space: &Space, block: &Block, panel: &Affine, columns: usize) -> Vec<Stmt> {
        self.picture_rows(
            w,
            space,
            block,
            |row| w.result_rows(row),
            |s, row| {
                let (from, from_strides) = s.picture(w, &w.c.b.at, w.c.b.buffer, &row.row, panel);
                Transform {
                    matrix: w.slide.matrices()[2],
                    from,
                    from_strides,
                    to: space.place(&Affine::default(), &row.tile, 0),
                    to_strides: space.strides(),
                    count: w.across[1],
                    channels: columns,
                    rows: row.points,
                    cols: [0, w.slide.pixels[1].1],
                    step: w.slide.points,
                }
            },
        )
    }

    /// Columns of a panel, channels, panels.
    fn filter_sizes(&self, w: &Winograd) -> (usize, usize, usize) {
        let width = w.choice.width(self.tiles);
        (width, w.slide.channel.1, w.c.column.1.div_ceil(width))
    }

    /// Products of the tiles of one point and panel.
    fn sums(
        &mut self,
        w: &Winograd,
        [data, gradient, sum]: [&Space; 3],
        (point, columns): (&Affine, usize),
        add: &Accumulate,
    ) -> Vec<Stmt> {
        let zero = Affine::default();
        self.rows_of_tiles(w, data.width, columns, |row| {
            let mut a = data.place(point, &zero, 0);
            if let Some(element) = a.at.last_mut() {
                *element = row.clone();
            }
            Operands {
                a,
                a_row: 1,
                a_k: data.width as i64,
                k: data.tiles,
                b: gradient.place(point, &zero, 0),
                c: sum.place(point, row, 0),
                accumulate: add.clone(),
            }
        })
    }

    /// The sums of a panel as the filters' gradient.
    fn back(&mut self, w: &Winograd, sum: &Space, columns: usize) -> Stmt {
        let zero = Affine::default();
        let c = &w.c;
        let strides = self.strides(c.c);
        let by = |v: Var| c.c_at.iter().zip(&strides).map(|(a, s)| a.coefficient(v) * s).sum::<i64>();
        Stmt::Transform(Transform {
            matrix: w.slide.matrices()[3],
            from: sum.place(&zero, &zero, 0),
            from_strides: sum.strides(),
            to: Place { buffer: c.c, at: w.origin(&c.c_at, &sum.lead[0], sum.width) },
            to_strides: [by(w.slide.taps[0]), by(w.slide.taps[1]), by(w.slide.channel.0)],
            count: sum.tiles,
            channels: columns,
            rows: [0, 1],
            cols: [0, 1],
            step: 1,
        })
    }
}

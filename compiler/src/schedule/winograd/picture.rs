//! Forward and input gradient: a picture is made, tile by tile.

use super::rows::{Block, Operands, Space};
use super::{POINTS, Winograd};
use crate::base::Var;
use crate::loops::nest::{Accumulate, Kind, Place, Stmt, Transform, Transpose};
use crate::loops::{Affine, Home};
use crate::schedule::tile_nest::{Builder, for_each};

/// The steps of one picture that tasks share: bodies and how many tasks each has.
pub struct Parts {
    /// Transforms the filters.
    pub weights: (Vec<Stmt>, usize),
    /// Makes what all tasks of the last step read, where they do not make it themselves.
    pub before: Vec<(Vec<Stmt>, usize)>,
    pub products: (Vec<Stmt>, usize),
}

impl Builder<'_> {
    /// Forward or input gradient: the body for one block, and a step's body that transforms the filters, of so many
    /// tasks.
    pub fn winograd_picture(&mut self, w: Winograd, task: Var) -> (Vec<Stmt>, Vec<Stmt>, usize) {
        let w = &self.with_zeros(w);
        let (mut filters, weights, tasks) = self.filters(w, task);
        let mut all = w.fill.clone();
        all.extend(self.by_blocks(w, &mut filters, None));
        (all, weights, tasks)
    }

    /// The same for one picture whose work is shared out: tasks are blocks of rows of tiles, or panels of columns where
    /// there are too few rows. `tasks` are those of the filters, of the transformed picture, and of the products.
    pub fn winograd_parts(&mut self, w: Winograd, tasks: [Var; 3]) -> Parts {
        let w = &self.with_zeros(w);
        let (mut filters, weights, panels) = self.filters(w, tasks[0]);
        let mut before = vec![];
        if !w.fill.is_empty() {
            // All tasks read the copy.
            self.buffers[w.c.a.buffer.index()].home = Home::Arena;
            before.push((w.fill.clone(), 1));
        }
        let blocks = w.across[0] / w.rows;
        if blocks > 1 {
            let products = (self.by_blocks(w, &mut filters, Some(tasks[2])), blocks);
            return Parts { weights: (weights, panels), before, products };
        }
        let data = self.space(&[], (w.tiles(), w.slide.channel.1), Home::Arena, "tiles");
        let width = w.choice.width(self.tiles);
        let products = self.space(&[], (w.tiles(), width), Home::Scratch, "products");
        let mut body = vec![];
        for block in self.tile_blocks(w, None) {
            before.push((self.data(w, &data, &block), 1));
            let panel = Affine::from(tasks[2]);
            filters.lead = vec![panel.clone()];
            let make = |s: &mut Self, columns: usize| {
                s.panel_of_block(w, &block, [&data, &filters, &products], &panel, columns)
            };
            body.extend(self.by_task(tasks[2], w.c.column.1, width, make));
        }
        Parts { weights: (weights, panels), before, products: (body, panels) }
    }

    /// All blocks of the picture, one after the other or each by a task.
    fn by_blocks(&mut self, w: &Winograd, filters: &mut Space, task: Option<Var>) -> Vec<Stmt> {
        let (block, channels) = (w.tiles(), w.slide.channel.1);
        let data = self.space(&[], (block, channels), Home::Scratch, "tiles");
        let products = self.space(&[], (block, w.choice.width(self.tiles)), Home::Scratch, "products");
        let mut all = vec![];
        for block in self.tile_blocks(w, task) {
            let mut body = self.data(w, &data, &block);
            for (panel, count, columns) in self.panel_ranges(w) {
                filters.lead = vec![panel.clone()];
                let stmts = self.panel_of_block(w, &block, [&data, filters, &products], &panel, columns);
                body.extend(for_each(&count, Kind::Serial, stmts));
            }
            all.extend(self.around(&block, body));
        }
        all
    }

    /// Products of a block's tiles with a panel of the filters, and the result's points.
    fn panel_of_block(
        &mut self,
        w: &Winograd,
        block: &Block,
        [data, filters, products]: [&Space; 3],
        panel: &Affine,
        columns: usize,
    ) -> Vec<Stmt> {
        let zero = Affine::default();
        let channels = w.slide.channel.1;
        let point = self.scope.var();
        let tiles = self.rows_of_tiles(w, data.tiles, columns, |row| Operands {
            a: data.place(&point.into(), row, 0),
            a_row: channels as i64,
            a_k: 1,
            k: channels,
            b: filters.place(&point.into(), &zero, 0),
            c: products.place(&point.into(), row, 0),
            accumulate: Accumulate::AfterFirst(vec![]),
        });
        let mut stmts = for_each(&[(point, POINTS)], Kind::Serial, tiles);
        stmts.extend(self.picture_rows(
            w,
            products,
            block,
            |row| w.result_rows(row),
            |s, row| {
                let (to, to_strides) = s.picture(w, &w.c.c_at, w.c.c, &row.row, panel);
                Transform {
                    matrix: w.slide.matrices()[1],
                    from: products.place(&zero, &row.tile, 0),
                    from_strides: products.strides(),
                    to,
                    to_strides,
                    count: w.across[1],
                    channels: columns,
                    rows: row.points,
                    cols: [0, w.slide.pixels[1].1],
                    step: w.slide.points,
                }
            },
        ));
        stmts
    }

    /// The transformed filters and the body of the step that makes them; a task is a panel.
    fn filters(&mut self, w: &Winograd, task: Var) -> (Space, Vec<Stmt>, usize) {
        let width = w.choice.width(self.tiles);
        let (channels, taps) = (w.slide.channel.1, w.slide.width);
        let panels = w.c.column.1.div_ceil(width);
        let mut filters = self.space(&[panels], (channels, width), Home::Arena, "filters");
        filters.lead = vec![Affine::from(task)];
        let b = w.c.b.clone();
        let strides = self.strides(b.buffer);
        let by = |v: Var| b.stride(&strides, v);
        let (column, channel) = (by(w.c.column.0), by(w.slide.channel.0));
        let [tap_row, tap_col] = w.slide.taps.map(by);
        let panel = Affine::from(task);
        let zero = Affine::default();
        let [matrix, ..] = w.slide.matrices();
        let make = |s: &mut Self, columns: usize| -> Vec<Stmt> {
            let place = Place { buffer: b.buffer, at: w.origin(&b.at, &panel, width) };
            let transform = |from: Place, from_strides: [i64; 3]| {
                Stmt::Transform(Transform {
                    matrix,
                    from,
                    from_strides,
                    to: filters.place(&zero, &zero, 0),
                    to_strides: filters.strides(),
                    count: channels,
                    channels: columns,
                    rows: [0, 1],
                    cols: [0, 1],
                    step: 1,
                })
            };
            if column == 1 {
                return vec![transform(place, [tap_row, tap_col, channel])];
            }
            // Channels have unit stride: turned around first.
            let turned = s.buffer(&[taps, taps, channels, width], Home::Scratch, "turned filters");
            let (i, j) = (s.scope.var(), s.scope.var());
            let place = Place { buffer: b.buffer, at: w.tap(&b.at, &panel, width, [i.into(), j.into()]) };
            let to = Place { buffer: turned, at: vec![i.into(), j.into(), zero.clone(), zero.clone()] };
            let turn =
                Transpose { from: place, from_row: column, to, to_row: width as i64, rows: columns, columns: channels };
            let mut stmts = for_each(&[(i, taps), (j, taps)], Kind::Serial, vec![Stmt::Transpose(turn)]);
            let from = Place { buffer: turned, at: vec![zero.clone(); 4] };
            let row = (channels * width) as i64;
            stmts.push(transform(from, [taps as i64 * row, row, width as i64]));
            stmts
        };
        let body = self.by_task(task, w.c.column.1, width, make);
        (filters, body, panels)
    }
}

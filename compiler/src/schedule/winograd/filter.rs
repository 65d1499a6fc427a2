//! Weight gradient: products of tiles are summed, in the cache of a core or, where there are too many channels for it,
//! one point after the other over the tiles of all examples.

use super::rows::{Operands, Space};
use super::{POINTS, Winograd};
use crate::base::Var;
use crate::loops::nest::{Accumulate, Kind, Place, Stmt, Transform};
use crate::loops::{Affine, Home};
use crate::schedule::tile_nest::{Builder, for_each, only_where};
use dlc_runtime::micro::Matrix;

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
    pub fn winograd_filter(&mut self, w: &Winograd, first: &[Var]) -> Summed {
        let (width, channels, panels) = self.filter_sizes(w);
        let at = self.scope.var();
        let data = self.space(&[], (w.tiles(), channels), Home::Scratch, "tiles");
        let gradient = self.space(&[], (w.tiles(), width), Home::Scratch, "gradient tiles");
        let mut sum = self.space(&[panels], (channels, width), Home::Scratch, "sum of tiles");
        let (zero, block) = (Affine::default(), Affine::from(at));
        let mut body = self.forwards(w, (Matrix::Data, &w.c.a), &data, &block, &zero, channels);
        let first = [first, &[at]].concat();
        let mut tail = vec![];
        for (panel, count, columns) in self.panel_ranges(w) {
            sum.lead = vec![panel.clone()];
            let adjoint = w.slide.matrices()[2];
            let mut stmts = self.forwards(w, (adjoint, &w.c.b), &gradient, &block, &panel, columns);
            let point = self.scope.var();
            let tiles = self.sums(w, [&data, &gradient, &sum], (&point.into(), columns), &first);
            stmts.extend(for_each(&[(point, POINTS)], Kind::Serial, tiles));
            body.extend(for_each(&count, Kind::Serial, stmts));
            let back = self.back(w, &sum, columns);
            tail.extend(for_each(&count, Kind::Serial, vec![back]));
        }
        let mut all = w.fill.clone();
        all.extend(for_each(&[(at, w.across[0] / w.rows)], Kind::Serial, body));
        Summed { body: all, tail }
    }

    /// The same in several steps; `example` is the first of a block of the `batch`. Tasks are points, then panels.
    pub fn winograd_spread(&mut self, w: &Winograd, example: &Affine, batch: usize, tasks: [Var; 2]) -> Spread {
        let (width, channels, panels) = self.filter_sizes(w);
        let tiles = batch * w.across[0] * w.across[1];
        let at = self.scope.var();
        let mut data = self.space(&[], (tiles, channels), Home::Arena, "tiles");
        let mut gradient = self.space(&[panels], (tiles, width), Home::Arena, "gradient tiles");
        let mut sum = self.space(&[panels], (channels, width), Home::Arena, "sum of tiles");
        data.example = Some(example.clone());
        gradient.example = Some(example.clone());
        let (zero, block) = (Affine::default(), Affine::from(at));
        let mut body = self.forwards(w, (Matrix::Data, &w.c.a), &data, &block, &zero, channels);
        let (mut products, mut back) = (vec![], vec![]);
        let [point, task] = tasks.map(Affine::from);
        let whole = w.c.column.1 / width;
        for (panel, count, columns) in self.panel_ranges(w) {
            gradient.lead = vec![panel.clone()];
            sum.lead = vec![panel.clone()];
            let adjoint = w.slide.matrices()[2];
            let stmts = self.forwards(w, (adjoint, &w.c.b), &gradient, &block, &panel, columns);
            body.extend(for_each(&count, Kind::Serial, stmts));
            let sums = self.sums(w, [&data, &gradient, &sum], (&point, columns), &[]);
            products.extend(for_each(&count, Kind::Serial, sums));
            sum.lead = vec![task.clone()];
            let one = self.back(w, &sum, columns);
            let once = self.scope.var();
            back.push(match count.is_empty() {
                false => only_where(once, task.clone(), whole, vec![one]),
                true => only_where(once, &Affine::constant(whole as i64) - &task, 1, vec![one]),
            });
        }
        let mut all = w.fill.clone();
        all.extend(for_each(&[(at, w.across[0] / w.rows)], Kind::Serial, body));
        Spread { body: all, products: (products, POINTS), back: (back, panels) }
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
        first: &[Var],
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
                accumulate: Accumulate::AfterFirst(first.to_vec()),
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
            rows: w.slide.width,
            cols: w.slide.width,
        })
    }
}

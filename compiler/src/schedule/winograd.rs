//! Convolutions with 3x3 or 5x5 taps and stride 1 by Winograd's algorithm, for a block of tiles at a time.
//!
//! Tiles of 6x6 points overlap; in the transformed space every point is a small matrix product of its own over the
//! channels. F(4x4, 3x3) multiplies 4 times less than direct convolution, F(2x2, 5x5) 2.8 times. Three transforms (of
//! `dlc_runtime::micro`) surround the products:
//!
//! - forward and input gradient: `Y = A' ((G g G') * (B' d B)) A`, with the filters transformed once per run;
//! - weight gradient: `dg = G' (sum over tiles of (A dY A') * (B' d B)) G`, with the sum kept in scratch.
//!
//! Layouts: data `[point][tile, channel]`, filters `[panel][point][channel][column]`.

use super::Numerics;
use super::contraction::Contraction;
use super::tile_nest::{Builder, for_each, only_where};
use super::tiling::{Choice, choose};
use crate::base::{Buffer, Var};
use crate::loops::nest::{Accumulate, Kind, Place, Stmt, Tile, Transform, Transpose};
use crate::loops::{Affine, Home};
use dlc_runtime::micro::{Matrix, Tiles};

/// Points of a tile.
const POINTS: usize = 36;
/// Tiles of a block: enough for full microkernels, few enough for the second-level cache.
const MOST_TILES: usize = 64;
/// Floats between the points of a tile beyond the tiles themselves, so that points do not fall on the same cache sets.
const SKEW: usize = 16;
/// Floats of the sum of a weight gradient that a core keeps in its cache.
const LARGEST_SUM: usize = 640 * 1024;

/// What slides over what.
#[derive(Clone, Debug)]
struct Slide {
    /// Examples of the block, where there are several.
    image: Option<(Var, usize)>,
    /// Rows and columns of the picture that is made, or summed over.
    pixels: [(Var, usize); 2],
    taps: [Var; 2],
    channel: (Var, usize),
    /// Points of a tile of the result, and taps, along each axis.
    points: usize,
    width: usize,
}

/// A convolution that is done by tiles.
pub struct Winograd {
    c: Contraction,
    slide: Slide,
    /// Copies the picture with its zeros.
    fill: Vec<Stmt>,
    /// Tiles along each axis of a picture, and rows of tiles of a block.
    across: [usize; 2],
    rows: usize,
    choice: Choice,
    data: Buffer,
    /// Is it a weight gradient?
    summed: bool,
}

/// What the surroundings allow.
#[derive(Clone, Copy)]
pub struct Allowed {
    pub numerics: Numerics,
    /// Filters that can be transformed in a step before.
    pub picture: bool,
    /// Something after the last block of every task.
    pub filter: bool,
}

/// What surrounds a weight gradient's loop over blocks.
pub struct Summed {
    pub body: Vec<Stmt>,
    /// After all blocks.
    pub tail: Vec<Stmt>,
}

/// Does exactly this variable, with this factor, make up a coordinate?
fn alone(at: &Affine, var: Var) -> bool {
    at.as_var() == Some(var)
}

/// The two variables of a coordinate `pixel + tap + constant`, the pixel first.
fn pair(at: &Affine, pixels: &[(Var, usize)], taps: &[(Var, usize)]) -> Option<((Var, usize), (Var, usize))> {
    let find =
        |among: &[(Var, usize)]| among.iter().find(|(v, _)| at.terms.iter().any(|(t, by)| t == v && *by == 1)).copied();
    let found = (find(pixels)?, find(taps)?);
    (at.terms.len() == 2).then_some(found)
}

impl Slide {
    fn of(c: &Contraction) -> Option<(Slide, bool)> {
        let summed = c.rows.iter().filter(|(_, n)| *n > 1).count() == 3 && c.sum.len() <= 3 && {
            let last = c.a.at.last()?.as_var()?;
            c.rows.iter().any(|(v, _)| *v == last)
        };
        let (pixels, taps) = if summed { (&c.sum, &c.rows) } else { (&c.rows, &c.sum) };
        let [.., y, x, channel] = &c.a.at[..] else { return None };
        let channel = channel.as_var()?;
        let channel = *taps.iter().find(|(v, _)| *v == channel)?;
        let (py, ty) = pair(y, pixels, taps)?;
        let (px, tx) = pair(x, pixels, taps)?;
        let known = [py.0, px.0, ty.0, tx.0, channel.0];
        let rest: Vec<(Var, usize)> =
            pixels.iter().chain(taps).filter(|(v, n)| *n > 1 && !known.contains(v)).copied().collect();
        let image = match rest[..] {
            [] => None,
            [one] if pixels.contains(&one) => Some(one),
            _ => return None,
        };
        let points = match (ty.1, tx.1) {
            (3, 3) => 4,
            (5, 5) => 2,
            _ => return None,
        };
        let single = |at: &[Affine]| at.iter().all(|a| a.terms.iter().filter(|(v, _)| in_play(c, *v)).count() <= 1);
        let fits = c.outer.iter().all(|(_, n)| *n == 1)
            && c.b.inside.is_empty()
            && single(&c.b.at)
            && single(&c.c_at)
            && c.c_at.last().is_some_and(|a| alone(a, c.column.0));
        let slide = Slide { image, pixels: [py, px], taps: [ty.0, tx.0], channel, points, width: ty.1 };
        fits.then_some((slide, summed))
    }

    fn tiles(&self) -> [usize; 2] {
        self.pixels.map(|(_, n)| n.div_ceil(self.points))
    }

    fn images(&self) -> usize {
        self.image.map_or(1, |(_, n)| n)
    }

    /// Rows of tiles of one block.
    fn rows(&self) -> usize {
        let [down, across] = self.tiles();
        if self.images() > 1 || down * across <= MOST_TILES || self.pixels[0].1 % self.points != 0 {
            return down;
        }
        (1..=down).rev().find(|rows| down.is_multiple_of(*rows) && rows * across <= MOST_TILES).unwrap_or(1)
    }

    fn matrices(&self) -> [Matrix; 4] {
        match self.points {
            4 => [Matrix::Filter3, Matrix::Result4, Matrix::ResultAdjoint4, Matrix::FilterAdjoint3],
            _ => [Matrix::Filter5, Matrix::Result2, Matrix::ResultAdjoint2, Matrix::FilterAdjoint5],
        }
    }
}

fn in_play(c: &Contraction, var: Var) -> bool {
    c.rows.iter().chain(&c.sum).chain([&c.column]).any(|(v, _)| *v == var)
}

/// Modelled cycles of the direct nest and of this one, for one block; the filters' share of `runs` blocks per run.
fn cycles(tiles: &Tiles, c: &Contraction, slide: &Slide, choice: &Choice, summed: bool, runs: usize) -> [f64; 2] {
    let lanes = tiles.lanes as f64;
    let each = lanes * tiles.fma_per_cycle as f64;
    let direct = c.flop() as f64 / 2.0 / each / 0.88;
    let [down, across] = slide.tiles();
    let count = (slide.images() * down * across) as f64;
    let vectors = |n: usize| n.div_ceil(tiles.lanes) as f64;
    let (channels, columns) = (vectors(slide.channel.1), vectors(c.column.1));
    let blocks = (down / slide.rows().max(1)).max(1) as f64;
    let products = POINTS as f64 * choice.cycles * blocks;
    let transforms = count * (110.0 * channels + 90.0 * columns);
    let filters = channels * columns * lanes * 90.0 / if summed { 8.0 } else { runs as f64 };
    [direct, products + transforms + filters]
}

impl Builder<'_> {
    /// The plan of a convolution that is faster by tiles; `runs` blocks of it make one run of the program.
    pub fn winograd(&mut self, c: &Contraction, runs: usize, may: Allowed) -> Option<Winograd> {
        let (slide, summed) = Slide::of(c)?;
        if may.numerics == Numerics::Strict || !(if summed { may.filter } else { may.picture }) {
            return None;
        }
        let [down, across] = slide.tiles();
        let rows = slide.rows();
        let block = slide.images() * rows * across;
        let (channels, columns) = (slide.channel.1, c.column.1);
        if summed && POINTS * channels * columns.next_multiple_of(self.tiles.lanes) > LARGEST_SUM {
            return None;
        }
        let choice = match summed {
            true => choose(self.tiles, channels, columns, block),
            false => choose(self.tiles, block, columns, channels),
        };
        let [direct, by_tiles] = cycles(self.tiles, c, &slide, &choice, summed, runs);
        if by_tiles > direct && may.numerics != Numerics::Always {
            return None;
        }
        let mut c = c.clone();
        // The picture is read in whole tiles: what lies beyond it counts as 0.
        let whole = |vars: &mut Vec<(Var, usize)>| {
            for (v, n) in vars {
                if slide.pixels.iter().any(|(p, _)| p == v) {
                    *n = n.next_multiple_of(slide.points);
                }
            }
        };
        whole(if summed { &mut c.sum } else { &mut c.rows });
        let shape = self.buffers[c.a.buffer.index()].shape.clone();
        let first = shape.len() - 3;
        for k in [first, first + 1] {
            let guard = (c.a.at[k].clone(), shape[k]);
            if !c.a.inside.contains(&guard) {
                c.a.inside.push(guard);
            }
        }
        let fill = self.pad(&mut c);
        let data = self.buffer(&[POINTS, block * channels + SKEW], Home::Scratch, "tiles");
        Some(Winograd { c, slide, fill, across: [down, across], rows, choice, data, summed })
    }

    /// Forward or input gradient: the body for one block, and a step's body that transforms the filters, of so many
    /// tasks.
    pub fn winograd_picture(&mut self, w: &Winograd, task: Var) -> (Vec<Stmt>, Vec<Stmt>, usize) {
        let (filters, weights, tasks) = self.filters(w, task);
        let width = w.choice.width(self.tiles);
        let block = w.tiles();
        let at = self.scope.var();
        let mut body = self.data(w, &Affine::from(at));
        let products = self.buffer(&[POINTS, block * width + SKEW], Home::Scratch, "products");
        for (panel, count, columns) in self.panel_ranges(w) {
            let point = self.scope.var();
            let mut stmts = self.rows_of_tiles(w, block, columns, |row| Operands {
                a: Place { buffer: w.data, at: vec![point.into(), row * w.slide.channel.1 as i64] },
                a_row: w.slide.channel.1 as i64,
                a_k: 1,
                k: w.slide.channel.1,
                b: Place {
                    buffer: filters,
                    at: vec![panel.clone(), point.into(), Affine::default(), Affine::default()],
                },
                c: Place { buffer: products, at: vec![point.into(), row * width as i64] },
                accumulate: Accumulate::AfterFirst(vec![]),
            });
            stmts = for_each(&[(point, POINTS)], Kind::Serial, stmts);
            stmts.extend(self.result(w, &Affine::from(at), products, &panel, columns));
            body.extend(for_each(&count, Kind::Serial, stmts));
        }
        let mut all = w.fill.clone();
        all.extend(for_each(&[(at, w.across[0] / w.rows)], Kind::Serial, body));
        (all, weights, tasks)
    }

    /// Weight gradient: adds the share of one block; `first` are the loops over blocks around it.
    pub fn winograd_filter(&mut self, w: &Winograd, first: &[Var]) -> Summed {
        let width = w.choice.width(self.tiles);
        let channels = w.slide.channel.1;
        let block = w.tiles();
        let panels = w.c.column.1.div_ceil(width);
        let at = self.scope.var();
        let gradient = self.buffer(&[POINTS, block * width + SKEW], Home::Scratch, "gradient tiles");
        let sum = self.buffer(&[panels, POINTS, channels, width], Home::Scratch, "sum of tiles");
        let mut body = self.data(w, &Affine::from(at));
        let mut first = first.to_vec();
        first.push(at);
        let mut tail = vec![];
        let zero = Affine::default;
        let [_, _, adjoint, filter] = w.slide.matrices();
        for (panel, count, columns) in self.panel_ranges(w) {
            let mut stmts = self.picture_rows(w, &Affine::from(at), |s, row, tiles, rows| {
                let (place, strides) = s.picture(w, &w.c.b.at, w.c.b.buffer, row, &panel);
                let to = Place { buffer: gradient, at: vec![zero(), tiles * width as i64] };
                let step = (block * width + SKEW) as i64;
                Transform {
                    matrix: adjoint,
                    from: place,
                    from_strides: strides,
                    to,
                    to_strides: [6 * step, step, width as i64],
                    count: w.across[1],
                    channels: columns,
                    rows,
                    cols: w.slide.pixels[1].1,
                }
            });
            let point = self.scope.var();
            let tiles = self.rows_of_tiles(w, channels, columns, |row| Operands {
                a: Place { buffer: w.data, at: vec![point.into(), row.clone()] },
                a_row: 1,
                a_k: channels as i64,
                k: block,
                b: Place { buffer: gradient, at: vec![point.into(), zero()] },
                c: Place { buffer: sum, at: vec![panel.clone(), point.into(), row.clone(), zero()] },
                accumulate: Accumulate::AfterFirst(first.clone()),
            });
            stmts.extend(for_each(&[(point, POINTS)], Kind::Serial, tiles));
            body.extend(for_each(&count, Kind::Serial, stmts));
            let step = (channels * width) as i64;
            let c = &w.c;
            let strides = self.strides(c.c);
            let by = |v: Var| c.c_at.iter().zip(&strides).map(|(a, s)| a.coefficient(v) * s).sum::<i64>();
            let channel = w.slide.channel.0;
            let target = Place { buffer: c.c, at: w.origin(&c.c_at, &panel, width) };
            let transform = Transform {
                matrix: filter,
                from: Place { buffer: sum, at: vec![panel.clone(), zero(), zero(), zero()] },
                from_strides: [6 * step, step, width as i64],
                to: target,
                to_strides: [by(w.slide.taps[0]), by(w.slide.taps[1]), by(channel)],
                count: channels,
                channels: columns,
                rows: w.slide.width,
                cols: w.slide.width,
            };
            tail.extend(for_each(&count, Kind::Serial, vec![Stmt::Transform(transform)]));
        }
        let mut all = w.fill.clone();
        all.extend(for_each(&[(at, w.across[0] / w.rows)], Kind::Serial, body));
        Summed { body: all, tail }
    }

    /// Whole panels of columns and the last: the index of a panel, the loop over them, and their columns.
    fn panel_ranges(&mut self, w: &Winograd) -> Vec<(Affine, Vec<(Var, usize)>, usize)> {
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

    /// Transforms the picture: rows of tiles of a block.
    fn data(&mut self, w: &Winograd, block: &Affine) -> Vec<Stmt> {
        let channels = w.slide.channel.1;
        let step = (w.tiles() * channels + SKEW) as i64;
        self.picture_rows(w, block, |s, row, tiles, _| {
            let (from, from_strides) = s.picture(w, &w.c.a.at, w.c.a.buffer, row, &Affine::default());
            Transform {
                matrix: Matrix::Data,
                from,
                from_strides,
                to: Place { buffer: w.data, at: vec![Affine::default(), tiles * channels as i64] },
                to_strides: [6 * step, step, channels as i64],
                count: w.across[1],
                channels,
                rows: 6,
                cols: 6,
            }
        })
    }

    /// Transforms products back into the picture, for the columns of a panel.
    fn result(&mut self, w: &Winograd, block: &Affine, from: Buffer, panel: &Affine, columns: usize) -> Vec<Stmt> {
        let width = w.choice.width(self.tiles);
        let step = (w.tiles() * width + SKEW) as i64;
        let [_, matrix, ..] = w.slide.matrices();
        self.picture_rows(w, block, |s, row, tiles, rows| {
            let (to, to_strides) = s.picture(w, &w.c.c_at, w.c.c, row, panel);
            Transform {
                matrix,
                from: Place { buffer: from, at: vec![Affine::default(), tiles * width as i64] },
                from_strides: [6 * step, step, width as i64],
                to,
                to_strides,
                count: w.across[1],
                channels: columns,
                rows,
                cols: w.slide.pixels[1].1,
            }
        })
    }

    /// A transform for each row of tiles of a block: given the row in its picture, the first of its tiles in the block,
    /// and how many rows of points exist.
    fn picture_rows(
        &mut self,
        w: &Winograd,
        block: &Affine,
        mut make: impl FnMut(&Self, &Affine, &Affine, usize) -> Transform,
    ) -> Vec<Stmt> {
        let image = w.slide.image.map_or(Affine::default(), |(v, _)| Affine::from(v));
        let row = self.scope.var();
        let cut = w.slide.pixels[0].1 % w.slide.points;
        let whole = w.rows - usize::from(cut > 0);
        let mut stmts = vec![];
        let mut at = |s: &Self, row: &Affine, rows: usize| {
            let tiles = &(&(&image * w.rows as i64) + row) * w.across[1] as i64;
            Stmt::Transform(make(s, &(&(block * w.rows as i64) + row), &tiles, rows))
        };
        if whole > 0 {
            let one = at(self, &Affine::from(row), w.slide.points);
            stmts.extend(for_each(&[(row, whole)], Kind::Serial, vec![one]));
        }
        if cut > 0 {
            stmts.push(at(self, &Affine::constant(whole as i64), cut));
        }
        let images: Vec<(Var, usize)> = w.slide.image.into_iter().collect();
        for_each(&images, Kind::Serial, stmts)
    }

    /// The place of a row of tiles in an operand that is a picture, and its strides.
    fn picture(&self, w: &Winograd, at: &[Affine], buffer: Buffer, row: &Affine, panel: &Affine) -> (Place, [i64; 3]) {
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
    fn rows_of_tiles(
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

    /// The transformed filters and the body of the step that makes them; a task is a panel.
    fn filters(&mut self, w: &Winograd, task: Var) -> (Buffer, Vec<Stmt>, usize) {
        let width = w.choice.width(self.tiles);
        let (channels, taps) = (w.slide.channel.1, w.slide.width);
        let panels = w.c.column.1.div_ceil(width);
        let (whole, tail) = (w.c.column.1 / width, w.c.column.1 % width);
        let to = self.buffer(&[panels, POINTS, channels, width], Home::Arena, "filters");
        let b = w.c.b.clone();
        let strides = self.strides(b.buffer);
        let by = |v: Var| b.stride(&strides, v);
        let (column, channel) = (by(w.c.column.0), by(w.slide.channel.0));
        let [tap_row, tap_col] = w.slide.taps.map(by);
        let panel = Affine::from(task);
        let zero = Affine::default;
        let step = (channels * width) as i64;
        let [matrix, ..] = w.slide.matrices();
        let make = |s: &mut Self, columns: usize| -> Vec<Stmt> {
            let place = Place { buffer: b.buffer, at: w.origin(&b.at, &panel, width) };
            let target = Place { buffer: to, at: vec![panel.clone(), zero(), zero(), zero()] };
            let transform = |from: Place, from_strides: [i64; 3]| {
                Stmt::Transform(Transform {
                    matrix,
                    from,
                    from_strides,
                    to: target.clone(),
                    to_strides: [6 * step, step, width as i64],
                    count: channels,
                    channels: columns,
                    rows: 6,
                    cols: 6,
                })
            };
            if column == 1 {
                return vec![transform(place, [tap_row, tap_col, channel])];
            }
            // Channels have unit stride: turned around first.
            let turned = s.buffer(&[taps, taps, channels, width], Home::Scratch, "turned filters");
            let (i, j) = (s.scope.var(), s.scope.var());
            let place = Place { buffer: b.buffer, at: w.tap(&b.at, &panel, width, [i.into(), j.into()]) };
            let to = Place { buffer: turned, at: vec![i.into(), j.into(), zero(), zero()] };
            let turn =
                Transpose { from: place, from_row: column, to, to_row: width as i64, rows: columns, columns: channels };
            let mut stmts = for_each(&[(i, taps), (j, taps)], Kind::Serial, vec![Stmt::Transpose(turn)]);
            let from = Place { buffer: turned, at: vec![zero(); 4] };
            let row = (channels * width) as i64;
            stmts.push(transform(from, [taps as i64 * row, row, width as i64]));
            stmts
        };
        let mut body = vec![];
        if whole > 0 {
            let stmts = make(self, width);
            let once = self.scope.var();
            body.push(only_where(once, panel.clone(), whole, stmts));
        }
        if tail > 0 {
            let stmts = make(self, tail);
            let once = self.scope.var();
            body.push(only_where(once, &Affine::constant(whole as i64) - &panel, 1, stmts));
        }
        (to, body, panels)
    }
}

/// Operands of a tile at some row.
struct Operands {
    a: Place,
    a_row: i64,
    a_k: i64,
    k: usize,
    b: Place,
    c: Place,
    accumulate: Accumulate,
}

impl Winograd {
    /// Tiles of a block.
    fn tiles(&self) -> usize {
        self.slide.images() * self.rows * self.across[1]
    }

    pub fn is_summed(&self) -> bool {
        self.summed
    }

    pub fn name(&self, tiles: &Tiles) -> String {
        let (m, r) = (self.slide.points, self.slide.width);
        format!("winograd {m}x{m},{r}x{r} tile {}x{}", self.choice.rows, self.choice.width(tiles))
    }

    /// A place with everything that varies at 0, but for the panel of columns and the example.
    fn origin(&self, at: &[Affine], panel: &Affine, width: usize) -> Vec<Affine> {
        self.tap(at, panel, width, [Affine::default(), Affine::default()])
    }

    /// An axis of the contraction with one point: nothing loops over it.
    fn is_single(&self, var: Var) -> bool {
        let c = &self.c;
        c.rows.iter().chain(&c.sum).chain(&c.outer).any(|(v, n)| *v == var && *n == 1)
    }

    fn tap(&self, at: &[Affine], panel: &Affine, width: usize, [row, col]: [Affine; 2]) -> Vec<Affine> {
        let [y, x] = self.slide.pixels.map(|(v, _)| v);
        let [i, j] = self.slide.taps;
        let f = |v: Var| match v {
            _ if v == self.c.column.0 => panel * width as i64,
            _ if v == y || v == x || v == self.slide.channel.0 => Affine::default(),
            _ if v == i => row.clone(),
            _ if v == j => col.clone(),
            _ if self.is_single(v) => Affine::default(),
            _ => Affine::from(v),
        };
        at.iter().map(|a| a.substitute(&f)).collect()
    }
}

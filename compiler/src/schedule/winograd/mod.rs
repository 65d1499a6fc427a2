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

mod filter;
mod picture;
mod rows;
mod slide;

use super::contraction::{Contraction, Operand};
use super::tile_nest::Builder;
use super::tiling::{Choice, choose};
use crate::base::{Numerics, Var};
use crate::loops::Affine;
use crate::loops::nest::Stmt;
use dlc_runtime::abi::{Forecast, Part};
use dlc_runtime::micro::Tiles;
use slide::Slide;

/// Points of a tile.
const POINTS: usize = 36;
/// Tiles of a block: enough for full microkernels, few enough for the second-level cache.
const MOST_TILES: usize = 64;
/// Fewer would read the filters too often.
const LEAST_TILES: usize = 16;
/// Panels that a picture with too few rows is shared out in.
const PANELS: usize = 4;
/// Floats between the points of a tile beyond the tiles themselves, so that points do not fall on the same cache sets.
const SKEW: usize = 16;
/// How fast filters that no cache holds come from memory.
const BYTES_PER_CYCLE: f64 = 4.0;
/// Floats of the sum of a weight gradient that a core keeps in its cache.
const LARGEST_SUM: usize = 640 * 1024;
/// Floats of a picture that is copied before it is transformed.
const LARGEST_COPY: usize = 128 * 1024;
/// Where the sum is larger, the tiles of all examples may take so many times its memory.
const MOST_SPREAD: usize = 6;

/// A convolution that is done by tiles.
pub struct Winograd {
    c: Contraction,
    slide: Slide,
    /// Copies the picture with its zeros, where there are others than those around it.
    fill: Vec<Stmt>,
    /// Rows and columns of the picture that is read.
    picture: [usize; 2],
    /// Tiles along each axis of a picture, and rows of tiles of a block.
    across: [usize; 2],
    rows: usize,
    choice: Choice,
    /// Is it a weight gradient?
    summed: bool,
    /// Are its products summed in steps of their own?
    spread: bool,
    /// Is the work on one picture shared out?
    parts: bool,
    forecast: Forecast,
}

/// What the surroundings allow.
#[derive(Clone, Copy)]
pub struct Allowed {
    pub numerics: Numerics,
    /// Filters that can be transformed in a step before.
    pub picture: bool,
    /// The work on one picture is shared out among tasks.
    pub parts: bool,
    /// Something after the last block of every task.
    pub filter: bool,
}

/// Modelled cycles of the direct nest and of this one, for one block; the filters' share of `runs` blocks per run.
fn cycles(
    tiles: &Tiles,
    c: &Contraction,
    (slide, rows): (&Slide, usize),
    choice: &Choice,
    summed: bool,
    runs: usize,
) -> [f64; 2] {
    let lanes = tiles.lanes as f64;
    let each = lanes * tiles.fma_per_cycle as f64;
    let direct = c.flop() as f64 / 2.0 / each / 0.88;
    let [down, across] = slide.tiles();
    let count = (slide.images() * down * across) as f64;
    let vectors = |n: usize| n.div_ceil(tiles.lanes) as f64;
    let (channels, columns) = (vectors(slide.channel.1), vectors(c.column.1));
    let blocks = (down / rows.max(1)).max(1) as f64;
    let read = (POINTS * slide.channel.1 * c.column.1 * size_of::<f32>()) as f64 / BYTES_PER_CYCLE;
    let products = (POINTS as f64 * choice.cycles).max(read) * blocks;
    let transforms = count * (110.0 * channels + 90.0 * columns);
    let filters = channels * columns * lanes * 90.0 / if summed { 8.0 } else { runs as f64 };
    [direct, products + transforms + filters]
}

impl Builder<'_> {
    /// The plan of a convolution that is faster by tiles; `runs` blocks of it make one run of the program. Nothing is
    /// made yet. `Err`: the percentage of peak that it would reach, if it is possible at all.
    pub fn winograd(&mut self, c: &Contraction, runs: usize, may: Allowed) -> Result<Winograd, Option<f64>> {
        let (slide, summed) = Slide::of(c).ok_or(None)?;
        if may.numerics == Numerics::Strict || !(if summed { may.filter } else { may.picture }) {
            return Err(None);
        }
        let [down, across] = slide.tiles();
        let rows = if may.parts { slide.rows_of_parts() } else { slide.rows() };
        let block = slide.images() * rows * across;
        let (channels, columns) = (slide.channel.1, c.column.1);
        let sum = POINTS * channels * columns.next_multiple_of(self.tiles.lanes);
        let tiles = runs * slide.images() * down * across;
        let spread = summed && sum > LARGEST_SUM;
        if spread && POINTS * tiles * (channels + columns) > MOST_SPREAD * sum {
            return Err(None);
        }
        let choice = match summed {
            true => choose(self.tiles, channels, columns, block),
            false if may.parts && rows == down => self.narrow(block, columns, channels),
            false => choose(self.tiles, block, columns, channels),
        };
        let both = cycles(self.tiles, c, (&slide, rows), &choice, summed, runs);
        let [direct, by_tiles] = both.map(|cycles| self.tiles.percent(c.flop() as f64 / 2.0, cycles));
        if by_tiles < direct && may.numerics != Numerics::Always {
            return Err(Some(by_tiles));
        }
        let forecast = Forecast { chosen: Some(by_tiles), other: Some(direct) };
        let picture = self.picture_sizes(&c.a);
        let (c, fill, across) = (c.clone(), vec![], [down, across]);
        Ok(Winograd { c, slide, fill, picture, across, rows, choice, summed, spread, parts: may.parts, forecast })
    }

    /// A tile whose panels are several, to be tasks.
    fn narrow(&self, block: usize, columns: usize, channels: usize) -> Choice {
        let share = columns.div_ceil(PANELS);
        let choice = choose(self.tiles, block, share, channels);
        Choice { cycles: choice.cycles * columns as f64 / share as f64, ..choice }
    }

    /// The last axes of a picture before its channels.
    fn picture_sizes(&self, a: &Operand) -> [usize; 2] {
        let shape = &self.buffers[a.buffer.index()].shape;
        [shape[shape.len() - 3], shape[shape.len() - 2]]
    }

    /// Sees to what lies beyond the picture. A small one is copied with its zeros: it is measurably faster to transform
    /// from a dense copy near by, whose rows do not lie a power of two apart; of a large one transforms leave it out.
    fn with_zeros(&mut self, mut w: Winograd) -> Winograd {
        let first = w.c.a.at.len() - 3;
        let sizes = w.picture;
        let edges: Vec<(Affine, usize)> = (0..2).map(|k| (w.c.a.at[first + k].clone(), sizes[k])).collect();
        let [rows, columns] = sizes;
        let is_large = w.slide.images() * rows * columns * w.slide.channel.1 > LARGEST_COPY;
        if (is_large || w.parts) && w.has_points() && w.c.a.inside.iter().all(|guard| edges.contains(guard)) {
            w.c.a.inside.clear();
            return w;
        }
        // Read in whole tiles: what lies beyond counts as 0 there too.
        let vars = if w.summed { &mut w.c.sum } else { &mut w.c.rows };
        for (v, n) in vars {
            if w.slide.pixels.iter().any(|(p, _)| p == v) {
                *n = n.next_multiple_of(w.slide.points);
            }
        }
        for guard in edges {
            if !w.c.a.inside.contains(&guard) {
                w.c.a.inside.push(guard);
            }
        }
        w.fill = self.pad(&mut w.c);
        w.picture = self.picture_sizes(&w.c.a);
        w
    }
}

impl Winograd {
    /// Which of the six points of a tile there are along an axis of the picture that is read.
    fn points(&self, axis: usize, tile: usize) -> [usize; 2] {
        let at = &self.c.a.at;
        let start = at[at.len() - 3 + axis].constant + (tile * self.slide.points) as i64;
        let clamp = |x: i64| x.clamp(0, 6) as usize;
        [clamp(-start), clamp(self.picture[axis] as i64 - start)]
    }

    /// Does every tile see some of the picture that is read?
    fn has_points(&self) -> bool {
        [0, 1].into_iter().all(|axis| {
            (0..self.across[axis]).all(|tile| {
                let [from, to] = self.points(axis, tile);
                from < to
            })
        })
    }

    /// Rows of points of a row of tiles that is read.
    fn data_rows(&self, row: usize) -> [usize; 2] {
        self.points(0, row)
    }

    /// Columns of points of all tiles of a row that is read.
    fn data_columns(&self) -> [usize; 2] {
        let last = self.across[1] - 1;
        [self.points(1, 0)[0], last * self.slide.points + self.points(1, last)[1]]
    }

    /// Rows of points of a row of tiles of the result.
    fn result_rows(&self, row: usize) -> [usize; 2] {
        [0, (self.slide.pixels[0].1 - row * self.slide.points).min(self.slide.points)]
    }

    /// Tiles of a block.
    fn tiles(&self) -> usize {
        self.slide.images() * self.rows * self.across[1]
    }

    pub fn is_summed(&self) -> bool {
        self.summed
    }

    pub fn is_spread(&self) -> bool {
        self.spread
    }

    /// The algorithm's name, and what the model of cycles expects of it, for `flop` useful operations.
    pub fn part(&self, tiles: &Tiles, label: impl Into<String>, flop: u64) -> Part {
        let (m, r) = (self.slide.points, self.slide.width);
        let name = format!("winograd {m}x{m},{r}x{r} tile {}x{}", self.choice.rows, self.choice.width(tiles));
        Part::new(label, name, flop).expecting(self.forecast)
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

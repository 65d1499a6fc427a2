//! The choice of a tile: rows by vectors, by a model of cycles per call.

use dlc_runtime::micro::Tiles;

/// A tile and how often it is called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    pub rows: usize,
    pub vectors: usize,
    pub cycles: f64,
}

impl Choice {
    /// Columns of a whole panel.
    pub fn width(&self, tiles: &Tiles) -> usize {
        self.vectors * tiles.lanes
    }
}

/// Cycles of one call of a tile over `k` terms: limited by multiply-adds, by loads, or by the latency of a chain;
/// plus the call itself and what it stores.
fn cycles(tiles: &Tiles, rows: usize, vectors: usize, k: usize) -> f64 {
    let products = (rows * vectors) as f64 / tiles.fma_per_cycle as f64;
    let loads = (rows + vectors) as f64 / 2.0;
    let latency = if rows * vectors >= tiles.hiding { 0.0 } else { 1.5 };
    products.max(loads).max(latency) * k as f64 + 25.0 + 1.5 * (rows * vectors) as f64
}

/// The tile with the least modelled time for `rows` by `columns` outputs of `k` terms each.
/// Ties go to the smaller number of vectors, so that panels stay small.
pub fn choose(tiles: &Tiles, rows: usize, columns: usize, k: usize) -> Choice {
    choose_among(tiles, [rows, columns, k], |_| true).unwrap_or(Choice { rows: 1, vectors: 1, cycles: 0.0 })
}

/// The same among tiles of some numbers of vectors.
pub fn choose_among(tiles: &Tiles, [rows, columns, k]: [usize; 3], may: impl Fn(usize) -> bool) -> Option<Choice> {
    let vectors_needed = columns.div_ceil(tiles.lanes);
    let mut best: Option<Choice> = None;
    for vectors in (1..=tiles.max_vectors().min(vectors_needed)).filter(|v| may(*v)) {
        let panels = vectors_needed / vectors;
        let rest = vectors_needed % vectors;
        for r in 1..=tiles.max_rows(vectors).min(rows) {
            let (blocks, tail) = (rows / r, rows % r);
            let panel = |v: usize, n: usize| {
                if v == 0 || n == 0 {
                    return 0.0;
                }
                let r = r.min(tiles.max_rows(v));
                let last = if tail == 0 { 0.0 } else { cycles(tiles, tail, v, k) };
                n as f64 * (blocks as f64 * cycles(tiles, r, v, k) + last)
            };
            let cycles = panel(vectors, panels) + panel(rest, 1);
            if best.is_none_or(|b| cycles < b.cycles * 0.999) {
                best = Some(Choice { rows: r, vectors, cycles });
            }
        }
    }
    best
}

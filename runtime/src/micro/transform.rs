//! Tile transforms of Winograd's convolution: `T D T'` for a small matrix `T` and a picture `D` of few points.
//!
//! Two matrices and their adjoints serve both sizes, since F(4x4, 3x3) and F(2x2, 5x5) use the same six points
//! 0, 1, -1, 2, -2 and infinity (A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015):
//! `Y = A' ((G g G') * (B' d B)) A`, and therefore `dg = G' ((A dY A') * (B' d B)) G`.
//!
//! A point is a run of channels, which vectors walk along. Nothing is known here of rows of tiles, of blocks of images
//! or of what is done with the result: that is generated code around it.

/// What is multiplied from both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Matrix {
    /// `B'`: 6 points of the input.
    Data,
    /// `G`: 3 points of a filter to 6.
    Filter3,
    /// `G`: 5 points of a filter to 6.
    Filter5,
    /// `A'`: 6 points to 4 of the result.
    Result4,
    /// `A'`: 6 points to 2 of the result.
    Result2,
    /// `A`: 4 points of the result's gradient to 6.
    ResultAdjoint4,
    /// `A`: 2 points of the result's gradient to 6.
    ResultAdjoint2,
    /// `G'`: 6 points to 3 of the filter's gradient.
    FilterAdjoint3,
    /// `G'`: 6 points to 5 of the filter's gradient.
    FilterAdjoint5,
}

/// Finite interpolation points; infinity is the sixth.
const POINTS: [f64; 5] = [0.0, 1.0, -1.0, 2.0, -2.0];
/// Scale of each row of `G`: 1 / product of differences to the other points, with the sign that makes `B'` whole.
const SCALES: [f64; 6] = [1.0 / 4.0, -1.0 / 6.0, -1.0 / 6.0, 1.0 / 24.0, 1.0 / 24.0, 1.0];

const fn power(point: usize, exponent: usize, last: usize) -> f64 {
    if point == 5 {
        return if exponent == last { 1.0 } else { 0.0 };
    }
    let (mut value, mut i) = (1.0, 0);
    while i < exponent {
        value *= POINTS[point];
        i += 1;
    }
    value
}

const DATA: [[f32; 6]; 6] = [
    [4.0, 0.0, -5.0, 0.0, 1.0, 0.0],
    [0.0, -4.0, -4.0, 1.0, 1.0, 0.0],
    [0.0, 4.0, -4.0, -1.0, 1.0, 0.0],
    [0.0, -2.0, -1.0, 2.0, 1.0, 0.0],
    [0.0, 2.0, -1.0, -2.0, 1.0, 0.0],
    [0.0, 4.0, 0.0, -5.0, 0.0, 1.0],
];

impl Matrix {
    pub const ALL: [Matrix; 9] = [
        Matrix::Data,
        Matrix::Filter3,
        Matrix::Filter5,
        Matrix::Result4,
        Matrix::Result2,
        Matrix::ResultAdjoint4,
        Matrix::ResultAdjoint2,
        Matrix::FilterAdjoint3,
        Matrix::FilterAdjoint5,
    ];

    /// Points of the result and of the operand along each axis.
    pub const fn size(self) -> (usize, usize) {
        match self {
            Matrix::Data => (6, 6),
            Matrix::Filter3 => (6, 3),
            Matrix::Filter5 => (6, 5),
            Matrix::Result4 => (4, 6),
            Matrix::Result2 => (2, 6),
            Matrix::ResultAdjoint4 => (6, 4),
            Matrix::ResultAdjoint2 => (6, 2),
            Matrix::FilterAdjoint3 => (3, 6),
            Matrix::FilterAdjoint5 => (5, 6),
        }
    }

    /// The entry at row `i` and column `j`.
    pub const fn entry(self, i: usize, j: usize) -> f32 {
        match self {
            Matrix::Data => DATA[i][j],
            Matrix::Filter3 => (SCALES[i] * power(i, j, 2)) as f32,
            Matrix::Filter5 => (SCALES[i] * power(i, j, 4)) as f32,
            Matrix::Result4 => power(j, i, 3) as f32,
            Matrix::Result2 => power(j, i, 1) as f32,
            Matrix::ResultAdjoint4 => Matrix::Result4.entry(j, i),
            Matrix::ResultAdjoint2 => Matrix::Result2.entry(j, i),
            Matrix::FilterAdjoint3 => Matrix::Filter3.entry(j, i),
            Matrix::FilterAdjoint5 => Matrix::Filter5.entry(j, i),
        }
    }

    /// Which side is a part of a picture, whose outer tiles may be cut: `(source, target)`.
    pub const fn cut(self) -> (bool, bool) {
        match self {
            Matrix::Result4 | Matrix::Result2 => (false, true),
            Matrix::Data | Matrix::ResultAdjoint4 | Matrix::ResultAdjoint2 => (true, false),
            _ => (false, false),
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Matrix::Data => "data",
            Matrix::Filter3 => "filter3",
            Matrix::Filter5 => "filter5",
            Matrix::Result4 => "result4",
            Matrix::Result2 => "result2",
            Matrix::ResultAdjoint4 => "result4_adjoint",
            Matrix::ResultAdjoint2 => "result2_adjoint",
            Matrix::FilterAdjoint3 => "filter3_adjoint",
            Matrix::FilterAdjoint5 => "filter5_adjoint",
        }
    }
}

/// A row of tiles; all strides count elements.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TransformArgs {
    pub src: *const f32,
    pub dst: *mut f32,
    pub src_row: isize,
    pub src_col: isize,
    /// From one tile to the next.
    pub src_next: isize,
    pub dst_row: isize,
    pub dst_col: isize,
    pub dst_next: isize,
    /// Tiles.
    pub count: usize,
    /// Of unit stride on both sides.
    pub channels: usize,
    /// Rows of points that exist on the side that may be cut ([`Matrix::cut`]), from the first and up to the second: of
    /// a source, others count as 0; of a target, others are not written.
    pub rows: [usize; 2],
    /// Columns of points that exist there, counted over all tiles, each of which begins `step` after the one before.
    pub cols: [usize; 2],
    pub step: usize,
}

/// A transform by one matrix.
///
/// # Safety
/// Every element that [`TransformArgs`] describes must be readable (`src`) or writable (`dst`), the two must not
/// overlap, and the processor must have the instruction set of the table.
pub type TransformFn = unsafe extern "C" fn(args: *const TransformArgs);

/// A vector of one instruction set.
pub(super) trait Wide: Copy {
    const LANES: usize;
    /// Which lanes are live.
    type Live: Copy;
    fn live(lanes: usize) -> Self::Live;
    /// These lanes, or none.
    fn only_if(live: Self::Live, condition: bool) -> Self::Live;
    fn zero() -> Self;
    unsafe fn load(at: *const f32, live: Self::Live) -> Self;
    unsafe fn store(self, at: *mut f32, live: Self::Live);
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    /// `self * factor + other`.
    fn times_plus(self, factor: f32, other: Self) -> Self;
    /// `self * other + sum`, lane by lane.
    fn multiply_add(self, other: Self, sum: Self) -> Self;
    /// No less than the first, no more than the second; NaN stays.
    fn within(self, bounds: [f32; 2]) -> Self;
}

/// A matrix as code.
pub(super) trait Linear {
    const MATRIX: Matrix;

    /// The product with a column of points; entries beyond the matrix's size are not looked at.
    #[inline(always)]
    fn apply<V: Wide>(d: [V; 6]) -> [V; 6] {
        let (rows, cols) = Self::MATRIX.size();
        let mut out = [V::zero(); 6];
        for i in 0..rows {
            for j in 0..cols {
                let entry = Self::MATRIX.entry(i, j);
                if entry != 0.0 {
                    out[i] = d[j].times_plus(entry, out[i]);
                }
            }
        }
        out
    }
}

macro_rules! matrices {
    ($($name:ident)*) => { $(
        pub(super) struct $name;
        impl Linear for $name {
            const MATRIX: Matrix = Matrix::$name;
        }
    )* };
}
matrices!(Filter3 Filter5 FilterAdjoint3 FilterAdjoint5);

pub(super) struct Data;
pub(super) struct Result4;
pub(super) struct Result2;
pub(super) struct ResultAdjoint4;
pub(super) struct ResultAdjoint2;

// The rows of 1 and -1, and those of 2 and -2, share their even and their odd part.
impl Linear for Data {
    const MATRIX: Matrix = Matrix::Data;

    #[inline(always)]
    fn apply<V: Wide>(d: [V; 6]) -> [V; 6] {
        let (a, b) = (d[2].times_plus(-4.0, d[4]), d[1].times_plus(-4.0, d[3]));
        let (e, f) = (d[4].minus(d[2]), d[3].minus(d[1]));
        let first = d[2].times_plus(-5.0, d[0].times_plus(4.0, d[4]));
        let last = d[3].times_plus(-5.0, d[1].times_plus(4.0, d[5]));
        [first, a.plus(b), a.minus(b), f.times_plus(2.0, e), f.times_plus(-2.0, e), last]
    }
}

impl Linear for Result4 {
    const MATRIX: Matrix = Matrix::Result4;

    #[inline(always)]
    fn apply<V: Wide>(m: [V; 6]) -> [V; 6] {
        let (a, b) = (m[1].plus(m[2]), m[1].minus(m[2]));
        let (e, f) = (m[3].plus(m[4]), m[3].minus(m[4]));
        let last = f.times_plus(8.0, b).plus(m[5]);
        [m[0].plus(a).plus(e), f.times_plus(2.0, b), e.times_plus(4.0, a), last, V::zero(), V::zero()]
    }
}

impl Linear for Result2 {
    const MATRIX: Matrix = Matrix::Result2;

    #[inline(always)]
    fn apply<V: Wide>(m: [V; 6]) -> [V; 6] {
        let (a, b) = (m[1].plus(m[2]), m[1].minus(m[2]));
        let (e, f) = (m[3].plus(m[4]), m[3].minus(m[4]));
        let zero = V::zero();
        [m[0].plus(a).plus(e), f.times_plus(2.0, b).plus(m[5]), zero, zero, zero, zero]
    }
}

impl Linear for ResultAdjoint4 {
    const MATRIX: Matrix = Matrix::ResultAdjoint4;

    #[inline(always)]
    fn apply<V: Wide>(d: [V; 6]) -> [V; 6] {
        let (p, q) = (d[0].plus(d[2]), d[1].plus(d[3]));
        let (u, w) = (d[2].times_plus(4.0, d[0]), d[3].times_plus(4.0, d[1]));
        [d[0], p.plus(q), p.minus(q), w.times_plus(2.0, u), w.times_plus(-2.0, u), d[3]]
    }
}

impl Linear for ResultAdjoint2 {
    const MATRIX: Matrix = Matrix::ResultAdjoint2;

    #[inline(always)]
    fn apply<V: Wide>(d: [V; 6]) -> [V; 6] {
        let (x, y) = (d[0], d[1]);
        [x, x.plus(y), x.minus(y), y.times_plus(2.0, x), y.times_plus(-2.0, x), y]
    }
}

/// Where the points of a tile lie: the first, and the way to the next row and column.
#[derive(Clone, Copy)]
struct Points<P> {
    at: P,
    row: isize,
    col: isize,
}

/// All tiles of a row, all channels of a tile, before the next.
///
/// # Safety
/// As [`TransformFn`].
#[inline(always)]
pub(super) unsafe fn transform<V: Wide, L: Linear>(args: *const TransformArgs) {
    // SAFETY: the contract of TransformFn.
    unsafe {
        let t = &*args;
        let (rows, cols) = L::MATRIX.size();
        let points = if L::MATRIX.cut().0 { cols } else { rows };
        let is_cut = L::MATRIX.cut().0 || L::MATRIX.cut().1;
        for tile in 0..t.count {
            let src = t.src.wrapping_offset(t.src_next * tile as isize);
            let dst = t.dst.wrapping_offset(t.dst_next * tile as isize);
            let within = |x: usize| x.saturating_sub(tile * t.step).min(points);
            let there = [t.rows[0], t.rows[1].min(points), within(t.cols[0]), within(t.cols[1])];
            let whole = !is_cut || there == [0, points, 0, points];
            for c in (0..t.channels).step_by(V::LANES) {
                let live = V::live((t.channels - c).min(V::LANES));
                let from = Points { at: src.wrapping_add(c), row: t.src_row, col: t.src_col };
                let to = Points { at: dst.wrapping_add(c), row: t.dst_row, col: t.dst_col };
                if whole {
                    one::<V, L, true>(from, to, live, there);
                } else {
                    one::<V, L, false>(from, to, live, there);
                }
            }
        }
    }
}

/// Of a tile that lacks points no lane is live there: no branch per point.
#[inline(always)]
unsafe fn one<V: Wide, L: Linear, const WHOLE: bool>(
    from: Points<*const f32>,
    to: Points<*mut f32>,
    live: V::Live,
    [top, bottom, left, right]: [usize; 4],
) {
    // SAFETY: the caller vouches for all points that are there.
    unsafe {
        let (rows, cols) = L::MATRIX.size();
        let (cut_source, cut_target) = L::MATRIX.cut();
        let down: [bool; 6] = std::array::from_fn(|i| top <= i && i < bottom);
        let across: [bool; 6] = std::array::from_fn(|j| left <= j && j < right);
        let lanes = |cut: bool, i: usize, j: usize| match WHOLE || !cut {
            true => live,
            false => V::only_if(live, down[i] & across[j]),
        };
        let mut half = [[V::zero(); 6]; 6];
        for j in 0..cols {
            let mut column = [V::zero(); 6];
            for (i, value) in column.iter_mut().enumerate().take(cols) {
                let at = from.at.wrapping_offset(from.row * i as isize + from.col * j as isize);
                *value = V::load(at, lanes(cut_source, i, j));
            }
            let product = L::apply(column);
            for i in 0..rows {
                half[i][j] = product[i];
            }
        }
        for (i, row) in half.iter().enumerate().take(rows) {
            let product = L::apply(*row);
            for (j, value) in product.iter().enumerate().take(rows) {
                let at = to.at.wrapping_offset(to.row * i as isize + to.col * j as isize);
                value.store(at, lanes(cut_target, i, j));
            }
        }
    }
}

/// The table of an instruction set: `transform_by::<L>` for each matrix, in the order of [`Matrix::ALL`].
macro_rules! transform_table {
    () => {{
        use crate::micro::transform::*;
        [
            transform_by::<Data>,
            transform_by::<Filter3>,
            transform_by::<Filter5>,
            transform_by::<Result4>,
            transform_by::<Result2>,
            transform_by::<ResultAdjoint4>,
            transform_by::<ResultAdjoint2>,
            transform_by::<FilterAdjoint3>,
            transform_by::<FilterAdjoint5>,
        ]
    }};
}
pub(super) use transform_table;

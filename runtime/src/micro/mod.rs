//! Microkernels: one strided batch-reduce tile family, filters of single channels, packing, Winograd's tile transforms
//! and nothing else.
//!
//! A tile computes a small block of a contraction with its accumulators in registers; it knows pointers, strides and
//! counts. Every loop over rows, images and channels, and every epilogue, is generated code around it, but one: [`Finish`],
//! which is hidden behind multiply-adds, as the generated one cannot be.
//!
//! One table exists per instruction set. Which one runs is decided once, at start-up; results of different tables
//! differ in the last bits, results of one table depend on the operands alone.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod filter;
mod pack;
pub mod peak;
mod portable;
mod transform;

pub use filter::{FilterArgs, FilterFn};
pub use pack::{PackArgs, PackFn};
pub use transform::{Matrix, TransformArgs, TransformFn};

/// Operands of a tile; all strides count elements.
///
/// `C[i][j] (+)= sum over b, k of A[b*a_batch + i*a_row + k*a_k] * B[b*b_batch + k*b_k + j]`,
/// for `blocks` blocks of rows one after the other, `a_step` and `c_step` apart.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TileArgs {
    /// The broadcast operand.
    pub a: *const f32,
    /// The vector operand, of unit stride along columns.
    pub b: *const f32,
    /// The result, of unit stride along columns.
    pub c: *mut f32,
    pub a_row: isize,
    pub a_k: isize,
    pub a_batch: isize,
    pub b_k: isize,
    pub b_batch: isize,
    pub c_row: isize,
    pub k: usize,
    pub batches: usize,
    /// Live lanes of the last vector, `1..=lanes`; those beyond are neither read nor written.
    pub last: usize,
    /// 0: `C = ...`; anything else: `C += ...`.
    pub accumulate: usize,
    pub blocks: usize,
    pub a_step: isize,
    pub c_step: isize,
    /// Not where a sum goes on.
    pub finish: Finish,
    /// Only where a result is finished.
    pub beside: Beside,
    /// With each row of `b` what lies so far behind it is asked for, whatever it is: for the first block of rows, and how
    /// much farther for each later one.
    pub ahead: isize,
    pub ahead_step: isize,
}

/// What is done to a result while it is in registers, where it costs no second pass: its sum begins with a number for each
/// column, and is kept within bounds. NaN stays NaN.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Finish {
    /// One for each live column; null: nothing is done.
    pub add: *const f32,
    /// The least and the greatest.
    pub bounds: [f32; 2],
}

impl Finish {
    /// The result as it is.
    pub const NOTHING: Finish = Finish { add: std::ptr::null(), bounds: [f32::NEG_INFINITY, f32::INFINITY] };

    /// May a bound change anything?
    #[inline(always)]
    fn is_bounded(&self) -> bool {
        self.bounds[0] > f32::NEG_INFINITY || self.bounds[1] < f32::INFINITY
    }
}

/// A table whose elements a finished sum begins with as well, as large as the result.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Beside {
    /// Of unit stride along columns; null: there is none.
    pub at: *const f32,
    pub row: isize,
    /// From one block of rows to the next.
    pub step: isize,
}

impl Beside {
    /// No table.
    pub const NOTHING: Beside = Beside { at: std::ptr::null(), row: 0, step: 0 };
}

/// A tile of fixed rows and vectors.
///
/// # Safety
/// Every element that [`TileArgs`] describes must be readable (`a`, `b`, `finish`, `beside`) or writable (`c`), `c` must not overlap
/// the others, `last` must lie in `1..=lanes`, and the processor must have the instruction set of the table.
pub type TileFn = unsafe extern "C" fn(args: *const TileArgs);

/// A family of instructions that a table of tiles is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    Avx512,
    Avx2,
    Portable,
}

impl Isa {
    /// The widest that this processor has.
    pub fn detect() -> Isa {
        *Isa::available().last().expect("portable is always there")
    }

    /// All that this processor has, narrowest first.
    pub fn available() -> Vec<Isa> {
        let mut found = vec![Isa::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Isa::Avx2);
                if is_x86_feature_detected!("avx512f") {
                    found.push(Isa::Avx512);
                }
            }
        }
        found
    }

    /// Reads `native`, `avx512`, `avx2` or `portable`; refuses what this processor does not have.
    pub fn parse(name: &str) -> Result<Isa, String> {
        let isa = match name {
            "native" => return Ok(Isa::detect()),
            "avx512" => Isa::Avx512,
            "avx2" => Isa::Avx2,
            "portable" => Isa::Portable,
            other => {
                return Err(format!("unknown instruction set `{other}`: use native, avx512, avx2 or portable"));
            }
        };
        if Isa::available().contains(&isa) { Ok(isa) } else { Err(format!("this processor does not have {name}")) }
    }

    pub fn name(self) -> &'static str {
        match self {
            Isa::Avx512 => "avx512",
            Isa::Avx2 => "avx2",
            Isa::Portable => "portable",
        }
    }

    /// The kernels written in it. Calling them needs a processor that has it.
    pub fn tiles(self) -> &'static Tiles {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => &avx512::TILES,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => &avx2::TILES,
            _ => &portable::TILES,
        }
    }
}

/// The kernels of one instruction set, and what a cost model needs to know of it.
pub struct Tiles {
    pub isa: Isa,
    /// `f32` values of one vector.
    pub lanes: usize,
    /// Vector registers: accumulators, one row of B and a broadcast have to fit.
    pub registers: usize,
    /// Vector multiply-adds that the usual core of this kind starts per cycle.
    pub fma_per_cycle: usize,
    /// Accumulators that hide the latency of a multiply-add; tiles with fewer split the k loop.
    pub hiding: usize,
    /// Row counts 1.. of 1, 2, 3 and 4 vectors.
    tiles: [&'static [TileFn]; 4],
    /// `dst[k*dst_row + j] = src[j*src_row + k]` for `j < rows`, `k < cols`.
    pub pack_transpose: PackFn,
    /// `dst[i*dst_row + j] = src[i*src_row + j]` for `i < rows`, `j < cols`.
    pub pack_copy: PackFn,
    /// In the order of [`Matrix::ALL`].
    transforms: [TransformFn; Matrix::ALL.len()],
    /// A row of points, every channel on its own.
    pub filter: FilterFn,
}

impl Tiles {
    /// How much of the peak so many multiply-adds in so many cycles are, in percent.
    pub fn percent(&self, products: f64, cycles: f64) -> f64 {
        100.0 * products / (self.lanes * self.fma_per_cycle) as f64 / cycles
    }

    /// The largest number of rows of a tile `nv` vectors wide; 0 if there is none.
    pub fn max_rows(&self, nv: usize) -> usize {
        nv.checked_sub(1).and_then(|i| self.tiles.get(i)).map_or(0, |rows| rows.len())
    }

    /// The largest width in vectors.
    pub fn max_vectors(&self) -> usize {
        self.tiles.iter().rposition(|rows| !rows.is_empty()).map_or(0, |i| i + 1)
    }

    /// The transform by a matrix.
    pub fn transform(&self, matrix: Matrix) -> TransformFn {
        self.transforms[matrix as usize]
    }

    /// The tile of `mr` rows and `nv` vectors.
    pub fn get(&self, mr: usize, nv: usize) -> Option<TileFn> {
        self.tiles.get(nv.checked_sub(1)?)?.get(mr.checked_sub(1)?).copied()
    }
}

/// Rows of B that a tile asks for ahead of its multiply-adds, where nothing else is worth it: a panel is read once from far
/// away, and its lines come sooner than the processor's own guesses bring them. Beyond a packed panel lies the next; asking
/// for what is not there is no fault.
pub const AHEAD: isize = 24;

/// How many partial sums a tile keeps per element of C: the fewest (1, 2, 4 or 8) that keep 12 multiply-adds in flight
/// without more than `most` accumulators.
const fn sets(accumulators: usize, most: usize) -> usize {
    let mut sets = 1;
    while sets < 8 && accumulators * sets < 12 && accumulators * sets * 2 <= most {
        sets *= 2;
    }
    sets
}

/// The same pointer, of unknown origin to the optimizer.
///
/// It would otherwise see that groups of rows lie a constant apart and chain all their addresses to one pointer,
/// an addition per row and step of the k loop.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn opaque(pointer: *const f32) -> *const f32 {
    let mut same = pointer;
    // SAFETY: no instructions.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) same, options(pure, nomem, nostack, preserves_flags));
    }
    same
}

/// A row of a table: `tile::<mr, nv, sets>` for each `mr` given, with at most `most` accumulators.
macro_rules! tile_row {
    ($most:literal, $nv:literal: $($mr:literal)*) => {
        &[$(tile::<$mr, $nv, { $crate::micro::sets($mr * $nv, $most) }> as $crate::micro::TileFn),*]
    };
}
use tile_row;

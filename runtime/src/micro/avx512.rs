//! Tiles for AVX-512: 16 lanes, 32 registers.
//!
//! The shapes are those whose accumulators, one row of B and a broadcast fit the registers: 24x1 (A broadcast from
//! memory inside the multiply-add), 14x2, 9x3, 6x4.

use super::filter::{self, FilterArgs};
use super::transform::{self, Linear, TransformArgs, Wide, transform_table};
use super::{Isa, PackArgs, TileArgs, Tiles, opaque, tile_row};
use std::arch::x86_64::*;

pub(super) static TILES: Tiles = Tiles {
    isa: Isa::Avx512,
    lanes: 16,
    registers: 32,
    fma_per_cycle: 2,
    hiding: 8,
    tiles: [
        tile_row!(28, 1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24),
        tile_row!(28, 2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
        tile_row!(28, 3: 1 2 3 4 5 6 7 8 9),
        tile_row!(28, 4: 1 2 3 4 5 6),
    ],
    pack_transpose,
    pack_copy,
    transforms: transform_table!(),
    filter: filter_row,
};

/// Rows share a pointer in groups, so that addresses fit the general registers: a group reaches its rows as
/// `p`, `p + s`, `p + 2s`, `p + 3s`, where the processor scales by 2 and one register holds `3s`.
const GROUP: usize = 4;
/// Enough groups for 24 rows.
const GROUPS: usize = 6;

/// A step of the k loop: one row of B against one element of every row of A, then on to the next.
///
/// A macro, because the accumulators stay in registers only if it is inlined, whatever its size.
macro_rules! step {
    ($acc:expr, $t:ident, $a:ident, $b:ident, $mask:ident, $ahead:ident) => {{
        let mut row = [_mm512_setzero_ps(); NV];
        for v in 0..NV {
            _mm_prefetch::<_MM_HINT_T0>($b.wrapping_offset($ahead).wrapping_add(16 * v).cast());
        }
        for v in 0..NV - 1 {
            row[v] = _mm512_loadu_ps($b.wrapping_add(16 * v));
        }
        row[NV - 1] = _mm512_maskz_loadu_ps($mask, $b.wrapping_add(16 * (NV - 1)));
        for i in 0..MR {
            let scalar = *$a[i / GROUP].wrapping_offset($t.a_row * (i % GROUP) as isize);
            for v in 0..NV {
                $acc[i][v] = _mm512_fmadd_ps(_mm512_set1_ps(scalar), row[v], $acc[i][v]);
            }
        }
        $a = $a.map(|p| opaque(p.wrapping_offset($t.a_k)));
        $b = $b.wrapping_offset($t.b_k);
    }};
}

#[target_feature(enable = "avx512f")]
unsafe extern "C" fn tile<const MR: usize, const NV: usize, const SETS: usize>(args: *const TileArgs) {
    // SAFETY: the contract of TileFn: every element described is there, `last` is in 1..=16, and lanes beyond it are
    // masked.
    unsafe {
        let t = &*args;
        let mask: __mmask16 = 0xffff >> ((16 - t.last) & 15);
        let lanes = |v: usize| if v + 1 < NV { 0xffff } else { mask };
        let finish = !t.finish.add.is_null();
        for block in 0..t.blocks as isize {
            let (a0, c0) = (t.a.wrapping_offset(t.a_step * block), t.c.wrapping_offset(t.c_step * block));
            let ahead = t.ahead.wrapping_add(t.ahead_step.wrapping_mul(block));
            let at = |i: usize, v: usize| c0.wrapping_offset(t.c_row * i as isize).wrapping_add(16 * v);
            let mut acc = [[[_mm512_setzero_ps(); NV]; MR]; SETS];
            if finish {
                for v in 0..NV {
                    let add = _mm512_maskz_loadu_ps(lanes(v), t.finish.add.wrapping_add(16 * v));
                    for i in 0..MR {
                        acc[0][i][v] = add;
                    }
                }
                if !t.beside.at.is_null() {
                    let first = t.beside.at.wrapping_offset(t.beside.step * block);
                    for i in 0..MR {
                        for v in 0..NV {
                            let at = first.wrapping_offset(t.beside.row * i as isize).wrapping_add(16 * v);
                            acc[0][i][v] = _mm512_add_ps(acc[0][i][v], _mm512_maskz_loadu_ps(lanes(v), at));
                        }
                    }
                }
            } else if t.accumulate != 0 {
                for i in 0..MR {
                    for v in 0..NV {
                        acc[0][i][v] = _mm512_maskz_loadu_ps(lanes(v), at(i, v));
                    }
                }
            }
            for batch in 0..t.batches as isize {
                let first = a0.wrapping_offset(t.a_batch * batch);
                let mut a: [*const f32; GROUPS] =
                    std::array::from_fn(|g| first.wrapping_offset(t.a_row * (g * GROUP) as isize));
                let mut b = t.b.wrapping_offset(t.b_batch * batch);
                for _ in 0..t.k / SETS {
                    for set in 0..SETS {
                        step!(acc[set], t, a, b, mask, ahead);
                    }
                }
                for _ in 0..t.k % SETS {
                    step!(acc[0], t, a, b, mask, ahead);
                }
            }
            for set in 1..SETS {
                for i in 0..MR {
                    for v in 0..NV {
                        acc[0][i][v] = _mm512_add_ps(acc[0][i][v], acc[set][i][v]);
                    }
                }
            }
            if finish && t.finish.is_bounded() {
                // A closure would not inline here, and every accumulator would go to the stack and back.
                let low = _mm512_set1_ps(t.finish.bounds[0]);
                let high = _mm512_set1_ps(t.finish.bounds[1]);
                for i in 0..MR {
                    for v in 0..NV {
                        acc[0][i][v] = _mm512_min_ps(high, _mm512_max_ps(low, acc[0][i][v]));
                    }
                }
            }
            for i in 0..MR {
                for v in 0..NV {
                    _mm512_mask_storeu_ps(at(i, v), lanes(v), acc[0][i][v]);
                }
            }
        }
    }
}

/// Rows of a 16x16 block to its columns, in four rounds of exchanges at distance 1, 2, 4 and 8.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(r: [__m512; 16]) -> [__m512; 16] {
    let mut t = r;
    for i in 0..8 {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    let mut u = t;
    for i in 0..4 {
        for (half, (x, y)) in [(t[4 * i], t[4 * i + 2]), (t[4 * i + 1], t[4 * i + 3])].into_iter().enumerate() {
            let (x, y) = (_mm512_castps_pd(x), _mm512_castps_pd(y));
            u[4 * i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
            u[4 * i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
        }
    }
    // u[4*i + j] holds, in quarter q, column 4*q + j of rows 4*i..4*i + 4.
    let mut out = u;
    for j in 0..4 {
        let low = _mm512_shuffle_f32x4::<0x44>(u[j], u[4 + j]);
        let high = _mm512_shuffle_f32x4::<0xee>(u[j], u[4 + j]);
        let low2 = _mm512_shuffle_f32x4::<0x44>(u[8 + j], u[12 + j]);
        let high2 = _mm512_shuffle_f32x4::<0xee>(u[8 + j], u[12 + j]);
        out[j] = _mm512_shuffle_f32x4::<0x88>(low, low2);
        out[4 + j] = _mm512_shuffle_f32x4::<0xdd>(low, low2);
        out[8 + j] = _mm512_shuffle_f32x4::<0x88>(high, high2);
        out[12 + j] = _mm512_shuffle_f32x4::<0xdd>(high, high2);
    }
    out
}

/// Columns before they are transposed that they are fetched into the second-level cache.
const COLUMNS_AHEAD: usize = 128;

#[target_feature(enable = "avx512f")]
unsafe extern "C" fn pack_transpose(args: *const PackArgs) {
    // SAFETY: the contract of PackFn; masks keep every access inside rows and cols.
    unsafe {
        let p = &*args;
        for j in (0..p.rows).step_by(16) {
            let rows = (p.rows - j).min(16);
            let written: __mmask16 = 0xffff >> (16 - rows);
            for k in (0..p.cols).step_by(16) {
                let cols = (p.cols - k).min(16);
                let read: __mmask16 = 0xffff >> (16 - cols);
                let mut block = [_mm512_setzero_ps(); 16];
                if rows == 16 && cols == 16 {
                    for (i, value) in block.iter_mut().enumerate() {
                        _mm_prefetch::<_MM_HINT_T1>(p.source(j + i, k).wrapping_add(COLUMNS_AHEAD).cast());
                        *value = _mm512_loadu_ps(p.source(j + i, k));
                    }
                    for (i, value) in transpose(block).iter().enumerate() {
                        _mm512_storeu_ps(p.target(k + i, j), *value);
                    }
                    continue;
                }
                for (i, value) in block.iter_mut().enumerate() {
                    if i < rows {
                        // Rows are too many streams, and often too far apart, for the processor to see by itself what comes next.
                        _mm_prefetch::<_MM_HINT_T1>(p.source(j + i, k).wrapping_add(COLUMNS_AHEAD).cast());
                        *value = _mm512_maskz_loadu_ps(read, p.source(j + i, k));
                    }
                }
                let block = transpose(block);
                for (i, value) in block.iter().enumerate() {
                    if i < cols {
                        _mm512_mask_storeu_ps(p.target(k + i, j), written, *value);
                    }
                }
            }
        }
    }
}

#[target_feature(enable = "avx512f")]
unsafe extern "C" fn pack_copy(args: *const PackArgs) {
    // SAFETY: the contract of PackFn; the last vector of a row is masked.
    unsafe {
        let p = &*args;
        let tail: __mmask16 = ((1u32 << (p.cols % 16)) - 1) as __mmask16;
        for i in 0..p.rows {
            let (source, target) = (p.source(i, 0), p.target(i, 0));
            let mut j = 0;
            while j + 16 <= p.cols {
                _mm512_storeu_ps(target.add(j), _mm512_loadu_ps(source.add(j)));
                j += 16;
            }
            if tail != 0 {
                let value = _mm512_maskz_loadu_ps(tail, source.add(j));
                _mm512_mask_storeu_ps(target.add(j), tail, value);
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Vector(__m512);

// Inlined into functions that have the instruction set.
impl Wide for Vector {
    const LANES: usize = 16;
    type Live = __mmask16;

    #[inline(always)]
    fn live(lanes: usize) -> __mmask16 {
        0xffff >> (16 - lanes)
    }

    #[inline(always)]
    fn only_if(live: __mmask16, condition: bool) -> __mmask16 {
        live & u16::from(condition).wrapping_neg()
    }

    #[inline(always)]
    fn zero() -> Vector {
        // SAFETY: only called from `transform_by`, which has the instruction set.
        Vector(unsafe { _mm512_setzero_ps() })
    }

    #[inline(always)]
    unsafe fn load(at: *const f32, live: __mmask16) -> Vector {
        // SAFETY: live lanes are readable, others are not read.
        Vector(unsafe { _mm512_maskz_loadu_ps(live, at) })
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32, live: __mmask16) {
        // SAFETY: live lanes are writable, others are not written.
        unsafe { _mm512_mask_storeu_ps(at, live, self.0) }
    }

    #[inline(always)]
    fn plus(self, other: Vector) -> Vector {
        // SAFETY: as for `zero`.
        Vector(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn minus(self, other: Vector) -> Vector {
        // SAFETY: as for `zero`.
        Vector(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn times_plus(self, factor: f32, other: Vector) -> Vector {
        // SAFETY: as for `zero`.
        Vector(unsafe { _mm512_fmadd_ps(self.0, _mm512_set1_ps(factor), other.0) })
    }

    #[inline(always)]
    fn multiply_add(self, other: Vector, sum: Vector) -> Vector {
        // SAFETY: as for `zero`.
        Vector(unsafe { _mm512_fmadd_ps(self.0, other.0, sum.0) })
    }

    #[inline(always)]
    fn within(self, [low, high]: [f32; 2]) -> Vector {
        // SAFETY: as for `zero`.
        Vector(unsafe { _mm512_min_ps(_mm512_set1_ps(high), _mm512_max_ps(_mm512_set1_ps(low), self.0)) })
    }
}

#[target_feature(enable = "avx512f")]
unsafe extern "C" fn transform_by<L: Linear>(args: *const TransformArgs) {
    // SAFETY: the contract of TransformFn.
    unsafe { transform::transform::<Vector, L>(args) }
}

#[target_feature(enable = "avx512f")]
unsafe extern "C" fn filter_row(args: *const FilterArgs) {
    // SAFETY: the contract of FilterFn.
    unsafe { filter::filter::<Vector>(args) }
}

//! Tiles for AVX2 with FMA: 8 lanes, 16 registers.
//!
//! 10x1, 6x2 and 4x3 leave room for a row of B and a broadcast; there is none four vectors wide.

use super::filter::{self, FilterArgs};
use super::transform::{self, Linear, TransformArgs, Wide, transform_table};
use super::{Isa, PackArgs, TileArgs, Tiles, opaque, tile_row};
use std::arch::asm;
use std::arch::x86_64::*;

pub(super) static TILES: Tiles = Tiles {
    isa: Isa::Avx2,
    lanes: 8,
    registers: 16,
    fma_per_cycle: 2,
    hiding: 8,
    tiles: [tile_row!(12, 1: 1 2 3 4 5 6 7 8 9 10), tile_row!(12, 2: 1 2 3 4 5 6), tile_row!(12, 3: 1 2 3 4), &[]],
    pack_transpose,
    pack_copy,
    transforms: transform_table!(),
    filter: filter_row,
};

/// Rows share a pointer in groups, see the AVX-512 table.
const GROUP: usize = 4;
const GROUPS: usize = 3;

/// All bits of the first `live` lanes, `live <= 8`.
#[inline]
#[target_feature(enable = "avx2")]
fn mask(live: usize) -> __m256i {
    let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_cmpgt_epi32(_mm256_set1_epi32(live as i32), lane)
}

/// A vector of C or B: all lanes, or those of the mask.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(at: *const f32, live: Option<__m256i>) -> __m256 {
    // SAFETY: the lanes asked for are readable.
    unsafe { live.map_or_else(|| _mm256_loadu_ps(at), |live| _mm256_maskload_ps(at, live)) }
}

/// An element of A to all lanes, `row` (0 to 3) rows from the group's pointer.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn broadcast(group: *const f32, stride: isize, row: usize) -> __m256 {
    let scalar: __m256;
    // SAFETY: reads the element, which the caller vouches for.
    unsafe {
        match row {
            0 => asm!("vbroadcastss {s}, dword ptr [{p}]", p = in(reg) group,
                s = out(ymm_reg) scalar, options(readonly, nostack, preserves_flags)),
            1 => asm!("vbroadcastss {s}, dword ptr [{p} + 4*{r}]", p = in(reg) group,
                r = in(reg) stride, s = out(ymm_reg) scalar,
                options(readonly, nostack, preserves_flags)),
            2 => asm!("vbroadcastss {s}, dword ptr [{p} + 8*{r}]", p = in(reg) group,
                r = in(reg) stride, s = out(ymm_reg) scalar,
                options(readonly, nostack, preserves_flags)),
            _ => asm!("vbroadcastss {s}, dword ptr [{p} + 4*{r}]", p = in(reg) group,
                r = in(reg) 3 * stride, s = out(ymm_reg) scalar,
                options(readonly, nostack, preserves_flags)),
        }
    }
    scalar
}

/// A step of the k loop: one row of B against one element of every row of A, then on to the next.
///
/// Sixteen registers are just enough if each broadcast is used up before the next one. The compiler does not keep
/// that order by itself, but it does keep the order of assembly statements. A macro, because the accumulators stay in
/// registers only if it is inlined, whatever its size.
macro_rules! step {
    ($acc:expr, $t:ident, $a:ident, $b:ident, $live:ident) => {{
        let mut row = [_mm256_setzero_ps(); NV];
        for v in 0..NV {
            row[v] = load($b.wrapping_add(8 * v), $live.filter(|_| v + 1 == NV));
        }
        for i in 0..MR {
            let scalar = broadcast($a[i / GROUP], $t.a_row, i % GROUP);
            for v in 0..NV {
                asm!(
                    "vfmadd231ps {c}, {s}, {b}",
                    c = inout(ymm_reg) $acc[i][v],
                    s = in(ymm_reg) scalar,
                    b = in(ymm_reg) row[v],
                    options(nomem, nostack, preserves_flags)
                );
            }
        }
        $a = $a.map(|p| opaque(p.wrapping_offset($t.a_k)));
        $b = $b.wrapping_offset($t.b_k);
    }};
}

/// What sums begin with. A macro, for the same reason.
macro_rules! begin {
    ($acc:expr, $t:ident, $at:ident, $live:ident, $block:ident) => {{
        let finish = !$t.finish.add.is_null();
        if finish || $t.accumulate != 0 {
            for v in 0..NV {
                for i in 0..MR {
                    let from = if finish { $t.finish.add.wrapping_add(8 * v) } else { $at(i, v).cast_const() };
                    $acc[i][v] = load(from, $live.filter(|_| v + 1 == NV));
                }
            }
        }
        if finish && !$t.beside.at.is_null() {
            let first = $t.beside.at.wrapping_offset($t.beside.step * $block);
            for i in 0..MR {
                for v in 0..NV {
                    let at = first.wrapping_offset($t.beside.row * i as isize).wrapping_add(8 * v);
                    $acc[i][v] = _mm256_add_ps($acc[i][v], load(at, $live.filter(|_| v + 1 == NV)));
                }
            }
        }
    }};
}

#[target_feature(enable = "avx2,fma")]
unsafe extern "C" fn tile<const MR: usize, const NV: usize, const SETS: usize>(args: *const TileArgs) {
    // A masked load needs a register for its mask, which the widest tiles do not have to spare: two copies.
    // SAFETY: the contract of TileFn.
    unsafe {
        if (*args).last == 8 {
            masked_tile::<MR, NV, SETS, false>(args);
        } else {
            masked_tile::<MR, NV, SETS, true>(args);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn masked_tile<const MR: usize, const NV: usize, const SETS: usize, const MASKED: bool>(args: *const TileArgs) {
    // SAFETY: the contract of TileFn: every element described is there, `last` is in 1..=8, and lanes beyond it are
    // masked.
    unsafe {
        let t = &*args;
        let live = MASKED.then(|| mask(t.last));
        let finish = !t.finish.add.is_null();
        for block in 0..t.blocks as isize {
            let (a0, c0) = (t.a.wrapping_offset(t.a_step * block), t.c.wrapping_offset(t.c_step * block));
            let at = |i: usize, v: usize| c0.wrapping_offset(t.c_row * i as isize).wrapping_add(8 * v);
            let mut acc = [[[_mm256_setzero_ps(); NV]; MR]; SETS];
            begin!(acc[0], t, at, live, block);
            for batch in 0..t.batches as isize {
                let first = a0.wrapping_offset(t.a_batch * batch);
                let mut a: [*const f32; GROUPS] =
                    std::array::from_fn(|g| first.wrapping_offset(t.a_row * (g * GROUP) as isize));
                let mut b = t.b.wrapping_offset(t.b_batch * batch);
                for _ in 0..t.k / SETS {
                    for set in 0..SETS {
                        step!(acc[set], t, a, b, live);
                    }
                }
                for _ in 0..t.k % SETS {
                    step!(acc[0], t, a, b, live);
                }
            }
            for set in 1..SETS {
                for i in 0..MR {
                    for v in 0..NV {
                        acc[0][i][v] = _mm256_add_ps(acc[0][i][v], acc[set][i][v]);
                    }
                }
            }
            if finish && t.finish.is_bounded() {
                // A closure would not inline here, and every accumulator would go to the stack and back.
                let low = _mm256_set1_ps(t.finish.bounds[0]);
                let high = _mm256_set1_ps(t.finish.bounds[1]);
                for i in 0..MR {
                    for v in 0..NV {
                        acc[0][i][v] = _mm256_min_ps(high, _mm256_max_ps(low, acc[0][i][v]));
                    }
                }
            }
            for i in 0..MR {
                for v in 0..NV {
                    match live {
                        Some(live) if v + 1 == NV => _mm256_maskstore_ps(at(i, v), live, acc[0][i][v]),
                        _ => _mm256_storeu_ps(at(i, v), acc[0][i][v]),
                    }
                }
            }
        }
    }
}

/// Rows of an 8x8 block to its columns.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(r: [__m256; 8]) -> [__m256; 8] {
    let mut t = r;
    for i in 0..4 {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    let mut u = t;
    for i in 0..2 {
        for half in 0..2 {
            let (x, y) = (t[4 * i + half], t[4 * i + 2 + half]);
            u[4 * i + 2 * half] = _mm256_shuffle_ps::<0x44>(x, y);
            u[4 * i + 2 * half + 1] = _mm256_shuffle_ps::<0xee>(x, y);
        }
    }
    // u[4*i + j] holds, in half q, column 4*q + j of rows 4*i..4*i + 4.
    let mut out = u;
    for j in 0..4 {
        out[j] = _mm256_permute2f128_ps::<0x20>(u[j], u[4 + j]);
        out[4 + j] = _mm256_permute2f128_ps::<0x31>(u[j], u[4 + j]);
    }
    out
}

#[target_feature(enable = "avx2")]
unsafe extern "C" fn pack_transpose(args: *const PackArgs) {
    // SAFETY: the contract of PackFn; masks keep every access inside rows and cols.
    unsafe {
        let p = &*args;
        for j in (0..p.rows).step_by(8) {
            let rows = (p.rows - j).min(8);
            let written = mask(rows);
            for k in (0..p.cols).step_by(8) {
                let cols = (p.cols - k).min(8);
                if (rows, cols) == (8, 8) {
                    // Masked stores are slow on many processors.
                    let block = std::array::from_fn(|i| _mm256_loadu_ps(p.source(j + i, k)));
                    for (i, value) in transpose(block).iter().enumerate() {
                        _mm256_storeu_ps(p.target(k + i, j), *value);
                    }
                    continue;
                }
                let read = mask(cols);
                let mut block = [_mm256_setzero_ps(); 8];
                for (i, value) in block.iter_mut().enumerate() {
                    if i < rows {
                        *value = _mm256_maskload_ps(p.source(j + i, k), read);
                    }
                }
                let block = transpose(block);
                for (i, value) in block.iter().enumerate() {
                    if i < cols {
                        _mm256_maskstore_ps(p.target(k + i, j), written, *value);
                    }
                }
            }
        }
    }
}

#[target_feature(enable = "avx2")]
unsafe extern "C" fn pack_copy(args: *const PackArgs) {
    // SAFETY: the contract of PackFn; the last vector of a row is masked.
    unsafe {
        let p = &*args;
        let tail = mask(p.cols % 8);
        for i in 0..p.rows {
            let (source, target) = (p.source(i, 0), p.target(i, 0));
            let mut j = 0;
            while j + 8 <= p.cols {
                _mm256_storeu_ps(target.add(j), _mm256_loadu_ps(source.add(j)));
                j += 8;
            }
            if j < p.cols {
                let value = _mm256_maskload_ps(source.add(j), tail);
                _mm256_maskstore_ps(target.add(j), tail, value);
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Vector(__m256);

// Inlined into functions that have the instruction set.
impl Wide for Vector {
    const LANES: usize = 8;
    type Live = Option<__m256i>;

    #[inline(always)]
    fn live(lanes: usize) -> Option<__m256i> {
        // SAFETY: only called from `transform_by`, which has the instruction set.
        (lanes < 8).then(|| unsafe { mask(lanes) })
    }

    #[inline(always)]
    fn only_if(live: Option<__m256i>, condition: bool) -> Option<__m256i> {
        // SAFETY: as for `live`.
        unsafe {
            let all = live.unwrap_or(_mm256_set1_epi32(-1));
            Some(_mm256_and_si256(all, _mm256_set1_epi32(-i32::from(condition))))
        }
    }

    #[inline(always)]
    fn zero() -> Vector {
        // SAFETY: as for `live`.
        Vector(unsafe { _mm256_setzero_ps() })
    }

    #[inline(always)]
    unsafe fn load(at: *const f32, live: Option<__m256i>) -> Vector {
        // SAFETY: live lanes are readable, others are not read.
        Vector(unsafe { load(at, live) })
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32, live: Option<__m256i>) {
        // SAFETY: live lanes are writable, others are not written.
        unsafe {
            match live {
                None => _mm256_storeu_ps(at, self.0),
                Some(live) => _mm256_maskstore_ps(at, live, self.0),
            }
        }
    }

    #[inline(always)]
    fn plus(self, other: Vector) -> Vector {
        // SAFETY: as for `live`.
        Vector(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn minus(self, other: Vector) -> Vector {
        // SAFETY: as for `live`.
        Vector(unsafe { _mm256_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn times_plus(self, factor: f32, other: Vector) -> Vector {
        // SAFETY: as for `live`.
        Vector(unsafe { _mm256_fmadd_ps(self.0, _mm256_set1_ps(factor), other.0) })
    }

    #[inline(always)]
    fn multiply_add(self, other: Vector, sum: Vector) -> Vector {
        // SAFETY: as for `live`.
        Vector(unsafe { _mm256_fmadd_ps(self.0, other.0, sum.0) })
    }

    #[inline(always)]
    fn within(self, [low, high]: [f32; 2]) -> Vector {
        // SAFETY: as for `zero`.
        Vector(unsafe { _mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(_mm256_set1_ps(low), self.0)) })
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe extern "C" fn transform_by<L: Linear>(args: *const TransformArgs) {
    // SAFETY: the contract of TransformFn.
    unsafe { transform::transform::<Vector, L>(args) }
}

#[target_feature(enable = "avx2,fma")]
unsafe extern "C" fn filter_row(args: *const FilterArgs) {
    // SAFETY: the contract of FilterFn.
    unsafe { filter::filter::<Vector>(args) }
}

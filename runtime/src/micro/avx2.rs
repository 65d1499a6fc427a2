//! Tiles for AVX2 with FMA: 8 lanes, 16 registers.
//!
//! 12x1, 6x2 and 4x3 leave room for a row of B and a broadcast; there is none four vectors wide.

use super::{Isa, PackArgs, TileArgs, Tiles, opaque, tile_row};
use std::arch::x86_64::*;

pub(super) static TILES: Tiles = Tiles {
    isa: Isa::Avx2,
    lanes: 8,
    registers: 16,
    fma_per_cycle: 2,
    hiding: 8,
    tiles: [
        tile_row!(12, 1: 1 2 3 4 5 6 7 8 9 10 11 12),
        tile_row!(12, 2: 1 2 3 4 5 6),
        tile_row!(12, 3: 1 2 3 4),
        &[],
    ],
    pack_transpose,
    pack_copy,
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

/// A step of the k loop: one row of B against one element of every row of A.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn multiply_add<const MR: usize, const NV: usize>(
    acc: &mut [[__m256; NV]; MR],
    a: &[*const f32; GROUPS],
    a_row: isize,
    b: *const f32,
    row: impl Fn(*const f32, usize) -> __m256,
) {
    let mut values = [_mm256_setzero_ps(); NV];
    for (v, value) in values.iter_mut().enumerate() {
        *value = row(b.wrapping_add(8 * v), v);
    }
    for i in 0..MR {
        let at = a[i / GROUP].wrapping_offset(a_row * (i % GROUP) as isize);
        // SAFETY: row i of A at this k, which the caller vouches for.
        let scalar = unsafe { _mm256_broadcast_ss(&*at) };
        for v in 0..NV {
            acc[i][v] = _mm256_fmadd_ps(scalar, values[v], acc[i][v]);
        }
    }
}

/// The k loops of all batches; `row` loads vector `v` of a row of B.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn accumulate<const MR: usize, const NV: usize, const SETS: usize>(
    acc: &mut [[[__m256; NV]; MR]; SETS],
    t: &TileArgs,
    row: impl Fn(*const f32, usize) -> __m256 + Copy,
) {
    for batch in 0..t.batches as isize {
        let first = t.a.wrapping_offset(t.a_batch * batch);
        let mut a: [*const f32; GROUPS] =
            std::array::from_fn(|g| first.wrapping_offset(t.a_row * (g * GROUP) as isize));
        let mut b = t.b.wrapping_offset(t.b_batch * batch);
        let mut step = |acc: &mut [[__m256; NV]; MR]| {
            // SAFETY: the caller vouches for batch, k and rows.
            unsafe { multiply_add(acc, &a, t.a_row, b, row) };
            a = a.map(|p| opaque(p.wrapping_offset(t.a_k)));
            b = b.wrapping_offset(t.b_k);
        };
        for _ in 0..t.k / SETS {
            for set in 0..SETS {
                step(&mut acc[set]);
            }
        }
        for _ in 0..t.k % SETS {
            step(&mut acc[0]);
        }
    }
}

#[target_feature(enable = "avx2,fma")]
unsafe extern "C" fn tile<const MR: usize, const NV: usize, const SETS: usize>(
    args: *const TileArgs,
) {
    // SAFETY: the contract of TileFn: every element described is there, and `last` is in 1..=8.
    unsafe {
        let t = &*args;
        let live = mask(t.last);
        let at = |i: usize, v: usize| {
            t.c.wrapping_offset(t.c_row * i as isize)
                .wrapping_add(8 * v)
        };
        let mut acc = [[[_mm256_setzero_ps(); NV]; MR]; SETS];
        if t.accumulate != 0 {
            for i in 0..MR {
                for v in 0..NV {
                    acc[0][i][v] = if v + 1 < NV {
                        _mm256_loadu_ps(at(i, v))
                    } else {
                        _mm256_maskload_ps(at(i, v), live)
                    };
                }
            }
        }
        // A masked load needs a register for its mask, which the widest tiles do not have to spare.
        if t.last == 8 {
            accumulate(&mut acc, t, |p, _| _mm256_loadu_ps(p));
        } else {
            accumulate(&mut acc, t, |p, v| {
                if v + 1 < NV {
                    _mm256_loadu_ps(p)
                } else {
                    _mm256_maskload_ps(p, live)
                }
            });
        }
        for i in 0..MR {
            for v in 0..NV {
                let mut sum = acc[0][i][v];
                for set in 1..SETS {
                    sum = _mm256_add_ps(sum, acc[set][i][v]);
                }
                if v + 1 < NV {
                    _mm256_storeu_ps(at(i, v), sum);
                } else {
                    _mm256_maskstore_ps(at(i, v), live, sum);
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

//! Tiles in plain Rust, four lanes wide: the floor that compiles on every target.
//!
//! Arrays of four are left to LLVM to keep in vector registers (SSE2, NEON, wasm). Products are fused with their
//! sum only where the target does that in hardware, so the last bits may differ from those of the other tables.

use super::{Isa, TileArgs, Tiles, pack, tile_row};

const LANES: usize = 4;

pub(super) static TILES: Tiles = Tiles {
    isa: Isa::Portable,
    lanes: LANES,
    registers: 16,
    fma_per_cycle: 1,
    hiding: 8,
    tiles: [
        tile_row!(12, 1: 1 2 3 4 5 6 7 8 9 10 11 12),
        tile_row!(12, 2: 1 2 3 4 5 6),
        tile_row!(12, 3: 1 2 3 4),
        &[],
    ],
    pack_transpose: pack::transpose,
    pack_copy: pack::copy,
};

type Vector = [f32; LANES];

/// The first `live` lanes at `at`, zeros beyond.
///
/// # Safety
/// `live` elements must be readable.
#[inline(always)]
unsafe fn load(at: *const f32, live: usize) -> Vector {
    let mut value = [0.0; LANES];
    if live == LANES {
        // SAFETY: LANES elements are readable; an array of f32 needs no more alignment than f32.
        value = unsafe { *at.cast::<Vector>() };
    } else {
        for (lane, x) in value.iter_mut().enumerate() {
            if lane < live {
                // SAFETY: lane < live.
                *x = unsafe { *at.add(lane) };
            }
        }
    }
    value
}

#[inline(always)]
fn multiply_add(scalar: f32, row: Vector, sum: &mut Vector) {
    for lane in 0..LANES {
        sum[lane] = if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
            scalar.mul_add(row[lane], sum[lane])
        } else {
            scalar * row[lane] + sum[lane]
        };
    }
}

/// The k loops of all batches; the last vector of B has `last` lanes, a constant where it is inlined.
///
/// # Safety
/// That of [`super::TileFn`].
#[inline(always)]
unsafe fn accumulate<const MR: usize, const NV: usize, const SETS: usize>(
    acc: &mut [[[Vector; NV]; MR]; SETS],
    t: &TileArgs,
    last: usize,
) {
    for batch in 0..t.batches as isize {
        let mut a = t.a.wrapping_offset(t.a_batch * batch);
        let mut b = t.b.wrapping_offset(t.b_batch * batch);
        let mut step = |acc: &mut [[Vector; NV]; MR]| {
            let mut row = [[0.0; LANES]; NV];
            for (v, value) in row.iter_mut().enumerate() {
                let live = if v + 1 < NV { LANES } else { last };
                // SAFETY: vector v of the row of B at this k.
                *value = unsafe { load(b.wrapping_add(LANES * v), live) };
            }
            for (i, sums) in acc.iter_mut().enumerate() {
                // SAFETY: row i of A at this k.
                let scalar = unsafe { *a.wrapping_offset(t.a_row * i as isize) };
                for (sum, row) in sums.iter_mut().zip(row) {
                    multiply_add(scalar, row, sum);
                }
            }
            a = a.wrapping_offset(t.a_k);
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

unsafe extern "C" fn tile<const MR: usize, const NV: usize, const SETS: usize>(
    args: *const TileArgs,
) {
    // SAFETY: the contract of TileFn: every element described is there.
    unsafe {
        let t = &*args;
        let at = |i: usize, v: usize| {
            t.c.wrapping_offset(t.c_row * i as isize)
                .wrapping_add(LANES * v)
        };
        let live = |v: usize| if v + 1 < NV { LANES } else { t.last };
        let mut acc = [[[[0.0; LANES]; NV]; MR]; SETS];
        if t.accumulate != 0 {
            for i in 0..MR {
                for v in 0..NV {
                    acc[0][i][v] = load(at(i, v), live(v));
                }
            }
        }
        if t.last == LANES {
            accumulate(&mut acc, t, LANES);
        } else {
            accumulate(&mut acc, t, t.last);
        }
        for i in 0..MR {
            for v in 0..NV {
                let mut sum = acc[0][i][v];
                for set in 1..SETS {
                    for (x, y) in sum.iter_mut().zip(acc[set][i][v]) {
                        *x += y;
                    }
                }
                for (lane, x) in sum.into_iter().enumerate() {
                    if lane < live(v) {
                        *at(i, v).add(lane) = x;
                    }
                }
            }
        }
    }
}

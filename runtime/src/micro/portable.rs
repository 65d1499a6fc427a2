//! Tiles four lanes wide: the floor that compiles on every target.
//!
//! Only the [`vector`] of four knows the target. Where it has no fused multiply-add, products are rounded before they
//! are added, so the last bits may differ from those of the other tables.

mod vector;

use super::filter::{self, FilterArgs};
use super::transform::{self, Linear, TransformArgs, Wide, transform_table};
use super::{Isa, TileArgs, Tiles, pack, tile_row};
use vector::{LANES, Vector};

pub(super) static TILES: Tiles = Tiles {
    isa: Isa::Portable,
    lanes: LANES,
    registers: 16,
    fma_per_cycle: 1,
    hiding: 8,
    tiles: [tile_row!(12, 1: 1 2 3 4 5 6 7 8 9 10), tile_row!(12, 2: 1 2 3 4 5 6), tile_row!(12, 3: 1 2 3 4), &[]],
    pack_transpose: pack::transpose,
    pack_copy: pack::copy,
    transforms: transform_table!(),
    filter: filter_row,
};

/// A step of the k loop: one row of B against one element of every row of A, then on to the next.
///
/// A macro, because the accumulators stay in registers only if it is inlined, whatever its size.
macro_rules! step {
    ($acc:expr, $t:ident, $a:ident, $b:ident, $live:ident) => {{
        let mut row = [Vector::ZERO; NV];
        for v in 0..NV {
            row[v] = Vector::load($b.wrapping_add(LANES * v), $live(v));
        }
        for i in 0..MR {
            let scalar = Vector::splat(*$a.wrapping_offset($t.a_row * i as isize));
            for v in 0..NV {
                $acc[i][v] = scalar.multiply_add(row[v], $acc[i][v]);
            }
        }
        $a = $a.wrapping_offset($t.a_k);
        $b = $b.wrapping_offset($t.b_k);
    }};
}

unsafe extern "C" fn tile<const MR: usize, const NV: usize, const SETS: usize>(args: *const TileArgs) {
    // The number of live lanes is a constant in the usual case: two copies.
    // SAFETY: the contract of TileFn.
    unsafe {
        if (*args).last == LANES {
            masked_tile::<MR, NV, SETS, false>(args);
        } else {
            masked_tile::<MR, NV, SETS, true>(args);
        }
    }
}

#[inline]
unsafe fn masked_tile<const MR: usize, const NV: usize, const SETS: usize, const MASKED: bool>(args: *const TileArgs) {
    // SAFETY: the contract of TileFn: every element described is there.
    unsafe {
        let t = &*args;
        let live = |v: usize| if MASKED && v + 1 == NV { t.last } else { LANES };
        let finish = !t.finish.add.is_null();
        for block in 0..t.blocks as isize {
            let (a0, c0) = (t.a.wrapping_offset(t.a_step * block), t.c.wrapping_offset(t.c_step * block));
            let at = |i: usize, v: usize| c0.wrapping_offset(t.c_row * i as isize).wrapping_add(LANES * v);
            let mut acc = [[[Vector::ZERO; NV]; MR]; SETS];
            if finish {
                for v in 0..NV {
                    let add = Vector::load(t.finish.add.wrapping_add(LANES * v), live(v));
                    for i in 0..MR {
                        acc[0][i][v] = add;
                    }
                }
                if !t.beside.at.is_null() {
                    let first = t.beside.at.wrapping_offset(t.beside.step * block);
                    for i in 0..MR {
                        for v in 0..NV {
                            let at = first.wrapping_offset(t.beside.row * i as isize).wrapping_add(LANES * v);
                            acc[0][i][v] = acc[0][i][v].add(Vector::load(at, live(v)));
                        }
                    }
                }
            } else if t.accumulate != 0 {
                for i in 0..MR {
                    for v in 0..NV {
                        acc[0][i][v] = Vector::load(at(i, v), live(v));
                    }
                }
            }
            for batch in 0..t.batches as isize {
                let mut a = a0.wrapping_offset(t.a_batch * batch);
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
            for i in 0..MR {
                for v in 0..NV {
                    let mut sum = acc[0][i][v];
                    for set in 1..SETS {
                        sum = sum.add(acc[set][i][v]);
                    }
                    if finish {
                        sum = sum.within(t.finish.bounds);
                    }
                    sum.store(at(i, v), live(v));
                }
            }
        }
    }
}

impl Wide for Vector {
    const LANES: usize = LANES;
    type Live = usize;

    #[inline(always)]
    fn live(lanes: usize) -> usize {
        lanes
    }

    #[inline(always)]
    fn only_if(live: usize, condition: bool) -> usize {
        if condition { live } else { 0 }
    }

    #[inline(always)]
    fn zero() -> Vector {
        Vector::ZERO
    }

    #[inline(always)]
    unsafe fn load(at: *const f32, live: usize) -> Vector {
        // SAFETY: live lanes are readable, others are not read.
        unsafe { Vector::load(at, live) }
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32, live: usize) {
        // SAFETY: live lanes are writable, others are not written.
        unsafe { Vector::store(self, at, live) }
    }

    #[inline(always)]
    fn plus(self, other: Vector) -> Vector {
        self.add(other)
    }

    #[inline(always)]
    fn minus(self, other: Vector) -> Vector {
        other.multiply_add(Vector::splat(-1.0), self)
    }

    #[inline(always)]
    fn times_plus(self, factor: f32, other: Vector) -> Vector {
        Vector::multiply_add(self, Vector::splat(factor), other)
    }

    #[inline(always)]
    fn multiply_add(self, other: Vector, sum: Vector) -> Vector {
        Vector::multiply_add(self, other, sum)
    }

    #[inline(always)]
    fn within(self, bounds: [f32; 2]) -> Vector {
        Vector::within(self, bounds)
    }
}

unsafe extern "C" fn transform_by<L: Linear>(args: *const TransformArgs) {
    // SAFETY: the contract of TransformFn.
    unsafe { transform::transform::<Vector, L>(args) }
}

unsafe extern "C" fn filter_row(args: *const FilterArgs) {
    // SAFETY: the contract of FilterFn.
    unsafe { filter::filter::<Vector>(args) }
}

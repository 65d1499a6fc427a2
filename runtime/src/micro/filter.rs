//! Filters of single channels: sums of a few products each, where channels do not mix.
//!
//! `dst[p][c] (+)= sum over i, j of src[p*src_next + i*src_row + j*src_col + c] * by[i*by_row + j*by_col + c]`: the points
//! of a row under a depthwise convolution, its input gradient, or (points are taps and taps are points) its weight
//! gradient. Several points share each load of `by` and hide the latency of each other's multiply-adds.

use super::Finish;
use super::transform::Wide;

/// A row of points; all strides count elements.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FilterArgs {
    pub src: *const f32,
    pub by: *const f32,
    pub dst: *mut f32,
    /// From one row and column of taps to the next.
    pub src_row: isize,
    pub src_col: isize,
    /// From one point to the next.
    pub src_next: isize,
    pub by_row: isize,
    pub by_col: isize,
    pub dst_next: isize,
    /// Rows and columns of taps.
    pub rows: usize,
    pub cols: usize,
    /// Points.
    pub count: usize,
    /// Of unit stride everywhere.
    pub channels: usize,
    /// 0: `dst = ...`; anything else: `dst += ...`.
    pub accumulate: usize,
    /// Not where a sum goes on.
    pub finish: Finish,
}

/// Filters one row of points.
///
/// # Safety
/// Every element that [`FilterArgs`] describes must be readable (`src`, `by`, `finish`) or writable (`dst`), `dst` must not overlap
/// the others, and the processor must have the instruction set of the table.
pub type FilterFn = unsafe extern "C" fn(args: *const FilterArgs);

/// All channels of some points before the next.
///
/// # Safety
/// As [`FilterFn`].
#[inline(always)]
pub(super) unsafe fn filter<V: Wide>(args: *const FilterArgs) {
    // SAFETY: the contract of FilterFn: points are taken in their order, none twice.
    unsafe {
        let f = &*args;
        let mut point = 0;
        while point < f.count {
            point += match f.count - point {
                1 => points::<V, 1, 4>(f, point),
                2 => points::<V, 2, 4>(f, point),
                3 => points::<V, 3, 3>(f, point),
                4 | 7 | 8 => points::<V, 4, 2>(f, point),
                5 => points::<V, 5, 2>(f, point),
                _ => points::<V, 6, 2>(f, point),
            };
        }
    }
}

/// `P` points, `NV` vectors of channels at a time.
#[inline(always)]
unsafe fn points<V: Wide, const P: usize, const NV: usize>(f: &FilterArgs, point: usize) -> usize {
    // SAFETY: the contract of FilterFn; lanes beyond the channels are not live.
    unsafe {
        let step = NV * V::LANES;
        let mut c = 0;
        while c + step <= f.channels {
            block::<V, P, NV>(f, point, c, V::live(V::LANES));
            c += step;
        }
        while c < f.channels {
            block::<V, P, 1>(f, point, c, V::live((f.channels - c).min(V::LANES)));
            c += V::LANES;
        }
    }
    P
}

#[inline(always)]
unsafe fn block<V: Wide, const P: usize, const NV: usize>(f: &FilterArgs, point: usize, c: usize, live: V::Live) {
    // SAFETY: the contract of FilterFn.
    unsafe {
        let src = f.src.wrapping_offset(f.src_next * point as isize).wrapping_add(c);
        let dst = f.dst.wrapping_offset(f.dst_next * point as isize).wrapping_add(c);
        let to = |p: usize, v: usize| dst.wrapping_offset(f.dst_next * p as isize).wrapping_add(v * V::LANES);
        let mut sums = [[V::zero(); NV]; P];
        let finish = !f.finish.add.is_null();
        if finish {
            for v in 0..NV {
                let add = V::load(f.finish.add.wrapping_add(c + v * V::LANES), live);
                for p in 0..P {
                    sums[p][v] = add;
                }
            }
        } else if f.accumulate != 0 {
            for p in 0..P {
                for v in 0..NV {
                    sums[p][v] = V::load(to(p, v), live);
                }
            }
        }
        for i in 0..f.rows as isize {
            let mut src = src.wrapping_offset(f.src_row * i);
            let mut by = f.by.wrapping_offset(f.by_row * i).wrapping_add(c);
            for _ in 0..f.cols {
                let mut factors = [V::zero(); NV];
                for v in 0..NV {
                    factors[v] = V::load(by.wrapping_add(v * V::LANES), live);
                }
                for p in 0..P {
                    for v in 0..NV {
                        let at = src.wrapping_offset(f.src_next * p as isize).wrapping_add(v * V::LANES);
                        sums[p][v] = V::load(at, live).multiply_add(factors[v], sums[p][v]);
                    }
                }
                src = src.wrapping_offset(f.src_col);
                by = by.wrapping_offset(f.by_col);
            }
        }
        if finish {
            for p in 0..P {
                for v in 0..NV {
                    sums[p][v] = sums[p][v].within(f.finish.bounds);
                }
            }
        }
        for p in 0..P {
            for v in 0..NV {
                sums[p][v].store(to(p, v), live);
            }
        }
    }
}

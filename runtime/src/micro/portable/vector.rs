//! Four floats: SSE2 and NEON where they are part of the target, an array elsewhere.

pub(super) const LANES: usize = 4;

#[cfg(target_arch = "x86_64")]
mod lanes {
    use std::arch::x86_64::*;

    pub(super) type Four = __m128;

    #[inline(always)]
    pub(super) fn splat(x: f32) -> Four {
        // SAFETY: SSE2 is part of every x86-64.
        unsafe { _mm_set1_ps(x) }
    }

    #[inline(always)]
    pub(super) fn add(x: Four, y: Four) -> Four {
        // SAFETY: SSE2 is part of every x86-64.
        unsafe { _mm_add_ps(x, y) }
    }

    #[inline(always)]
    pub(super) fn multiply_add(x: Four, y: Four, sum: Four) -> Four {
        // SAFETY: SSE2 is part of every x86-64.
        unsafe { _mm_add_ps(_mm_mul_ps(x, y), sum) }
    }

    /// NaN where `x` is.
    #[inline(always)]
    pub(super) fn within(x: Four, low: Four, high: Four) -> Four {
        // SAFETY: SSE2 is part of every x86-64. Of a number and NaN these give the second.
        unsafe { _mm_min_ps(high, _mm_max_ps(low, x)) }
    }
}

#[cfg(target_arch = "aarch64")]
mod lanes {
    use std::arch::aarch64::*;

    pub(super) type Four = float32x4_t;

    #[inline(always)]
    pub(super) fn splat(x: f32) -> Four {
        // SAFETY: NEON is part of every aarch64 that the standard library runs on.
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    pub(super) fn add(x: Four, y: Four) -> Four {
        // SAFETY: NEON is part of every aarch64 that the standard library runs on.
        unsafe { vaddq_f32(x, y) }
    }

    #[inline(always)]
    pub(super) fn multiply_add(x: Four, y: Four, sum: Four) -> Four {
        // SAFETY: NEON is part of every aarch64 that the standard library runs on.
        unsafe { vfmaq_f32(sum, x, y) }
    }

    /// NaN where `x` is.
    #[inline(always)]
    pub(super) fn within(x: Four, low: Four, high: Four) -> Four {
        // SAFETY: NEON is part of every aarch64 that the standard library runs on.
        unsafe { vminq_f32(high, vmaxq_f32(low, x)) }
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod lanes {
    pub(super) type Four = [f32; 4];

    #[inline(always)]
    pub(super) fn splat(x: f32) -> Four {
        [x; 4]
    }

    #[inline(always)]
    pub(super) fn add(x: Four, y: Four) -> Four {
        std::array::from_fn(|lane| x[lane] + y[lane])
    }

    #[inline(always)]
    pub(super) fn multiply_add(x: Four, y: Four, sum: Four) -> Four {
        std::array::from_fn(|lane| x[lane] * y[lane] + sum[lane])
    }

    /// NaN where `x` is.
    #[inline(always)]
    pub(super) fn within(x: Four, low: Four, high: Four) -> Four {
        std::array::from_fn(|lane| {
            let above = if low[lane] > x[lane] { low[lane] } else { x[lane] };
            if high[lane] < above { high[lane] } else { above }
        })
    }
}

/// A vector of any bit pattern, as large as an array of its lanes.
#[derive(Clone, Copy)]
pub(super) struct Vector(lanes::Four);

impl Vector {
    // SAFETY: every bit pattern is a vector of four floats.
    pub(super) const ZERO: Vector = Vector(unsafe { std::mem::transmute::<[f32; LANES], lanes::Four>([0.0; LANES]) });

    #[inline(always)]
    pub(super) fn splat(x: f32) -> Vector {
        Vector(lanes::splat(x))
    }

    /// The first `live` floats at `at`, zeros beyond.
    ///
    /// # Safety
    /// `live` floats must be readable; `live` must not exceed [`LANES`].
    #[inline(always)]
    pub(super) unsafe fn load(at: *const f32, live: usize) -> Vector {
        let mut value = Vector::ZERO;
        // SAFETY: a vector has room for LANES floats.
        unsafe {
            if live == LANES {
                value.0 = at.cast::<lanes::Four>().read_unaligned();
            } else {
                let room = (&raw mut value).cast::<f32>();
                std::ptr::copy_nonoverlapping(at, room, live);
            }
        }
        value
    }

    /// The first `live` lanes to `at`.
    ///
    /// # Safety
    /// `live` floats must be writable; `live` must not exceed [`LANES`].
    #[inline(always)]
    pub(super) unsafe fn store(self, at: *mut f32, live: usize) {
        // SAFETY: a vector holds LANES floats.
        unsafe {
            if live == LANES {
                at.cast::<lanes::Four>().write_unaligned(self.0);
            } else {
                std::ptr::copy_nonoverlapping((&raw const self).cast::<f32>(), at, live);
            }
        }
    }

    #[inline(always)]
    pub(super) fn add(self, other: Vector) -> Vector {
        Vector(lanes::add(self.0, other.0))
    }

    /// `self * other + sum`.
    #[inline(always)]
    pub(super) fn multiply_add(self, other: Vector, sum: Vector) -> Vector {
        Vector(lanes::multiply_add(self.0, other.0, sum.0))
    }

    /// No less than the first, no more than the second; NaN stays.
    #[inline(always)]
    pub(super) fn within(self, [low, high]: [f32; 2]) -> Vector {
        Vector(lanes::within(self.0, lanes::splat(low), lanes::splat(high)))
    }
}

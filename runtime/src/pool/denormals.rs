//! Denormal numbers count as zero while compiled code runs.
//!
//! A product of two tiny numbers otherwise costs a hundred cycles, and trained networks make many of them.

/// Sets flush-to-zero and denormals-are-zero on this thread; restores what was there when dropped.
pub(super) struct FlushDenormals {
    before: Control,
}

impl FlushDenormals {
    pub(super) fn new() -> FlushDenormals {
        let before = read();
        write(before | FLUSH);
        FlushDenormals { before }
    }
}

impl Drop for FlushDenormals {
    fn drop(&mut self) {
        write(self.before);
    }
}

#[cfg(target_arch = "x86_64")]
mod control {
    use std::arch::asm;

    /// The register MXCSR.
    pub(crate) type Control = u32;
    /// FTZ (bit 15) and DAZ (bit 6).
    pub(crate) const FLUSH: Control = 1 << 15 | 1 << 6;

    pub(crate) fn read() -> Control {
        let mut value = 0;
        // SAFETY: stores four bytes to `value`.
        unsafe { asm!("stmxcsr [{}]", in(reg) &mut value, options(nostack, preserves_flags)) };
        value
    }

    pub(crate) fn write(value: Control) {
        // SAFETY: `value` was read from the register but for the two bits, which every x86-64 has.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &value, options(nostack, preserves_flags, readonly)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod control {
    use std::arch::asm;

    /// The register FPCR.
    pub(crate) type Control = u64;
    /// FZ.
    pub(crate) const FLUSH: Control = 1 << 24;

    pub(crate) fn read() -> Control {
        let value;
        // SAFETY: reads a register.
        unsafe { asm!("mrs {}, fpcr", out(reg) value, options(nomem, nostack, preserves_flags)) };
        value
    }

    pub(crate) fn write(value: Control) {
        // SAFETY: `value` was read from the register but for one bit.
        unsafe { asm!("msr fpcr, {}", in(reg) value, options(nomem, nostack, preserves_flags)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod control {
    pub(crate) type Control = u32;
    pub(crate) const FLUSH: Control = 0;

    pub(crate) fn read() -> Control {
        0
    }

    pub(crate) fn write(_value: Control) {}
}

use control::{Control, FLUSH, read, write};

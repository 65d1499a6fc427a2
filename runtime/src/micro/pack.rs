//! Packing: strided copies and transpositions of blocks, and their portable forms.

/// A block of `rows` by `cols` elements and where it goes; strides count elements.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PackArgs {
    pub src: *const f32,
    pub dst: *mut f32,
    /// Rows of the source.
    pub rows: usize,
    /// Columns of the source, of unit stride.
    pub cols: usize,
    pub src_row: isize,
    pub dst_row: isize,
}

/// A packing kernel.
///
/// # Safety
/// Every element of the source that [`PackArgs`] describes must be readable, every one of the target writable; the
/// two must not overlap; the processor must have the instruction set of the table.
pub type PackFn = unsafe extern "C" fn(args: *const PackArgs);

impl PackArgs {
    #[inline(always)]
    pub(super) fn source(&self, row: usize, col: usize) -> *const f32 {
        self.src.wrapping_offset(self.src_row * row as isize).wrapping_add(col)
    }

    #[inline(always)]
    pub(super) fn target(&self, row: usize, col: usize) -> *mut f32 {
        self.dst.wrapping_offset(self.dst_row * row as isize).wrapping_add(col)
    }
}

/// In blocks of 8x8, so that both sides stay within few cache lines.
pub(super) unsafe extern "C" fn transpose(args: *const PackArgs) {
    // SAFETY: the contract of PackFn; j < rows and k < cols throughout.
    unsafe {
        let p = &*args;
        for j0 in (0..p.rows).step_by(8) {
            for k in 0..p.cols {
                for j in j0..p.rows.min(j0 + 8) {
                    *p.target(k, j) = *p.source(j, k);
                }
            }
        }
    }
}

pub(super) unsafe extern "C" fn copy(args: *const PackArgs) {
    // SAFETY: the contract of PackFn; the two blocks do not overlap.
    unsafe {
        let p = &*args;
        for i in 0..p.rows {
            std::ptr::copy_nonoverlapping(p.source(i, 0), p.target(i, 0), p.cols);
        }
    }
}

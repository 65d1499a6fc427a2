//! One zeroed, aligned allocation that lives as long as its owner.
//!
//! Memory comes from the system in pages that are zero and untouched, so a large arena costs what is used of it.
//! Large arenas start on a huge page, and on Linux they ask for huge pages when they are told to settle: not at once, since a
//! virtual machine may have to fetch every huge page from its host, which takes longer than a short run gains by them.
//! Where memory is not available, an error says how much was wanted; nothing aborts.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// Alignment of every arena: a cache line, and the widest vector.
pub const ALIGNMENT: usize = 64;
const HUGE_PAGE: usize = 2 << 20;
/// Smaller arenas stay on ordinary pages.
const LEAST_HUGE: usize = 2 * HUGE_PAGE;
/// Alignment that the system's `calloc` has anyway; asking for more would make the allocator clear the memory itself.
const NATURAL: usize = 16;

/// That many bytes are not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    pub wanted: usize,
}

impl std::fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not enough memory: {} bytes are needed", self.wanted)
    }
}

impl std::error::Error for OutOfMemory {}

/// A block of bytes, zero when new.
pub struct Arena {
    allocation: NonNull<u8>,
    layout: Layout,
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: an arena is plain memory that it owns alone; access goes through `&self` for reading and `&mut self` for writing.
unsafe impl Send for Arena {}
// SAFETY: as above; a shared arena can only be read.
unsafe impl Sync for Arena {}

impl Arena {
    /// `bytes` zero bytes at a multiple of [`ALIGNMENT`].
    pub fn new(bytes: usize) -> Result<Arena, OutOfMemory> {
        let wanted = OutOfMemory { wanted: bytes };
        let align = if bytes >= LEAST_HUGE { HUGE_PAGE } else { ALIGNMENT };
        let room = bytes.max(1).checked_add(align).ok_or(wanted)?;
        let layout = Layout::from_size_align(room, NATURAL).map_err(|_| wanted)?;
        // SAFETY: the layout is not empty.
        let allocation = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(wanted)?;
        let skip = allocation.as_ptr().addr().wrapping_neg() & (align - 1);
        // SAFETY: skip < align, and the allocation has align bytes more than asked for.
        let base = unsafe { allocation.add(skip) };
        Ok(Arena { allocation, layout, base, bytes })
    }

    pub fn len(&self) -> usize {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The first byte, at a multiple of [`ALIGNMENT`]; valid as long as the arena.
    pub fn base(&mut self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// `count` floats at a byte offset, if they lie inside and the offset is a multiple of 4.
    pub fn floats(&self, offset: usize, count: usize) -> Option<&[f32]> {
        self.covers(offset, count).then(|| {
            // SAFETY: covers() holds, and every bit pattern is an f32.
            unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(offset).cast(), count) }
        })
    }

    /// The same, to write.
    pub fn floats_mut(&mut self, offset: usize, count: usize) -> Option<&mut [f32]> {
        self.covers(offset, count).then(|| {
            // SAFETY: covers() holds, every bit pattern is an f32, and the arena is borrowed alone.
            unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr().add(offset).cast(), count) }
        })
    }

    /// A larger arena that begins with the bytes of this one.
    pub fn grown(&self, bytes: usize) -> Result<Arena, OutOfMemory> {
        let larger = Arena::new(bytes)?;
        let kept = self.bytes.min(bytes);
        // SAFETY: both hold at least `kept` bytes, and they are two allocations.
        unsafe { std::ptr::copy_nonoverlapping(self.base.as_ptr(), larger.base.as_ptr(), kept) };
        Ok(larger)
    }

    /// Large arenas that have been written to all over and will be used for long move to huge pages.
    pub fn settle(&mut self) {
        if self.bytes >= LEAST_HUGE {
            make_huge(self.base, self.bytes);
        }
    }

    fn covers(&self, offset: usize, count: usize) -> bool {
        let end = count.checked_mul(4).and_then(|bytes| bytes.checked_add(offset));
        offset.is_multiple_of(4) && end.is_some_and(|end| end <= self.bytes)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout.
        unsafe { dealloc(self.allocation.as_ptr(), self.layout) };
    }
}

/// Asks for huge pages, now and instead of those that are there: fewer address translations to miss. Refusal is of no
/// consequence.
#[cfg(target_os = "linux")]
fn make_huge(base: NonNull<u8>, bytes: usize) {
    use std::ffi::{c_int, c_void};
    const MADV_HUGEPAGE: c_int = 14;
    const MADV_COLLAPSE: c_int = 25;
    unsafe extern "C" {
        fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    }
    for advice in [MADV_HUGEPAGE, MADV_COLLAPSE] {
        // SAFETY: the range lies inside our allocation, and such advice never changes its contents.
        unsafe { madvise(base.as_ptr().cast(), bytes & !(HUGE_PAGE - 1), advice) };
    }
}

#[cfg(not(target_os = "linux"))]
fn make_huge(_base: NonNull<u8>, _bytes: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroed_aligned_and_bounded() {
        for bytes in [0, 1, 63, 64, 4096, 5 << 20] {
            let mut arena = Arena::new(bytes).expect("little memory");
            assert_eq!(arena.base().addr() % ALIGNMENT, 0);
            assert_eq!(arena.len(), bytes);
            let count = bytes / 4;
            assert!(arena.floats(0, count).expect("inside").iter().all(|x| *x == 0.0));
            assert!(arena.floats(0, count + 1).is_none());
            assert!(arena.floats(2, 0).is_none());
            assert!(arena.floats(4, usize::MAX).is_none());
            assert!(arena.floats_mut(usize::MAX - 3, 1).is_none());
        }
    }

    #[test]
    fn settling_keeps_contents() {
        let mut arena = Arena::new(5 << 20).expect("little memory");
        let count = arena.len() / 4;
        let numbers = arena.floats_mut(0, count).expect("inside");
        numbers.iter_mut().enumerate().for_each(|(i, x)| *x = i as f32);
        arena.settle();
        arena.settle();
        let numbers = arena.floats(0, count).expect("inside");
        assert!(numbers.iter().enumerate().all(|(i, x)| *x == i as f32));
        Arena::new(0).expect("no memory").settle();
    }

    #[test]
    fn too_much_is_an_error() {
        for wanted in [usize::MAX, isize::MAX as usize, isize::MAX as usize - (4 << 20), 1 << 56] {
            // What nobody looks at need not be allocated at all.
            let error = std::hint::black_box(Arena::new(wanted)).err().expect("more than any machine has");
            assert_eq!(error, OutOfMemory { wanted });
            assert!(error.to_string().contains(&wanted.to_string()));
        }
    }

    #[test]
    fn growing_keeps_contents() {
        let mut arena = Arena::new(8).expect("little memory");
        arena.floats_mut(0, 2).expect("inside").copy_from_slice(&[1.0, 2.0]);
        let larger = arena.grown(6 << 20).expect("little memory");
        assert_eq!(larger.floats(0, 3), Some(&[1.0, 2.0, 0.0][..]));
    }
}

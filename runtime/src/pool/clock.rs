//! Time within steps: code that was compiled with a clock says which of its parts it comes to.
//!
//! Every thread keeps its own words, in its scratch memory: when the last part began, which it is, and the nanoseconds of
//! each part so far; part 0 is what lies between steps.

use std::sync::OnceLock;
use std::time::Instant;

/// Words before the first part's nanoseconds.
pub const HEAD: usize = 2;

/// Bytes of the words of so many parts, 0 included.
pub fn bytes(parts: usize) -> usize {
    (HEAD + parts) * size_of::<u64>()
}

/// What [`clock`] is called with.
#[repr(C)]
pub struct ClockArgs {
    pub words: *mut u64,
    pub part: u64,
}

/// Gives the part before its time, and begins another.
///
/// # Safety
/// `args` must be valid, and its words as many as [`bytes`] says of the largest part that is ever begun there; nobody else may
/// touch them meanwhile.
pub unsafe extern "C" fn clock(args: *const ClockArgs) {
    static START: OnceLock<Instant> = OnceLock::new();
    let now = START.get_or_init(Instant::now).elapsed().as_nanos() as u64;
    // SAFETY: the caller's contract; the second word was written here, or is 0.
    unsafe {
        let ClockArgs { words, part } = *args;
        let before = *words.add(1) as usize;
        *words.add(HEAD + before) += now.saturating_sub(*words);
        *words = now;
        *words.add(1) = part;
    }
}

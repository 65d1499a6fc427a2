//! The tasks of one step, shared out among threads.
//!
//! Every thread begins with its own contiguous range, the same one in every step of as many tasks, so that it finds its
//! data in its own cache; who is done helps the others, in chunks. Every task is taken exactly once.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Chunks of a range: more balance better, fewer cost less.
const CHUNKS: u64 = 8;

/// The tasks of one thread's range, from `next` on, are not taken yet.
#[repr(align(128))]
struct Share {
    next: AtomicU64,
    end: AtomicU64,
}

pub(super) struct Tasks {
    shares: Box<[Share]>,
}

impl Tasks {
    pub(super) fn new(threads: usize) -> Tasks {
        let share = |_| Share { next: AtomicU64::new(0), end: AtomicU64::new(0) };
        Tasks { shares: (0..threads).map(share).collect() }
    }

    /// Shares out `0..count`. Only while no thread takes any.
    pub(super) fn reset(&self, count: u64) {
        let threads = self.shares.len() as u64;
        let (each, more) = (count / threads, count % threads);
        let mut begin = 0;
        for (thread, share) in (0..).zip(&self.shares) {
            let end = begin + each + u64::from(thread < more);
            share.next.store(begin, Relaxed);
            share.end.store(end, Relaxed);
            begin = end;
        }
    }

    /// Does tasks until none is left, beginning with the thread's own.
    pub(super) fn take(&self, thread: usize, mut work: impl FnMut(Range<u64>)) {
        let threads = self.shares.len();
        for victim in (thread..threads).chain(0..thread) {
            let share = &self.shares[victim];
            let end = share.end.load(Relaxed);
            let first = share.next.load(Relaxed);
            let chunk = (end.saturating_sub(first) / CHUNKS).max(1);
            loop {
                // Looked at first, so that helpers do not contend for a share that is used up.
                if share.next.load(Relaxed) >= end {
                    break;
                }
                let begin = share.next.fetch_add(chunk, Relaxed);
                if begin >= end {
                    break;
                }
                work(begin..end.min(begin + chunk));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_once() {
        for threads in [1, 2, 3, 8] {
            let tasks = Tasks::new(threads);
            for count in [0, 1, 2, 7, 8, 9, 100, 1001] {
                tasks.reset(count);
                let mut seen = vec![0; count as usize];
                for thread in (0..threads).rev() {
                    tasks.take(thread, |range| range.for_each(|task| seen[task as usize] += 1));
                }
                assert!(seen.iter().all(|times| *times == 1), "{threads} threads, {count} tasks");
            }
        }
    }
}

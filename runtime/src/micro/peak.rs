//! What the machine can do at most: its matrix peak (the best tile on operands that stay in the first-level cache) and its
//! memory bandwidth (copies of what no cache holds).

use super::{Beside, Finish, Isa, TileArgs};
use std::sync::Barrier;
use std::time::{Duration, Instant};

const K: usize = 128;

/// GFLOP/s of `threads` threads running the largest two-vector tile at once, for about `budget`.
///
/// Each thread takes the fastest of many short rounds, so that interruptions do not count; the sum is returned.
pub fn peak(isa: Isa, threads: usize, budget: Duration) -> f64 {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    measure(isa, isa.tiles().max_rows(2), 2, K, budget)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(0.0)).sum()
    })
}

/// GFLOP/s of one tile on packed operands: the fastest round of about 50 microseconds within `budget`.
///
/// 0 if there is no such tile or this processor cannot run it.
pub fn measure(isa: Isa, mr: usize, nv: usize, k: usize, budget: Duration) -> f64 {
    let tiles = isa.tiles();
    let Some(tile) = tiles.get(mr, nv) else {
        return 0.0;
    };
    if !Isa::available().contains(&isa) {
        return 0.0;
    }
    let cols = nv * tiles.lanes;
    // Sixteen more than needed, so that the vectors of B can start on a cache line.
    let a = vec![0.5f32; mr * k];
    let b = vec![0.25f32; k * cols + 16];
    let mut c = vec![0.0f32; mr * cols + 16];
    let (b_skip, c_skip) = (b.as_ptr().align_offset(64) % 16, c.as_ptr().align_offset(64) % 16);
    let args = TileArgs {
        a: a.as_ptr(),
        b: b.as_ptr().wrapping_add(b_skip),
        c: c.as_mut_ptr().wrapping_add(c_skip),
        a_row: k as isize,
        a_k: 1,
        a_batch: 0,
        b_k: cols as isize,
        b_batch: 0,
        c_row: cols as isize,
        k,
        batches: 1,
        last: tiles.lanes,
        accumulate: 0,
        blocks: 1,
        a_step: 0,
        c_step: 0,
        finish: Finish::NOTHING,
        beside: Beside::NOTHING,
        ahead: super::AHEAD * cols as isize,
        ahead_step: 0,
    };
    let flop = 2 * mr * cols * k;
    let calls = (5_000_000 / flop).max(1);
    let begin = Instant::now();
    let mut best = f64::MAX;
    while begin.elapsed() < budget {
        let round = Instant::now();
        for _ in 0..calls {
            // SAFETY: A is mr x k, B k x cols after its skip, C mr x cols after its own; the processor has the ISA.
            unsafe { tile(&args) };
        }
        best = best.min(round.elapsed().as_secs_f64());
    }
    (flop * calls) as f64 / best / 1e9
}

/// Bytes that each thread copies from and to at a time.
const COPIED: usize = 32 << 20;

/// GB/s, read and written, of `threads` threads copying at once, for about `budget`; the fastest rounds count.
pub fn bandwidth(threads: usize, budget: Duration) -> f64 {
    let barrier = Barrier::new(threads);
    let copy = || {
        let (source, mut target) = (vec![1u8; COPIED], vec![0u8; COPIED]);
        barrier.wait();
        let begin = Instant::now();
        let mut best = f64::MAX;
        while begin.elapsed() < budget {
            let round = Instant::now();
            target.copy_from_slice(std::hint::black_box(&source));
            std::hint::black_box(&mut target);
            best = best.min(round.elapsed().as_secs_f64());
        }
        2.0 * COPIED as f64 / best / 1e9
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(copy)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(0.0)).sum()
    })
}

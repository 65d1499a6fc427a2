//! Rounds of tasks: those of one may read what others made in the rounds before, so that threads meet after each.
//!
//! Every thread takes its own tasks in each round, so that it finds its data in its own cache, and every second round from
//! the last to the first: of more than its cache holds, it begins with what it had last, where the same order again would
//! always find it gone. Who has waited for a while helps the others: a thread may have joined late, or have been put aside.
//! Counters only go up, so nobody has to put anything back between rounds, and who joins late sees from the number of
//! tasks done in which round all are.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// Looks at the counter before a waiting thread helps; about a microsecond.
const PATIENCE: u32 = 32;
/// Looks before it lets other processes run.
const YIELD: u32 = 4096;

/// The tasks of one thread in every round.
#[repr(align(128))]
struct Own {
    /// How many of them have been taken, in all rounds so far.
    taken: AtomicU64,
    first: AtomicU64,
    count: AtomicU64,
}

/// On a cache line of its own.
#[repr(align(128))]
struct Done(AtomicU64);

pub(super) struct Rounds {
    own: Box<[Own]>,
    /// Tasks done in all rounds so far.
    done: Done,
    /// Of one round.
    tasks: AtomicU64,
}

impl Rounds {
    /// For threads that run.
    pub(super) fn new(threads: usize) -> Rounds {
        let zero = || AtomicU64::new(0);
        let own = (0..threads).map(|_| Own { taken: zero(), first: zero(), count: zero() }).collect();
        Rounds { own, done: Done(zero()), tasks: zero() }
    }

    /// Shares out the tasks of every round. Only while no thread takes any.
    pub(super) fn reset(&self, tasks: u64) {
        let threads = self.own.len() as u64;
        for (thread, own) in (0..).zip(&self.own) {
            let (first, end) = (thread * tasks / threads, (thread + 1) * tasks / threads);
            own.taken.store(0, Relaxed);
            own.first.store(first, Relaxed);
            own.count.store(end - first, Relaxed);
        }
        self.tasks.store(tasks, Relaxed);
        self.done.0.store(0, Relaxed);
    }

    /// Does tasks until those of all rounds are done: `work` gets their numbers, counted on from round to round.
    pub(super) fn take(&self, thread: usize, rounds: u64, mut work: impl FnMut(u64)) {
        let tasks = self.tasks.load(Relaxed);
        let mut round = self.done.0.load(Acquire) / tasks;
        while round < rounds {
            self.take_from(thread, round, &mut work);
            let mut looks = 0;
            while self.done.0.load(Acquire) < (round + 1) * tasks {
                looks += 1;
                if looks % PATIENCE == 0 {
                    (0..self.own.len()).for_each(|other| self.take_from(other, round, &mut work));
                }
                if looks >= YIELD {
                    std::thread::yield_now();
                }
                std::hint::spin_loop();
            }
            round = self.done.0.load(Acquire) / tasks;
        }
    }

    /// Does what is left of one thread's tasks of a round.
    fn take_from(&self, thread: usize, round: u64, work: &mut impl FnMut(u64)) {
        let own = &self.own[thread];
        let (first, count) = (own.first.load(Relaxed), own.count.load(Relaxed));
        let end = (round + 1) * count;
        // Below the round's first only where this round is over: then there is nothing to take.
        while let Ok(taken) = own.taken.fetch_update(AcqRel, Acquire, |taken| (taken < end).then_some(taken + 1)) {
            let turn = taken - round * count;
            let own = if round.is_multiple_of(2) { turn } else { count - 1 - turn };
            work(round * self.tasks.load(Relaxed) + first + own);
            self.done.0.fetch_add(1, AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::SeqCst;

    #[test]
    fn every_task_of_every_round_once_and_in_order() {
        for threads in [1, 2, 3, 5] {
            for (tasks, rounds) in [(1, 5), (2, 300), (3, 300), (8, 100)] {
                let all = Rounds::new(threads);
                all.reset(tasks);
                let times: Vec<AtomicU64> = (0..tasks * rounds).map(|_| AtomicU64::new(0)).collect();
                let early = AtomicU64::new(0);
                let done = |task: u64| times[task as usize].load(SeqCst) == 1;
                std::thread::scope(|scope| {
                    for thread in 0..threads {
                        let (all, times, early) = (&all, &times, &early);
                        scope.spawn(move || {
                            all.take(thread, rounds, |task| {
                                early.fetch_add(u64::from(!(0..task / tasks * tasks).all(done)), SeqCst);
                                times[task as usize].fetch_add(1, SeqCst);
                            });
                        });
                    }
                });
                assert!(times.iter().all(|n| n.load(SeqCst) == 1), "{threads} threads, {tasks} tasks");
                assert_eq!(early.load(SeqCst), 0, "{threads} threads, {tasks} tasks");
            }
        }
    }
}

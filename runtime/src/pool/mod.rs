//! A persistent pool of threads that runs the steps of an executable.
//!
//! The calling thread leads: it runs steps of one task alone and opens the others to the workers, who wait spinning
//! for about 50 microseconds and then sleep. A worker that comes too late for a step does not hold it up: the leader
//! closes the step when all tasks are taken and waits only for those who joined. So a busy machine costs little more
//! than it must. Threads beyond the processors would only take turns, and evict each other's data: they are not started,
//! and the others do their tasks. Nothing that runs here depends on who takes which task.
//!
//! Denormal numbers are zero on all threads during a run. With one thread, there are no workers and no waiting.

pub mod clock;
mod denormals;
mod gate;
mod rounds;
mod tasks;

use crate::abi::Step;
use crate::profile::Profile;
use denormals::FlushDenormals;
use gate::Gate;
use rounds::Rounds;
use std::cell::UnsafeCell;
use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;
use tasks::Tasks;

/// Memory of one run: what a step function gets.
#[derive(Clone, Copy)]
pub struct Memory<'a> {
    pub state: *mut u8,
    pub arena: *mut u8,
    /// One per thread of the pool.
    pub scratch: &'a [*mut u8],
}

/// The step that is open to workers.
struct Work {
    step: *const Step,
    state: *mut u8,
    arena: *mut u8,
    scratch: *const *mut u8,
}

/// The number of the step now open or just closed is kept above these bits.
const NUMBER: u32 = 32;
/// Workers may join.
const OPEN: u64 = 1 << 31;
/// The pool is no more.
const QUIT: u64 = 1 << 30;
/// How many workers have joined.
const JOINED: u64 = QUIT - 1;

struct Shared {
    /// Number, [`OPEN`], [`QUIT`] and the count of those who joined.
    entry: Gate,
    /// How many workers have ever left a step.
    exit: Gate,
    tasks: Tasks,
    /// In place of `tasks` where a step has several rounds.
    rounds: Rounds,
    work: UnsafeCell<Work>,
}

// SAFETY: `work` is written by the leader while the entry is closed and everyone who joined has left, and read by
// workers between joining and leaving; the entry and the exit order these.
unsafe impl Sync for Shared {}
// SAFETY: the pointers in `work` are used only between joining and leaving, while the leader keeps them valid.
unsafe impl Send for Shared {}

/// Threads that wait for work. Dropping it ends them.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Threads asked for.
    threads: usize,
    /// Steps opened so far.
    opened: u64,
    /// Workers that have ever joined: as many must have left.
    joined: u64,
}

impl Pool {
    /// A pool of `threads` threads, of which the calling one is the first.
    pub fn new(threads: usize) -> Result<Pool, String> {
        let threads = threads.max(1);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let nothing = Work {
            step: std::ptr::null(),
            state: std::ptr::null_mut(),
            arena: std::ptr::null_mut(),
            scratch: std::ptr::null(),
        };
        let shared = Arc::new(Shared {
            entry: Gate::new(0),
            exit: Gate::new(0),
            tasks: Tasks::new(threads),
            rounds: Rounds::new(threads.min(processors)),
            work: UnsafeCell::new(nothing),
        });
        let mut pool = Pool { shared, workers: Vec::new(), threads, opened: 0, joined: 0 };
        for thread in 1..threads.min(processors) {
            let shared = Arc::clone(&pool.shared);
            let worker = std::thread::Builder::new()
                .name(format!("dlc-{thread}"))
                .spawn(move || shared.serve(thread))
                .map_err(|error| format!("cannot start thread {thread} of {threads}: {error}"))?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// As many as were asked for, running or not.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs the steps in order but for the first `done`, each one done by all threads before the next begins.
    ///
    /// # Safety
    /// The memory must be what the steps' code expects, and nothing else may touch it meanwhile. There must be as
    /// many scratch areas as threads.
    pub unsafe fn run(&mut self, steps: &[Step], done: usize, memory: Memory<'_>, profile: Option<&mut Profile>) {
        debug_assert!(memory.scratch.len() >= self.threads());
        let _flush = FlushDenormals::new();
        match profile {
            None => {
                for step in steps.iter().skip(done) {
                    // SAFETY: the caller's contract.
                    unsafe { self.run_step(step, memory) };
                }
            }
            Some(profile) => {
                profile.nanoseconds.resize(steps.len(), 0);
                profile.runs += 1;
                for (step, time) in steps.iter().zip(&mut profile.nanoseconds).skip(done) {
                    let begin = Instant::now();
                    // SAFETY: the caller's contract.
                    unsafe { self.run_step(step, memory) };
                    *time += begin.elapsed().as_nanos() as u64;
                }
            }
        }
    }

    /// # Safety
    /// That of [`Pool::run`].
    #[inline]
    unsafe fn run_step(&mut self, step: &Step, memory: Memory<'_>) {
        if step.tasks > 1 && !self.workers.is_empty() {
            // SAFETY: the caller's contract.
            unsafe { self.share_step(step, memory) };
            return;
        }
        let run = |tasks: Range<u64>| {
            // SAFETY: the caller's contract; there is a scratch area for every thread.
            unsafe {
                let scratch = *memory.scratch.get_unchecked(0);
                (step.run)(memory.state, memory.arena, scratch, tasks.start, tasks.end, step.places.as_ptr());
            }
        };
        if step.rounds > 1 {
            self.shared.rounds.reset(step.tasks);
            self.shared.rounds.take(0, step.rounds, |task| run(task..task + 1));
        } else if step.tasks > 0 {
            run(0..step.tasks);
        }
    }

    /// # Safety
    /// That of [`Pool::run`].
    unsafe fn share_step(&mut self, step: &Step, memory: Memory<'_>) {
        let shared = &*self.shared;
        if step.rounds > 1 {
            shared.rounds.reset(step.tasks);
        } else {
            shared.tasks.reset(step.tasks);
        }
        let work = Work { step, state: memory.state, arena: memory.arena, scratch: memory.scratch.as_ptr() };
        // SAFETY: the entry is closed and all who joined have left, so nobody reads it.
        unsafe { *shared.work.get() = work };
        self.opened += 1;
        shared.entry.set(self.opened << NUMBER | OPEN);
        // SAFETY: the work is as the caller promised.
        unsafe { shared.work_on(0) };
        self.joined += shared.entry.clear(OPEN) & JOINED;
        shared.exit.wait(|left| left == self.joined);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.entry.set(QUIT | (self.opened + 1) << NUMBER);
        for worker in self.workers.drain(..) {
            // A worker runs code that cannot unwind: there is no panic to pass on.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// What a worker does all its life.
    fn serve(&self, thread: usize) {
        let _flush = FlushDenormals::new();
        let mut seen = 0;
        loop {
            let mut entry = self.entry.wait(|entry| entry >> NUMBER != seen);
            if entry & QUIT != 0 {
                return;
            }
            seen = entry >> NUMBER;
            while entry & OPEN != 0 && entry >> NUMBER == seen {
                if self.entry.exchange(entry, entry + 1) {
                    // SAFETY: joined an open step, so its leader keeps the work valid until this thread has left.
                    unsafe { self.work_on(thread) };
                    self.exit.add(1);
                    break;
                }
                entry = self.entry.get();
            }
        }
    }

    /// # Safety
    /// The work must be valid: the caller is its leader or has joined.
    unsafe fn work_on(&self, thread: usize) {
        // SAFETY: nobody writes the work while the step is open or someone who joined has not left; there is a
        // scratch area for every thread.
        let (work, step, scratch) = unsafe {
            let work = &*self.work.get();
            (work, &*work.step, *work.scratch.add(thread))
        };
        let run = |range: Range<u64>| {
            // SAFETY: the contract of the step's code was promised to `Pool::run`.
            unsafe { (step.run)(work.state, work.arena, scratch, range.start, range.end, step.places.as_ptr()) };
        };
        if step.rounds > 1 {
            self.rounds.take(thread, step.rounds, |task| run(task..task + 1));
        } else {
            self.tasks.take(thread, run);
        }
    }
}

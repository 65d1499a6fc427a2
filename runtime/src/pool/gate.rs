//! A number that threads wait for: a short spin, then sleep.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a thread waits awake; a sleeping one takes about as long to wake up.
const AWAKE: Duration = Duration::from_micros(50);

/// On a cache line of its own: the others' numbers change at other times.
#[repr(align(128))]
pub(super) struct Gate {
    value: AtomicU64,
    sleeping: AtomicUsize,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Gate {
    pub(super) fn new(value: u64) -> Gate {
        Gate { value: AtomicU64::new(value), sleeping: AtomicUsize::new(0), lock: Mutex::new(()), wake: Condvar::new() }
    }

    pub(super) fn get(&self) -> u64 {
        self.value.load(SeqCst)
    }

    pub(super) fn set(&self, value: u64) {
        self.value.store(value, SeqCst);
        self.rouse();
    }

    pub(super) fn add(&self, more: u64) {
        self.value.fetch_add(more, SeqCst);
        self.rouse();
    }

    /// Changes `from` into `to`, unless it is something else by now. Wakes nobody.
    pub(super) fn exchange(&self, from: u64, to: u64) -> bool {
        self.value.compare_exchange(from, to, SeqCst, SeqCst).is_ok()
    }

    /// Clears bits and returns what the number was. Wakes nobody.
    pub(super) fn clear(&self, bits: u64) -> u64 {
        self.value.fetch_and(!bits, SeqCst)
    }

    /// Returns the number once it is as wanted.
    pub(super) fn wait(&self, wanted: impl Fn(u64) -> bool) -> u64 {
        let ready = || Some(self.get()).filter(|value| wanted(*value));
        if let Some(value) = ready() {
            return value;
        }
        spin(ready).unwrap_or_else(|| self.sleep(ready))
    }

    fn sleep(&self, ready: impl Fn() -> Option<u64>) -> u64 {
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // Announced before looking again: whoever changes the number after that look sees the sleeper.
        self.sleeping.fetch_add(1, SeqCst);
        let value = loop {
            if let Some(value) = ready() {
                break value;
            }
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        };
        self.sleeping.fetch_sub(1, SeqCst);
        value
    }

    fn rouse(&self) {
        if self.sleeping.load(SeqCst) > 0 {
            // A thread between its last look and its sleep holds the lock.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_all();
        }
    }
}

fn spin(ready: impl Fn() -> Option<u64>) -> Option<u64> {
    let begin = Instant::now();
    loop {
        for _ in 0..32 {
            if let Some(value) = ready() {
                return Some(value);
            }
            std::hint::spin_loop();
        }
        if begin.elapsed() > AWAKE {
            return None;
        }
    }
}

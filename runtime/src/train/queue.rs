//! A queue between the thread that makes batches and the one that uses them, and back again for what was used.
//!
//! All that is ready is taken at once, and used one by one while the maker fills the queue again: waking a thread costs as
//! much as a step of a small network, and is done once for many of them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

struct Inside<T, U> {
    ready: VecDeque<T>,
    used: Vec<U>,
    maker_sleeps: bool,
    user_sleeps: bool,
    /// One of the two ends is gone.
    ended: bool,
}

struct Shared<T, U> {
    inside: Mutex<Inside<T, U>>,
    /// There is something to take.
    filled: Condvar,
    /// There is room again.
    emptied: Condvar,
}

impl<T, U> Shared<T, U> {
    fn lock(&self) -> MutexGuard<'_, Inside<T, U>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.lock().ended = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }
}

/// The end that puts in.
pub struct Maker<T, U>(Arc<Shared<T, U>>);

/// The end that takes out.
pub struct User<T, U> {
    shared: Arc<Shared<T, U>>,
    taken: VecDeque<T>,
    used: Vec<U>,
}

pub fn queue<T, U>() -> (Maker<T, U>, User<T, U>) {
    let inside =
        Inside { ready: VecDeque::new(), used: Vec::new(), maker_sleeps: false, user_sleeps: false, ended: false };
    let shared = Arc::new(Shared { inside: Mutex::new(inside), filled: Condvar::new(), emptied: Condvar::new() });
    (Maker(shared.clone()), User { shared, taken: VecDeque::new(), used: Vec::new() })
}

impl<T, U> Maker<T, U> {
    /// What came back, to be filled again.
    pub fn used(&self) -> Option<U> {
        self.0.lock().used.pop()
    }

    /// Puts one in where at most `room` are ready, and waits for that; false when nobody takes any more.
    pub fn put(&self, item: T, room: usize) -> bool {
        let mut inside = self.0.lock();
        while inside.ready.len() >= room.max(1) && !inside.ended {
            inside.maker_sleeps = true;
            inside = self.0.emptied.wait(inside).unwrap_or_else(PoisonError::into_inner);
        }
        inside.maker_sleeps = false;
        if inside.ended {
            return false;
        }
        inside.ready.push_back(item);
        let wake = std::mem::take(&mut inside.user_sleeps);
        drop(inside);
        if wake {
            self.0.filled.notify_one();
        }
        true
    }
}

impl<T, U> User<T, U> {
    /// The next one, in order; nothing after the last. All that are ready come out together. Tells how long there was none.
    pub fn take(&mut self) -> (Option<T>, Duration) {
        if let Some(item) = self.taken.pop_front() {
            return (Some(item), Duration::ZERO);
        }
        let mut inside = self.shared.lock();
        inside.used.append(&mut self.used);
        let mut waited = Duration::ZERO;
        if inside.ready.is_empty() {
            let began = Instant::now();
            while inside.ready.is_empty() && !inside.ended {
                inside.user_sleeps = true;
                inside = self.shared.filled.wait(inside).unwrap_or_else(PoisonError::into_inner);
            }
            inside.user_sleeps = false;
            waited = began.elapsed();
        }
        std::mem::swap(&mut inside.ready, &mut self.taken);
        let wake = std::mem::take(&mut inside.maker_sleeps);
        drop(inside);
        if wake {
            self.shared.emptied.notify_one();
        }
        (self.taken.pop_front(), waited)
    }

    pub fn give_back(&mut self, used: U) {
        self.used.push(used);
        // Of large ones there are few: the maker needs it now.
        if self.taken.is_empty() {
            self.shared.lock().used.append(&mut self.used);
        }
    }
}

impl<T, U> Drop for Maker<T, U> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<T, U> Drop for User<T, U> {
    fn drop(&mut self) {
        self.shared.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_come_in_order_and_go_back() {
        for room in [1, 2, 7, 64] {
            let (maker, mut user) = queue::<usize, usize>();
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    let mut back = 0;
                    for at in 0..5000 {
                        back += usize::from(maker.used().is_some());
                        assert!(maker.put(at, room));
                    }
                    assert!(back > 0);
                });
                for at in 0..5000 {
                    assert_eq!(user.take().0, Some(at));
                    user.give_back(at);
                }
                assert_eq!(user.take().0, None);
            });
        }
    }

    #[test]
    fn either_end_may_leave_first() {
        let (maker, mut user) = queue::<u8, u8>();
        std::thread::scope(|scope| {
            let made = scope.spawn(move || (0..).find(|_| !maker.put(1, 3)));
            assert_eq!(user.take().0, Some(1));
            drop(user);
            assert!(made.join().unwrap().is_some_and(|at| at <= 7));
        });
        let (maker, mut user) = queue::<u8, u8>();
        assert!(maker.put(1, 3));
        drop(maker);
        assert_eq!((user.take().0, user.take().0), (Some(1), None));
    }
}

//! Random numbers as a pure function of a key and a counter.

use crate::init::{bits, key, mix};

/// Draws that depend on the key alone.
#[derive(Clone, Debug)]
pub struct Stream {
    key: u64,
    counter: u64,
}

impl Stream {
    /// Different `purpose`s and `parts` give unrelated streams.
    pub fn new(purpose: &str, parts: &[u64]) -> Stream {
        let key = parts.iter().fold(key(0, purpose), |key, part| mix(key ^ mix(*part)));
        Stream { key, counter: 0 }
    }

    pub fn bits(&mut self) -> u64 {
        self.counter += 1;
        bits(self.key, self.counter)
    }

    /// In `0..bound`, each equally likely; 0 for an empty range.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // Lemire's method: the few draws that would favour small numbers are thrown away.
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.bits()) * u128::from(bound);
            if wide as u64 >= threshold {
                return (wide >> 64) as u64;
            }
        }
    }

    /// In `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// In `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Fisher and Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_even_and_repeatable() {
        let mut stream = Stream::new("test", &[1]);
        let mut seen = [0u32; 7];
        for _ in 0..7000 {
            seen[stream.below(7) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (850..1150).contains(n)), "{seen:?}");
        assert_eq!(Stream::new("a", &[1, 2]).bits(), Stream::new("a", &[1, 2]).bits());
        assert_ne!(Stream::new("a", &[1, 2]).bits(), Stream::new("a", &[2, 1]).bits());
        assert_ne!(Stream::new("a", &[1]).bits(), Stream::new("b", &[1]).bits());
    }
}

//! How texts that a network told compare with those that people wrote: words are compared as words, and whatever the
//! network's vocabulary lacks counts against it.

use std::collections::HashMap;

/// The longest runs of words that are compared.
const ORDERS: usize = 4;

/// BLEU of a whole corpus with one reference for each text (Papineni et al. 2002): the geometric mean of the shares of
/// runs of one to four words that the reference has, times a penalty for what is too short; 100 is the best.
///
/// An order without any match counts as half a match, the next such order as a quarter, and so on, as in sacrebleu.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bleu {
    right: [u64; ORDERS],
    all: [u64; ORDERS],
    told: u64,
    wanted: u64,
}

impl Bleu {
    pub fn add(&mut self, told: &[&str], wanted: &[&str]) {
        self.told += told.len() as u64;
        self.wanted += wanted.len() as u64;
        for order in 1..=ORDERS {
            let mut left: HashMap<&[&str], u64> = HashMap::new();
            wanted.windows(order).for_each(|run| *left.entry(run).or_default() += 1);
            for run in told.windows(order) {
                self.all[order - 1] += 1;
                if let Some(left) = left.get_mut(run).filter(|left| **left > 0) {
                    *left -= 1;
                    self.right[order - 1] += 1;
                }
            }
        }
    }

    pub fn value(&self) -> f64 {
        if self.right == [0; ORDERS] || self.all.contains(&0) {
            return 0.0;
        }
        let mut half = 1.0;
        let mut sum = 0.0;
        for (right, all) in self.right.iter().zip(self.all) {
            let matches = match *right {
                0 => {
                    half /= 2.0;
                    half
                }
                right => right as f64,
            };
            sum += (100.0 * matches / all as f64).ln();
        }
        let short = (1.0 - self.wanted as f64 / self.told as f64).min(0.0);
        short.exp() * (sum / ORDERS as f64).exp()
    }
}

/// The share of texts that are the same, word for word.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exact {
    right: u64,
    all: u64,
}

impl Exact {
    pub fn add(&mut self, told: &[&str], wanted: &[&str]) {
        self.all += 1;
        self.right += u64::from(told == wanted);
    }

    pub fn value(&self) -> f64 {
        self.right as f64 / self.all.max(1) as f64
    }
}

#[cfg(test)]
mod tests;

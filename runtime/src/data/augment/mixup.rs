//! Examples mixed with others (Zhang et al. 2018): so much of one, the rest of another of the training part.
//!
//! Numbers are mixed as they are. A class cannot be: the field shows the one with the larger share, so that metrics have
//! something to compare with, and two more inputs tell the other one and the share; `one_hot` mixes them in the network,
//! and with it every loss that compares classes.

use super::{Augment, AugmentStep, Augmenter};
use crate::data::fields::Field;
use crate::data::random::Stream;

/// Of which two examples one is made; the first has the larger share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    pub first: u32,
    pub second: u32,
    /// Of the first: from a half to 1.
    pub share: f32,
}

/// The input that holds the classes of the second examples.
pub fn second_input(field: &str) -> String {
    format!("second({field})")
}

/// The input that holds the shares of the first.
pub fn share_input(field: &str) -> String {
    format!("share({field})")
}

/// What one of these inputs tells of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Second,
    Share,
}

/// The field that an input tells of, and what.
pub fn told_by_input(input: &str) -> Option<(&str, Told)> {
    let of = |start: &str| input.strip_prefix(start)?.strip_suffix(')');
    of("second(").map(|field| (field, Told::Second)).or_else(|| of("share(").map(|field| (field, Told::Share)))
}

fn strength(line: &Augment) -> Option<f64> {
    line.steps.iter().find_map(|step| match step {
        AugmentStep::Mixup(alpha) => Some(*alpha),
        _ => None,
    })
}

impl Augmenter {
    /// How an epoch mixes an example of a field, if it does: the same for all fields of the line.
    pub fn mix(&self, field: &Field, epoch: u64, example: u32) -> Option<Mix> {
        let lines = self.lines.iter().filter(|line| line.fields.iter().any(|name| name == field.name()));
        let alpha = lines.filter_map(strength).next()?;
        let mut stream = Stream::new("mixup", &[self.seed, epoch, u64::from(example)]);
        let other = *self.among.get(stream.below(self.among.len() as u64) as usize)?;
        let share = share(&mut stream, alpha);
        Some(match share < 0.5 {
            true => Mix { first: other, second: example, share: (1.0 - share) as f32 },
            false => Mix { first: example, second: other, share: share as f32 },
        })
    }

    /// What an input besides the field itself holds.
    pub fn tell(&self, field: &Field, told: Told, epoch: u64, examples: &[u32], out: &mut Vec<f32>) {
        let whole = |example: &u32| Mix { first: *example, second: *example, share: 1.0 };
        let mixes = examples.iter().map(|example| self.mix(field, epoch, *example).unwrap_or_else(|| whole(example)));
        match told {
            Told::Share => {
                out.clear();
                out.extend(mixes.map(|mix| mix.share));
            }
            Told::Second => {
                let seconds: Vec<u32> = mixes.map(|mix| mix.second).collect();
                out.resize(field.per_example() * examples.len(), 0.0);
                field.write_in(epoch, &seconds, out);
            }
        }
    }
}

/// A number from a beta distribution with both parameters `alpha`.
fn share(stream: &mut Stream, alpha: f64) -> f64 {
    let (a, b) = (log_gamma(stream, alpha), log_gamma(stream, alpha));
    1.0 / (1.0 + (b - a).exp())
}

/// The logarithm of a number from a gamma distribution (Marsaglia and Tsang 2000): of small `shape` the number itself would
/// be 0.
fn log_gamma(stream: &mut Stream, shape: f64) -> f64 {
    let unit = |stream: &mut Stream| 1.0 - stream.unit();
    let less = if shape < 1.0 { unit(stream).ln() / shape } else { 0.0 };
    let d = if shape < 1.0 { shape + 1.0 } else { shape } - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let bell = (-2.0 * unit(stream).ln()).sqrt() * (std::f64::consts::TAU * stream.unit()).cos();
        let v = (1.0 + c * bell).powi(3);
        if v > 0.0 && unit(stream).ln() < 0.5 * bell * bell + d - d * v + d * v.ln() {
            return (d * v).ln() + less;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_beta_distribution() {
        // Its mean is 1/2, its variance 1 / (8 alpha + 4), and its fourth moment about the mean 3 / (16 (2 alpha + 1) (2 alpha + 3)).
        for alpha in [0.01, 0.2, 0.4, 1.0, 2.5, 30.0] {
            let mut stream = Stream::new("beta", &[1]);
            let count = 100_000;
            let all: Vec<f64> = (0..count).map(|_| share(&mut stream, alpha)).collect();
            assert!(all.iter().all(|x| (0.0..=1.0).contains(x)), "{alpha}");
            let moment = |power: i32| all.iter().map(|x| (x - 0.5).powi(power)).sum::<f64>() / f64::from(count);
            let variance = 1.0 / (8.0 * alpha + 4.0);
            assert!(moment(1).abs() < 6.0 * (variance / f64::from(count)).sqrt(), "{alpha}: {}", moment(1));
            assert!((moment(2) / variance - 1.0).abs() < 0.02, "{alpha}: {} {variance}", moment(2));
            let fourth = 3.0 / (16.0 * (2.0 * alpha + 1.0) * (2.0 * alpha + 3.0));
            assert!((moment(4) / fourth - 1.0).abs() < 0.05, "{alpha}: {} {fourth}", moment(4));
        }
    }

    #[test]
    fn names() {
        assert_eq!(told_by_input(&second_input("label")), Some(("label", Told::Second)));
        assert_eq!(told_by_input(&share_input("label")), Some(("label", Told::Share)));
        assert_eq!(told_by_input("label"), None);
    }
}

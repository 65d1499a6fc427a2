//! Layers that differ between training and use: `batch_norm`, `dropout`.

use super::lower::Lower;
use super::{Mode, key};
use crate::base::Value;
use crate::hir::layer::{Clock, Layer, What};
use crate::loops::Fold;

/// Of how many elements a statistic is.
enum Count {
    Fixed(usize),
    /// A number of the batch: places past the ends do not count.
    Existing(Value),
}

impl Lower<'_> {
    pub fn batch_norm(&mut self, layer: &Layer) -> Value {
        let What::BatchNorm { eps, momentum, mean, variance } = layer.what else {
            unreachable!("called for batch norms only")
        };
        let [x, scale, shift] = [0, 1, 2].map(|i| self.value(layer.inputs[i]));
        // A layer that is used twice continues from its own next values.
        let known = |l: &Self, i: usize| l.next.get(&i).copied().unwrap_or(l.states[&i]);
        let (running_mean, running_variance) = (known(self, mean), known(self, variance));
        // What is frozen normalizes by what it learned before.
        if self.mode != Mode::Train || self.frozen.contains(&mean) {
            let inverse = self.inverse(running_variance, eps);
            let e = self.e();
            let a = e.mul(scale, inverse);
            let moved = e.mul(running_mean, a);
            let b = e.sub(shift, moved);
            let (a, b) = (self.spread(a, &layer.ty), self.spread(b, &layer.ty));
            let y = self.e().mul(x, a);
            return self.e().add(y, b);
        }
        let (batch_mean, count) = self.feature_mean(x, layer);
        let wide = self.spread(batch_mean, &layer.ty);
        let centred = self.e().sub(x, wide);
        let square = self.e().mul(centred, centred);
        let (batch_variance, _) = self.feature_mean(square, layer);
        let inverse = self.inverse(batch_variance, eps);
        let a = self.e().mul(scale, inverse);
        let (a, b) = (self.spread(a, &layer.ty), self.spread(shift, &layer.ty));
        let y = self.e().mul(centred, a);
        let y = self.e().add(y, b);
        let unbiased = match count {
            Count::Fixed(count) => self.e().scale(batch_variance, count as f32 / (count.max(2) - 1) as f32),
            Count::Existing(count) => self.unbiased(batch_variance, count),
        };
        let next_mean = self.approach(running_mean, batch_mean, momentum);
        let next_variance = self.approach(running_variance, unbiased, momentum);
        self.next.insert(mean, next_mean);
        self.next.insert(variance, next_variance);
        y
    }

    /// The mean of every feature over batch and places, and how many were counted.
    fn feature_mean(&mut self, x: Value, layer: &Layer) -> (Value, Count) {
        let ty = &layer.ty;
        let variable: Vec<String> = ty.variable().map(|(a, _)| a.name.clone()).collect();
        if variable.is_empty() {
            let (sum, count) = self.feature_sum(x);
            return (self.e().scale(sum, 1.0 / count as f32), Count::Fixed(count));
        }
        let existing = self.cut(x, ty, &variable, 0.0);
        let (sum, _) = self.feature_sum(existing);
        let places = ty.axes[..ty.axes.len() - 1].iter().map(|a| a.size.clone()).collect::<Vec<_>>();
        let count = self.count(&places);
        let e = self.e();
        let count = e.reduce(Fold::Add, count, &[0]);
        let shape = e.shape(sum);
        let wide = e.broadcast(count, &shape, &[]);
        (e.div(sum, wide), Count::Existing(count))
    }

    /// `variance * n / (n - 1)`, n at least 2.
    fn unbiased(&mut self, variance: Value, count: Value) -> Value {
        let e = self.e();
        let (one, two) = (e.filled_like(1.0, count), e.filled_like(2.0, count));
        let most = e.max(count, two);
        let less = e.sub(most, one);
        let factor = e.div(count, less);
        let shape = e.shape(variance);
        let wide = e.broadcast(factor, &shape, &[]);
        e.mul(variance, wide)
    }

    fn inverse(&mut self, variance: Value, eps: f64) -> Value {
        let e = self.e();
        let eps = e.filled_like(eps as f32, variance);
        let sum = e.add(variance, eps);
        let root = e.sqrt(sum);
        let one = e.filled_like(1.0, root);
        e.div(one, root)
    }

    /// `old + momentum * (new - old)`
    fn approach(&mut self, old: Value, new: Value, momentum: f64) -> Value {
        let e = self.e();
        let step = e.sub(new, old);
        let step = e.scale(step, momentum as f32);
        e.add(old, step)
    }

    pub fn dropout(&mut self, layer: &Layer, p: f64, name: &str) -> Value {
        let value = self.value(layer.inputs[0]);
        if self.mode != Mode::Train {
            return value;
        }
        let (step, key) = (self.clock(Clock::Step), key(self.seed, name));
        let of = layer.scan.map(|scan| self.recurrence(scan));
        let within = self.widest(self.ty(layer.inputs[0]));
        let e = self.e();
        let shape = e.shape(value);
        // In a scan every iteration draws its own: they are slices of one table that is never stored.
        let random = match of {
            Some(of) => {
                let whole = |one: &[usize]| [&[of.length], one].concat();
                let all = e.random_within(key, step, &whole(&shape), &whole(&within));
                e.pick(all, of, 0)
            }
            None => e.random_within(key, step, &shape, &within),
        };
        let p32 = p as f32;
        let limit = e.filled(p32, &shape);
        let keep = e.ge(random, limit);
        let scaled = e.scale(value, 1.0 / (1.0 - p32));
        e.keep_where(keep, scaled)
    }
}

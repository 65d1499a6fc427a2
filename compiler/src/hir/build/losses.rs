//! Losses: a number per example becomes one of the batch.
//!
//! It is the mean over the examples. A mean along axes of variable length is one over all elements of the batch that
//! exist, as if they stood in one row: a long example weighs more than a short one.

use super::lower::Lower;
use crate::base::Value;
use crate::hir::layer::What;
use crate::hir::value::LayerId;
use crate::loops::{Binary, Fold, Unary};

impl Lower<'_> {
    /// The loss of the batch.
    pub fn batch_mean(&mut self, id: LayerId) -> Value {
        let (layers, inputs) = (self.layers, &self.layers[id.index()].inputs);
        if !self.pools(id) {
            let (x, count) = (self.value(id), self.extents.batch as f32);
            let e = self.e();
            let sum = e.reduce(Fold::Add, x, &[0]);
            return e.scale(sum, 1.0 / count);
        }
        match &layers[id.index()].what {
            What::Binary(Binary::Div) => {
                let (sum, count) = (self.value(inputs[0]), self.value(inputs[1]));
                let e = self.e();
                let (sum, count) = (e.reduce(Fold::Add, sum, &[0]), e.reduce(Fold::Add, count, &[0]));
                e.div(sum, count)
            }
            What::Binary(Binary::Mul) => {
                let constant = usize::from(!matches!(layers[inputs[0].index()].what, What::Constant(_)));
                let mean = self.batch_mean(inputs[1 - constant]);
                let factor = self.value(inputs[constant]);
                self.e().mul(mean, factor)
            }
            What::Binary(op) => {
                let (a, b) = (self.batch_mean(inputs[0]), self.batch_mean(inputs[1]));
                self.e().binary(*op, a, b)
            }
            _ => {
                let mean = self.batch_mean(inputs[0]);
                self.e().unary(Unary::Neg, mean)
            }
        }
    }

    /// Is it a mean along axes of variable length, or a sum of such, times constants?
    fn pools(&self, id: LayerId) -> bool {
        let layer = &self.layers[id.index()];
        let is = |i: usize, what: fn(&What) -> bool| what(&self.layers[layer.inputs[i].index()].what);
        let batched = |i: usize| self.ty(layer.inputs[i]).batched;
        match &layer.what {
            What::Binary(Binary::Div) => is(1, |w| matches!(w, What::Count(_))),
            What::Binary(Binary::Mul) => {
                let constant = |i| is(i, |w| matches!(w, What::Constant(_)));
                (constant(0) && self.pools(layer.inputs[1])) || (constant(1) && self.pools(layer.inputs[0]))
            }
            What::Binary(Binary::Add | Binary::Sub) => {
                let [a, b] = [0, 1].map(|i| self.pools(layer.inputs[i]));
                batched(0) && batched(1) && (a || b)
            }
            What::Unary(Unary::Neg) => self.pools(layer.inputs[0]),
            _ => false,
        }
    }

    /// Of how many elements a loss is the mean: `None` where it is one of the examples, or several means.
    pub fn elements(&mut self, id: LayerId) -> Option<Value> {
        let mut counts = vec![];
        let whole = self.counts(id, &mut counts);
        let (first, rest) = counts.split_first()?;
        let of = |id: &LayerId| &self.layers[id.index()].what;
        if !whole || rest.iter().any(|c| of(c) != of(first)) {
            return None;
        }
        let count = self.value(*first);
        Some(self.e().reduce(Fold::Add, count, &[0]))
    }

    /// The counts that a loss is divided by; `false` where a part of it is a mean over the examples.
    fn counts(&self, id: LayerId, found: &mut Vec<LayerId>) -> bool {
        let layer = &self.layers[id.index()];
        match &layer.what {
            What::Constant(_) => true,
            _ if !self.pools(id) => false,
            What::Binary(Binary::Div) => {
                found.push(layer.inputs[1]);
                true
            }
            _ => layer.inputs.iter().all(|x| self.counts(*x, found)),
        }
    }
}

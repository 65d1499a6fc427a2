//! Convolutions and pools: the operand as `[examples, sliding.., features]` and back.

use super::lower::Lower;
use crate::base::Value;
use crate::hir::layer::Window;
use crate::hir::value::{LayerId, Table};
use crate::loops::Fold;
use crate::ops::{ConvSpec, PoolSpec};

/// A convolution of fewer features to one is cheap enough as it is.
const FEW: usize = 8;

/// How a table was brought into the form that windows slide over.
struct Frame {
    value: Value,
    /// Sizes of the sliding axes.
    spatial: Vec<usize>,
    /// Sizes of batch and axes that do not slide.
    lead: Vec<usize>,
    /// Positions in the table's tensor: batch and others, sliding, features.
    order: Vec<usize>,
}

fn conv_spec(w: &Window) -> ConvSpec {
    ConvSpec {
        kernel: w.kernel.clone(),
        stride: w.stride.clone(),
        dilation: w.dilation.clone(),
        pad: w.pad.clone(),
        groups: w.groups,
    }
}

fn pool_spec(w: &Window) -> PoolSpec {
    PoolSpec { kernel: w.kernel.clone(), stride: w.stride.clone(), pad: w.pad.clone() }
}

impl Lower<'_> {
    /// The operand, with `fill` past the ends of examples.
    fn frame(&mut self, x: LayerId, over: &[String], fill: f32) -> Frame {
        let (value, ty) = self.ended(x, over, fill).unwrap_or_else(|| (self.value(x), self.ty(x).clone()));
        self.frame_of(value, &ty, over)
    }

    fn frame_of(&mut self, mut value: Value, ty: &Table, over: &[String]) -> Frame {
        let shape = self.shape(ty);
        let sliding: Vec<usize> = over.iter().map(|n| self.position(ty, n)).collect();
        let last = shape.len() - 1;
        let mut order: Vec<usize> = (0..last).filter(|i| !sliding.contains(i)).collect();
        let lead: Vec<usize> = order.iter().map(|i| shape[*i]).collect();
        let spatial: Vec<usize> = sliding.iter().map(|i| shape[*i]).collect();
        order.extend(&sliding);
        order.push(last);
        if order.iter().enumerate().any(|(i, o)| i != *o) {
            value = self.e().transpose(value, &order);
        }
        let mut flat = vec![lead.iter().product()];
        flat.extend(&spatial);
        flat.push(shape[last]);
        let value = self.reshape(value, &flat);
        Frame { value, spatial, lead, order }
    }

    /// Back to the order of the table.
    fn unframe(&mut self, y: Value, frame: &Frame) -> Value {
        let shape = self.e().shape(y);
        let mut full = frame.lead.clone();
        full.extend(&shape[1..]);
        let y = self.reshape(y, &full);
        let mut back = vec![0; frame.order.len()];
        for (i, o) in frame.order.iter().enumerate() {
            back[*o] = i;
        }
        if back.iter().enumerate().any(|(i, b)| i != *b) { self.e().transpose(y, &back) } else { y }
    }

    pub fn conv(&mut self, inputs: &[LayerId], w: &Window, ty: &Table) -> Value {
        let w = &self.fitted(w, self.ty(inputs[0]), ty);
        let frame = self.frame(inputs[0], &w.over, 0.0);
        let weight = self.value(inputs[1]);
        let y = self.convolved(frame.value, weight, conv_spec(w));
        let y = self.bias(y, inputs, 1);
        self.unframe(y, &frame)
    }

    /// Groups with one feature on one side and several on the other are filtered channel by channel: each feature is read
    /// several times, or several results make one. A tile would have one live column.
    fn convolved(&mut self, x: Value, weight: Value, spec: ConvSpec) -> Value {
        let mut shape = self.e().shape(weight);
        let [.., of_group, features] = shape[..] else { unreachable!("kernel, features in, features out") };
        let own = features / spec.groups;
        let single = spec.groups == 1 && (own > 1 || of_group < FEW || spec.kernel.iter().all(|k| *k == 1));
        if single || (of_group == 1) == (own == 1) {
            return self.e().conv(x, weight, &spec);
        }
        if of_group == 1 {
            let last = spec.kernel.len() + 1;
            let x = self.repeat(x, last, own);
            return self.e().conv(x, weight, &ConvSpec { groups: features, ..spec });
        }
        let e = self.e();
        let rank = shape.len();
        let swap: Vec<usize> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
        let weight = e.transpose(weight, &swap);
        let channels = of_group * features;
        shape.splice(rank - 2.., [1, channels]);
        let weight = e.reshape(weight, &shape);
        let y = e.conv(x, weight, &ConvSpec { groups: channels, ..spec });
        let mut apart = e.shape(y);
        apart.splice(rank - 1.., [features, of_group]);
        let y = e.reshape(y, &apart);
        e.reduce(Fold::Add, y, &[rank])
    }

    /// The adjoint of the convolution with the same window, from the small table to the large one.
    pub fn conv_transpose(&mut self, inputs: &[LayerId], w: &Window, ty: &Table) -> Value {
        let frame = self.frame(inputs[0], &w.over, 0.0);
        let weight = self.value(inputs[1]);
        let large: Vec<usize> = w.over.iter().map(|n| self.shape(ty)[self.position(ty, n)]).collect();
        let e = self.e();
        // Stored `[k.., in, out]`; the adjoint wants the large side's features first.
        let rank = e.shape(weight).len();
        let mut swap: Vec<usize> = (0..rank).collect();
        swap.swap(rank - 2, rank - 1);
        let weight = e.transpose(weight, &swap);
        let y = e.conv_dx(frame.value, weight, &conv_spec(w), &large);
        let y = self.bias(y, inputs, 1);
        self.unframe(y, &frame)
    }

    pub fn max_pool(&mut self, x: LayerId, w: &Window, ty: &Table) -> Value {
        let w = &self.fitted(w, self.ty(x), ty);
        let frame = self.frame(x, &w.over, f32::MIN);
        let y = self.e().max_pool(frame.value, &pool_spec(w));
        let y = self.unframe(y, &frame);
        // Windows past the end found nothing.
        self.cut(y, ty, &w.over, 0.0)
    }

    /// Sums divided by the number of taps inside.
    pub fn avg_pool(&mut self, x: LayerId, w: &Window, ty: &Table) -> Value {
        let w = &self.fitted(w, self.ty(x), ty);
        let frame = self.frame(x, &w.over, 0.0);
        let spec = pool_spec(w);
        if ty.variable().any(|(a, _)| w.over.contains(&a.name)) {
            return self.mean_of_existing(x, (w, &frame), ty);
        }
        let area: usize = w.kernel.iter().product();
        let padded = w.pad.iter().any(|p| *p != (0, 0));
        let e = self.e();
        let sum = e.sum_pool(frame.value, &spec);
        let y = if padded {
            let mut small = vec![1];
            small.extend(&frame.spatial);
            small.push(1);
            let ones = e.filled(1.0, &small);
            let count = e.sum_pool(ones, &spec);
            let shape = e.shape(sum);
            let inner = shape[1..shape.len() - 1].to_vec();
            let count = e.reshape(count, &inner);
            let places: Vec<usize> = (1..shape.len() - 1).collect();
            let count = e.broadcast(count, &shape, &places);
            e.div(sum, count)
        } else {
            e.scale(sum, 1.0 / area as f32)
        };
        self.unframe(y, &frame)
    }

    /// The mean of what each window finds before the end of its example.
    fn mean_of_existing(&mut self, x: LayerId, (w, frame): (&Window, &Frame), ty: &Table) -> Value {
        let own = Table { batched: true, ..self.ty(x).clone() };
        let shape = self.shape(&own);
        let ones = self.e().filled(1.0, &shape);
        let ones = self.cut(ones, &own, &w.over, 0.0);
        let ones = self.frame_of(ones, &own, &w.over);
        let spec = pool_spec(w);
        let e = self.e();
        let (sum, count) = (e.sum_pool(frame.value, &spec), e.sum_pool(ones.value, &spec));
        let one = e.filled_like(1.0, count);
        let count = e.max(count, one);
        let y = e.div(sum, count);
        let y = self.unframe(y, frame);
        self.cut(y, ty, &w.over, 0.0)
    }

    /// Sum over all axes but the last, and how many were summed.
    pub fn feature_sum(&mut self, x: Value) -> (Value, usize) {
        let e = self.e();
        let shape = e.shape(x);
        let axes: Vec<usize> = (0..shape.len() - 1).collect();
        let count = shape[..shape.len() - 1].iter().product();
        (e.reduce(Fold::Add, x, &axes), count)
    }

    /// A vector of features in the shape of a table's tensor.
    pub fn spread(&mut self, v: Value, ty: &Table) -> Value {
        let shape = self.shape(ty);
        self.e().broadcast(v, &shape, &[shape.len() - 1])
    }
}

//! `reduce(fold, x, axes)` with `fold` add or max, and `argmax(x, axis)`: axes folded away.
//!
//! # Shape
//! The axes in `axes` disappear.
//!
//! # Gradient
//! Of a sum: `dy`, repeated. Of a maximum: `dy` at the first largest element, 0 elsewhere. `argmax` is
//! constant almost everywhere.

use super::rules::{are_axes, demand, fold, others, pick};
use super::{Emit, Misfit, OpDef, Operand};
use crate::base::{Tensor, TensorType, Value, tensor::for_each_index};
use crate::loops::{Affine, Expr, Fold, Scope};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Reduce {
    /// Add or max.
    pub fold: Fold,
    pub axes: Vec<usize>,
}

/// The position, row-major over `axes`, of the first largest element.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ArgMax {
    pub axes: Vec<usize>,
}

impl dyn Emit + '_ {
    pub fn reduce(&mut self, fold: Fold, x: Value, axes: &[usize]) -> Value {
        self.emit(Reduce { fold, axes: axes.to_vec() }.into(), &[x])
    }

    pub fn argmax(&mut self, x: Value, axis: usize) -> Value {
        self.emit(ArgMax { axes: vec![axis] }.into(), &[x])
    }

    /// `x * 1/count`, summed over `axes`.
    pub fn mean(&mut self, x: Value, axes: &[usize]) -> Value {
        let count: usize = pick(&self.ty(x).shape, axes).iter().product();
        let sum = self.reduce(Fold::Add, x, axes);
        self.scale(sum, 1.0 / count as f32)
    }

    /// 1 at the first largest element over `axes`, 0 elsewhere.
    fn first_largest(&mut self, x: Value, axes: &[usize]) -> Value {
        let shape = self.shape(x);
        let largest = self.emit(ArgMax { axes: axes.to_vec() }.into(), &[x]);
        let largest = self.broadcast(largest, &shape, &others(shape.len(), axes));
        let mut position = self.filled(0.0, &shape);
        let mut stride = 1;
        for &axis in axes.iter().rev() {
            let coord = self.coord(&shape, axis);
            let step = self.scale(coord, stride as f32);
            position = self.add(position, step);
            stride *= shape[axis];
        }
        self.eq(position, largest)
    }
}

fn reduced_shape(x: &TensorType, axes: &[usize]) -> Result<Vec<usize>, Misfit> {
    let possible = are_axes(axes, x.rank()) && pick(&x.shape, axes).iter().all(|&n| n > 0);
    demand(possible, 0, || format!("axes {axes:?}"))?;
    Ok(pick(&x.shape, &others(x.rank(), axes)))
}

fn element(f: Fold, axes: &[usize], s: &mut Scope, x: &dyn Operand, at: &[Affine]) -> Expr {
    let shape = x.ty().shape.clone();
    fold(s, f, &pick(&shape, axes), |s, over| {
        let mut own = vec![Affine::constant(0); shape.len()];
        others(shape.len(), axes).iter().zip(at).for_each(|(&i, a)| own[i] = a.clone());
        axes.iter().zip(over).for_each(|(&i, a)| own[i] = a.clone());
        x.at(s, &own)
    })
}

fn eval(f: Fold, axes: &[usize], x: &Tensor) -> Tensor {
    let kept = others(x.shape.len(), axes);
    Tensor::from_fn(&pick(&x.shape, &kept), |at| {
        let mut own = vec![0; x.shape.len()];
        kept.iter().zip(at).for_each(|(&i, a)| own[i] = *a);
        let mut values = vec![];
        for_each_index(&pick(&x.shape, axes), |over| {
            axes.iter().zip(over).for_each(|(&i, a)| own[i] = *a);
            values.push(x.get(&own));
        });
        f.apply(values.into_iter())
    })
}

const SAMPLES: &[(&[usize], &[usize])] = &[
    (&[3, 4], &[1]),
    (&[3, 4], &[0]),
    (&[2, 3, 4], &[0, 2]),
    (&[2, 3, 4], &[0, 1, 2]),
    (&[2, 1, 3], &[1]),
    (&[5], &[0]),
];

impl OpDef<1> for Reduce {
    const NAME: &'static str = "reduce";

    fn name(&self) -> &'static str {
        match self.fold {
            Fold::Add => "sum",
            Fold::Max => "maximum",
            Fold::ArgMax => "argmax",
        }
    }

    fn attributes(&self) -> String {
        format!("axes={:?}", self.axes)
    }

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        demand(self.fold != Fold::ArgMax, 0, || "a fold that has a gradient".into())?;
        Ok(TensorType::new(&reduced_shape(x, &self.axes)?))
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        element(self.fold, &self.axes, s, x, at)
    }

    fn grad(&self, e: &mut dyn Emit, [x]: [Value; 1], _: Value, dy: Value) -> [Option<Value>; 1] {
        let shape = e.shape(x);
        let dy = e.broadcast(dy, &shape, &others(shape.len(), &self.axes));
        if self.fold == Fold::Add {
            return [Some(dy)];
        }
        let largest = e.first_largest(x, &self.axes);
        [Some(e.keep_where(largest, dy))]
    }

    fn eval(&self, [x]: [&Tensor; 1]) -> Tensor {
        eval(self.fold, &self.axes, x)
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        let of =
            |fold| move |(x, axes): &(&[usize], &[usize])| (Reduce { fold, axes: axes.to_vec() }, [TensorType::new(x)]);
        SAMPLES.iter().map(of(Fold::Add)).chain(SAMPLES.iter().map(of(Fold::Max))).collect()
    }
}

impl OpDef<1> for ArgMax {
    const NAME: &'static str = "argmax";

    fn attributes(&self) -> String {
        format!("axes={:?}", self.axes)
    }

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        let shape = reduced_shape(x, &self.axes)?;
        Ok(TensorType::index(pick(&x.shape, &self.axes).iter().product(), &shape))
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        element(Fold::ArgMax, &self.axes, s, x, at)
    }

    fn grad(&self, _: &mut dyn Emit, _: [Value; 1], _: Value, _: Value) -> [Option<Value>; 1] {
        [None]
    }

    fn eval(&self, [x]: [&Tensor; 1]) -> Tensor {
        eval(Fold::ArgMax, &self.axes, x)
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        let of = |(x, axes): &(&[usize], &[usize])| (ArgMax { axes: axes.to_vec() }, [TensorType::new(x)]);
        SAMPLES.iter().map(of).collect()
    }
}

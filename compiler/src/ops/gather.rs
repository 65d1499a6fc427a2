//! `gather(table, index)`: rows of a table by number; `scatter_add(index, dy, extent)`: rows added up.
//!
//! # Shape
//! `gather`: `[D, f..]` and `index<D>[a..]` give `[a.., f..]`. `scatter_add` takes that back to
//! `[extent, f..]`.
//!
//! # Gradient
//! Each is the other's; an index has none.

use super::rules::{demand, fold, same_shape};
use super::{Emit, Misfit, OpDef, Operand, Scatter};
use crate::base::{Buffer, Element, Tensor, TensorType, Value, tensor::for_each_index};
use crate::loops::{Affine, Binary, Coord, Expr, Fold, How, Node, Scope, Store, expr};
use std::sync::Arc;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Gather;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ScatterAdd {
    /// Number of rows of the result.
    pub extent: usize,
}

impl dyn Emit + '_ {
    pub fn gather(&mut self, table: Value, index: Value) -> Value {
        self.emit(Gather.into(), &[table, index])
    }

    pub fn scatter_add(&mut self, index: Value, dy: Value, extent: usize) -> Value {
        self.emit(ScatterAdd { extent }.into(), &[index, dy])
    }
}

fn is_index(operand: usize, index: &TensorType, below: usize) -> Result<(), Misfit> {
    let fits = matches!(index.element, Element::Index { extent } if extent <= below);
    demand(fits, operand, || format!("an index below {below}"))
}

impl OpDef<2> for Gather {
    const NAME: &'static str = "gather";

    fn infer(&self, [table, index]: [&TensorType; 2]) -> Result<TensorType, Misfit> {
        demand(table.rank() > 0, 0, || "rows".into())?;
        is_index(1, index, table.shape[0])?;
        let shape = [&index.shape[..], &table.shape[1..]].concat();
        Ok(TensorType { element: table.element, shape })
    }

    fn element(&self, s: &mut Scope, [table, index]: [&dyn Operand; 2], at: &[Affine]) -> Expr {
        let (place, features) = at.split_at(index.ty().rank());
        let row = Coord::Index { from: index.at(s, place), extent: table.ty().shape[0] };
        let at = std::iter::once(row).chain(features.iter().cloned().map(Coord::Affine)).collect();
        table.at_index(s, at)
    }

    fn whole(&self) -> [bool; 2] {
        [true, false]
    }

    fn grad(&self, e: &mut dyn Emit, [table, index]: [Value; 2], _: Value, dy: Value) -> [Option<Value>; 2] {
        let extent = e.ty(table).shape[0];
        [Some(e.scatter_add(index, dy, extent)), None]
    }

    fn eval(&self, [table, index]: [&Tensor; 2]) -> Tensor {
        let shape = [&index.shape[..], &table.shape[1..]].concat();
        Tensor::from_fn(&shape, |at| {
            let (place, features) = at.split_at(index.shape.len());
            table.get(&[&[index.get(place) as usize], features].concat())
        })
    }

    fn samples() -> Vec<(Self, [TensorType; 2])> {
        let sample =
            |table: &[usize], index: &[usize]| (Gather, [TensorType::new(table), TensorType::index(table[0], index)]);
        vec![sample(&[4, 3], &[2, 3]), sample(&[5], &[4]), sample(&[3, 2, 2], &[]), sample(&[1, 2], &[3])]
    }
}

impl OpDef<2> for ScatterAdd {
    const NAME: &'static str = "scatter_add";

    fn attributes(&self) -> String {
        format!("extent={}", self.extent)
    }

    fn infer(&self, [index, dy]: [&TensorType; 2]) -> Result<TensorType, Misfit> {
        is_index(0, index, self.extent)?;
        demand(dy.shape.starts_with(&index.shape), 1, || format!("{:?} and features", index.shape))?;
        let features = &dy.shape[index.rank()..];
        same_shape(1, dy, &[&index.shape[..], features].concat())?;
        Ok(TensorType::new(&[&[self.extent], features].concat()))
    }

    fn element(&self, s: &mut Scope, [index, dy]: [&dyn Operand; 2], at: &[Affine]) -> Expr {
        fold(s, Fold::Add, &index.ty().shape, |s, place| {
            let row = Arc::new(Node::Coord(at[0].clone()));
            let here = expr::binary(Binary::Eq, index.at(s, place), row);
            let value = dy.at(s, &[place, &at[1..]].concat());
            expr::select(here, value, expr::constant(0.0))
        })
    }

    fn scatter(&self, s: &mut Scope, [index, dy]: [&dyn Operand; 2], _: &TensorType) -> Option<Vec<Scatter>> {
        let (axes, at) = s.axes(&dy.ty().shape);
        let (place, features) = at.split_at(index.ty().rank());
        let row = Coord::Index { from: index.at(s, place), extent: self.extent };
        let target = std::iter::once(row).chain(features.iter().cloned().map(Coord::Affine)).collect();
        let value = dy.at(s, &at);
        let store = Store { buffer: Buffer(0), at: target, value, how: How::Add };
        Some(vec![Scatter { axes, stores: vec![store] }])
    }

    fn grad(&self, e: &mut dyn Emit, [index, _]: [Value; 2], _: Value, dy: Value) -> [Option<Value>; 2] {
        [None, Some(e.gather(dy, index))]
    }

    fn eval(&self, [index, dy]: [&Tensor; 2]) -> Tensor {
        let rank = index.shape.len();
        let mut y = Tensor::filled(&[&[self.extent], &dy.shape[rank..]].concat(), 0.0);
        for_each_index(&dy.shape, |at| {
            let row = [&[index.get(&at[..rank]) as usize], &at[rank..]].concat();
            y.set(&row, y.get(&row) + dy.get(at));
        });
        y
    }

    fn samples() -> Vec<(Self, [TensorType; 2])> {
        let sample = |extent, index: &[usize], dy: &[usize]| {
            (ScatterAdd { extent }, [TensorType::index(extent, index), TensorType::new(dy)])
        };
        vec![sample(4, &[2, 3], &[2, 3, 2]), sample(3, &[5], &[5]), sample(2, &[], &[3])]
    }
}

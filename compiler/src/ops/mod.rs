//! The ops: one file each, everything the compiler knows about it.
//!
//! A new op is one file and its name in the three lists below.

mod broadcast;
mod concat;
mod contract;
mod conv;
mod conv_adjoint;
mod conv_spec;
mod coord;
mod detach;
mod forward;
mod gather;
mod max_pool;
mod max_pool_adjoint;
mod pointwise;
mod random;
mod recur;
mod reduce;
mod reshape;
mod rules;
mod select;
mod slice;
mod sliding;
mod sum_pool;
mod transpose;

pub use broadcast::Broadcast;
pub use concat::Concat;
pub use contract::Contract;
pub use conv::Conv;
pub use conv_adjoint::{ConvDw, ConvDx};
pub use conv_spec::ConvSpec;
pub use coord::Coordinate;
pub use detach::Detach;
pub use gather::{Gather, ScatterAdd};
pub use max_pool::{MaxPool, PoolArgMax, PoolSpec};
pub use max_pool_adjoint::{MaxPoolDx, PoolPick};
pub use pointwise::{Map, Zip};
pub use random::Random;
pub use recur::{Carry, History, Pick, Recur, Stack};
pub use reduce::{ArgMax, Reduce};
pub use reshape::Reshape;
pub use select::Select;
pub use slice::{Pad, Slice};
pub use sum_pool::{SumPool, SumPoolDx};
pub use transpose::Transpose;

use crate::base::{Tensor, TensorType, Value};
use crate::loops::{Affine, Coord, Expr, Scope, Store};
use std::fmt::Debug;
use std::hash::Hash;

/// What a shape rule expected and did not get; span-free, since ops know no source text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Misfit {
    /// Which operand is at fault.
    pub operand: usize,
    pub expected: String,
}

/// An operand as an element rule sees it: its type, and its elements at any coordinates.
pub trait Operand {
    fn ty(&self) -> &TensorType;
    /// The element at affine coordinates: a load, or the operand's own element rule composed in.
    fn at(&self, s: &mut Scope, at: &[Affine]) -> Expr;
    /// The element at coordinates that come from data. Only for operands listed in [`OpDef::whole`].
    fn at_index(&self, s: &mut Scope, at: Vec<Coord>) -> Expr;
}

/// Everything the compiler knows about one op with `N` operands.
pub trait OpDef<const N: usize>: Clone + Eq + Hash + Debug {
    /// Spelling in dumps and in the manual.
    const NAME: &'static str;

    /// Where one struct stands for a family of ops, the name of this one.
    fn name(&self) -> &'static str {
        Self::NAME
    }

    /// Everything but the operands, for dumps: `kernel=5x5 pad=2`.
    fn attributes(&self) -> String {
        String::new()
    }

    /// Shape rule.
    fn infer(&self, x: [&TensorType; N]) -> Result<TensorType, Misfit>;

    /// Element rule: `y[at]` in terms of elements of the operands.
    fn element(&self, s: &mut Scope, x: [&dyn Operand; N], at: &[Affine]) -> Expr;

    /// The same definition turned around, for ops whose element rule must never run as written
    /// (strided adjoints, scatters): axes and stores into `y`. `None`: use the element rule.
    /// Several parts where the axes differ from store to store; together they make up `y`.
    /// An op that answers `Some` is never computed inside a consumer.
    fn scatter(&self, _s: &mut Scope, _x: [&dyn Operand; N], _y: &TensorType) -> Option<Vec<Scatter>> {
        None
    }

    /// A second name for the bytes of its operand: never computed, no group crosses it.
    fn is_view(&self) -> bool {
        false
    }

    /// Operands that must lie in memory as a whole (read at indices from data).
    fn whole(&self) -> [bool; N] {
        [false; N]
    }

    /// Gradient rule: the adjoint of each operand, in terms of ops. `None` where it is zero.
    fn grad(&self, e: &mut dyn Emit, x: [Value; N], y: Value, dy: Value) -> [Option<Value>; N];

    /// Reference semantics: obvious, slow, never optimized.
    fn eval(&self, x: [&Tensor; N]) -> Tensor;

    /// Instances the laws are tested on.
    fn samples() -> Vec<(Self, [TensorType; N])>;
}

/// Stores into the result; `Store::buffer` is a placeholder (`Buffer(0)`). All parts of one op together
/// cover every element exactly once if they are `How::Set`; with `How::Add` the rest is zero.
#[derive(Clone, Debug)]
pub struct Scatter {
    pub axes: Vec<(crate::base::Var, usize)>,
    pub stores: Vec<Store>,
}

/// Where rules put the ops they emit: the graph records, an interpreter evaluates.
pub trait Emit {
    fn emit(&mut self, op: Op, operands: &[Value]) -> Value;
    fn constant(&mut self, value: f32) -> Value;
    fn ty(&self, value: Value) -> &TensorType;
}

forward::ops! {
    ArgMax, Broadcast, Carry, Concat, Contract, Conv, ConvDw, ConvDx, Coordinate, Detach, Gather, History, Map,
    MaxPool, MaxPoolDx, Pad, Pick, PoolArgMax, PoolPick, Random, Reduce, Reshape, ScatterAdd, Select, Slice, Stack,
    SumPool, SumPoolDx, Transpose, Zip,
}

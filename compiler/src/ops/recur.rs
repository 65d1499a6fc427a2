//! The ops that tie a recurrence to the graph around it.
//!
//! A recurrence ([`Recur`]) is no op and no graph of its own: its body are the values that depend on `carry` and `pick`
//! of it. What every other op means does not change in there, so passes, fusion and gradients know one kind of graph.
//!
//! - `pick(x, axis)`: the slice of `x` that belongs to the present iteration;
//! - `carry(init)`: a state; `init` in the first iteration, then what the iteration before gave as its next value;
//! - `stack(v, axis)`: what a value of the body was in every iteration, along a new axis;
//! - `history(next, axis)`: all values of one state, the first one included, along a new axis.
//!
//! # Shape
//! `pick` loses `axis`, `stack` gains one with an element for each iteration, `history` one more than that.
//!
//! # Gradient
//! Of all together, by `passes::differentiate`: a recurrence in the other direction.

use super::rules::{demand, misfit};
use super::{Emit, Misfit, OpDef, Operand};
use crate::base::{Tensor, TensorType, Value, Var};
use crate::loops::{Affine, Expr, Scope};

/// A recurrence: its number in the graph, its iterations, and where it begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Recur {
    pub id: u32,
    pub length: usize,
    /// From the last place to the first.
    pub reverse: bool,
}

impl Recur {
    /// The variable that counts iterations, bound by the loop around the body.
    pub fn var(self) -> Var {
        Var(u32::MAX - self.id)
    }

    /// The place along the axis that belongs to the present iteration.
    pub fn place(self) -> Affine {
        let count = Affine::from(self.var());
        if self.reverse { &Affine::constant(self.length as i64 - 1) - &count } else { count }
    }

    /// The place in an iteration.
    pub fn place_at(self, iteration: usize) -> usize {
        if self.reverse { self.length - 1 - iteration } else { iteration }
    }

    /// Where a state's value of this iteration lies in its history.
    pub fn before(self) -> Affine {
        &self.place() + i64::from(self.reverse)
    }

    /// Where its next value does.
    pub fn after(self) -> Affine {
        &self.place() + i64::from(!self.reverse)
    }

    /// Where the first value of a state does.
    pub fn first(self) -> usize {
        if self.reverse { self.length } else { 0 }
    }

    fn show(self) -> String {
        format!("loop={}{}", self.id, if self.reverse { " reverse" } else { "" })
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Carry {
    pub of: Recur,
    /// Which state.
    pub which: usize,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct History {
    pub of: Recur,
    pub which: usize,
    pub axis: usize,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pick {
    pub of: Recur,
    pub axis: usize,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Stack {
    pub of: Recur,
    pub axis: usize,
}

impl dyn Emit + '_ {
    pub fn pick(&mut self, x: Value, of: Recur, axis: usize) -> Value {
        self.emit(Pick { of, axis }.into(), &[x])
    }

    pub fn stack(&mut self, x: Value, of: Recur, axis: usize) -> Value {
        self.emit(Stack { of, axis }.into(), &[x])
    }
}

fn grown(x: &TensorType, axis: usize, extent: usize) -> Result<TensorType, Misfit> {
    demand(axis <= x.rank(), 0, || format!("{axis} axes"))?;
    let mut y = x.clone();
    y.shape.insert(axis, extent);
    Ok(y)
}

/// None of them means anything outside its recurrence: the interpreter of graphs runs that as a whole.
fn alone<T>(name: &str) -> T {
    panic!("bug: {name} is evaluated outside its recurrence")
}

impl OpDef<1> for Carry {
    const NAME: &'static str = "carry";

    fn attributes(&self) -> String {
        format!("{} state={}", self.of.show(), self.which)
    }

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        Ok(TensorType::new(&x.shape))
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        x.at(s, at)
    }

    fn grad(&self, _: &mut dyn Emit, _: [Value; 1], _: Value, _: Value) -> [Option<Value>; 1] {
        [None]
    }

    fn eval(&self, _: [&Tensor; 1]) -> Tensor {
        alone(Self::NAME)
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        vec![]
    }
}

impl OpDef<1> for History {
    const NAME: &'static str = "history";

    fn attributes(&self) -> String {
        format!("{} state={} axis={}", self.of.show(), self.which, self.axis)
    }

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        grown(&TensorType::new(&x.shape), self.axis, self.of.length + 1)
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        without(s, x, self.axis, at)
    }

    fn grad(&self, _: &mut dyn Emit, _: [Value; 1], _: Value, _: Value) -> [Option<Value>; 1] {
        [None]
    }

    fn eval(&self, _: [&Tensor; 1]) -> Tensor {
        alone(Self::NAME)
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        vec![]
    }
}

impl OpDef<1> for Pick {
    const NAME: &'static str = "pick";

    fn attributes(&self) -> String {
        format!("{} axis={}", self.of.show(), self.axis)
    }

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        if x.shape.get(self.axis) != Some(&self.of.length) {
            return misfit(0, format!("{} elements on axis {}", self.of.length, self.axis));
        }
        let mut y = x.clone();
        y.shape.remove(self.axis);
        Ok(y)
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        let mut own = at.to_vec();
        own.insert(self.axis, self.of.place());
        x.at(s, &own)
    }

    fn grad(&self, _: &mut dyn Emit, _: [Value; 1], _: Value, _: Value) -> [Option<Value>; 1] {
        [None]
    }

    fn eval(&self, _: [&Tensor; 1]) -> Tensor {
        alone(Self::NAME)
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        vec![]
    }
}

impl OpDef<1> for Stack {
    const NAME: &'static str = "stack";

    fn attributes(&self) -> String {
        format!("{} axis={}", self.of.show(), self.axis)
    }

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        grown(x, self.axis, self.of.length)
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        without(s, x, self.axis, at)
    }

    fn grad(&self, _: &mut dyn Emit, _: [Value; 1], _: Value, _: Value) -> [Option<Value>; 1] {
        [None]
    }

    fn eval(&self, _: [&Tensor; 1]) -> Tensor {
        alone(Self::NAME)
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        vec![]
    }
}

/// The element of the body: what is stored in the present iteration.
fn without(s: &mut Scope, x: &dyn Operand, axis: usize, at: &[Affine]) -> Expr {
    let mut own = at.to_vec();
    own.remove(axis);
    x.at(s, &own)
}

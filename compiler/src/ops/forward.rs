//! `enum Op` and its forwarding methods, generated from the list of ops.

use super::{Emit, Misfit, OpDef, Operand, Scatter};
use crate::base::{Tensor, TensorType, Value};
use crate::loops::{Affine, Expr, Scope};

macro_rules! ops {
    ($($op:ident),* $(,)?) => {
        /// Any op.
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub enum Op {
            $($op($op),)*
        }

        $(impl From<$op> for Op {
            fn from(op: $op) -> Op {
                Op::$op(op)
            }
        })*

        impl Op {
            /// One instance of each rule and of every choice in it, with the types of its operands.
            pub fn samples() -> Vec<(Op, Vec<TensorType>)> {
                let mut all = vec![];
                $(all.extend($op::samples().into_iter().map(|(op, x)| (Op::$op(op), x.to_vec())));)*
                all
            }

            /// See [`OpDef::name`].
            pub fn name(&self) -> &'static str {
                match self { $(Op::$op(op) => op.name(),)* }
            }

            /// See [`OpDef::attributes`].
            pub fn attributes(&self) -> String {
                match self { $(Op::$op(op) => op.attributes(),)* }
            }

            /// Number of operands.
            pub fn arity(&self) -> usize {
                match self { $(Op::$op(op) => forward::arity(op),)* }
            }

            /// See [`OpDef::is_view`].
            pub fn is_view(&self) -> bool {
                match self { $(Op::$op(op) => op.is_view(),)* }
            }

            /// See [`OpDef::whole`].
            pub fn whole(&self) -> Vec<bool> {
                match self { $(Op::$op(op) => op.whole().to_vec(),)* }
            }

            /// See [`OpDef::infer`].
            pub fn infer(&self, x: &[&TensorType]) -> Result<TensorType, Misfit> {
                match self { $(Op::$op(op) => forward::infer(op, x),)* }
            }

            /// See [`OpDef::element`].
            pub fn element(&self, s: &mut Scope, x: &[&dyn Operand], at: &[Affine]) -> Expr {
                match self { $(Op::$op(op) => forward::element(op, s, x, at),)* }
            }

            /// See [`OpDef::scatter`].
            pub fn scatter(
                &self,
                s: &mut Scope,
                x: &[&dyn Operand],
                y: &TensorType,
            ) -> Option<Vec<Scatter>> {
                match self { $(Op::$op(op) => forward::scatter(op, s, x, y),)* }
            }

            /// See [`OpDef::grad`].
            pub fn grad(&self, e: &mut dyn Emit, x: &[Value], y: Value, dy: Value) -> Vec<Option<Value>> {
                match self { $(Op::$op(op) => forward::grad(op, e, x, y, dy),)* }
            }

            /// See [`OpDef::eval`].
            pub fn eval(&self, x: &[&Tensor]) -> Tensor {
                match self { $(Op::$op(op) => forward::eval(op, x),)* }
            }
        }
    };
}
pub(super) use ops;

fn operands<T: Copy, const N: usize>(x: &[T]) -> [T; N] {
    x.try_into().expect("the verifier checks the number of operands")
}

pub(super) fn arity<const N: usize, D: OpDef<N>>(_: &D) -> usize {
    N
}

pub(super) fn infer<const N: usize, D: OpDef<N>>(op: &D, x: &[&TensorType]) -> Result<TensorType, Misfit> {
    let wrong = |_| Misfit { operand: x.len().min(N), expected: format!("{N} operands") };
    op.infer(x.try_into().map_err(wrong)?)
}

pub(super) fn element<const N: usize, D: OpDef<N>>(op: &D, s: &mut Scope, x: &[&dyn Operand], at: &[Affine]) -> Expr {
    op.element(s, operands(x), at)
}

pub(super) fn scatter<const N: usize, D: OpDef<N>>(
    op: &D,
    s: &mut Scope,
    x: &[&dyn Operand],
    y: &TensorType,
) -> Option<Vec<Scatter>> {
    op.scatter(s, operands(x), y)
}

pub(super) fn grad<const N: usize, D: OpDef<N>>(
    op: &D,
    e: &mut dyn Emit,
    x: &[Value],
    y: Value,
    dy: Value,
) -> Vec<Option<Value>> {
    op.grad(e, operands(x), y, dy).to_vec()
}

pub(super) fn eval<const N: usize, D: OpDef<N>>(op: &D, x: &[&Tensor]) -> Tensor {
    op.eval(operands(x))
}

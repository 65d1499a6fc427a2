//! Element-wise ops: `neg(x)`, .. and `add(a, b)`, ..
//!
//! # Shape
//! All operands have one shape; the result has it too. What an element means is forgotten: the sum of two
//! indices is a number.
//!
//! # Gradient
//! By element. Comparisons and `floor` are constant almost everywhere. Where `max` or `min` has a tie,
//! the second operand gets all: `max(x, 0)` has slope 0 at 0.

use super::rules::same_shape;
use super::{Emit, Misfit, OpDef, Operand};
use crate::base::{Tensor, TensorType, Value};
use crate::loops::{Affine, Binary, Expr, Scope, Unary, expr};

/// One function of every element.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Map(pub Unary);

/// One function of every two elements in the same place.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Zip(pub Binary);

macro_rules! builders {
    ($(unary $u:ident $uo:ident;)* $(binary $b:ident $bo:ident;)*) => {
        impl dyn Emit + '_ {
            $(pub fn $u(&mut self, x: Value) -> Value {
                self.unary(Unary::$uo, x)
            })*
            $(pub fn $b(&mut self, a: Value, b: Value) -> Value {
                self.binary(Binary::$bo, a, b)
            })*
        }

        const UNARY: &[Unary] = &[$(Unary::$uo),*];
        const BINARY: &[Binary] = &[$(Binary::$bo),*];
    };
}

builders! {
    unary neg Neg;
    unary abs Abs;
    unary exp Exp;
    unary log Log;
    unary sqrt Sqrt;
    unary tanh Tanh;
    unary sigmoid Sigmoid;
    unary erf Erf;
    unary sin Sin;
    unary cos Cos;
    unary floor Floor;
    binary add Add;
    binary sub Sub;
    binary mul Mul;
    binary div Div;
    binary pow Pow;
    binary max Max;
    binary min Min;
    binary lt Lt;
    binary le Le;
    binary gt Gt;
    binary ge Ge;
    binary eq Eq;
    binary ne Ne;
}

impl dyn Emit + '_ {
    pub fn unary(&mut self, op: Unary, x: Value) -> Value {
        self.emit(Map(op).into(), &[x])
    }

    pub fn binary(&mut self, op: Binary, a: Value, b: Value) -> Value {
        self.emit(Zip(op).into(), &[a, b])
    }
}

impl OpDef<1> for Map {
    const NAME: &'static str = "map";

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn infer(&self, [x]: [&TensorType; 1]) -> Result<TensorType, Misfit> {
        Ok(TensorType::new(&x.shape))
    }

    fn element(&self, s: &mut Scope, [x]: [&dyn Operand; 1], at: &[Affine]) -> Expr {
        expr::unary(self.0, x.at(s, at))
    }

    fn grad(&self, e: &mut dyn Emit, [x]: [Value; 1], y: Value, dy: Value) -> [Option<Value>; 1] {
        let dx = match self.0 {
            Unary::Neg => e.neg(dy),
            Unary::Abs => {
                let zero = e.filled_like(0.0, x);
                let (above, below) = (e.gt(x, zero), e.lt(x, zero));
                let sign = e.sub(above, below);
                e.mul(dy, sign)
            }
            Unary::Exp => e.mul(dy, y),
            Unary::Log => e.div(dy, x),
            Unary::Sqrt => {
                let half = e.scale(dy, 0.5);
                e.div(half, y)
            }
            Unary::Tanh => {
                let one = e.filled_like(1.0, y);
                let square = e.mul(y, y);
                let slope = e.sub(one, square);
                e.mul(dy, slope)
            }
            Unary::Sigmoid => {
                let one = e.filled_like(1.0, y);
                let rest = e.sub(one, y);
                let slope = e.mul(y, rest);
                e.mul(dy, slope)
            }
            Unary::Erf => {
                let square = e.mul(x, x);
                let exponent = e.neg(square);
                let bell = e.exp(exponent);
                let slope = e.scale(bell, std::f32::consts::FRAC_2_SQRT_PI);
                e.mul(dy, slope)
            }
            Unary::Sin => {
                let slope = e.cos(x);
                e.mul(dy, slope)
            }
            Unary::Cos => {
                let sine = e.sin(x);
                let slope = e.neg(sine);
                e.mul(dy, slope)
            }
            Unary::Floor => return [None],
        };
        [Some(dx)]
    }

    fn eval(&self, [x]: [&Tensor; 1]) -> Tensor {
        Tensor::from_fn(&x.shape, |at| self.0.apply(x.get(at)))
    }

    fn samples() -> Vec<(Self, [TensorType; 1])> {
        UNARY.iter().map(|op| (Map(*op), [TensorType::new(&[2, 3])])).collect()
    }
}

/// The adjoints of `a ^ b`: `b a^(b-1)` and `y log a`, the latter 0 where `a` is.
fn grad_pow(e: &mut dyn Emit, [a, b]: [Value; 2], y: Value, dy: Value) -> [Value; 2] {
    let one = e.filled_like(1.0, b);
    let less = e.sub(b, one);
    let power = e.pow(a, less);
    let slope = e.mul(b, power);
    let da = e.mul(dy, slope);
    let zero = e.filled_like(0.0, a);
    let log = e.log(a);
    let growth = e.mul(y, log);
    let db = e.mul(dy, growth);
    let positive = e.gt(a, zero);
    [da, e.keep_where(positive, db)]
}

impl OpDef<2> for Zip {
    const NAME: &'static str = "zip";

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn infer(&self, [a, b]: [&TensorType; 2]) -> Result<TensorType, Misfit> {
        same_shape(1, b, &a.shape)?;
        Ok(TensorType::new(&a.shape))
    }

    fn element(&self, s: &mut Scope, [a, b]: [&dyn Operand; 2], at: &[Affine]) -> Expr {
        expr::binary(self.0, a.at(s, at), b.at(s, at))
    }

    fn grad(&self, e: &mut dyn Emit, [a, b]: [Value; 2], y: Value, dy: Value) -> [Option<Value>; 2] {
        let [da, db] = match self.0 {
            Binary::Add => [dy, dy],
            Binary::Sub => [dy, e.neg(dy)],
            Binary::Mul => [e.mul(dy, b), e.mul(dy, a)],
            Binary::Div => {
                let da = e.div(dy, b);
                let product = e.mul(da, y);
                [da, e.neg(product)]
            }
            Binary::Pow => grad_pow(e, [a, b], y, dy),
            Binary::Max | Binary::Min => {
                // Asked of y, not of a: then backward need not keep the operand.
                let first = if self.0 == Binary::Max { e.gt(y, b) } else { e.lt(y, b) };
                let zero = e.filled_like(0.0, dy);
                [e.select(first, dy, zero), e.select(first, zero, dy)]
            }
            Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne => {
                return [None, None];
            }
        };
        [Some(da), Some(db)]
    }

    fn eval(&self, [a, b]: [&Tensor; 2]) -> Tensor {
        Tensor::from_fn(&a.shape, |at| self.0.apply(a.get(at), b.get(at)))
    }

    fn samples() -> Vec<(Self, [TensorType; 2])> {
        let ty = TensorType::new(&[2, 3]);
        BINARY.iter().map(|op| (Zip(*op), [ty.clone(), ty.clone()])).collect()
    }
}

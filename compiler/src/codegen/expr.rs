//! Scalar expressions as Cranelift instructions, one number or four lanes at a time.

use super::function::{LANES, Lanes, Lowerer, unaligned};
use super::math::{Functions, Machine};
use crate::base::Var;
use crate::loops::{Affine, Binary, Coord, Expr, Node, Unary};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Value, types};
use std::collections::HashMap;
use std::sync::Arc;

impl Lowerer<'_, '_> {
    /// The value of `e` where the loop variables are now; computed at most once per scope.
    pub fn eval(&mut self, e: &Expr) -> Lanes {
        let wide = match self.vector {
            Some(var) => self.free.depends(e, var),
            None => false,
        };
        let key = (Arc::as_ptr(e), wide);
        if let Some(known) = self.scopes.iter().rev().find_map(|s| s.get(&key)) {
            return *known;
        }
        let v = if wide { self.compute(e) } else { self.narrow(|s| s.compute(e)) };
        let lanes = Lanes { v, wide };
        self.scopes.last_mut().expect("a scope is open").insert(key, lanes);
        lanes
    }

    /// Runs `f` as if no vector loop were open: for what is the same in all lanes.
    pub(super) fn narrow<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> T {
        let vector = self.vector.take();
        let result = f(self);
        self.vector = vector;
        result
    }

    /// `e` in the lanes of the context.
    pub(super) fn value(&mut self, e: &Expr) -> Value {
        let lanes = self.eval(e);
        if self.vector.is_some() && !lanes.wide { self.b.ins().splat(types::F32X4, lanes.v) } else { lanes.v }
    }

    pub(super) fn constant(&mut self, value: f32) -> Value {
        let scalar = self.b.ins().f32const(value);
        if self.vector.is_some() { self.b.ins().splat(types::F32X4, scalar) } else { scalar }
    }

    fn compute(&mut self, e: &Expr) -> Value {
        match &**e {
            Node::Const(bits) => self.constant(f32::from_bits(*bits)),
            Node::Coord(a) => self.coordinate(a),
            Node::Load(buffer, at) => self.load(*buffer, at),
            Node::Unary(op, x) => {
                let x = self.value(x);
                self.unary(*op, x)
            }
            Node::Binary(op, a, b) => self.binary(*op, a, b),
            Node::Select(c, a, b) => {
                let (a, b) = (self.value(a), self.value(b));
                let mask = self.condition(c);
                self.choose(mask, a, b)
            }
            Node::Reduce { fold, vars, body } => self.reduce(*fold, vars, body),
            Node::Guard { inside, body, otherwise } => self.guard(inside, body, f32::from_bits(*otherwise)),
            Node::Random { key, step, counter } => self.random(*key, step, counter),
        }
    }

    fn unary(&mut self, op: Unary, x: Value) -> Value {
        match op {
            Unary::Neg => self.b.ins().fneg(x),
            Unary::Abs => self.b.ins().fabs(x),
            Unary::Exp => self.exp(x),
            Unary::Log => self.log(x),
            Unary::Sqrt => self.b.ins().sqrt(x),
            Unary::Tanh => self.tanh(x),
            Unary::Sigmoid => self.sigmoid(x),
            Unary::Erf => self.erf(x),
            Unary::Sin => self.sine(x, 0),
            Unary::Cos => self.sine(x, 1),
            Unary::Floor => self.b.ins().floor(x),
        }
    }

    /// A mask that is set where `c` is not zero.
    fn condition(&mut self, c: &Expr) -> Value {
        if let Node::Binary(op, a, b) = &**c
            && let Some(cc) = comparison(*op)
        {
            let (a, b) = (self.value(a), self.value(b));
            return self.b.ins().fcmp(cc, a, b);
        }
        let c = self.value(c);
        let zero = self.number(c, 0.0);
        self.b.ins().fcmp(FloatCC::NotEqual, c, zero)
    }

    fn binary(&mut self, op: Binary, a: &Expr, b: &Expr) -> Value {
        if op == Binary::Add
            && let Some(sum) = self.fused_add(a, b)
        {
            return sum;
        }
        let (x, y) = (self.value(a), self.value(b));
        match op {
            Binary::Add => self.b.ins().fadd(x, y),
            Binary::Sub => self.b.ins().fsub(x, y),
            Binary::Mul => self.b.ins().fmul(x, y),
            Binary::Div => self.b.ins().fdiv(x, y),
            Binary::Pow => self.pow(x, y),
            Binary::Max => self.extreme(FloatCC::LessThan, (a, x), (b, y)),
            Binary::Min => self.extreme(FloatCC::GreaterThan, (a, x), (b, y)),
            Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne => {
                let cc = comparison(op).expect("a comparison");
                let one = self.number(x, 1.0);
                let zero = self.number(x, 0.0);
                self.pick(cc, [x, y], one, zero)
            }
        }
    }

    /// `p * q + c` where one side of an addition is a product that nothing else needs yet.
    fn fused_add(&mut self, a: &Expr, b: &Expr) -> Option<Value> {
        for (product, other) in [(a, b), (b, a)] {
            if let Node::Binary(Binary::Mul, p, q) = &**product {
                let key = Arc::as_ptr(product);
                if self.scopes.iter().any(|s| s.contains_key(&(key, true)) || s.contains_key(&(key, false))) {
                    continue;
                }
                let (p, q, c) = (self.value(p), self.value(q), self.value(other));
                return Some(self.fma(p, q, c));
            }
        }
        None
    }

    /// The larger or smaller; NaN if either is. With a constant side one machine instruction.
    fn extreme(&mut self, cc: FloatCC, (a, x): (&Expr, Value), (b, y): (&Expr, Value)) -> Value {
        let number = |e: &Expr| matches!(**e, Node::Const(bits) if !f32::from_bits(bits).is_nan());
        if number(b) {
            return self.pick(cc, [x, y], y, x);
        }
        if number(a) {
            return self.pick(cc, [y, x], x, y);
        }
        if cc == FloatCC::LessThan { self.b.ins().fmax(x, y) } else { self.b.ins().fmin(x, y) }
    }

    fn coordinate(&mut self, a: &Affine) -> Value {
        let Some(var) = self.vector else {
            let i = self.affine(a);
            return self.b.ins().fcvt_from_sint(types::F32, i);
        };
        let i = self.affine(a);
        let first = self.b.ins().fcvt_from_sint(types::F32, i);
        let first = self.b.ins().splat(types::F32X4, first);
        let c = a.coefficient(var) as f32;
        let steps = self.lanes_of(|lane| lane as f32 * c);
        self.b.ins().fadd(first, steps)
    }

    fn lanes_of(&mut self, f: impl Fn(i64) -> f32) -> Value {
        let zero = self.b.ins().f32const(f(0));
        let mut v = self.b.ins().splat(types::F32X4, zero);
        for lane in 1..LANES {
            let x = self.b.ins().f32const(f(lane));
            v = self.b.ins().insertlane(v, x, lane as u8);
        }
        v
    }

    fn load(&mut self, buffer: crate::base::Buffer, at: &[Coord]) -> Value {
        let Some(var) = self.vector else {
            let address = self.address(buffer, at);
            return self.b.ins().load(types::F32, MemFlagsData::trusted(), address, 0);
        };
        let stride = self.position(buffer, at).coefficient(var);
        let address = self.address(buffer, at);
        if stride == 1 {
            return self.load_lanes(address);
        }
        let first = self.b.ins().load(types::F32, MemFlagsData::trusted(), address, 0);
        let mut v = self.b.ins().splat(types::F32X4, first);
        for lane in 1..LANES {
            let offset = (lane * stride * 4) as i32;
            let x = self.b.ins().load(types::F32, MemFlagsData::trusted(), address, offset);
            v = self.b.ins().insertlane(v, x, lane as u8);
        }
        v
    }

    /// Four neighbours. Without AVX they go through an integer vector: Cranelift 0.135 folds an unaligned load
    /// into `cmpps`, whose memory operand must be aligned there.
    fn load_lanes(&mut self, address: Value) -> Value {
        if self.has_fma {
            return self.b.ins().load(types::F32X4, unaligned(), address, 0);
        }
        let raw = self.b.ins().load(types::I32X4, unaligned(), address, 0);
        let flags = MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little);
        self.b.ins().bitcast(types::F32X4, flags, raw)
    }

    // ---- guards --------------------------------------------------------------------------------

    fn guard(&mut self, inside: &[(Affine, usize)], body: &Expr, otherwise: f32) -> Value {
        let mut condition: Option<Value> = None;
        for (a, extent) in inside {
            let extents: HashMap<Var, usize> = self.vars.iter().map(|(v, _, n)| (*v, *n)).collect();
            let (low, high) = a.range(&|v| extents.get(&v).copied().unwrap_or(1));
            if low >= 0 && high < *extent as i64 {
                continue;
            }
            let at = self.affine(a);
            let test = self.b.ins().icmp_imm_s(IntCC::UnsignedLessThan, at, *extent as i64);
            condition = Some(match condition {
                Some(c) => self.b.ins().band(c, test),
                None => test,
            });
        }
        let Some(condition) = condition else { return self.value(body) };
        let ty = if self.vector.is_some() { types::F32X4 } else { types::F32 };
        let then = self.b.create_block();
        let join = self.b.create_block();
        let result = self.b.append_block_param(join, ty);
        let outside = self.constant(otherwise);
        self.b.ins().brif(condition, then, &[], join, &[BlockArg::Value(outside)]);
        self.b.switch_to_block(then);
        self.b.seal_block(then);
        self.scopes.push(HashMap::new());
        let v = self.value(body);
        self.scopes.pop();
        self.b.ins().jump(join, &[BlockArg::Value(v)]);
        self.b.switch_to_block(join);
        self.b.seal_block(join);
        result
    }
}

/// How Cranelift compares, where an operator does.
pub(super) fn comparison(op: Binary) -> Option<FloatCC> {
    Some(match op {
        Binary::Lt => FloatCC::LessThan,
        Binary::Le => FloatCC::LessThanOrEqual,
        Binary::Gt => FloatCC::GreaterThan,
        Binary::Ge => FloatCC::GreaterThanOrEqual,
        Binary::Eq => FloatCC::Equal,
        Binary::Ne => FloatCC::NotEqual,
        Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Pow | Binary::Max | Binary::Min => {
            return None;
        }
    })
}

//! Scalar expressions as Cranelift instructions, one number or four lanes at a time.

use super::function::{LANES, Lanes, Lowerer, unaligned};
use crate::base::Var;
use crate::loops::{Affine, Binary, Coord, Expr, Fold, Node, Unary};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Value, types};
use std::collections::HashMap;
use std::sync::Arc;

/// A reduction of at most this many terms is written out.
const UNROLL: usize = 16;

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
    fn narrow<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> T {
        let vector = self.vector.take();
        let result = f(self);
        self.vector = vector;
        result
    }

    /// `e` in the lanes of the context.
    fn value(&mut self, e: &Expr) -> Value {
        let lanes = self.eval(e);
        if self.vector.is_some() && !lanes.wide { self.b.ins().splat(types::F32X4, lanes.v) } else { lanes.v }
    }

    fn constant(&mut self, value: f32) -> Value {
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

    fn comparison(op: Binary) -> Option<FloatCC> {
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

    /// A mask that is set where `c` is not zero.
    fn condition(&mut self, c: &Expr) -> Value {
        if let Node::Binary(op, a, b) = &**c
            && let Some(cc) = Self::comparison(*op)
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
                let cc = Self::comparison(op).expect("a comparison");
                let one = self.number(x, 1.0);
                let zero = self.number(x, 0.0);
                self.pick(cc, x, y, one, zero)
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
            return self.pick(cc, x, y, y, x);
        }
        if number(a) {
            return self.pick(cc, y, x, x, y);
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

    // ---- random numbers ------------------------------------------------------------------------

    /// [`crate::loops::expr::random_number`], instruction by instruction.
    fn random(&mut self, key: u64, step: &Expr, counter: &Affine) -> Value {
        let step = self.narrow(|s| s.value(step));
        let step = self.b.ins().fcvt_to_uint_sat(types::I32, step);
        let golden = self.b.ins().iconst(types::I32, 0x9E37_79B9);
        let salt = self.b.ins().imul(step, golden);
        let i = self.affine(counter);
        let i = self.b.ins().ireduce(types::I32, i);
        let mut x = i;
        let mut salt = salt;
        if let Some(var) = self.vector {
            x = self.b.ins().splat(types::I32X4, i);
            let one = self.b.ins().iconst(types::I32, counter.coefficient(var));
            let mut offsets = self.b.ins().iconst(types::I32, 0);
            let mut lanes = self.b.ins().splat(types::I32X4, offsets);
            for lane in 1..LANES {
                offsets = self.b.ins().iadd(offsets, one);
                lanes = self.b.ins().insertlane(lanes, offsets, lane as u8);
            }
            x = self.b.ins().iadd(x, lanes);
            salt = self.b.ins().splat(types::I32X4, salt);
        }
        let low = self.word(x, key as u32);
        let x = self.b.ins().bxor(x, low);
        let x = self.b.ins().iadd(x, salt);
        let x = self.mix(x);
        let high = self.word(x, (key >> 32) as u32);
        let x = self.b.ins().bxor(x, high);
        let x = self.mix(x);
        let x = self.b.ins().ushr_imm_u(x, 8);
        let ty = if self.vector.is_some() { types::F32X4 } else { types::F32 };
        let x = self.b.ins().fcvt_from_sint(ty, x);
        let scale = self.number(x, 1.0 / 16_777_216.0);
        self.b.ins().fmul(x, scale)
    }

    fn word(&mut self, like: Value, bits: u32) -> Value {
        let scalar = self.b.ins().iconst(types::I32, i64::from(bits));
        let vector = self.b.func.dfg.value_type(like).is_vector();
        if vector { self.b.ins().splat(types::I32X4, scalar) } else { scalar }
    }

    fn mix(&mut self, x: Value) -> Value {
        let mut x = x;
        for (shift, factor) in [(16, 0x85EB_CA6B), (13, 0xC2B2_AE35)] {
            let high = self.b.ins().ushr_imm_u(x, shift);
            x = self.b.ins().bxor(x, high);
            let factor = self.word(x, factor);
            x = self.b.ins().imul(x, factor);
        }
        let high = self.b.ins().ushr_imm_u(x, 16);
        self.b.ins().bxor(x, high)
    }

    // ---- reductions ----------------------------------------------------------------------------

    fn reduce(&mut self, fold: Fold, vars: &[(Var, usize)], body: &Expr) -> Value {
        let count: usize = vars.iter().map(|(_, n)| n).product();
        if count <= UNROLL {
            return self.reduce_unrolled(fold, vars, body);
        }
        let across = vars.last().copied().filter(|(var, n)| {
            self.vector.is_none() && *n >= 2 * LANES as usize && fold != Fold::ArgMax
                && super::lanes::can_vectorize(self, body, *var)
        });
        let inner: Vec<Var> = vars.iter().map(|(v, _)| *v).collect();
        let mut found = self.free.invariants(body, &inner, &Default::default());
        found.retain(|e| !Arc::ptr_eq(e, body));
        for e in found {
            self.eval(&e);
        }
        match across {
            Some((var, n)) => self.reduce_across(fold, &vars[..vars.len() - 1], (var, n), body),
            None => {
                let start = self.start(fold);
                self.reduce_loops(fold, vars, body, start)[0]
            }
        }
    }

    /// Accumulators at the start; for [`Fold::ArgMax`] also the best position and the current one.
    fn start(&mut self, fold: Fold) -> Vec<Value> {
        match fold {
            Fold::Add => vec![self.constant(0.0)],
            Fold::Max => vec![self.constant(f32::NEG_INFINITY)],
            Fold::ArgMax => vec![self.constant(0.0), self.constant(f32::NEG_INFINITY), self.constant(0.0)],
        }
    }

    fn accumulate(&mut self, fold: Fold, acc: &[Value], body: &Expr) -> Vec<Value> {
        match fold {
            Fold::Add => {
                if let Node::Binary(Binary::Mul, p, q) = &**body {
                    let (p, q) = (self.value(p), self.value(q));
                    return vec![self.fma(p, q, acc[0])];
                }
                let x = self.value(body);
                vec![self.b.ins().fadd(acc[0], x)]
            }
            Fold::Max => {
                let x = self.value(body);
                vec![self.larger(acc[0], x)]
            }
            Fold::ArgMax => {
                let x = self.value(body);
                let mask = self.b.ins().fcmp(FloatCC::GreaterThan, x, acc[1]);
                let at = self.choose(mask, acc[2], acc[0]);
                let best = self.choose(mask, x, acc[1]);
                let one = self.number(x, 1.0);
                let next = self.b.ins().fadd(acc[2], one);
                vec![at, best, next]
            }
        }
    }

    /// The running maximum: NaN in `x` wins.
    fn larger(&mut self, acc: Value, x: Value) -> Value {
        let mask = self.b.ins().fcmp(FloatCC::LessThan, x, acc);
        self.choose(mask, acc, x)
    }

    fn reduce_unrolled(&mut self, fold: Fold, vars: &[(Var, usize)], body: &Expr) -> Value {
        let mut acc = self.start(fold);
        let shape: Vec<usize> = vars.iter().map(|(_, n)| *n).collect();
        let mut points = vec![];
        crate::base::tensor::for_each_index(&shape, |at| points.push(at.to_vec()));
        for at in points {
            for ((var, _), i) in vars.iter().zip(&at) {
                let i = self.b.ins().iconst(types::I64, *i as i64);
                self.vars.push((*var, i, 1));
            }
            // The extent of an unrolled variable is unknown to guards: they are tested.
            for (slot, (_, n)) in self.vars.iter_mut().rev().zip(vars.iter().rev()) {
                slot.2 = *n;
            }
            self.scopes.push(HashMap::new());
            acc = self.accumulate(fold, &acc, body);
            self.scopes.pop();
            self.vars.truncate(self.vars.len() - vars.len());
        }
        acc[0]
    }

    fn reduce_loops(&mut self, fold: Fold, vars: &[(Var, usize)], body: &Expr, acc: Vec<Value>) -> Vec<Value> {
        let Some(((var, n), rest)) = vars.split_first() else {
            return self.accumulate(fold, &acc, body);
        };
        self.looped(*var, *n as i64, 1, acc, |s, acc| s.reduce_loops(fold, rest, body, acc))
    }

    /// A counted loop that carries values.
    fn looped(
        &mut self,
        var: Var,
        end: i64,
        by: i64,
        acc: Vec<Value>,
        body: impl FnOnce(&mut Self, Vec<Value>) -> Vec<Value>,
    ) -> Vec<Value> {
        let head = self.b.create_block();
        let exit = self.b.create_block();
        let i = self.b.append_block_param(head, types::I64);
        let mut carried = vec![];
        let mut results = vec![];
        for a in &acc {
            let ty = self.b.func.dfg.value_type(*a);
            carried.push(self.b.append_block_param(head, ty));
            results.push(self.b.append_block_param(exit, ty));
        }
        let zero = self.b.ins().iconst(types::I64, 0);
        let mut args = vec![BlockArg::Value(zero)];
        args.extend(acc.iter().map(|a| BlockArg::Value(*a)));
        self.b.ins().jump(head, &args);
        self.b.switch_to_block(head);
        self.vars.push((var, i, end as usize));
        self.scopes.push(HashMap::new());
        let out = body(self, carried);
        self.scopes.pop();
        self.vars.pop();
        let next = self.b.ins().iadd_imm_s(i, by);
        let more = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, next, end);
        let exit_args: Vec<BlockArg> = out.iter().map(|v| BlockArg::Value(*v)).collect();
        let mut head_args = vec![BlockArg::Value(next)];
        head_args.extend(exit_args.iter().copied());
        self.b.ins().brif(more, head, &head_args, exit, &exit_args);
        self.b.seal_block(head);
        self.b.switch_to_block(exit);
        self.b.seal_block(exit);
        results
    }

    /// A reduction whose innermost variable runs across the lanes; lanes are combined pairwise at the end.
    fn reduce_across(&mut self, fold: Fold, outer: &[(Var, usize)], inner: (Var, usize), body: &Expr) -> Value {
        let (var, n) = inner;
        let whole = n as i64 / LANES * LANES;
        self.vector = Some(var);
        let wide = self.start(fold);
        self.vector = None;
        let narrow = self.start(fold);
        let mut acc = wide;
        acc.extend(narrow);
        let acc = self.across(fold, outer, (var, n, whole), body, acc);
        let (wide, mut total) = (acc[0], acc[1]);
        for lane in 0..LANES {
            let x = self.b.ins().extractlane(wide, lane as u8);
            total = match fold {
                Fold::Add => self.b.ins().fadd(total, x),
                Fold::Max | Fold::ArgMax => self.larger(total, x),
            };
        }
        total
    }

    fn across(
        &mut self,
        fold: Fold,
        outer: &[(Var, usize)],
        inner: (Var, usize, i64),
        body: &Expr,
        acc: Vec<Value>,
    ) -> Vec<Value> {
        if let Some(((v, n), rest)) = outer.split_first() {
            return self.looped(*v, *n as i64, 1, acc, |s, acc| s.across(fold, rest, inner, body, acc));
        }
        let (var, n, whole) = inner;
        let narrow = acc[1];
        let wide = self.looped(var, whole, LANES, vec![acc[0]], |s, acc| {
            s.vector = Some(var);
            let out = s.accumulate(fold, &acc, body);
            s.vector = None;
            out
        })[0];
        let mut total = vec![narrow];
        for rest in whole..n as i64 {
            let i = self.b.ins().iconst(types::I64, rest);
            self.vars.push((var, i, n));
            self.scopes.push(HashMap::new());
            total = self.accumulate(fold, &total, body);
            self.scopes.pop();
            self.vars.pop();
        }
        vec![wide, total[0]]
    }
}

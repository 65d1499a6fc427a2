//! Reductions as Cranelift instructions: written out, as loops, or across the lanes of a vector.

use super::function::{LANES, Lowerer};
use super::math::Machine;
use crate::base::Var;
use crate::loops::{Binary, Expr, Fold, Node};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};
use std::collections::HashMap;
use std::sync::Arc;

/// A reduction of at most this many terms is written out.
pub(super) const UNROLL: usize = 16;

impl Lowerer<'_, '_> {
    pub(super) fn reduce(&mut self, fold: Fold, vars: &[(Var, usize)], body: &Expr) -> Value {
        let count: usize = vars.iter().map(|(_, n)| n).product();
        if count <= UNROLL {
            return self.reduce_unrolled(fold, vars, body);
        }
        let across = vars.last().copied().filter(|(var, n)| {
            self.vector.is_none()
                && *n >= 2 * LANES as usize
                && fold != Fold::ArgMax
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
    pub(super) fn start(&mut self, fold: Fold) -> Vec<Value> {
        match fold {
            Fold::Add => vec![self.constant(0.0)],
            Fold::Max => vec![self.constant(f32::NEG_INFINITY)],
            Fold::ArgMax => vec![self.constant(0.0), self.constant(f32::NEG_INFINITY), self.constant(0.0)],
        }
    }

    pub(super) fn accumulate(&mut self, fold: Fold, acc: &[Value], body: &Expr) -> Vec<Value> {
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
    pub(super) fn looped(
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

//! Sums over a table for several vectors of neighbouring columns at once: chains of additions that do not wait for
//! each other, and whole cache lines read while they are there. Gradients of biases and the sums of batch
//! normalization are such sums.

use super::function::{LANES, Lowerer};
use super::reduce::UNROLL;
use crate::base::Var;
use crate::loops::nest::{For, Stmt};
use crate::loops::{Expr, Fold, Node, Store};
use cranelift_codegen::ir::{InstBuilder, Value, types};
use std::collections::HashMap;
use std::sync::Arc;

/// Vectors at once.
const CHAINS: i64 = 4;

/// What a vector loop stores, where it is a long sum (or maximum) and nothing else.
pub(super) struct Columns<'f> {
    store: &'f Store,
    fold: Fold,
    vars: &'f [(Var, usize)],
    body: &'f Expr,
}

/// Everything that a vector loop stores, if all of it is long sums.
pub(super) fn columns(f: &For) -> Option<Vec<Columns<'_>>> {
    let [Stmt::Group(stores)] = &f.body[..] else { return None };
    let long = |store| long_sum(store).filter(|_| f.extent as i64 >= CHAINS * LANES);
    stores.iter().map(long).collect()
}

fn long_sum(store: &Store) -> Option<Columns<'_>> {
    let Node::Reduce { fold: fold @ (Fold::Add | Fold::Max), vars, body } = &*store.value else { return None };
    let terms: usize = vars.iter().map(|(_, n)| n).product();
    (terms > UNROLL).then_some(Columns { store, fold: *fold, vars, body })
}

impl Lowerer<'_, '_> {
    /// Does as many whole blocks as there are; gives the number of columns done.
    pub(super) fn columns(&mut self, f: &For, c: &Columns<'_>) -> i64 {
        let step = CHAINS * LANES;
        let end = f.extent as i64 / step * step;
        let zero = self.b.ins().iconst(types::I64, 0);
        self.vector = Some(f.var);
        self.counted(zero, end, step, |s, i| {
            let at: Vec<Value> = (0..CHAINS).map(|k| s.b.ins().iadd_imm_s(i, k * LANES)).collect();
            let inner: Vec<Var> = c.vars.iter().map(|(v, _)| *v).collect();
            let mut fixed = s.free.invariants(c.body, &inner, &Default::default());
            fixed.retain(|e| !Arc::ptr_eq(e, c.body));
            // What each vector of columns needs in every term, computed once.
            let mut known = vec![];
            for i in &at {
                s.vars.push((f.var, *i, f.extent));
                s.scopes.push(HashMap::new());
                for e in &fixed {
                    s.eval(e);
                }
                known.extend(s.scopes.pop());
                s.vars.pop();
            }
            let start = (0..CHAINS).map(|_| s.start(c.fold)[0]).collect();
            let sums = s.terms(c.vars, start, &mut |s, sums| {
                let each = at.iter().zip(&known).zip(sums);
                each.map(|((i, known), sum)| {
                    s.vars.push((f.var, *i, f.extent));
                    s.scopes.push(known.clone());
                    s.scopes.push(HashMap::new());
                    let sum = s.accumulate(c.fold, &[sum], c.body)[0];
                    s.scopes.truncate(s.scopes.len() - 2);
                    s.vars.pop();
                    sum
                })
                .collect()
            });
            for (i, sum) in at.iter().zip(sums) {
                s.vars.push((f.var, *i, f.extent));
                s.scopes.push(HashMap::new());
                s.put(c.store, sum);
                s.scopes.pop();
                s.vars.pop();
            }
        });
        self.vector = None;
        end
    }

    /// Loops over all terms that carry the sums.
    fn terms(
        &mut self,
        vars: &[(Var, usize)],
        sums: Vec<Value>,
        each: &mut dyn FnMut(&mut Self, Vec<Value>) -> Vec<Value>,
    ) -> Vec<Value> {
        let Some(((var, n), rest)) = vars.split_first() else { return each(self, sums) };
        self.looped(*var, *n as i64, 1, sums, |s, sums| s.terms(rest, sums, each))
    }
}

//! Loops over whole vectors of eight or sixteen, encoded here: Cranelift's vectors have four lanes.
//!
//! A nest of element-wise loops, of rows that are folded, or of columns that are, becomes one function of its own, which the function of the
//! step calls. It computes what Cranelift's code for one lane would, operation by operation, with a mask for the last
//! lanes; what it cannot (guards, lookups that depend on the loop, powers) stays with Cranelift.

mod columns;
mod emit;
mod expressions;
mod folds;
mod general;
mod instructions;
mod pins;
mod plan;
mod registers;
mod rows;
#[cfg(test)]
mod tests;
mod values;
mod vex;

use crate::base::{Buffer, Var};
use crate::loops::nest::{For, Kind, Program, Step, Stmt};
use crate::loops::{Coord, Expr};
use std::collections::{HashMap, HashSet};

/// Shorter loops stay with Cranelift.
const LEAST: usize = 8;

/// A nest as a function: what it is called with, in this order.
pub struct Call {
    /// Which function.
    pub code: usize,
    /// Addresses, where the loop variables are 0.
    pub pointers: Vec<(Buffer, Vec<Coord>)>,
    /// Numbers that are the same for the whole call.
    pub scalars: Vec<Expr>,
    /// The variables of the loops.
    pub vars: Vec<(Var, usize)>,
}

/// All calls of a program, by the loops that they stand for, and the functions.
#[derive(Default)]
pub struct Calls {
    /// Of the vectors: 8 or 16.
    lanes: usize,
    pub of: HashMap<usize, Call>,
    /// Loops that are a part of a function which a later one stands for.
    pub part: HashSet<usize>,
    pub codes: Vec<Vec<u8>>,
    known: HashMap<Vec<u8>, usize>,
}

impl Calls {
    /// Finds every nest of some steps that can be a function, in vectors of `lanes`. `roots`: the buffer whose memory each is.
    pub fn find<'a>(program: &Program, roots: &[Buffer], steps: impl Iterator<Item = &'a Step>, lanes: usize) -> Calls {
        let mut calls = Calls { lanes, ..Calls::default() };
        let mut context = plan::Context::new(program, roots, lanes);
        for step in steps {
            let mut extents = HashMap::from([(step.task, step.tasks)]);
            calls.stmts(&mut context, &step.body, &mut extents, (step.task, true));
        }
        calls
    }

    /// The functions that some statements call.
    pub fn used(&self, stmts: &[Stmt], found: &mut Vec<usize>) {
        for stmt in stmts {
            if let Stmt::For(f) = stmt {
                match self.of.get(&address(f)) {
                    Some(call) => found.push(call.code),
                    None if self.part.contains(&address(f)) => {}
                    None => self.used(&f.body, found),
                }
            }
        }
    }

    /// `around`: the variable of the loop next around them; are they those by which the lives of scratch are counted?
    fn stmts(
        &mut self,
        context: &mut plan::Context<'_>,
        stmts: &[Stmt],
        extents: &mut HashMap<Var, usize>,
        (around, timed): (Var, bool),
    ) {
        let mut done = 0;
        for (at, stmt) in stmts.iter().enumerate() {
            let Stmt::For(f) = stmt else { continue };
            if at < done {
                continue;
            }
            if let Some((plan, loops, taken)) = rows::plan(context, &stmts[at..], extents, timed)
                && let [parts @ .., last] = &loops[..]
            {
                self.part.extend(parts.iter().map(|f| address(f)));
                self.add(last, plan);
                done = at + taken;
                continue;
            }
            let plan = plan::plan(context, f, extents, around);
            match plan {
                Some(plan) => self.add(f, plan),
                None => {
                    extents.insert(f.var, f.extent);
                    self.stmts(context, &f.body, extents, (f.var, timed && f.is_sequence()));
                    extents.remove(&f.var);
                }
            }
        }
    }

    fn add(&mut self, f: &For, plan: plan::Plan) {
        let bytes = emit::function(&plan, self.lanes);
        let next = self.codes.len();
        let code = *self.known.entry(bytes).or_insert_with_key(|bytes| {
            self.codes.push(bytes.clone());
            next
        });
        let pointers = plan.pointers.into_iter().map(|p| (p.buffer, p.at)).collect();
        let call = Call { code, pointers, scalars: plan.scalars, vars: plan.vars };
        self.of.insert(address(f), call);
    }
}

/// Is it a loop whose iterations are rows, or vectors?
fn is_plain(f: &For) -> bool {
    f.within.is_none() && matches!(f.kind, Kind::Serial | Kind::Vector)
}

/// What loops are known by.
pub fn address(f: &For) -> usize {
    std::ptr::from_ref(f) as usize
}

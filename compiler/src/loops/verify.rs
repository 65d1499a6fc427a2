//! What must hold of every kernel before code is made from it:
//!
//! - every variable is bound where it is used: by an axis or by a reduction around it, once;
//! - a load or store has one coordinate per axis of its buffer;
//! - every coordinate lies in its axis: by interval arithmetic over the variables' ranges, or because a guard
//!   around it says so; an index from data has an extent no larger than its axis;
//! - guards and reductions have no extent of 0.
//!
//! So generated code needs no bounds check. An expression is a DAG: a node is checked once for each
//! set of guards that it stands under.

use super::affine::Affine;
use super::expr::{Coord, Expr, Node};
use super::kernel::Kernel;
use crate::base::{Buffer, Var};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// The first broken invariant, in words. `shapes` are those of the buffers, by number.
pub fn kernel(kernel: &Kernel, shapes: &dyn Fn(Buffer) -> Option<Vec<usize>>) -> Result<(), String> {
    let mut check = Check { shapes, extents: BTreeMap::new(), guards: vec![], seen: HashSet::new() };
    check.bind(&kernel.axes)?;
    for store in &kernel.stores {
        check.access(store.buffer, &store.at)?;
        check.expr(&store.value)?;
    }
    Ok(())
}

/// How many guards may be needed together for one coordinate.
const GUARDS_AT_ONCE: usize = 3;

struct Check<'a> {
    shapes: &'a dyn Fn(Buffer) -> Option<Vec<usize>>,
    extents: BTreeMap<Var, usize>,
    guards: Vec<(Affine, usize)>,
    /// Nodes that hold under the present guards and variables.
    seen: HashSet<*const Node>,
}

impl Check<'_> {
    fn bind(&mut self, vars: &[(Var, usize)]) -> Result<(), String> {
        for (var, extent) in vars {
            if *extent == 0 {
                return Err(format!("{var} has no values"));
            }
            if self.extents.insert(*var, *extent).is_some() {
                return Err(format!("{var} is bound twice"));
            }
        }
        Ok(())
    }

    fn bound(&self, at: &Affine) -> Result<(), String> {
        match at.terms.iter().find(|(v, _)| !self.extents.contains_key(v)) {
            Some((v, _)) => Err(format!("{v} is not bound in {at}")),
            None => Ok(()),
        }
    }

    /// The range of `at`: from its variables, narrowed by the guards around.
    fn range(&self, at: &Affine) -> Result<(i64, i64), String> {
        self.bound(at)?;
        Ok(self.narrowed(at, GUARDS_AT_ONCE))
    }

    /// `at` is `factor * guard + rest` for every guard that shares a variable with it.
    fn narrowed(&self, at: &Affine, depth: usize) -> (i64, i64) {
        let (mut low, mut high) = at.range(&|v| self.extents[&v]);
        for (guard, extent) in if depth == 0 { &[] } else { &self.guards[..] } {
            for (var, c) in &guard.terms {
                let factor = at.coefficient(*var) / c;
                if factor == 0 || at.coefficient(*var) % c != 0 {
                    continue;
                }
                let (rest_low, rest_high) = self.narrowed(&(at - &(guard * factor)), depth - 1);
                let last = factor * (*extent as i64 - 1);
                low = low.max(rest_low + last.min(0));
                high = high.min(rest_high + last.max(0));
            }
        }
        (low, high)
    }

    fn access(&mut self, buffer: Buffer, at: &[Coord]) -> Result<(), String> {
        let shape = (self.shapes)(buffer).ok_or(format!("{buffer} does not exist"))?;
        if shape.len() != at.len() {
            return Err(format!("{buffer}: {} coordinates for {shape:?}", at.len()));
        }
        for (coord, axis) in at.iter().zip(&shape) {
            match coord {
                Coord::Affine(affine) => {
                    let (low, high) = self.range(affine)?;
                    // An empty range is a guard that never holds: nothing is read.
                    if low <= high && (low < 0 || high >= *axis as i64) {
                        return Err(format!("{buffer}: {affine} is in {low}..={high}, not below {axis}"));
                    }
                }
                Coord::Index { from, extent } => {
                    if extent > axis {
                        return Err(format!("{buffer}: an index below {extent} on an axis of {axis}"));
                    }
                    self.expr(from)?;
                }
            }
        }
        Ok(())
    }

    /// `body` in a scope of its own.
    fn within(&mut self, body: &Expr) -> Result<(), String> {
        let seen = std::mem::take(&mut self.seen);
        let result = self.expr(body);
        self.seen = seen;
        result
    }

    fn expr(&mut self, expr: &Expr) -> Result<(), String> {
        if !self.seen.insert(Arc::as_ptr(expr)) {
            return Ok(());
        }
        match &**expr {
            Node::Const(_) => Ok(()),
            Node::Coord(at) => self.bound(at),
            Node::Load(buffer, at) => self.access(*buffer, at),
            Node::Unary(_, x) => self.expr(x),
            Node::Binary(_, a, b) => {
                self.expr(a)?;
                self.expr(b)
            }
            Node::Select(condition, a, b) => {
                self.expr(condition)?;
                self.expr(a)?;
                self.expr(b)
            }
            Node::Reduce { vars, body, .. } => {
                self.bind(vars)?;
                self.within(body)?;
                for (var, _) in vars {
                    self.extents.remove(var);
                }
                Ok(())
            }
            Node::Guard { inside, body, .. } => {
                for (at, extent) in inside {
                    self.bound(at)?;
                    if *extent == 0 {
                        return Err(format!("a guard on {at} that never holds"));
                    }
                }
                let never = |(at, n): &(Affine, usize)| {
                    let (low, high) = self.narrowed(at, GUARDS_AT_ONCE);
                    high < 0 || low >= *n as i64
                };
                // The padding of something small: nobody evaluates the body.
                if inside.iter().any(never) {
                    return Ok(());
                }
                let outer = self.guards.len();
                self.guards.extend(inside.iter().cloned());
                self.within(body)?;
                self.guards.truncate(outer);
                Ok(())
            }
            Node::Random { step, counter, .. } => {
                self.bound(counter)?;
                self.expr(step)
            }
        }
    }
}

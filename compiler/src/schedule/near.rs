//! Loops of a group that read what others have just made do so while it lies in the nearest cache: some rows after some
//! rows ([`rows`]), or one panel of columns after the tiles that make it ([`panels`]), and over it where nobody reads it
//! again ([`in_place`]). The same numbers come out, in the same order of additions.

mod in_place;
mod panels;
pub(super) mod rows;

use super::group::loads;
use super::steps::{plain, rewrite, root_of};
use crate::base::{Buffer, Var};
use crate::loops::nest::{For, Kind, Program, Stmt};
use crate::loops::{Affine, BufferType, Coord, How, Kernel, Node, Scope, Store};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Floats that lie in the nearest cache beside other things.
const NEAR: usize = 8 * 1024;

/// Moves loops closer together in all steps. `lanes`: of a vector.
pub(super) fn run(program: &mut Program, scope: &mut Scope, lanes: usize) {
    in_place::run(program);
    let mut steps = std::mem::take(&mut program.steps);
    for step in &mut steps {
        for stmt in &mut step.body {
            if let Stmt::For(f) = stmt
                && f.kind == Kind::Sequence
            {
                let body = panels::followed(&program.buffers, std::mem::take(&mut f.body));
                f.body = rows::blocked(&program.buffers, (scope, lanes), body);
            }
        }
    }
    program.steps = steps;
}

/// Element-wise loops and folds: each point has one store.
struct Nest {
    axes: Vec<(Var, usize)>,
    store: Store,
}

impl Nest {
    /// What a statement is, if it is that.
    fn of(stmt: &Stmt) -> Option<Nest> {
        let Stmt::For(mut f) = stmt.clone() else { return None };
        let mut axes = vec![];
        loop {
            let last = f.kind == Kind::Vector;
            if f.within.is_some() || !matches!(f.kind, Kind::Vector | Kind::Serial) {
                return None;
            }
            axes.push((f.var, f.extent));
            match (last, f.body.pop(), f.body.is_empty()) {
                (false, Some(Stmt::For(inner)), true) => f = inner,
                (true, Some(Stmt::Group(mut stores)), true) if stores.len() == 1 => {
                    let store = stores.pop().filter(|s| s.how == How::Set)?;
                    return Some(Nest { axes, store });
                }
                _ => return None,
            }
        }
    }

    /// For `counts` of the axes, variables replaced.
    fn part(&self, axes: Vec<(Var, usize)>, with: &HashMap<Var, Affine>) -> Vec<Stmt> {
        let kernel = Kernel { axes, stores: vec![self.store.clone()] };
        plain(&rewrite(&kernel, with, &mut |b, at| Arc::new(Node::Load(b, at))))
    }

    /// Every load, with its coordinates where they are plain.
    fn loads(&self, mut f: impl FnMut(Buffer, Option<&[Affine]>)) {
        let mut seen = HashSet::new();
        loads(&self.store.value, &mut seen, &mut |b, at| f(b, affine(at).as_deref()));
        for c in &self.store.at {
            if let Coord::Index { from, .. } = c {
                loads(from, &mut seen, &mut |b, _| f(b, None));
            }
        }
    }
}

/// Coordinates none of which is an index.
fn affine(at: &[Coord]) -> Option<Vec<Affine>> {
    let plain = |c: &Coord| match c {
        Coord::Affine(a) => Some(a.clone()),
        Coord::Index { .. } => None,
    };
    at.iter().map(plain).collect()
}

/// Memory, and how it is divided: names of the same are the same table.
fn table(buffers: &[BufferType], b: Buffer) -> (Buffer, &[usize]) {
    (root_of(buffers, b), &buffers[b.index()].shape)
}

/// All statements, those inside others too.
fn every<'a>(stmts: &'a [Stmt], f: &mut impl FnMut(&'a Stmt)) {
    for stmt in stmts {
        f(stmt);
        if let Stmt::For(inner) = stmt {
            every(&inner.body, f);
        }
    }
}

/// A loop that runs through.
fn serial(var: Var, extent: usize, body: Vec<Stmt>) -> Stmt {
    Stmt::For(For { var, extent, kind: Kind::Serial, within: None, body })
}

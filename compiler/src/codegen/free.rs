//! Which loop variables an expression depends on, remembered per node.

use crate::base::{Buffer, Var};
use crate::loops::{Coord, Expr, Node};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

/// Free variables of the nodes of one function's expressions.
pub struct Free<'a> {
    known: HashMap<*const Node, Rc<Vec<Var>>>,
    /// The buffer whose memory each buffer is.
    roots: &'a [Buffer],
}

impl<'r> Free<'r> {
    pub fn new(roots: &'r [Buffer]) -> Free<'r> {
        Free { known: HashMap::new(), roots }
    }

    /// The buffer whose memory `buffer` is.
    pub fn root(&self, buffer: Buffer) -> Buffer {
        self.roots[buffer.index()]
    }

    pub fn of(&mut self, e: &Expr) -> Rc<Vec<Var>> {
        if let Some(vars) = self.known.get(&Arc::as_ptr(e)) {
            return vars.clone();
        }
        let mut vars = vec![];
        match &**e {
            Node::Const(_) => {}
            Node::Coord(a) => vars.extend(a.terms.iter().map(|t| t.0)),
            Node::Load(_, at) => {
                for c in at {
                    match c {
                        Coord::Affine(a) => vars.extend(a.terms.iter().map(|t| t.0)),
                        Coord::Index { from, .. } => vars.extend(self.of(from).iter()),
                    }
                }
            }
            Node::Unary(_, x) => vars.extend(self.of(x).iter()),
            Node::Binary(_, x, y) => {
                vars.extend(self.of(x).iter());
                vars.extend(self.of(y).iter());
            }
            Node::Select(c, x, y) => {
                for part in [c, x, y] {
                    vars.extend(self.of(part).iter());
                }
            }
            Node::Reduce { vars: bound, body, .. } => {
                vars.extend(self.of(body).iter().filter(|v| bound.iter().all(|(b, _)| b != *v)));
            }
            Node::Guard { inside, body, .. } => {
                vars.extend(self.of(body).iter());
                vars.extend(inside.iter().flat_map(|(a, _)| a.terms.iter().map(|t| t.0)));
            }
            Node::Random { step, counter, .. } => {
                vars.extend(self.of(step).iter());
                vars.extend(counter.terms.iter().map(|t| t.0));
            }
        }
        vars.sort_unstable();
        vars.dedup();
        let vars = Rc::new(vars);
        self.known.insert(Arc::as_ptr(e), vars.clone());
        vars
    }

    pub fn depends(&mut self, e: &Expr, var: Var) -> bool {
        self.of(e).binary_search(&var).is_ok()
    }

    /// The largest parts of `e` that depend on none of `inner` and read nothing that is `written` (root buffers).
    /// Nothing inside a guard is taken, since it may only be evaluated where the guard holds.
    pub fn invariants(&mut self, e: &Expr, inner: &[Var], written: &HashSet<Buffer>) -> Vec<Expr> {
        let mut search = Search { free: self, written, seen: HashSet::new(), found: vec![] };
        search.visit(e, inner);
        search.found
    }
}

struct Search<'a, 'r> {
    free: &'a mut Free<'r>,
    written: &'a HashSet<Buffer>,
    seen: HashSet<*const Node>,
    found: Vec<Expr>,
}

impl Search<'_, '_> {
    fn visit(&mut self, e: &Expr, inner: &[Var]) {
        if matches!(&**e, Node::Const(_) | Node::Coord(_)) || !self.seen.insert(Arc::as_ptr(e)) {
            return;
        }
        if self.free.of(e).iter().all(|v| !inner.contains(v)) && !self.reads(e, &mut HashSet::new()) {
            self.found.push(e.clone());
            return;
        }
        match &**e {
            Node::Const(_) | Node::Coord(_) | Node::Load(..) | Node::Guard { .. } => {}
            Node::Unary(_, x) => self.visit(x, inner),
            Node::Binary(_, x, y) => {
                self.visit(x, inner);
                self.visit(y, inner);
            }
            Node::Select(c, x, y) => {
                for part in [c, x, y] {
                    self.visit(part, inner);
                }
            }
            Node::Reduce { vars, body, .. } => {
                let mut inner = inner.to_vec();
                inner.extend(vars.iter().map(|(v, _)| *v));
                self.visit(body, &inner);
            }
            Node::Random { step, .. } => self.visit(step, inner),
        }
    }

    /// Does `e` load from a buffer that is written?
    fn reads(&self, e: &Expr, seen: &mut HashSet<*const Node>) -> bool {
        if self.written.is_empty() || !seen.insert(Arc::as_ptr(e)) {
            return false;
        }
        match &**e {
            Node::Const(_) | Node::Coord(_) => false,
            Node::Load(b, at) => {
                self.written.contains(&self.free.root(*b))
                    || at.iter().any(|c| match c {
                        Coord::Affine(_) => false,
                        Coord::Index { from, .. } => self.reads(from, seen),
                    })
            }
            Node::Unary(_, x) => self.reads(x, seen),
            Node::Binary(_, x, y) => self.reads(x, seen) || self.reads(y, seen),
            Node::Select(c, x, y) => self.reads(c, seen) || self.reads(x, seen) || self.reads(y, seen),
            Node::Reduce { body, .. } | Node::Guard { body, .. } => self.reads(body, seen),
            Node::Random { step, .. } => self.reads(step, seen),
        }
    }
}

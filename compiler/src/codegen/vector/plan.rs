//! From a nest to the list of what its function computes.

use super::values::{Id, Op, Two, Values};
use super::{LANES, is_plain};
use crate::base::{Buffer, Var};
use crate::codegen::free::Free;
use crate::codegen::math::{Functions, Machine};
use crate::loops::nest::{For, Kind, Program, Stmt};
use crate::loops::{Affine, Binary, Coord, Expr, Fold, How, Node, Store, Unary, expr};
use cranelift_codegen::ir::condcodes::FloatCC;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A sum of at most this many terms is written out.
const UNROLL: usize = 16;
/// Fewer iterations in all do not pay for a call.
const LEAST_WORK: usize = 16;

/// A place in memory and how far it moves from row to row.
pub struct Pointer {
    pub buffer: Buffer,
    /// The memory that the buffer is.
    root: Buffer,
    pub at: Vec<Coord>,
    pub row: i64,
    position: Affine,
}

/// A loop over vectors: folded, or stored.
pub struct Phase {
    pub extent: usize,
    pub folds: Option<(Fold, Id)>,
}

/// Everything about one function.
pub struct Plan {
    pub values: Values,
    pub pointers: Vec<Pointer>,
    pub scalars: Vec<Expr>,
    /// In their order; those that fold come before the one that stores.
    pub phases: Vec<Phase>,
    /// Pointers and values; by vectors in the last phase, or one number for each row.
    pub stores: Vec<(u16, Id)>,
    pub by_vectors: bool,
    pub rows: usize,
    pub vars: Vec<(Var, usize)>,
}

impl Plan {
    /// Do two pointers show the same memory?
    pub fn overlap(&self, a: u16, b: u16) -> bool {
        self.pointers[a as usize].root == self.pointers[b as usize].root
    }
}

/// What all plans of a program share.
pub struct Context<'a> {
    pub program: &'a Program,
    pub free: Free,
    /// What was rewritten stays alive: `free` goes by address.
    kept: Vec<Expr>,
}

impl<'a> Context<'a> {
    pub fn new(program: &'a Program) -> Context<'a> {
        let root = |mut b: Buffer| {
            while let Some(of) = program.buffers[b.index()].alias {
                b = of;
            }
            b
        };
        let roots = (0..program.buffers.len() as u32).map(|i| root(Buffer(i))).collect();
        Context { program, free: Free::new(roots), kept: vec![] }
    }
}

/// The plan of a nest, if it can be a function.
pub fn plan(context: &mut Context<'_>, f: &For, extents: &HashMap<Var, usize>) -> Option<Plan> {
    if !is_plain(f) {
        return None;
    }
    match &f.body[..] {
        [Stmt::For(g)] if g.kind == Kind::Vector && is_plain(g) => {
            let [Stmt::Group(stores)] = &g.body[..] else { return None };
            Planner::run(context, extents, Some((f.var, f.extent)), Some((g.var, g.extent)), stores)
        }
        [Stmt::Group(stores)] => {
            let inner = (f.var, f.extent);
            let mut by_vectors = || Planner::run(context, extents, None, Some(inner), stores);
            let found = if f.kind == Kind::Vector { by_vectors() } else { None };
            if found.is_some() || !stores.iter().any(|s| folds(&s.value)) {
                return found;
            }
            Planner::run(context, extents, Some(inner), None, stores)
        }
        _ => None,
    }
}

/// Is there a long fold in an expression?
fn folds(e: &Expr) -> bool {
    let long = |vars: &[(Var, usize)]| vars.iter().map(|(_, n)| n).product::<usize>() > UNROLL;
    matches!(&**e, Node::Reduce { vars, .. } if long(vars)) || expr::children(e).into_iter().any(folds)
}

struct Planner<'a, 'p> {
    context: &'a mut Context<'p>,
    extents: HashMap<Var, usize>,
    row: Option<Var>,
    /// The variable of the loop over vectors that is being filled, if any is.
    inner: Option<Var>,
    written: HashSet<Buffer>,
    known: HashMap<(*const Node, u16), Id>,
    plan: Plan,
}

impl<'a, 'p> Planner<'a, 'p> {
    fn run(
        context: &'a mut Context<'p>,
        extents: &HashMap<Var, usize>,
        rows: Option<(Var, usize)>,
        inner: Option<(Var, usize)>,
        stores: &[Store],
    ) -> Option<Plan> {
        let all: Vec<(Var, usize)> = rows.into_iter().chain(inner).collect();
        let count = |x: Option<(Var, usize)>| x.map_or(1, |(_, n)| n);
        if count(rows) * count(inner) == 0 || inner.is_some_and(|(_, n)| n < LANES || n * count(rows) < LEAST_WORK) {
            return None;
        }
        let mut extents = extents.clone();
        extents.extend(all.iter().copied());
        let plan = Plan {
            values: Values::default(),
            pointers: vec![],
            scalars: vec![],
            phases: vec![],
            stores: vec![],
            by_vectors: inner.is_some(),
            rows: count(rows),
            vars: all,
        };
        let written = stores.iter().map(|s| context.free.root(s.buffer)).collect();
        let mut p = Planner {
            context,
            extents,
            row: rows.map(|(v, _)| v),
            inner: inner.map(|(v, _)| v),
            written,
            known: HashMap::new(),
            plan,
        };
        // The phase of the stores has the number of all that fold, which are found on the way.
        p.plan.values.phase = u16::MAX;
        for s in stores {
            p.store(s)?;
        }
        if let Some((_, extent)) = inner {
            p.plan.phases.push(Phase { extent, folds: None });
        }
        Some(p.plan)
    }

    fn store(&mut self, s: &Store) -> Option<()> {
        let mut value = self.value(&s.value)?;
        let (pointer, step) = self.pointer(s.buffer, &s.at)?;
        if step != i64::from(self.plan.by_vectors) {
            return None;
        }
        if s.how == How::Add {
            let op = if self.plan.by_vectors { Op::Load(pointer) } else { Op::Shown(pointer) };
            let old = self.plan.values.get(op);
            value = self.plan.values.add(old, value);
        }
        self.plan.stores.push((pointer, value));
        Some(())
    }

    /// A pointer to a place, and how far it moves with the loop over vectors.
    fn pointer(&mut self, buffer: Buffer, at: &[Coord]) -> Option<(u16, i64)> {
        for c in at {
            if let Coord::Index { from, .. } = c {
                let reads_written = reads(from, &self.context.free, &self.written);
                if reads_written || !self.is_fixed(from) {
                    return None;
                }
            }
        }
        let strides = strides(self.context.program, buffer);
        let mut position = Affine::default();
        for (c, s) in at.iter().zip(strides) {
            if let Coord::Affine(a) = c {
                position = &position + &(a * s);
            }
        }
        let step = self.inner.map_or(0, |v| position.coefficient(v));
        let row = self.row.map_or(0, |v| position.coefficient(v));
        let same = |p: &Pointer| p.buffer == buffer && p.position == position && indices(&p.at).eq(indices(at));
        let found = self.plan.pointers.iter().position(same);
        let root = self.context.free.root(buffer);
        let i = found.unwrap_or_else(|| {
            self.plan.pointers.push(Pointer { buffer, root, at: at.to_vec(), row, position });
            self.plan.pointers.len() - 1
        });
        let near = |n: i64| n.abs() < 1 << 28;
        near(row).then_some((i as u16, step))
    }

    /// Does nothing in `e` change with the rows or the vectors?
    fn is_fixed(&mut self, e: &Expr) -> bool {
        let moving: Vec<Var> =
            self.row.into_iter().chain(self.inner).chain(self.plan.vars.iter().map(|v| v.0)).collect();
        moving.into_iter().all(|v| !self.context.free.depends(e, v))
    }

    fn value(&mut self, e: &Expr) -> Option<Id> {
        let key = (Arc::as_ptr(e), self.plan.values.phase);
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        let id = self.compute(e)?;
        self.known.insert(key, id);
        Some(id)
    }

    fn compute(&mut self, e: &Expr) -> Option<Id> {
        if let Node::Const(bits) = **e {
            return Some(self.plan.values.get(Op::Constant(bits)));
        }
        if self.is_fixed(e) {
            return self.scalar(e);
        }
        match &**e {
            Node::Const(_) | Node::Random { .. } => None,
            Node::Coord(a) => self.coordinate(a),
            Node::Load(b, at) => self.load(*b, at),
            Node::Unary(op, x) => {
                let x = self.value(x)?;
                self.unary(*op, x)
            }
            Node::Binary(op, a, b) => self.binary(*op, a, b),
            Node::Select(c, a, b) => {
                let (a, b) = (self.value(a)?, self.value(b)?);
                let mask = self.condition(c)?;
                Some(self.plan.values.get(Op::Blend(mask, a, b)))
            }
            Node::Reduce { fold, vars, body } => self.reduce(*fold, vars, body),
            Node::Guard { inside, body, .. } => {
                let extents = &self.extents;
                let holds = inside.iter().all(|(a, n)| {
                    let known = a.terms.iter().all(|(v, _)| extents.contains_key(v));
                    let (low, high) = a.range(&|v| extents.get(&v).copied().unwrap_or(1));
                    known && low >= 0 && high < *n as i64
                });
                if holds { self.value(body) } else { None }
            }
        }
    }

    fn scalar(&mut self, e: &Expr) -> Option<Id> {
        if reads(e, &self.context.free, &self.written) {
            return None;
        }
        let known = self.plan.scalars.iter().position(|x| Arc::ptr_eq(x, e));
        let i = known.unwrap_or_else(|| {
            self.plan.scalars.push(e.clone());
            self.plan.scalars.len() - 1
        });
        Some(self.plan.values.get(Op::Scalar(i as u16)))
    }

    fn coordinate(&mut self, a: &Affine) -> Option<Id> {
        let moving = [(self.row, Op::RowPlace), (self.inner, Op::Places)];
        let mut rest = a.clone();
        let mut sum = None;
        for (var, op) in moving {
            let Some(var) = var else { continue };
            let by = rest.coefficient(var);
            if by == 0 {
                continue;
            }
            rest = rest.substitute(&|v| if v == var { Affine::default() } else { Affine::from(v) });
            let place = self.plan.values.get(op);
            let term = match by {
                1 => place,
                _ => {
                    let by = self.plan.values.constant(by as f32);
                    self.plan.values.mul(place, by)
                }
            };
            sum = Some(match sum {
                None => term,
                Some(sum) => self.plan.values.add(sum, term),
            });
        }
        let sum = sum?;
        if rest.is_constant() {
            if rest.constant == 0 {
                return Some(sum);
            }
            let rest = self.plan.values.constant(rest.constant as f32);
            return Some(self.plan.values.add(sum, rest));
        }
        let rest: Expr = Arc::new(Node::Coord(rest));
        self.context.kept.push(rest.clone());
        let rest = self.scalar(&rest)?;
        Some(self.plan.values.add(sum, rest))
    }

    fn load(&mut self, buffer: Buffer, at: &[Coord]) -> Option<Id> {
        let (pointer, step) = self.pointer(buffer, at)?;
        let written = self.written.contains(&self.context.free.root(buffer));
        match step {
            0 if !written => Some(self.plan.values.get(Op::Shown(pointer))),
            // What is written may be read where the same element is written next.
            1 if !written || self.plan.values.phase == u16::MAX => Some(self.plan.values.get(Op::Load(pointer))),
            _ => None,
        }
    }

    fn unary(&mut self, op: Unary, x: Id) -> Option<Id> {
        let v = &mut self.plan.values;
        Some(match op {
            Unary::Neg => v.neg(x),
            Unary::Abs => v.abs(x),
            Unary::Exp => v.exp(x),
            Unary::Log => v.log(x),
            Unary::Sqrt => v.get(Op::Sqrt(x)),
            Unary::Tanh => v.tanh(x),
            Unary::Sigmoid => v.sigmoid(x),
            Unary::Erf => v.erf(x),
            Unary::Floor => v.get(Op::Floor(x)),
            Unary::Sin | Unary::Cos => return None,
        })
    }

    /// A mask that is set where `c` is not zero.
    fn condition(&mut self, c: &Expr) -> Option<Id> {
        if let Node::Binary(op, a, b) = &**c
            && let Some(cc) = comparison(*op)
            && !self.is_fixed(c)
        {
            let (a, b) = (self.value(a)?, self.value(b)?);
            return Some(self.plan.values.compare(cc, a, b));
        }
        let c = self.value(c)?;
        let zero = self.plan.values.constant(0.0);
        Some(self.plan.values.compare(FloatCC::NotEqual, c, zero))
    }

    fn binary(&mut self, op: Binary, a: &Expr, b: &Expr) -> Option<Id> {
        if op == Binary::Add {
            for (product, other) in [(a, b), (b, a)] {
                let key = (Arc::as_ptr(product), self.plan.values.phase);
                if let Node::Binary(Binary::Mul, p, q) = &**product
                    && !self.known.contains_key(&key)
                    && !self.is_fixed(product)
                {
                    let (p, q, c) = (self.value(p)?, self.value(q)?, self.value(other)?);
                    return Some(self.plan.values.fma(p, q, c));
                }
            }
        }
        let (x, y) = (self.value(a)?, self.value(b)?);
        let v = &mut self.plan.values;
        Some(match op {
            Binary::Add => v.add(x, y),
            Binary::Sub => v.sub(x, y),
            Binary::Mul => v.mul(x, y),
            Binary::Div => v.div(x, y),
            Binary::Max => self.extreme(Two::Max, (a, x), (b, y)),
            Binary::Min => self.extreme(Two::Min, (a, x), (b, y)),
            Binary::Pow => return None,
            Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne => {
                let (one, zero) = (v.constant(1.0), v.constant(0.0));
                let mask = v.compare(comparison(op)?, x, y);
                v.get(Op::Blend(mask, one, zero))
            }
        })
    }

    /// The larger or smaller; NaN if either is. The instruction gives its second operand where one is NaN.
    fn extreme(&mut self, op: Two, (a, x): (&Expr, Id), (b, y): (&Expr, Id)) -> Id {
        let number = |e: &Expr| matches!(**e, Node::Const(bits) if !f32::from_bits(bits).is_nan());
        let v = &mut self.plan.values;
        if number(b) {
            return v.get(Op::Two(op, y, x));
        }
        let larger = v.get(Op::Two(op, x, y));
        if number(a) {
            return larger;
        }
        let mask = v.compare(FloatCC::Unordered, x, x);
        v.get(Op::Blend(mask, x, larger))
    }

    fn reduce(&mut self, fold: Fold, vars: &[(Var, usize)], body: &Expr) -> Option<Id> {
        let count: usize = vars.iter().map(|(_, n)| n).product();
        if fold == Fold::ArgMax {
            return None;
        }
        if count <= UNROLL {
            return self.written_out(fold, vars, body);
        }
        let [(var, n)] = vars[..] else { return None };
        // One loop is not inside another.
        let stores = self.plan.values.phase == u16::MAX;
        if !stores || self.inner.is_some_and(|inner| self.context.free.depends(body, inner)) || n < LANES {
            return None;
        }
        let inner = self.inner.replace(var);
        let phase = self.plan.phases.len() as u16;
        self.plan.values.phase = phase;
        self.extents.insert(var, n);
        self.plan.vars.push((var, n));
        // Its place is taken before a phase inside could be.
        self.plan.phases.push(Phase { extent: n, folds: None });
        let value = self.value(body)?;
        self.plan.phases[phase as usize].folds = Some((fold, value));
        self.inner = inner;
        self.plan.values.phase = u16::MAX;
        Some(self.plan.values.get(Op::Folded(phase)))
    }

    fn written_out(&mut self, fold: Fold, vars: &[(Var, usize)], body: &Expr) -> Option<Id> {
        let shape: Vec<usize> = vars.iter().map(|(_, n)| *n).collect();
        let mut points = vec![];
        crate::base::tensor::for_each_index(&shape, |at| points.push(at.to_vec()));
        let start = if fold == Fold::Max { f32::NEG_INFINITY } else { 0.0 };
        let mut sum = self.plan.values.constant(start);
        for at in points {
            let f = |a: &Affine| {
                a.substitute(&|v| {
                    let i = vars.iter().position(|(own, _)| *own == v);
                    i.map_or_else(|| Affine::from(v), |i| Affine::constant(at[i] as i64))
                })
            };
            let mut load = |b: Buffer, at: Vec<Coord>| -> Expr { Arc::new(Node::Load(b, at)) };
            let body = expr::Rewrite::new(&f, &mut load).expr(body);
            self.context.kept.push(body.clone());
            sum = match (fold, &*body) {
                (Fold::Add, Node::Binary(Binary::Mul, p, q)) => {
                    let (p, q) = (self.value(p)?, self.value(q)?);
                    self.plan.values.fma(p, q, sum)
                }
                _ => {
                    let x = self.value(&body)?;
                    let v = &mut self.plan.values;
                    if fold == Fold::Add { v.add(sum, x) } else { v.get(Op::Two(Two::Max, sum, x)) }
                }
            };
        }
        Some(sum)
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
        _ => return None,
    })
}

fn indices(at: &[Coord]) -> impl Iterator<Item = &Coord> {
    at.iter().filter(|c| matches!(c, Coord::Index { .. }))
}

fn strides(program: &Program, buffer: Buffer) -> Vec<i64> {
    let shape = &program.buffers[buffer.index()].shape;
    let mut strides = vec![1i64; shape.len()];
    for i in (0..shape.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * shape[i + 1] as i64;
    }
    strides
}

/// Does `e` load from a buffer that is written?
fn reads(e: &Expr, free: &Free, written: &HashSet<Buffer>) -> bool {
    let own = matches!(&**e, Node::Load(b, _) if written.contains(&free.root(*b)));
    own || expr::children(e).into_iter().any(|x| reads(x, free, written))
}

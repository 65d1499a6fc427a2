//! Recognizing contractions: `sum of a * b` over loads with affine coordinates, whatever op it came from.
//!
//! Dense layers, batched products, convolutions and their adjoints all have this form. The axes of the result are
//! *rows* (only `a` varies), *columns* (only `b` varies), or *outer* (both or neither); the innermost axis of the
//! result must be a column axis, and if it varies in the other operand the two change places.

use crate::base::{Buffer, Var};
use crate::loops::{Affine, Binary, Coord, Expr, Fold, How, Kernel, Node, Store};
use std::collections::HashMap;

/// An operand: a load whose elements outside `inside` count as 0.
#[derive(Clone, Debug)]
pub struct Operand {
    pub buffer: Buffer,
    pub at: Vec<Affine>,
    pub inside: Vec<(Affine, usize)>,
}

impl Operand {
    pub fn depends(&self, var: Var) -> bool {
        self.at.iter().chain(self.inside.iter().map(|(a, _)| a)).any(|a| a.coefficient(var) != 0)
    }

    fn substitute(&mut self, f: &dyn Fn(Var) -> Affine) {
        for a in self.at.iter_mut().chain(self.inside.iter_mut().map(|(a, _)| a)) {
            *a = a.substitute(f);
        }
    }

    /// Elements from one value of `var` to the next, for a dense buffer of `strides`.
    pub fn stride(&self, strides: &[i64], var: Var) -> i64 {
        self.at.iter().zip(strides).map(|(a, s)| a.coefficient(var) * s).sum()
    }
}

#[derive(Clone, Debug)]
pub struct Contraction {
    pub a: Operand,
    pub b: Operand,
    pub c: Buffer,
    pub c_at: Vec<Affine>,
    /// The column axis: unit stride in the result.
    pub column: (Var, usize),
    pub rows: Vec<(Var, usize)>,
    pub outer: Vec<(Var, usize)>,
    /// Summed over.
    pub sum: Vec<(Var, usize)>,
}

impl Contraction {
    /// Multiply-adds, each counted as two.
    pub fn flop(&self) -> u64 {
        let axes = self.rows.iter().chain(&self.outer).chain(&self.sum).chain([&self.column]);
        2 * axes.map(|(_, n)| *n as u64).product::<u64>()
    }

    /// Elements of the result.
    pub fn points(&self) -> usize {
        self.rows.iter().chain(&self.outer).chain([&self.column]).map(|(_, n)| n).product()
    }
}

/// Multiply-adds, each counted as two, of sums of products that are no contraction but read each factor several times (a
/// depthwise convolution). Sums over elements that are read once are element-wise work, which is not counted.
pub fn loose_flop(kernel: &Kernel) -> u64 {
    let of_store = |s: &Store| {
        let Node::Reduce { fold: Fold::Add, vars, body } = &*s.value else { return 0 };
        let Some((a, b)) = product(body) else { return 0 };
        let points: Vec<usize> = kernel.axes.iter().chain(vars).map(|(_, n)| *n).filter(|n| *n > 1).collect();
        let again = a.at.len() < points.len() && b.at.len() < points.len();
        if again { 2 * points.iter().map(|n| *n as u64).product::<u64>() } else { 0 }
    };
    kernel.stores.iter().map(of_store).sum()
}

/// The axis along which neighbours lie side by side, whatever groups of them there are.
fn unit(last: &Affine, axes: &[(Var, usize)]) -> Option<Var> {
    let mut units = last.terms.iter().filter(|(v, by)| *by == 1 && axes.iter().any(|(a, _)| a == v));
    units.next().map(|(v, _)| *v).filter(|_| units.next().is_none())
}

/// `axes` are the loop variables of the kernel that are not already bound.
pub fn recognize(axes: &[(Var, usize)], store: &Store) -> Option<Contraction> {
    if store.how != How::Set {
        return None;
    }
    let Node::Reduce { fold: Fold::Add, vars, body } = &*store.value else { return None };
    let (a, b) = product(body)?;
    let c_at: Vec<Affine> = store.at.iter().map(affine).collect::<Option<_>>()?;
    let column = unit(c_at.last()?, axes)?;
    let (mut a, mut b) = (a, b);
    match (a.depends(column), b.depends(column)) {
        (false, true) => {}
        (true, false) => std::mem::swap(&mut a, &mut b),
        (true, true) | (false, false) => return None,
    }
    let mut c = Contraction {
        column: *axes.iter().find(|(v, _)| *v == column)?,
        a,
        b,
        c: store.buffer,
        c_at,
        rows: vec![],
        outer: vec![],
        sum: vars.clone(),
    };
    for (v, n) in axes.iter().filter(|(v, _)| *v != column) {
        if c.a.depends(*v) && !c.b.depends(*v) { c.rows.push((*v, *n)) } else { c.outer.push((*v, *n)) }
    }
    if !c.sum.iter().all(|(v, n)| *n == 1 || (c.a.depends(*v) && c.b.depends(*v))) {
        return None;
    }
    c.sum.retain(|(_, n)| *n > 1);
    c.turn_around();
    Some(c)
}

impl Contraction {
    /// Puts `by` in the place of a variable of the rows.
    pub fn replace(&mut self, var: Var, by: &Affine) {
        let f = |v: Var| if v == var { by.clone() } else { Affine::from(v) };
        self.a.substitute(&f);
        self.b.substitute(&f);
        self.c_at.iter_mut().for_each(|at| *at = at.substitute(&f));
    }

    /// Counts summed axes so that `a` is read forwards: an input gradient reads `dy` backwards.
    fn turn_around(&mut self) {
        let backwards: HashMap<Var, usize> =
            self.sum.iter().filter(|(v, _)| self.a.at.iter().any(|x| x.coefficient(*v) < 0)).copied().collect();
        let f = |v: Var| match backwards.get(&v) {
            Some(n) => &Affine::constant(*n as i64 - 1) - &Affine::from(v),
            None => Affine::from(v),
        };
        self.a.substitute(&f);
        self.b.substitute(&f);
    }
}

pub(super) fn affine(c: &Coord) -> Option<Affine> {
    match c {
        Coord::Affine(a) => Some(a.clone()),
        Coord::Index { .. } => None,
    }
}

/// The two factors; guards around the product go to the factor they speak of.
pub(super) fn product(body: &Expr) -> Option<(Operand, Operand)> {
    match &**body {
        Node::Binary(Binary::Mul, a, b) => Some((operand(a)?, operand(b)?)),
        Node::Guard { inside, body, otherwise: 0 } => {
            let (mut a, mut b) = product(body)?;
            for (at, n) in inside {
                let speaks = |x: &Operand| x.at.iter().any(|c| offset(at, c).is_some());
                if speaks(&a) {
                    a.inside.push((at.clone(), *n));
                } else if speaks(&b) {
                    b.inside.push((at.clone(), *n));
                } else {
                    return None;
                }
            }
            Some((a, b))
        }
        _ => None,
    }
}

fn operand(e: &Expr) -> Option<Operand> {
    match &**e {
        Node::Load(buffer, at) => {
            Some(Operand { buffer: *buffer, at: at.iter().map(affine).collect::<Option<_>>()?, inside: vec![] })
        }
        Node::Guard { inside, body, otherwise: 0 } => {
            let mut o = operand(body)?;
            let known = inside.iter().all(|(at, _)| o.at.iter().any(|c| offset(at, c).is_some()));
            o.inside.extend(inside.iter().cloned());
            known.then_some(o)
        }
        _ => None,
    }
}

/// `a - b` where that is a number.
pub fn offset(a: &Affine, b: &Affine) -> Option<i64> {
    let d = a - b;
    (d.is_constant() && !a.is_constant()).then_some(d.constant)
}

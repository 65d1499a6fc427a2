//! Tables that are 0 beyond their diagonal, and sums of products that leave this part out.
//!
//! What a softmax gives to places that a comparison of coordinates has put out of reach is 0, and so is its gradient. It
//! is found in the expressions of the kernels, wherever they come from: a choice of a very negative number, its
//! exponential, products with that.

use super::contraction::Contraction;
use super::examples::Examples;
use super::kernels::Item;
use super::steps::Steps;
use crate::base::{Buffer, Var};
use crate::loops::{Affine, Binary, Coord, Expr, Fold, How, Node, Unary};
use std::collections::{HashMap, HashSet};

/// Less than this, minus any number that a row holds, has an exponential of 0.
const OUT_OF_REACH: f32 = -1e29;
/// A triangle is cut into so many strips of rows, about.
const STRIPS: usize = 4;
/// Rows of a strip are a multiple of this: whole tiles.
const WHOLE: usize = 12;

/// Axes `later` and `earlier` of a table that is 0 where the coordinate of the first is above that of the second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Diagonal {
    later: usize,
    earlier: usize,
}

/// What is known of tables.
pub(super) type Zeros = HashMap<Buffer, Vec<Diagonal>>;

/// The tables that kernels fill with zeros beyond a diagonal.
pub(super) fn zeros(items: &[Item], writers: &HashMap<Buffer, Vec<usize>>) -> Zeros {
    let mut known = Known::default();
    for item in items {
        for s in &item.kernel.stores {
            let only = writers.get(&s.buffer).is_some_and(|w| w.len() == 1);
            if s.how != How::Set || !only || item.body.is_some() {
                continue;
            }
            if let Node::Reduce { fold: Fold::Max, vars, body } = &*s.value {
                // The first place of a row is never beyond the diagonal.
                let reaches = |(later, earlier): &(Var, Var)| {
                    vars.iter().any(|(v, _)| v == later) && item.kernel.axes.iter().any(|(v, _)| v == earlier)
                };
                if low(body).iter().any(reaches) {
                    known.maxima.insert(s.buffer);
                }
            }
            let axis = |var: Var| s.at.iter().position(|c| matches!(c, Coord::Affine(a) if a.as_var() == Some(var)));
            for (later, earlier) in known.zero(&s.value) {
                if let (Some(later), Some(earlier)) = (axis(later), axis(earlier)) {
                    known.zeros.entry(s.buffer).or_default().push(Diagonal { later, earlier });
                }
            }
        }
    }
    known.zeros
}

#[derive(Default)]
struct Known {
    zeros: Zeros,
    /// Largest elements of rows, of which some element is within reach.
    maxima: HashSet<Buffer>,
}

/// The comparison `later > earlier` of two coordinates.
fn beyond(condition: &Expr) -> Option<(Var, Var)> {
    let Node::Binary(op, a, b) = &**condition else { return None };
    let (later, earlier) = match op {
        Binary::Gt => (a, b),
        Binary::Lt => (b, a),
        _ => return None,
    };
    match (&**later, &**earlier) {
        (Node::Coord(later), Node::Coord(earlier)) => Some((later.as_var()?, earlier.as_var()?)),
        _ => None,
    }
}

fn constant(e: &Expr) -> Option<f32> {
    match **e {
        Node::Const(bits) => Some(f32::from_bits(bits)),
        _ => None,
    }
}

/// Beyond which diagonals an element is out of reach.
fn low(e: &Expr) -> Vec<(Var, Var)> {
    match &**e {
        Node::Select(c, a, _) if constant(a).is_some_and(|x| x <= OUT_OF_REACH) => beyond(c).into_iter().collect(),
        _ => vec![],
    }
}

impl Known {
    /// Beyond which diagonals an element is 0.
    fn zero(&self, e: &Expr) -> Vec<(Var, Var)> {
        match &**e {
            Node::Unary(Unary::Exp, x) => match &**x {
                Node::Binary(Binary::Sub, x, most) => match &**most {
                    Node::Load(b, _) if self.maxima.contains(b) => low(x),
                    _ => vec![],
                },
                _ => vec![],
            },
            Node::Unary(Unary::Neg, x) | Node::Binary(Binary::Div, x, _) => self.zero(x),
            Node::Binary(Binary::Mul, a, b) => [self.zero(a), self.zero(b)].concat(),
            Node::Select(c, a, _) if constant(a) == Some(0.0) => beyond(c).into_iter().collect(),
            Node::Load(b, at) => {
                let var = |axis: usize| match at.get(axis) {
                    Some(Coord::Affine(a)) => a.as_var(),
                    _ => None,
                };
                let found = self.zeros.get(b).into_iter().flatten();
                found.filter_map(|d| Some((var(d.later)?, var(d.earlier)?))).collect()
            }
            _ => vec![],
        }
    }
}

impl Steps {
    /// A contraction whose `a` is 0 beyond a diagonal of rows and terms, as one for each strip of rows, without the terms
    /// that are 0 in all of it.
    pub(super) fn below_diagonal(&mut self, e: &Examples, c: Contraction) -> Vec<Contraction> {
        let Some((row, term, reversed)) = self.diagonal(e, &c) else { return vec![c] };
        let (rows, terms) = (c.rows[row].1, c.sum[term].1);
        let strip = rows.div_ceil(STRIPS).next_multiple_of(WHOLE);
        let mut parts = vec![];
        for first in (0..rows).step_by(strip) {
            let count = strip.min(rows - first);
            let mut part = c.clone();
            let (i, k) = (self.scope.var(), self.scope.var());
            part.replace(c.rows[row].0, &(&Affine::from(i) + first as i64));
            part.rows[row] = (i, count);
            let begin = if reversed { first.min(terms - 1) } else { 0 };
            let end = if reversed { terms } else { terms.min(first + count) };
            part.replace(c.sum[term].0, &(&Affine::from(k) + begin as i64));
            part.sum[term] = (k, end - begin);
            part.sum.retain(|(_, n)| *n > 1);
            parts.push(part);
        }
        // A sum of one term is no sum.
        if parts.iter().any(|p| p.sum.len() != c.sum.len()) { vec![c] } else { parts }
    }

    /// The places of the row and of the term among those of `c`; are terms before the row 0, instead of those after it?
    fn diagonal(&self, e: &Examples, c: &Contraction) -> Option<(usize, usize, bool)> {
        let original = e.scratch.iter().find(|(_, own)| **own == c.a.buffer).map_or(c.a.buffer, |(b, _)| *b);
        let diagonals = self.zeros.get(&original)?;
        // In scratch, the axis of the examples may be missing.
        let missing = self.program.buffers[original.index()].shape.len().checked_sub(c.a.at.len())?;
        let place = |list: &[(Var, usize)], axis: usize| {
            let var = c.a.at.get(axis.checked_sub(missing)?)?.as_var()?;
            list.iter().position(|(v, n)| *v == var && *n > WHOLE)
        };
        let guarded = !c.a.inside.is_empty() || !c.b.inside.is_empty();
        diagonals.iter().filter(|_| !guarded).find_map(|d| {
            let after = || Some((place(&c.rows, d.earlier)?, place(&c.sum, d.later)?, false));
            after().or_else(|| Some((place(&c.rows, d.later)?, place(&c.sum, d.earlier)?, true)))
        })
    }
}

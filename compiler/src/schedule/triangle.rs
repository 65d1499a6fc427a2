//! Tables that are 0 beyond their diagonal, and sums of products that leave this part out.
//!
//! What a softmax gives to places that a comparison of coordinates has put out of reach is 0, and so is its gradient. It
//! is found in the expressions of the kernels, wherever they come from: a choice of a very negative number, its
//! exponential, products with that. Loops that would compute exponentials leave it out too, and what such a choice never
//! looks at is not made at all.

use super::contraction::Contraction;
use super::kernels::Item;
use super::steps::{Steps, rewrite};
use crate::base::{Buffer, Var};
use crate::loops::{Affine, Binary, Coord, Expr, Fold, How, Kernel, Node, Store, Unary, expr};
use std::collections::{HashMap, HashSet};

/// Less than this, minus any number that a row holds, has an exponential of 0.
const OUT_OF_REACH: f32 = -1e29;
/// A triangle is cut into so many strips of rows, about.
const STRIPS: usize = 4;
/// Rows of a strip are a multiple of this: whole tiles.
const WHOLE: usize = 12;
/// Vectors of columns of a strip of panels.
const PANEL: usize = 2;
/// Rows of a strip of loops are a multiple of this: whole vectors.
const VECTOR: usize = 16;

/// Axes `later` and `earlier` of a table that is 0 where the coordinate of the first is above that of the second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Diagonal {
    later: usize,
    earlier: usize,
}

/// The tables that kernels fill with zeros beyond a diagonal, and those that none reads there. `root`: the memory of a table.
pub(super) fn zeros(items: &[Item], writers: &HashMap<Buffer, Vec<usize>>, root: &dyn Fn(Buffer) -> Buffer) -> Known {
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
    known.unseen = unseen(items, root, &known);
    known
}

/// What is known of tables.
#[derive(Default)]
pub(super) struct Known {
    zeros: HashMap<Buffer, Vec<Diagonal>>,
    /// Largest elements of rows, of which some element is within reach.
    maxima: HashSet<Buffer>,
    /// Beyond these diagonals nobody reads a table.
    unseen: HashMap<Buffer, Vec<Diagonal>>,
}

/// Beyond which diagonals every load of a table is ruled out by a choice, and left out by the loops around it.
fn unseen(items: &[Item], root: &dyn Fn(Buffer) -> Buffer, known: &Known) -> HashMap<Buffer, Vec<Diagonal>> {
    let mut found: HashMap<Buffer, Vec<Diagonal>> = HashMap::new();
    let mut load = |b: Buffer, ruled_out: Vec<Diagonal>| match found.get_mut(&b) {
        Some(diagonals) => diagonals.retain(|d| ruled_out.contains(d)),
        None => drop(found.insert(b, ruled_out)),
    };
    for item in items {
        let left_out = known.left_out(&item.kernel);
        for s in &item.kernel.stores {
            seen(&s.value, &mut vec![], &mut |b, at, choices| {
                let axis = |var: Var| at.iter().position(|c| matches!(c, Coord::Affine(a) if a.as_var() == Some(var)));
                let diagonal =
                    |(later, earlier): &(Var, Var)| Some(Diagonal { later: axis(*later)?, earlier: axis(*earlier)? });
                let plain = root(b) == b && item.body.is_none();
                let ruled_out = choices.iter().filter(|c| plain && left_out == Some(**c));
                load(root(b), ruled_out.filter_map(diagonal).collect());
            });
            let indices = s.at.iter().filter_map(|c| if let Coord::Index { from, .. } = c { Some(from) } else { None });
            indices.for_each(|from| seen(from, &mut vec![], &mut |b, _, _| load(root(b), vec![])));
        }
    }
    found
}

/// Loads of an expression, with the choices that take something else beyond a diagonal.
fn seen(e: &Expr, choices: &mut Vec<(Var, Var)>, f: &mut dyn FnMut(Buffer, &[Coord], &[(Var, Var)])) {
    match &**e {
        Node::Load(b, at) => {
            f(*b, at, choices);
            expr::children(e).into_iter().for_each(|x| seen(x, choices, f));
        }
        Node::Select(c, a, x) if constant(a).is_some() => {
            seen(c, choices, f);
            let before = choices.len();
            choices.extend(beyond(c));
            seen(x, choices, f);
            choices.truncate(before);
        }
        _ => expr::children(e).into_iter().for_each(|x| seen(x, choices, f)),
    }
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

/// Rows of a strip of loops over a square of so many, if strips are whole.
fn strip(rows: usize) -> Option<usize> {
    let strip = rows.div_ceil(STRIPS).next_multiple_of(VECTOR);
    rows.is_multiple_of(strip).then_some(strip)
}

/// The same where rows are folded: of one vector they would be written out, element by element.
fn fold_strip(rows: usize) -> Option<usize> {
    let strip = strip(rows)?;
    Some(if strip < 2 * VECTOR && rows.is_multiple_of(2 * VECTOR) { 2 * VECTOR } else { strip })
}

/// Columns of a strip of panels, so many lanes each: nobody looks above the row where one begins.
fn panel_strip(rows: usize, lanes: usize) -> Option<usize> {
    let widths = [strip(rows)?, fold_strip(rows)?, PANEL * lanes];
    (1..=rows).find(|n| widths.iter().all(|width| n.is_multiple_of(*width)))
}

impl Known {
    /// The two places beyond whose diagonal the loops of a kernel do not go: the later, and the earlier, which counts rows.
    fn left_out(&self, kernel: &Kernel) -> Option<(Var, Var)> {
        let cut = |row: usize, strip: fn(usize) -> Option<usize>| {
            Some(kernel.axes[row].0).filter(|_| strip(kernel.axes[row].1).is_some())
        };
        if let Some((row, later)) = self.folded(kernel) {
            return Some((later, cut(row, fold_strip)?));
        }
        let [row, column] = self.stripped(kernel)?;
        Some((kernel.axes[column].0, cut(row, strip)?))
    }

    /// Of a kernel whose costly elements are 0 beyond a diagonal: the places of the axis of rows, and of the one that counts
    /// what may lie beyond it.
    fn stripped(&self, kernel: &Kernel) -> Option<[usize; 2]> {
        let [store] = &kernel.stores[..] else { return None };
        let costly = matches!(&*store.value, Node::Unary(Unary::Exp, _)) && store.how == How::Set;
        let axis = |var: Var| kernel.axes.iter().position(|(v, n)| *v == var && *n > VECTOR);
        let found = self.zero(&store.value).into_iter().filter(|_| costly);
        found.filter_map(|(later, earlier)| Some([axis(earlier)?, axis(later)?])).next()
    }

    /// Of a kernel that looks for the largest elements of rows: the place of the axis of rows, and the variable of the fold
    /// that counts what may lie beyond a diagonal. The first place of a row never does.
    fn folded(&self, kernel: &Kernel) -> Option<(usize, Var)> {
        let [Store { value, how: How::Set, .. }] = &kernel.stores[..] else { return None };
        let Node::Reduce { fold: Fold::Max, vars, body } = &**value else { return None };
        let axis = |var: Var| kernel.axes.iter().position(|(v, n)| *v == var && *n > VECTOR);
        let within = |var: Var| vars.iter().any(|(v, n)| *v == var && *n > VECTOR);
        low(body).into_iter().find_map(|(later, earlier)| Some((axis(earlier).filter(|_| within(later))?, later)))
    }

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
    /// `scratch`: what stands for tables in a group.
    pub(super) fn below_diagonal(&mut self, scratch: &HashMap<Buffer, Buffer>, c: Contraction) -> Vec<Contraction> {
        let Some((row, term, reversed)) = self.diagonal(scratch, &c) else { return self.seen_part(scratch, c) };
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

    /// A contraction of which nobody reads what lies beyond a diagonal of its rows and columns, as one for each few panels,
    /// without the rows before them.
    fn seen_part(&mut self, scratch: &HashMap<Buffer, Buffer>, c: Contraction) -> Vec<Contraction> {
        let Some(row) = self.rows_of_seen(scratch, &c) else { return vec![c] };
        let ((_, rows), (_, columns)) = (c.rows[row], c.column);
        let Some(strip) = panel_strip(rows, self.tiles.lanes) else { return vec![c] };
        let mut parts = vec![];
        for first in (0..columns).step_by(strip) {
            let mut part = c.clone();
            let (i, j) = (self.scope.var(), self.scope.var());
            part.replace(c.rows[row].0, &(&Affine::from(i) + first as i64));
            part.rows[row] = (i, rows - first);
            part.replace(c.column.0, &(&Affine::from(j) + first as i64));
            part.column = (j, strip.min(columns - first));
            parts.push(part);
        }
        parts
    }

    /// The place among the rows of the one beyond which columns are not seen.
    fn rows_of_seen(&self, scratch: &HashMap<Buffer, Buffer>, c: &Contraction) -> Option<usize> {
        let original = original(scratch, c.c);
        let diagonals = self.zeros.unseen.get(&original)?;
        let shape = &self.program.buffers[original.index()].shape;
        let missing = shape.len().checked_sub(c.c_at.len())?;
        let var = |axis: usize| c.c_at.get(axis.checked_sub(missing)?)?.as_var();
        let kept = self.program.outputs.iter().any(|(_, b)| *b == original);
        let guarded = !c.a.inside.is_empty() || !c.b.inside.is_empty() || kept;
        diagonals.iter().filter(|_| !guarded).find_map(|d| {
            let (column, row) = (var(d.later)?, var(d.earlier)?);
            let square = shape[d.later] == shape[d.earlier] && c.column == (column, shape[d.later]);
            c.rows.iter().position(|(v, n)| square && *v == row && *n == shape[d.earlier])
        })
    }

    /// The places of the row and of the term among those of `c`; are terms before the row 0, instead of those after it?
    fn diagonal(&self, scratch: &HashMap<Buffer, Buffer>, c: &Contraction) -> Option<(usize, usize, bool)> {
        let original = original(scratch, c.a.buffer);
        let diagonals = self.zeros.zeros.get(&original)?;
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

    /// A kernel of loops whose costly elements are 0 beyond a diagonal, as one for each strip of rows and one for its zeros;
    /// one that looks for the largest elements of rows, as one for each strip.
    pub(super) fn strips_below_diagonal(&mut self, kernel: &Kernel) -> Vec<Kernel> {
        if let Some((row, later)) = self.zeros.folded(kernel)
            && let Some(strip) = fold_strip(kernel.axes[row].1)
        {
            let ends = (strip..=kernel.axes[row].1).step_by(strip);
            return ends.map(|end| cut(self.a_part(kernel, row, end - strip, strip), later, end)).collect();
        }
        let Some([row, column]) = self.zeros.stripped(kernel) else { return vec![kernel.clone()] };
        let [(_, rows), (_, columns)] = [row, column].map(|axis| kernel.axes[axis]);
        let Some(strip) = strip(rows) else { return vec![kernel.clone()] };
        let mut parts = vec![];
        for end in (strip..=rows).step_by(strip) {
            let mut part = self.a_part(kernel, row, end - strip, strip);
            if columns > end {
                let mut zeros = self.a_part(&part, column, end, columns - end);
                zeros.stores[0].value = expr::constant(0.0);
                parts.push(zeros);
            }
            part.axes[column].1 = columns.min(end);
            parts.push(part);
        }
        parts
    }

    /// `count` places of an axis, from `first` on.
    fn a_part(&mut self, kernel: &Kernel, axis: usize, first: usize, count: usize) -> Kernel {
        let var = self.scope.var();
        let with = HashMap::from([(kernel.axes[axis].0, &Affine::from(var) + first as i64)]);
        let mut part = rewrite(kernel, &with, &mut |b, at| std::sync::Arc::new(Node::Load(b, at)));
        part.axes[axis] = (var, count);
        part
    }
}

/// The table that another stands for in a group, if it does.
fn original(scratch: &HashMap<Buffer, Buffer>, b: Buffer) -> Buffer {
    scratch.iter().find(|(_, own)| **own == b).map_or(b, |(original, _)| *original)
}

/// A fold that ends earlier.
fn cut(mut kernel: Kernel, var: Var, end: usize) -> Kernel {
    for s in &mut kernel.stores {
        if let Node::Reduce { fold, vars, body } = &*s.value {
            let vars = vars.iter().map(|(v, n)| (*v, if *v == var { end.min(*n) } else { *n })).collect();
            s.value = expr::reduce(*fold, vars, body.clone());
        }
    }
    kernel
}

//! What tiles and filters do to their result before they store it: a number for each column is added, and what a table of
//! the same size holds, and the sum is kept within bounds. Biases, batch norm, residual connections and `relu` or `relu6`
//! after a layer are of this form.

use super::chains::Chain;
use super::contraction::affine;
use super::group::put;
use super::steps::Steps;
use super::strips::{After, Then};
use super::tile_nest::{Builder, Plan};
use crate::base::{Buffer, Var};
use crate::loops::nest::{Beside, Finish, Place};
use crate::loops::{Affine, Binary, Coord, Expr, How, Kernel, Node};
use std::collections::HashMap;

/// An element of a table, told in the variables of the loops around a tile.
type Element = (Buffer, Vec<Affine>);

/// The numbers, the table and the bounds.
#[derive(Clone, Debug)]
pub struct Ending {
    add: Element,
    beside: Option<Element>,
    bounds: [f32; 2],
}

impl Ending {
    /// Where loops have come to.
    pub fn finish(&self, here: &dyn Fn(Var) -> Affine) -> Finish {
        Finish { add: place(&self.add, here), bounds: self.bounds }
    }

    /// The table there, with so many elements from row to row.
    pub fn beside(&self, row: i64, here: &dyn Fn(Var) -> Affine) -> Option<Beside> {
        self.beside.as_ref().map(|table| Beside { place: place(table, here), row })
    }

    /// Is there no table?
    pub fn is_alone(&self) -> bool {
        self.beside.is_none()
    }
}

fn place((buffer, at): &Element, here: &dyn Fn(Var) -> Affine) -> Place {
    Place { buffer: *buffer, at: at.iter().map(|x| x.substitute(here)).collect() }
}

/// What is kept within bounds, and the bounds.
fn within(e: &Expr) -> Option<(&Expr, [f32; 2])> {
    let (mut e, mut bounds) = (e, [f32::NEG_INFINITY, f32::INFINITY]);
    while let Node::Binary(op @ (Binary::Max | Binary::Min), a, b) = &**e {
        let (inner, bound) = match (&**a, &**b) {
            (_, Node::Const(bits)) => (a, f32::from_bits(*bits)),
            (Node::Const(bits), _) => (b, f32::from_bits(*bits)),
            _ => return None,
        };
        if bound.is_nan() {
            return None;
        }
        let [low, high] = &mut bounds;
        if *op == Binary::Max {
            *low = low.max(bound)
        } else {
            *high = high.min(bound)
        }
        e = inner;
    }
    (bounds[0] <= bounds[1]).then_some((e, bounds))
}

/// Elements whose sum `e` is.
fn addends(e: &Expr) -> Option<Vec<(Buffer, &[Coord])>> {
    match &**e {
        Node::Binary(Binary::Add, a, b) => Some([addends(a)?, addends(b)?].concat()),
        Node::Load(b, at) => Some(vec![(*b, at)]),
        _ => None,
    }
}

/// A kernel that follows a result point by point, seen from where the result is made.
pub(super) struct Follower<'a> {
    kernel: &'a Kernel,
    made: Buffer,
    /// What its axes are there.
    axes: HashMap<Var, Affine>,
}

impl<'a> Follower<'a> {
    /// Of a result whose element at `at` is made, one of `points`.
    pub(super) fn new(kernel: &'a Kernel, made: Buffer, at: &[Affine], points: usize) -> Option<Follower<'a>> {
        let [store] = &kernel.stores[..] else { return None };
        let (sum, _) = within(&store.value)?;
        let (_, here) = addends(sum)?.into_iter().find(|(b, _)| *b == made)?;
        let all: usize = kernel.axes.iter().map(|(_, n)| n).product();
        let mut axes = HashMap::new();
        for (here, at) in here.iter().zip(at) {
            let here = affine(here)?;
            match here.as_var() {
                Some(v) => drop(axes.insert(v, at.clone())),
                None if here == *at => {}
                None => return None,
            }
        }
        let known = kernel.axes.iter().all(|(v, n)| *n == 1 || axes.contains_key(v));
        (known && all == points && here.len() == at.len()).then_some(Follower { kernel, made, axes })
    }

    /// If all of it can be done in the registers of what makes a result of such columns and rows: how, and where the result goes.
    fn ending(&self, column: Var, rows: &[(Var, usize)]) -> Option<(Ending, Element)> {
        let [store] = &self.kernel.stores[..] else { return None };
        let (sum, bounds) = within(&store.value)?;
        let seen = |b: Buffer, at: &[Coord]| {
            let at: Vec<Affine> = at.iter().map(|c| Some(put(&affine(c)?, &self.axes))).collect::<Option<_>>()?;
            let (last, others) = at.split_last()?;
            let along = last.coefficient(column) == 1 && others.iter().all(|x| x.coefficient(column) == 0);
            along.then_some((b, at))
        };
        let (mut made, mut add, mut beside) = (0, None, None);
        for (b, at) in addends(sum)? {
            if b == self.made {
                made += 1;
                continue;
            }
            let (b, at) = seen(b, at)?;
            let moves = at.iter().any(|x| rows.iter().any(|(v, _)| x.coefficient(*v) != 0));
            let slot = if moves { &mut beside } else { &mut add };
            if slot.replace((b, at)).is_some() {
                return None;
            }
        }
        let to = seen(store.buffer, &store.at)?;
        let (add, whole) = (add?, made == 1 && store.how == How::Set);
        whole.then_some((Ending { add, beside, bounds }, to))
    }
}

/// Does a kernel add elements and keep the sum within bounds, and nothing else?
fn ends(kernel: &Kernel) -> bool {
    let [store] = &kernel.stores[..] else { return false };
    let sum = within(&store.value).and_then(|(sum, _)| addends(sum));
    store.how == How::Set && sum.is_some_and(|terms| terms.len() > 1)
}

impl Steps {
    /// Of items in their order: those that may be the ending of an earlier one, a contraction, and of which. Of two that one
    /// kernel adds, the later is made in its place.
    pub(super) fn endings(&self, order: &[usize]) -> HashMap<usize, usize> {
        let pair = |(at, i): (usize, &usize)| {
            let (_, j) = self.only_reader(*i, &order[at + 1..])?;
            ends(&self.items[j].kernel).then_some((j, *i))
        };
        order.iter().enumerate().filter_map(pair).collect()
    }
}

impl Then {
    /// Seen from where a result at `c_at` is made.
    pub(super) fn ending(&self, c_at: &[Affine], column: Var, rows: &[(Var, usize)]) -> Option<(Ending, Element)> {
        let [(row, _), (z, _)] = self.kernel.axes[..] else { return None };
        let (result, leading) = c_at.split_last()?;
        let axes = HashMap::from([(row, self.row(leading)), (z, result.clone())]);
        Follower { kernel: &self.kernel, made: self.made, axes }.ending(column, rows)
    }
}

impl Builder<'_> {
    /// Lets the tiles of a plan do all that a kernel does, where they can: says whether they do.
    pub(super) fn end_with(&self, p: &mut Plan, follower: &Follower<'_>) -> bool {
        let found = follower.ending(p.c.column.0, &p.c.rows);
        found.is_some_and(|(ending, to)| self.end(p, ending, to))
    }

    /// The same, once it is known how. Sums must be complete when they are stored, and the rows of every table lie evenly.
    pub(super) fn end(&self, p: &mut Plan, ending: Ending, to: Element) -> bool {
        let evenly = |rows: &Chain, (buffer, at): &Element| {
            let strides = self.strides(*buffer);
            rows.evenly(|v| at.iter().zip(&strides).map(|(x, s)| x.coefficient(v) * s).sum())
        };
        let row = match &ending.beside {
            Some(table) => evenly(&p.rows, table),
            None => Some(0),
        };
        let (Some(c_row), Some(row), true) = (evenly(&p.rows, &to), row, p.rest.is_empty() && p.first.is_empty())
        else {
            return false;
        };
        p.rows.strides[1] = c_row;
        (p.c.c, p.c.c_at) = to;
        p.after = Some(After::Ending(ending, row));
        true
    }
}

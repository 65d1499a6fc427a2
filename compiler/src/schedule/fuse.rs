//! Neighbouring kernels over the same points become one: what one stores, the next has at hand.
//!
//! The gates of a recurrence, its states and what backward keeps of them are stored each; one loop over the units
//! computes them all, and none is loaded again.

use super::compose::moves_only;
use super::kernels::Item;
use super::steps::root_of;
use crate::base::{Buffer, Var};
use crate::loops::{Affine, BufferType, Coord, Expr, How, Kernel, Node, Store, expr};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// More stores than these would not find registers for their addresses.
const MOST_STORES: usize = 10;

/// Items in their order, where possible several in one.
pub fn fuse(items: Vec<Item>, buffers: &[BufferType]) -> Vec<Item> {
    let mut done: Vec<Item> = vec![];
    for item in items {
        match done.last_mut() {
            Some(last) => match joined(last, &item, buffers) {
                Some(kernel) => last.kernel = kernel,
                None => done.push(item),
            },
            None => done.push(item),
        }
    }
    done
}

/// Both as one kernel, if every point of the second needs of the first only what is stored at that point.
fn joined(first: &Item, second: &Item, buffers: &[BufferType]) -> Option<Kernel> {
    let (a, b) = (&first.kernel, &second.kernel);
    let points = |k: &Kernel| k.axes.iter().map(|(_, n)| *n).collect::<Vec<_>>();
    let plain = |i: &Item| i.body.is_none() && i.kernel.stores.iter().all(is_plain);
    if points(a) != points(b) || !plain(first) || !plain(second) || a.stores.len() + b.stores.len() > MOST_STORES {
        return None;
    }
    let renamed: HashMap<Var, Var> = b.axes.iter().map(|x| x.0).zip(a.axes.iter().map(|x| x.0)).collect();
    let b = b.substituted(&|v| Affine::from(renamed.get(&v).copied().unwrap_or(v)));
    let axes: Vec<Var> = a.axes.iter().map(|x| x.0).collect();
    let apart = |k: &Kernel, by: &Kernel| {
        let mut fine = true;
        let mut seen = HashSet::new();
        for s in &k.stores {
            super::group::loads(&s.value, &mut seen, &mut |buffer, at| {
                let root = |b: Buffer| root_of(buffers, b);
                let meets = |w: &&Store| root(w.buffer) == root(buffer) && (w.buffer != buffer || w.at != at);
                fine &= by.stores.iter().filter(meets).all(|w| w.buffer == buffer && never_meet(&w.at, at, &axes));
            });
        }
        fine
    };
    if !apart(a, &b) || !apart(&b, a) {
        return None;
    }
    let mut load = |buffer: Buffer, at: Vec<Coord>| -> Expr {
        let known = a.stores.iter().find(|s| s.buffer == buffer && s.at == at);
        known.map_or_else(|| Arc::new(Node::Load(buffer, at)), |s| s.value.clone())
    };
    let same = |x: &Affine| x.clone();
    let mut rewrite = expr::Rewrite::new(&same, &mut load);
    let more: Vec<Store> = b.stores.iter().map(|s| Store { value: rewrite.expr(&s.value), ..s.clone() }).collect();
    Some(Kernel { axes: a.axes.clone(), stores: a.stores.iter().cloned().chain(more).collect() })
}

/// An element computed from elements: no sums, and more than a copy.
fn is_plain(s: &Store) -> bool {
    fn reduces(e: &Expr, seen: &mut HashSet<*const Node>) -> bool {
        seen.insert(Arc::as_ptr(e))
            && (matches!(**e, Node::Reduce { .. } | Node::Guard { .. })
                || expr::children(e).into_iter().any(|x| reduces(x, seen)))
    }
    s.how == How::Set && !moves_only(&s.value) && !reduces(&s.value, &mut HashSet::new())
}

/// Do two accesses differ by a number in a coordinate that no axis of the kernel moves?
fn never_meet(a: &[Coord], b: &[Coord], axes: &[Var]) -> bool {
    a.iter().zip(b).any(|(x, y)| match (x, y) {
        (Coord::Affine(x), Coord::Affine(y)) => {
            let apart = x - y;
            apart.is_constant() && apart.constant != 0 && axes.iter().all(|v| x.coefficient(*v) == 0)
        }
        _ => false,
    })
}

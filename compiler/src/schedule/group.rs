//! Which kernels run together: groups whose work can be cut along one axis without looking at neighbours.
//!
//! A kernel belongs to a group if each point `n` of its first axis (the examples of the batch) reads what the group
//! has made only at `n`, or if it sums over `n` what it reads at `n` (a weight gradient). A group is one step: its tasks
//! take some of the examples through all of its kernels, and what only the group needs never leaves the cache.

use super::contraction::recognize;
use super::kernels::Item;
use crate::base::{Buffer, Var};
use crate::loops::{Affine, Coord, Expr, Fold, How, Kernel, Node, Store, expr};
use std::collections::{HashMap, HashSet};

/// A contraction joins a group of examples only if each example has this many rows of its own.
const LEAST_ROWS: usize = 4;
/// A sum joins if each example contributes this many terms.
const LEAST_TERMS: usize = 16;

/// How a kernel follows the common axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Along {
    /// Its first axis is the common one.
    Each(Var),
    /// It sums over the common axis.
    Sum(Var),
}

#[derive(Debug)]
pub enum Group {
    /// One kernel as a whole.
    Whole(usize),
    /// Kernels along the examples.
    Examples(Vec<(usize, Along)>),
}

/// Loads of an expression.
pub fn loads(e: &Expr, seen: &mut HashSet<*const Node>, f: &mut impl FnMut(Buffer, &[Coord])) {
    if !seen.insert(std::sync::Arc::as_ptr(e)) {
        return;
    }
    if let Node::Load(b, at) = &**e {
        f(*b, at);
    }
    for x in expr::children(e) {
        loads(x, seen, f);
    }
}

/// Buffers (roots) read and written by a kernel.
pub fn uses(kernel: &Kernel, root: &dyn Fn(Buffer) -> Buffer) -> (HashSet<Buffer>, HashSet<Buffer>) {
    let (mut reads, mut writes) = (HashSet::new(), HashSet::new());
    let mut seen = HashSet::new();
    for s in &kernel.stores {
        loads(&s.value, &mut seen, &mut |b, _| {
            reads.insert(root(b));
        });
        for c in &s.at {
            if let Coord::Index { from, .. } = c {
                loads(from, &mut seen, &mut |b, _| {
                    reads.insert(root(b));
                });
            }
        }
        writes.insert(root(s.buffer));
        if s.how == How::Add {
            reads.insert(root(s.buffer));
        }
    }
    (reads, writes)
}

/// Kernels by the buffers that they touch.
type Touched = HashMap<Buffer, Vec<usize>>;

struct Node2 {
    reads: HashSet<Buffer>,
    writes: HashSet<Buffer>,
    before: Vec<usize>,
}

pub struct Grouping<'a> {
    items: &'a [Item],
    batch: usize,
    root: &'a dyn Fn(Buffer) -> Buffer,
    /// Elements of each buffer.
    counts: &'a [usize],
    nodes: Vec<Node2>,
}

impl<'a> Grouping<'a> {
    pub fn new(
        items: &'a [Item],
        batch: usize,
        root: &'a dyn Fn(Buffer) -> Buffer,
        counts: &'a [usize],
    ) -> Grouping<'a> {
        let mut nodes: Vec<Node2> = vec![];
        // Who wrote and read each buffer so far: to compare every kernel with every other takes time by the square.
        let (mut writers, mut readers) = (Touched::new(), Touched::new());
        for (i, item) in items.iter().enumerate() {
            let (reads, writes) = uses(&item.kernel, root);
            let of = |touched: &Touched, b: &Buffer| touched.get(b).cloned().unwrap_or_default();
            let mut before: Vec<usize> = reads.iter().flat_map(|b| of(&writers, b)).collect();
            before.extend(writes.iter().flat_map(|b| of(&writers, b).into_iter().chain(of(&readers, b))));
            before.sort_unstable();
            before.dedup();
            reads.iter().for_each(|b| readers.entry(*b).or_default().push(i));
            writes.iter().for_each(|b| writers.entry(*b).or_default().push(i));
            nodes.push(Node2 { reads, writes, before });
        }
        Grouping { items, batch, root, counts, nodes }
    }

    /// All kernels in groups, in an order that respects what reads what. Kernels that go alone go as soon as they
    /// can, so that groups become large. Without `fuse` every kernel is a group.
    pub fn run(&self, fuse: bool) -> Vec<Group> {
        let mut done = vec![false; self.items.len()];
        let mut groups = vec![];
        let nothing = HashSet::new();
        let goes_alone: Vec<bool> =
            (0..self.items.len()).map(|i| self.along(i, &nothing, &nothing).is_none()).collect();
        loop {
            let ready: Vec<usize> =
                (0..self.items.len()).filter(|i| !done[*i] && self.nodes[*i].before.iter().all(|b| done[*b])).collect();
            let Some(first) = ready.first() else { return groups };
            if let Some(alone) = ready.iter().find(|i| goes_alone[**i]) {
                done[*alone] = true;
                groups.push(Group::Whole(*alone));
                continue;
            }
            let members = self.grow(*first, &done, fuse);
            for (i, _) in &members {
                done[*i] = true;
            }
            groups.push(Group::Examples(members));
        }
    }

    fn grow(&self, first: usize, done: &[bool], fuse: bool) -> Vec<(usize, Along)> {
        let mut members: Vec<(usize, Along)> = vec![];
        let mut made = HashSet::new();
        let mut sums = HashSet::new();
        let mut is_member = vec![false; self.items.len()];
        let mut i = first;
        while i < self.items.len() {
            let inside = |b: &usize| done[*b] || is_member[*b];
            let fits =
                !done[i] && !is_member[i] && self.nodes[i].before.iter().all(inside) && self.harmless(i, &members);
            match fits.then(|| self.along(i, &made, &sums)).flatten() {
                Some(along) => {
                    let target = if matches!(along, Along::Each(_)) { &mut made } else { &mut sums };
                    target.extend(self.nodes[i].writes.iter().copied());
                    members.push((i, along));
                    is_member[i] = true;
                    if !fuse {
                        return members;
                    }
                    i = 0;
                }
                None => i += 1,
            }
        }
        members
    }

    /// Does `i` overwrite nothing that the group reads elsewhere than at the same example?
    fn harmless(&self, i: usize, members: &[(usize, Along)]) -> bool {
        let written = &self.nodes[i].writes;
        members.iter().all(|(m, _)| {
            let reads: Vec<_> = self.nodes[*m].reads.intersection(written).collect();
            reads.is_empty() || self.nodes[*m].writes.iter().any(|b| written.contains(b))
        })
    }

    /// How item `i` follows the examples, given what the group `made` per example and what it `sums`.
    fn along(&self, i: usize, made: &HashSet<Buffer>, sums: &HashSet<Buffer>) -> Option<Along> {
        if self.nodes[i].reads.iter().any(|b| sums.contains(b)) {
            return None;
        }
        self.each(i, made).or_else(|| self.sum(i, made))
    }

    fn reads_at(&self, kernel: &Kernel, var: Var, made: &HashSet<Buffer>) -> bool {
        let mut aligned = true;
        let mut seen = HashSet::new();
        for s in &kernel.stores {
            loads(&s.value, &mut seen, &mut |b, at| {
                aligned &= !made.contains(&(self.root)(b)) || leads(at, var);
            });
        }
        aligned
    }

    fn each(&self, i: usize, made: &HashSet<Buffer>) -> Option<Along> {
        let kernel = &self.items[i].kernel;
        let (var, n) = *kernel.axes.first()?;
        if n != self.batch || !kernel.stores.iter().all(|s| leads(&s.at, var)) || !self.reads_at(kernel, var, made) {
            return None;
        }
        for s in &kernel.stores {
            if let Some(c) = recognize(&kernel.axes[1..], s) {
                let rows: usize = c.rows.iter().map(|(_, n)| n).product();
                if rows < LEAST_ROWS {
                    return None;
                }
            } else if recognize(&kernel.axes, s).is_some() {
                return None;
            }
        }
        Some(Along::Each(var))
    }

    fn sum(&self, i: usize, made: &HashSet<Buffer>) -> Option<Along> {
        let kernel = &self.items[i].kernel;
        let [store] = &kernel.stores[..] else { return None };
        let Node::Reduce { fold: Fold::Add, vars, .. } = &*store.value else { return None };
        // Each task keeps a sum for the whole buffer: a kernel that makes only a part of it must not be one.
        let points: usize = kernel.axes.iter().map(|(_, n)| n).product();
        if store.how != How::Set || points != self.counts[store.buffer.index()] {
            return None;
        }
        let (var, _) = *vars.iter().find(|(v, n)| *n == self.batch && self.some_load_leads(store, *v))?;
        if !self.reads_at(kernel, var, made) {
            return None;
        }
        if recognize(&kernel.axes, store).is_some() {
            let terms: usize = vars.iter().filter(|(v, _)| *v != var).map(|(_, n)| n).product();
            if terms < LEAST_TERMS {
                return None;
            }
        }
        Some(Along::Sum(var))
    }

    fn some_load_leads(&self, store: &Store, var: Var) -> bool {
        let mut any = false;
        loads(&store.value, &mut HashSet::new(), &mut |_, at| any |= leads(at, var));
        any
    }
}

/// Is the first coordinate `var` alone, and is `var` in no other?
pub fn leads(at: &[Coord], var: Var) -> bool {
    let Some(Coord::Affine(first)) = at.first() else { return false };
    first.as_var() == Some(var)
        && at[1..].iter().all(|c| match c {
            Coord::Affine(a) => a.coefficient(var) == 0,
            Coord::Index { .. } => true,
        })
}

/// Coordinates without the first.
pub fn rest(at: Vec<Coord>) -> Vec<Coord> {
    at.into_iter().skip(1).collect()
}

/// Replaces variables in an affine coordinate.
pub fn put(a: &Affine, with: &HashMap<Var, Affine>) -> Affine {
    a.substitute(&|v| with.get(&v).cloned().unwrap_or(Affine::from(v)))
}

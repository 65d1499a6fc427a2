//! Which kernels run together: groups whose work can be cut along one axis without looking at neighbours.
//!
//! A kernel belongs to a group if each point `n` of its first axis (the examples of the batch) reads what the group
//! has made only at `n`, or if it sums over `n` what it reads at `n` (a weight gradient). A group is one step: its tasks
//! take some of the examples through all of its kernels, and what only the group needs never leaves the cache.

use super::contraction::{Contraction, recognize};
use super::epilogue::is_deep;
use super::kernels::Item;
use super::lead::{leads, led};
use crate::base::{Buffer, Var};
use crate::loops::{Affine, Coord, Expr, Fold, How, Kernel, Node, Store, expr};
use std::collections::{BTreeSet, HashMap, HashSet};

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
    /// Kernels along the examples, so many at once.
    Examples(Vec<(usize, Along)>, usize),
}

impl Group {
    pub fn items(&self) -> impl Iterator<Item = usize> + '_ {
        let (one, many) = match self {
            Group::Whole(i) => (Some(*i), &[][..]),
            Group::Examples(members, _) => (None, &members[..]),
        };
        one.into_iter().chain(many.iter().map(|(i, _)| *i))
    }

    /// Its item, if it has one alone.
    pub fn single(&self) -> Option<usize> {
        let mut items = self.items();
        items.next().filter(|_| items.next().is_none())
    }
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

struct Waiting {
    reads: HashSet<Buffer>,
    writes: HashSet<Buffer>,
    /// How many earlier items must be done before.
    before: usize,
    /// The later items that wait for this one.
    after: Vec<usize>,
}

pub struct Grouping<'a> {
    items: &'a [Item],
    batch: usize,
    root: &'a dyn Fn(Buffer) -> Buffer,
    /// Elements of each buffer.
    counts: &'a [usize],
    nodes: Vec<Waiting>,
    /// What each store of each item contracts.
    contractions: Vec<Vec<Option<Contraction>>>,
    /// How many examples each kernel likes to see at once.
    blocks: Vec<Option<usize>>,
    /// Which depend on weights alone: they know no examples, whatever their axes look like.
    fixed: Vec<bool>,
    /// Memory whose first axis counts examples, and not what happens to be as many, such as channels.
    led: HashSet<Buffer>,
}

/// Items not yet in a group.
struct Open {
    /// Of each item: how many it still waits for.
    missing: Vec<usize>,
    /// Those that wait for nothing.
    ready: BTreeSet<usize>,
}

impl<'a> Grouping<'a> {
    pub fn new(
        items: &'a [Item],
        batch: usize,
        root: &'a dyn Fn(Buffer) -> Buffer,
        counts: &'a [usize],
        kept: &dyn Fn(Buffer) -> bool,
    ) -> Grouping<'a> {
        let mut nodes: Vec<Waiting> = vec![];
        let (mut readers, mut writers) = (HashMap::new(), HashMap::new());
        for (i, item) in items.iter().enumerate() {
            let (reads, writes) = uses(&item.kernel, root);
            let earlier = |of: &HashMap<Buffer, Vec<usize>>, b: &Buffer| of.get(b).cloned().unwrap_or_default();
            let written = reads.iter().chain(&writes).flat_map(|b| earlier(&writers, b));
            let read = writes.iter().flat_map(|b| earlier(&readers, b));
            let before: HashSet<usize> = written.chain(read).chain(item.after.iter().copied()).collect();
            before.iter().for_each(|b| nodes[*b].after.push(i));
            reads.iter().for_each(|b| readers.entry(*b).or_default().push(i));
            writes.iter().for_each(|b| writers.entry(*b).or_default().push(i));
            nodes.push(Waiting { reads, writes, before: before.len(), after: vec![] });
        }
        let of = |kernel: &Kernel| kernel.stores.iter().map(|s| recognize(&kernel.axes, s)).collect();
        let contractions: Vec<Vec<Option<Contraction>>> = items.iter().map(|item| of(&item.kernel)).collect();
        let wanted = if contractions.iter().flatten().flatten().any(slides) { POINTS } else { FEW_POINTS };
        let of = |found: &Vec<Option<Contraction>>| block(found.iter().flatten().next()?, batch, wanted);
        let mut blocks: Vec<Option<usize>> = contractions.iter().map(of).collect();
        for i in (0..items.len()).rev() {
            if blocks[i].is_none() && expands(&nodes[i], counts) {
                blocks[i] = readers_block(&nodes, &blocks, i);
            }
        }
        let fixed = fixed(&nodes, kept);
        let led = led(items, batch, root, kept);
        Grouping { items, batch, root, counts, nodes, contractions, blocks, fixed, led }
    }

    /// What is made from weights alone.
    pub fn made_of_weights(&self) -> impl Iterator<Item = Buffer> {
        let fixed = self.nodes.iter().zip(&self.fixed).filter(|(_, fixed)| **fixed);
        fixed.flat_map(|(node, _)| node.writes.iter().copied())
    }

    /// Memory (roots) that an item reads and writes.
    pub fn uses(&self, item: usize) -> (&HashSet<Buffer>, &HashSet<Buffer>) {
        (&self.nodes[item].reads, &self.nodes[item].writes)
    }

    /// What each store of an item contracts.
    pub fn contractions(&self, item: usize) -> &[Option<Contraction>] {
        &self.contractions[item]
    }

    /// The items that wait for each item.
    pub fn into_followers(self) -> Vec<Vec<usize>> {
        self.nodes.into_iter().map(|node| node.after).collect()
    }

    /// All kernels in groups, in an order that respects what reads what. Kernels that go alone go as soon as they
    /// can, so that groups become large. Without `fuse` every kernel is a group.
    pub fn run(&self, fuse: bool) -> Vec<Group> {
        let missing: Vec<usize> = self.nodes.iter().map(|n| n.before).collect();
        let ready = (0..missing.len()).filter(|i| missing[*i] == 0).collect();
        let mut open = Open { missing, ready };
        let nothing = HashSet::new();
        let alone: Vec<bool> = (0..self.items.len()).map(|i| self.along(i, &nothing, &nothing).is_none()).collect();
        let mut groups = vec![];
        while !open.ready.is_empty() {
            match open.ready.iter().copied().find(|i| alone[*i]) {
                Some(i) => {
                    self.take(i, &mut open);
                    groups.push(Group::Whole(i));
                }
                None => {
                    let members = self.grow(&mut open, fuse);
                    let block = members.iter().find_map(|(i, _)| self.blocks[*i]).unwrap_or(1);
                    groups.push(Group::Examples(members, block));
                }
            }
        }
        groups
    }

    /// Takes an item that is ready; gives those that are ready now.
    fn take(&self, i: usize, open: &mut Open) -> Vec<usize> {
        open.ready.remove(&i);
        let mut found = vec![];
        for next in &self.nodes[i].after {
            open.missing[*next] -= 1;
            if open.missing[*next] == 0 {
                open.ready.insert(*next);
                found.push(*next);
            }
        }
        found
    }

    /// A group of what is ready, the first first. What does not fit once never will: a group only gets harder to join.
    fn grow(&self, open: &mut Open, fuse: bool) -> Vec<(usize, Along)> {
        let mut members: Vec<(usize, Along)> = vec![];
        let (mut made, mut sums, mut block) = (HashSet::new(), HashSet::new(), None);
        let mut readers: HashMap<Buffer, Vec<usize>> = HashMap::new();
        let mut candidates = open.ready.clone();
        while let Some(i) = candidates.pop_first() {
            let other = block.is_some() && self.blocks[i].is_some() && block != self.blocks[i];
            if other || !self.harmless(i, &readers) {
                continue;
            }
            let Some(along) = self.along(i, &made, &sums) else { continue };
            let target = if matches!(along, Along::Each(_)) { &mut made } else { &mut sums };
            target.extend(self.nodes[i].writes.iter().copied());
            self.nodes[i].reads.iter().for_each(|b| readers.entry(*b).or_default().push(i));
            members.push((i, along));
            block = block.or(self.blocks[i]);
            candidates.extend(self.take(i, open));
            if !fuse {
                break;
            }
        }
        members
    }

    /// Does `i` overwrite nothing that the group reads elsewhere than at the same example?
    fn harmless(&self, i: usize, readers: &HashMap<Buffer, Vec<usize>>) -> bool {
        let written = &self.nodes[i].writes;
        let reading = written.iter().filter_map(|b| readers.get(b)).flatten();
        reading.copied().all(|m| self.nodes[m].writes.iter().any(|b| written.contains(b)))
    }

    /// How item `i` follows the examples, given what the group `made` per example and what it `sums`.
    fn along(&self, i: usize, made: &HashSet<Buffer>, sums: &HashSet<Buffer>) -> Option<Along> {
        if self.fixed[i] || self.nodes[i].reads.iter().any(|b| sums.contains(b)) {
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
        if !kernel.stores.iter().all(|s| self.led.contains(&(self.root)(s.buffer))) {
            return None;
        }
        let suits = |c: &Contraction| c.column.0 != var && size(c.rows.iter().filter(|(v, _)| *v != var)) >= LEAST_ROWS;
        self.contractions[i].iter().flatten().all(suits).then_some(Along::Each(var))
    }

    fn sum(&self, i: usize, made: &HashSet<Buffer>) -> Option<Along> {
        let kernel = &self.items[i].kernel;
        let [store] = &kernel.stores[..] else { return None };
        let Node::Reduce { fold: Fold::Add, vars, .. } = &*store.value else { return None };
        // Each task keeps a sum for the whole buffer: a kernel that makes only a part of it must not be one.
        if store.how != How::Set || size(&kernel.axes) != self.counts[store.buffer.index()] {
            return None;
        }
        let (var, _) = *vars.iter().find(|(v, n)| *n == self.batch && self.some_load_leads(store, *v))?;
        if !self.reads_at(kernel, var, made) {
            return None;
        }
        let terms = size(vars.iter().filter(|(v, _)| *v != var));
        let joins = |c: &Contraction| terms >= LEAST_TERMS && !(is_deep(c) && self.of_recurrences(i));
        self.contractions[i][0].as_ref().is_none_or(joins).then_some(Along::Sum(var))
    }

    /// Does a kernel read nothing but what recurrences make? No group has that near.
    fn of_recurrences(&self, i: usize) -> bool {
        let recurrences = || self.items.iter().zip(&self.nodes).filter(|(item, _)| item.body.is_some());
        self.nodes[i].reads.iter().all(|b| recurrences().any(|(_, node)| node.writes.contains(b)))
    }

    fn some_load_leads(&self, store: &Store, var: Var) -> bool {
        let mut any = false;
        let led = |b: Buffer| self.led.contains(&(self.root)(b));
        loads(&store.value, &mut HashSet::new(), &mut |b, at| any |= led(b) && leads(at, var));
        any
    }
}

/// Points of a picture that a contraction should see at once, so that its tiles are full and its sums long.
const POINTS: usize = 512;
/// Where nothing slides, sums are as long as they are: what a dense layer makes of fewer rows stays in the near cache.
const FEW_POINTS: usize = 128;
/// Elements of examples that stay in the second-level cache beside other things.
const NEAR: usize = 1 << 16;
/// More would not fit the cache, and leave few tasks.
const MOST_EXAMPLES: usize = 16;

/// A batch is at least so many blocks, if it has so many examples.
const LEAST_BLOCKS: usize = 4;

/// Does a contraction read windows that share elements, as a convolution does?
fn slides(c: &Contraction) -> bool {
    c.a.at.iter().any(|at| at.terms.len() > 1)
}

/// How many points some axes have.
fn size<'a>(axes: impl IntoIterator<Item = &'a (Var, usize)>) -> usize {
    axes.into_iter().map(|(_, n)| n).product()
}

/// How many examples a contraction should work on at once, to see `wanted` points: none says that it does not matter.
fn block(c: &Contraction, batch: usize, wanted: usize) -> Option<usize> {
    let others = |vars: &[(Var, usize)]| vars.iter().filter(|(_, n)| *n > 1).count();
    let batch = batch.max(1);
    // The points of an example: rows of a forward or an input gradient, terms of a weight gradient.
    let summed = c.sum.iter().any(|(v, n)| *n == batch && c.a.at.first().is_some_and(|at| at.as_var() == Some(*v)));
    let points: usize = if summed {
        size(&c.sum) / batch
    } else if others(&c.outer) == 0 {
        size(&c.rows) / batch
    } else {
        return None;
    };
    let mut most = (wanted / points.max(1)).clamp(1, MOST_EXAMPLES);
    if summed && !slides(c) {
        // Every panel of a weight gradient walks over all of them again: better out of the near cache.
        most = most.min(NEAR / (size(&c.rows) * points).max(1)).max(1);
    }
    // Two threads, and more, have equal shares.
    let most = most.min((batch / LEAST_BLOCKS).max(1));
    (1..=most).rev().find(|n| batch.is_multiple_of(*n))
}

/// Which items read nothing but what is `kept` from run to run, directly or by way of others of their kind.
fn fixed(nodes: &[Waiting], kept: &dyn Fn(Buffer) -> bool) -> Vec<bool> {
    let mut made: HashSet<Buffer> = HashSet::new();
    let mut varying: HashSet<Buffer> = HashSet::new();
    nodes
        .iter()
        .map(|node| {
            let known = |b: &Buffer| !varying.contains(b) && (kept(*b) || made.contains(b));
            let is_fixed = !node.reads.is_empty() && node.reads.iter().all(known);
            if is_fixed {
                made.extend(&node.writes)
            } else {
                varying.extend(&node.writes)
            }
            is_fixed
        })
        .collect()
}

/// Does a kernel write more than any buffer that it reads? It belongs to what reads it, so that little is stored.
fn expands(node: &Waiting, counts: &[usize]) -> bool {
    let most = |buffers: &HashSet<Buffer>| buffers.iter().map(|b| counts[b.index()]).max().unwrap_or(0);
    most(&node.writes) > most(&node.reads)
}

/// What all readers of an item agree on.
fn readers_block(nodes: &[Waiting], blocks: &[Option<usize>], i: usize) -> Option<usize> {
    let mut wanted = nodes[i].after.iter().filter_map(|reader| blocks[*reader]);
    let first = wanted.next()?;
    wanted.all(|block| block == first).then_some(first)
}

/// Coordinates without the first.
pub fn rest(at: Vec<Coord>) -> Vec<Coord> {
    at.into_iter().skip(1).collect()
}

/// Replaces variables in an affine coordinate.
pub fn put(a: &Affine, with: &HashMap<Var, Affine>) -> Affine {
    a.substitute(&|v| with.get(&v).cloned().unwrap_or(Affine::from(v)))
}

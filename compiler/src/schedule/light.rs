//! Tables that cost nothing to make again are not kept from forward to backward: batch norm and `relu` of what a convolution
//! made, where backward reads that too. What `thrift` does below a limit of memory is done here without being asked.

use super::Target;
use super::group::uses;
use super::kernels::{Item, Lowered};
use super::steps::root_of;
use super::thrift::{Facts, SLIGHT, Table};
use crate::base::Buffer;
use crate::loops::{Binary, Expr, Node, Unary, expr};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The same kernels, where tables are made again that cost nothing: each is a little arithmetic on one other table, which is
/// kept and read there anyway.
pub fn at_no_cost(lowered: Lowered, target: &Target) -> Lowered {
    if !target.fuse || !is_promising(&lowered) {
        return lowered;
    }
    let facts = Facts::new(&lowered, target);
    let dropped = facts.free();
    if dropped.is_empty() { lowered } else { facts.without(lowered, &dropped, true) }
}

/// Is there a table that is made of another by a little arithmetic, where the other one is used as late as it is?
fn is_promising(lowered: &Lowered) -> bool {
    let buffers = &lowered.program.buffers;
    let root = |b: Buffer| root_of(buffers, b);
    let mut last: HashMap<Buffer, usize> = HashMap::new();
    let mut made = vec![];
    for (i, item) in lowered.items.iter().enumerate() {
        let (reads, writes) = uses(&item.kernel, &root);
        reads.iter().for_each(|b| *last.entry(*b).or_default() = i);
        if is_light(item) {
            made.push((i, reads, writes));
        }
    }
    let used = |b: &Buffer| last.get(b).copied().unwrap_or(0);
    let late = |(i, reads, writes): &(usize, HashSet<Buffer>, HashSet<Buffer>)| {
        let end = writes.iter().map(used).max().unwrap_or(0);
        end > i + 1 && reads.iter().any(|b| used(b) >= end)
    };
    made.iter().any(late)
}

/// Is each element a little arithmetic on a few others?
pub fn is_light(item: &Item) -> bool {
    fn light(e: &Expr, seen: &mut HashSet<*const Node>) -> bool {
        if !seen.insert(Arc::as_ptr(e)) {
            return true;
        }
        let own = match &**e {
            Node::Const(_) | Node::Coord(_) | Node::Load(..) | Node::Select(..) => true,
            Node::Unary(op, _) => matches!(op, Unary::Neg | Unary::Abs),
            Node::Binary(op, ..) => !matches!(op, Binary::Div | Binary::Pow),
            Node::Reduce { .. } | Node::Guard { .. } | Node::Random { .. } => false,
        };
        own && expr::children(e).into_iter().all(|x| light(x, seen))
    }
    item.body.is_none() && item.kernel.stores.iter().all(|s| light(&s.value, &mut HashSet::new()))
}

impl Facts {
    /// Tables that cost nothing to make again: wherever they are read after the peak, the only large table they are made of
    /// is read too.
    fn free(&self) -> BTreeSet<Buffer> {
        let late = |table: &Table| -> BTreeSet<usize> {
            table.readers.iter().map(|i| self.place[*i]).filter(|place| *place > self.peak).collect()
        };
        let mut free = BTreeSet::new();
        for b in &self.across {
            let table = &self.tables[b];
            let large = |of: &&Buffer| self.tables[*of].bytes * SLIGHT > table.bytes;
            let [of] = table.made_of.iter().filter(large).collect::<Vec<_>>()[..] else { continue };
            let places = late(table);
            let kept = self.crosses(&self.tables[of]) && !free.contains(of);
            let mut found = BTreeSet::new();
            if table.light
                && kept
                && places.is_subset(&late(&self.tables[of]))
                && self.closure(*b, &free, &mut found)
                && found.len() == 1
            {
                free.insert(*b);
            }
        }
        free
    }
}

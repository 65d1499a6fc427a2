//! What only one group needs: tables of a block of examples, private to a task.

use super::group::{Along, loads};
use super::lead::leads;
use super::steps::{Steps, root_of};
use crate::base::Buffer;
use crate::loops::nest::Program;
use crate::loops::{BufferType, Home};
use std::collections::{HashMap, HashSet};

impl Steps {
    /// Buffers that only this group touches, always at its own example: they become scratch whose first axis is the
    /// block, or that has no such axis where a block is one example.
    pub(super) fn scratch(&mut self, members: &[(usize, Along)], block: usize) -> HashMap<Buffer, Buffer> {
        let buffers = &self.program.buffers;
        let root = |b: Buffer| root_of(buffers, b);
        let inside: HashSet<usize> = members.iter().map(|(i, _)| *i).collect();
        let mut candidates = HashSet::new();
        for (i, along) in members {
            if matches!(along, Along::Each(_)) {
                candidates.extend(self.items[*i].kernel.stores.iter().map(|s| root(s.buffer)));
            }
        }
        candidates.retain(|b| buffers[b.index()].home == Home::Arena);
        for (_, b) in &self.program.outputs {
            candidates.remove(&root(*b));
        }
        for (_, b, _) in &self.program.inputs {
            candidates.remove(b);
        }
        let within = |of: &HashMap<Buffer, Vec<usize>>, b: &Buffer| {
            of.get(b).is_none_or(|items| items.iter().all(|i| inside.contains(i)))
        };
        candidates.retain(|b| within(&self.readers, b) && within(&self.writers, b));
        for (i, along) in members {
            let (Along::Each(var) | Along::Sum(var)) = *along;
            let kernel = &self.items[*i].kernel;
            let mut seen = HashSet::new();
            for s in &kernel.stores {
                if !leads(&s.at, var) {
                    candidates.remove(&root(s.buffer));
                }
                loads(&s.value, &mut seen, &mut |b, at| {
                    if !leads(at, var) {
                        candidates.remove(&root(b));
                    }
                });
            }
        }
        let shown: HashSet<Buffer> = buffers.iter().filter_map(|b| b.alias).collect();
        let mut found = HashMap::new();
        let mut order: Vec<Buffer> = (0..buffers.len() as u32).map(Buffer).collect();
        order.retain(|b| candidates.contains(&root(*b)));
        for b in order {
            let ty = self.program.buffers[b.index()].clone();
            let alias = ty.alias.map(|a| found[&a]);
            let mut shape = [&vec![block; usize::from(block > 1)], &ty.shape[1..]].concat();
            if alias.is_none() && !shown.contains(&b) {
                apart(&mut shape);
            }
            self.program.buffers.push(BufferType { shape, home: Home::Scratch, alias, name: ty.name });
            found.insert(b, Buffer(self.program.buffers.len() as u32 - 1));
        }
        found
    }
}

/// Rows of tables so long that few of them fill the sets of the first-level cache that they share.
const LONGEST_ROW: usize = 512;

/// The same for tables of one example that lie in the arena: tiles read several of their rows at once.
pub(super) fn apart_in_arena(program: &mut Program) {
    let ends = program.inputs.iter().map(|(_, b, _)| *b).chain(program.outputs.iter().map(|(_, b)| *b));
    let other_names = (0..program.buffers.len() as u32).map(Buffer);
    let other_names = other_names.filter_map(|b| program.buffers[b.index()].alias.map(|of| [b, of]));
    let kept: HashSet<Buffer> = ends.chain(other_names.flatten()).collect();
    for (i, ty) in program.buffers.iter_mut().enumerate() {
        let long = matches!(ty.shape[..], [1, rows, row] if rows > 1 && row >= LONGEST_ROW);
        if long && ty.home == Home::Arena && !kept.contains(&Buffer(i as u32)) {
            apart(&mut ty.shape);
        }
    }
}

/// Shorter rows are parts of longer ones.
const LONG_ROW: usize = 64;

/// Rows of an even number of cache lines get one more: columns of a table, as weight gradients read them, would share a
/// few sets of the first-level cache.
fn apart(shape: &mut [usize]) {
    if let [_, .., last] = shape
        && *last >= LONG_ROW
        && last.is_multiple_of(32)
    {
        *last += 16;
    }
}

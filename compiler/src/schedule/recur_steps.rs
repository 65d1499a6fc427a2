//! A recurrence as one step: a loop over its iterations in which every kernel of the body runs.
//!
//! Where every kernel follows the examples, each task takes a block of them through all iterations, and nobody waits for
//! anybody; of a few examples, tasks share out the units ([`super::lockstep`]). What lives for one iteration is scratch.
//! Code does not grow with the number of iterations.

use super::examples::Examples;
use super::group::{Along, loads, uses};
use super::kernels::Item;
use super::lead::leads;
use super::recur::Body;
use super::steps::{Steps, rewrite, root_of};
use crate::base::Buffer;
use crate::loops::nest::{For, Kind, Step, Stmt};
use crate::loops::{BufferType, Home, Node};
use dlc_runtime::abi::Part;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Examples that a task takes through all iterations at most: its rows of a contraction.
const MOST_ROWS: usize = 32;
/// With fewer, tiles are so small that more tasks do not pay.
const LEAST_ROWS: usize = 4;

impl Steps {
    pub(super) fn recurrence(&mut self, body: &Body, label: String) {
        let batch = self.program.batch.max(1);
        let apart = self.program.batch > 0 && self.follows_examples(&body.items);
        let block = if apart { block(batch) } else { batch };
        if apart && block == batch && self.in_lockstep(body, &label) {
            return;
        }
        let tasks = batch / block;
        let (task, i) = (self.scope.var(), self.scope.var());
        let mut e = Examples::new(task, i, [tasks, 1, block], true);
        e.repeated = Some(body.of.var());
        e.scratch = self.local(body, apart.then_some(block));
        let first = self.items.len();
        self.items.extend(body.items.iter().cloned());
        for m in first..self.items.len() {
            if apart {
                let (var, _) = self.items[m].kernel.axes[0];
                self.member(&mut e, m, Along::Each(var));
            } else {
                self.as_it_is(&mut e, m);
            }
        }
        self.items.truncate(first);
        let inner = For {
            var: body.of.var(),
            extent: body.of.length,
            kind: Kind::Recurrent,
            within: None,
            body: std::mem::take(&mut e.body),
        };
        let mut stmts = std::mem::take(&mut e.head);
        let blocks = For { var: i, extent: 1, kind: Kind::Sequence, within: None, body: vec![Stmt::For(inner)] };
        stmts.push(Stmt::For(blocks));
        stmts.append(&mut e.tail);
        let parts = e.parts.into_iter().map(|part| repeated(part, body.of.length)).collect();
        self.program.steps.push(Step { task, tasks, lockstep: false, body: stmts, label, parts });
    }

    /// Does every kernel work on each example alone?
    fn follows_examples(&self, items: &[Item]) -> bool {
        let root = |b: Buffer| root_of(&self.program.buffers, b);
        let made: HashSet<Buffer> = items.iter().flat_map(|i| uses(&i.kernel, &root).1).collect();
        items.iter().all(|item| {
            let Some((var, n)) = item.kernel.axes.first().copied() else { return false };
            let mut aligned = n == self.program.batch && item.body.is_none();
            let mut seen = HashSet::new();
            for s in &item.kernel.stores {
                aligned &= leads(&s.at, var);
                loads(&s.value, &mut seen, &mut |b, at| aligned &= !made.contains(&root(b)) || leads(at, var));
            }
            aligned
        })
    }

    /// Scratch for the buffers of one iteration, and for other names of them.
    pub(super) fn local(&mut self, body: &Body, block: Option<usize>) -> HashMap<Buffer, Buffer> {
        let local: HashSet<Buffer> = body.local.iter().copied().collect();
        let buffers = &self.program.buffers;
        let own: Vec<Buffer> =
            (0..buffers.len() as u32).map(Buffer).filter(|b| local.contains(&root_of(buffers, *b))).collect();
        let mut found: HashMap<Buffer, Buffer> = HashMap::new();
        for b in own {
            let ty = self.program.buffers[b.index()].clone();
            let shape = match block {
                Some(block) => [&vec![block; usize::from(block > 1)], &ty.shape[1..]].concat(),
                None => ty.shape,
            };
            let alias = ty.alias.map(|a| found[&a]);
            self.program.buffers.push(BufferType { shape, home: Home::Scratch, alias, name: ty.name });
            found.insert(b, Buffer(self.program.buffers.len() as u32 - 1));
        }
        found
    }

    /// A kernel for all examples at once.
    fn as_it_is(&mut self, e: &mut Examples, m: usize) {
        let Item { kernel, label, .. } = self.items[m].clone();
        let scratch = &e.scratch;
        let other = |b: Buffer| scratch.get(&b).copied().unwrap_or(b);
        let mut kernel = rewrite(&kernel, &HashMap::new(), &mut |b, at| Arc::new(Node::Load(other(b), at)));
        kernel.stores.iter_mut().for_each(|s| s.buffer = other(s.buffer));
        self.each(e, &kernel, vec![], &label);
    }
}

/// A part of one iteration, in all of them.
pub(super) fn repeated(part: Part, times: usize) -> Part {
    Part { algorithm: format!("{times} times {}", part.algorithm), flop: part.flop * times as u64, ..part }
}

/// Equal blocks of the examples: at least two where each then has enough rows.
fn block(batch: usize) -> usize {
    let divisors = |most: usize| (LEAST_ROWS..=most).rev().find(|n| batch.is_multiple_of(*n));
    divisors(MOST_ROWS.min(batch / 2)).unwrap_or(batch)
}

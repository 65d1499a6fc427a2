//! What depends on nothing but weights and statistics comes first: packed weights, transformed filters, scales that
//! batch norm folds into them. Where nothing writes the state, a session does these steps once, not at every run.

use crate::base::Buffer;
use crate::loops::Home;
use crate::loops::nest::{Program, Step};
use std::collections::{HashMap, HashSet};

/// Moves such steps to the front and counts them.
pub fn run(program: &mut Program) {
    let root = |b: Buffer| super::steps::root_of(&program.buffers, b);
    let home = |b: Buffer| program.buffers[root(b).index()].home;
    let uses: Vec<(Vec<Buffer>, Vec<Buffer>)> = program.steps.iter().map(Step::buffers).collect();
    if uses.iter().any(|(_, writes)| writes.iter().any(|b| home(*b) == Home::State)) {
        return;
    }
    // How many steps write each memory of the arena: what several write is left alone.
    let mut writers: HashMap<Buffer, usize> = HashMap::new();
    for b in uses.iter().flat_map(|(_, writes)| writes).filter(|b| home(**b) == Home::Arena) {
        *writers.entry(root(*b)).or_default() += 1;
    }
    let mut ready: HashSet<Buffer> = HashSet::new();
    let is_prepared: Vec<bool> = uses
        .iter()
        .map(|(reads, writes)| {
            let known = |b: &&Buffer| match home(**b) {
                Home::State | Home::Scratch => true,
                Home::Arena => ready.contains(&root(**b)) || writes.contains(*b),
            };
            let own = |b: &&Buffer| home(**b) == Home::Scratch || writers.get(&root(**b)) == Some(&1);
            let prepared = reads.iter().all(|b| known(&b)) && writes.iter().all(|b| own(&b));
            if prepared {
                ready.extend(writes.iter().map(|b| root(*b)));
            }
            prepared
        })
        .collect();
    let steps = std::mem::take(&mut program.steps);
    let (first, rest): (Vec<_>, Vec<_>) = steps.into_iter().zip(is_prepared).partition(|(_, prepared)| *prepared);
    program.prepared = first.len();
    program.steps = first.into_iter().chain(rest).map(|(step, _)| step).collect();
}

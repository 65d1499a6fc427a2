//! Loops along the same rows, one kernel after the other, are one step where there are no examples to share out: each task
//! takes some rows through all of them.

use super::contraction::{loose_flop, recognize};
use super::filters;
use super::kernels::Item;
use super::near::rows::Run;
use super::parts::{Next, separate};
use super::steps::{SMALL, Steps, TASKS, plain, work};
use crate::loops::Kernel;
use crate::loops::nest::Stmt;
use dlc_runtime::abi::Part;

/// Kernels that are looked at together at most.
const MOST: usize = 16;
/// Points and terms of a task, if there are not too few tasks.
const WORK: usize = 4 * SMALL;
/// A step of more work is shared out to so many tasks at least.
const TASKS_AT_LEAST: usize = 4;

impl Steps {
    /// Is an item nothing but loops?
    pub(super) fn is_loops(&self, item: usize) -> bool {
        let item = &self.items[item];
        let sums = |k: &Kernel| match &k.stores[..] {
            [store] => recognize(&k.axes, store).is_some(),
            _ => false,
        };
        let alone = separate(&item.kernel);
        item.body.is_none() && alone.len() == 1 && !sums(&alone[0]) && filters::recognize(&alone[0]).is_none()
    }

    /// Items that are nothing but loops, one after the other.
    pub(super) fn loops_in_parts(&mut self, items: &[usize]) {
        let mut rest = items;
        while let Some(first) = rest.first() {
            let done = self.along_rows(&rest[..rest.len().min(MOST)]);
            if done == 0 {
                self.in_parts(*first, Next::Nothing);
            }
            rest = &rest[done.max(1)..];
        }
    }

    /// A step of as many items as walk along the same rows: says how many those are.
    fn along_rows(&mut self, items: &[usize]) -> usize {
        let mut stmts = vec![];
        let mut ends = vec![];
        for (k, i) in items.iter().enumerate() {
            let kernel = self.items[*i].kernel.clone();
            for part in self.strips_below_diagonal(&kernel) {
                for stmt in plain(&part) {
                    stmts.extend([Stmt::Mark(k), stmt]);
                }
            }
            ends.push(stmts.len());
        }
        let runs = [2, 1].into_iter().filter_map(|count| {
            let run = Run::of(&self.program.buffers, &stmts, count)?;
            let whole = ends.iter().take_while(|end| **end <= run.statements).count();
            let run = Run::of(&self.program.buffers, &stmts[..*ends[..whole].last()?], count)?;
            run.has_columns().then_some((whole, run))
        });
        let Some((whole, run)) = runs.max_by_key(|(whole, _)| *whole).filter(|(whole, _)| *whole > 1) else { return 0 };
        let all: usize = items[..whole].iter().map(|i| work(&self.items[*i].kernel)).sum();
        let most = if all > SMALL { (all / WORK).clamp(TASKS_AT_LEAST, TASKS) } else { 1 };
        let task = self.scope.var();
        let Some((tasks, body)) = run.in_tasks(task, most) else { return 0 };
        if tasks < most.min(TASKS_AT_LEAST) {
            return 0;
        }
        let part = |item: &Item| Part::new(item.label.clone(), "loops", loose_flop(&item.kernel));
        let parts = items[..whole].iter().map(|i| part(&self.items[*i])).collect();
        self.push_parts(task, tasks, body, parts);
        whole
    }
}

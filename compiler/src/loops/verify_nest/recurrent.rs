//! Recurrences: an iteration reads only what was there before, or what itself and the iteration before have written.
//!
//! The body is looked at three times. As the first iteration: what it reads was written before the loop or by itself.
//! As the second: what it reads of memory that the loop writes was written by the first or by itself. As any: all else.
//! Since every access to such memory moves by the same step from iteration to iteration, what holds of the second holds
//! of each that follows.

use super::cover::Written;
use super::ranges::{Fact, Linear, Ranges};
use super::region::Region;
use super::{Check, For};
use crate::base::{Buffer, Var};
use crate::loops::Affine;
use crate::loops::nest::Step;
use std::collections::{HashMap, HashSet};

/// Which iteration the body is looked at as.
#[derive(Clone, Copy, PartialEq)]
enum As {
    First,
    Second,
    Any,
}

/// What is known of the loop that is looked at.
pub(super) struct Recurrent {
    var: Var,
    now: As,
    /// Memory that the loop writes.
    writes: HashSet<Buffer>,
    /// What the first and the second iteration have written.
    written: HashMap<Buffer, Written>,
    /// How far accesses to what the loop writes move with an iteration.
    steps: HashMap<Buffer, i64>,
}

impl Recurrent {
    /// Every access to what the loop writes moves alike.
    fn moves(&mut self, root: Buffer, linear: &Linear) -> Result<(), String> {
        let step = linear.at.coefficient(self.var);
        if *self.steps.entry(root).or_insert(step) == step {
            return Ok(());
        }
        Err(format!("accesses to {root} move differently from iteration to iteration"))
    }

    pub fn write(&mut self, root: Buffer, linear: &Linear, region: Option<&Region>) -> Result<(), String> {
        if let Some(region) = region.filter(|_| self.now != As::Any) {
            self.written.entry(root).or_default().add(region.clone());
        }
        self.moves(root, linear)
    }

    /// Was it written? `None` where what was written outside decides.
    pub fn read(
        &mut self,
        root: Buffer,
        linear: &Linear,
        ranges: &Ranges,
        size: i64,
        sizes: &[i64],
    ) -> Result<Option<bool>, String> {
        if !self.writes.contains(&root) {
            return Ok(None);
        }
        self.moves(root, linear)?;
        Ok(match self.now {
            As::First => None,
            As::Any => Some(true),
            As::Second => {
                let Some(region) = Region::new(linear, ranges) else { return Ok(Some(true)) };
                let mut known = self.written.get_mut(&root);
                Some(known.as_mut().is_some_and(|w| w.has(&region, size, sizes)))
            }
        })
    }
}

impl Check<'_> {
    pub(super) fn recurrent(&mut self, f: &For) -> Result<(), String> {
        if f.within.is_some() || self.accesses.recurrent.is_some() {
            return Err(format!("the recurrence over {} ends early or lies in another", f.var));
        }
        let body =
            Step { task: f.var, tasks: 1, lockstep: false, body: f.body.clone(), label: String::new(), parts: vec![] };
        let writes = body.buffers().1.into_iter().map(|b| self.memory.root(b)).collect();
        self.bind(f.var, f.extent)?;
        self.loops += 1;
        self.accesses.recurrent =
            Some(Recurrent { var: f.var, now: As::First, writes, written: HashMap::new(), steps: HashMap::new() });
        for (now, only) in [(As::First, Some(0)), (As::Second, Some(1)), (As::Any, None)] {
            if only.is_some_and(|i| i >= f.extent as i64) {
                continue;
            }
            if let Some(r) = &mut self.accesses.recurrent {
                r.now = now;
            }
            let facts = self.ranges.facts.len();
            let fact = only.map(|i| Fact { at: Affine::from(f.var), low: Some(i), high: i, depth: 0 });
            self.ranges.facts.extend(fact);
            self.stmts(&f.body)?;
            self.ranges.facts.truncate(facts);
        }
        self.accesses.recurrent = None;
        self.ranges.vars.pop();
        self.loops -= 1;
        Ok(())
    }
}

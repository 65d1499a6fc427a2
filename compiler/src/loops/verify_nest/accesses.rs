//! What a step reads and writes, in program order.

use super::cover::Written;
use super::ranges::{Linear, Ranges};
use super::recurrent::Recurrent;
use super::region::Region;
use super::tasks::{Access, disjoint};
use crate::base::{Buffer, Var};
use crate::loops::affine::Affine;
use crate::loops::expr::Coord;
use crate::loops::kernel::Home;
use crate::loops::nest::{Program, Step};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Shapes, strides and aliases of a program's buffers.
pub(super) struct Memory {
    roots: Vec<Buffer>,
    strides: Vec<Vec<i64>>,
    sizes: Vec<i64>,
    homes: Vec<Home>,
    inputs: HashSet<Buffer>,
    /// Of roots: sizes of trailing axes of all shapes that the memory has.
    moduli: HashMap<Buffer, Vec<i64>>,
}

impl Memory {
    pub fn new(program: &Program) -> Memory {
        let mut memory = Memory {
            roots: vec![],
            strides: vec![],
            sizes: vec![],
            homes: vec![],
            inputs: HashSet::new(),
            moduli: HashMap::new(),
        };
        for i in 0..program.buffers.len() {
            let mut root = Buffer(i as u32);
            while let Some(of) = program.buffers[root.index()].alias {
                root = of;
            }
            let shape = &program.buffers[i].shape;
            let mut strides = vec![1i64; shape.len()];
            for k in (0..shape.len().saturating_sub(1)).rev() {
                strides[k] = strides[k + 1] * shape[k + 1] as i64;
            }
            let moduli = memory.moduli.entry(root).or_default();
            for s in &strides {
                if *s > 1 && !moduli.contains(s) {
                    moduli.push(*s);
                }
            }
            memory.roots.push(root);
            memory.strides.push(strides);
            memory.sizes.push(shape.iter().product::<usize>() as i64);
            memory.homes.push(program.buffers[root.index()].home);
        }
        memory.inputs = program.inputs.iter().map(|(_, b, _)| memory.roots[b.index()]).collect();
        memory
    }

    pub fn root(&self, buffer: Buffer) -> Buffer {
        self.roots.get(buffer.index()).copied().unwrap_or(buffer)
    }

    /// Elements from one index of each axis to the next.
    pub fn strides(&self, buffer: Buffer) -> &[i64] {
        self.strides.get(buffer.index()).map_or(&[], Vec::as_slice)
    }

    /// Elements of a buffer.
    pub fn size(&self, buffer: Buffer) -> i64 {
        self.sizes[buffer.index()]
    }

    /// Sizes of trailing axes of all shapes that the memory of a root has.
    pub fn trailing(&self, root: Buffer) -> &[i64] {
        self.moduli.get(&root).map_or(&[], Vec::as_slice)
    }

    /// The address of an element.
    pub fn linear(&self, buffer: Buffer, at: &[Coord]) -> Linear {
        let mut linear = Linear { at: Affine::default(), more: vec![] };
        for (c, s) in at.iter().zip(self.strides(buffer)) {
            match c {
                Coord::Affine(a) => linear.at = &linear.at + &(a * *s),
                Coord::Index { extent, .. } => linear.more.push((*s, *extent)),
            }
        }
        linear
    }
}

/// An interval of scratch that is written if all loops with these conditions run.
struct Interval {
    range: (i64, i64),
    /// The elements, where they are known exactly.
    region: Option<Region>,
    conditions: Vec<usize>,
}

/// Accesses of one step.
pub(super) struct Accesses<'a> {
    memory: &'a Memory,
    task: Var,
    tasks: usize,
    /// What counts the rounds of tasks in lockstep.
    round: Option<Var>,
    /// Memory of arena and state that the step writes.
    writes: HashSet<Buffer>,
    /// What was written of the arena so far.
    written: &'a mut HashMap<Buffer, Written>,
    scratch: HashMap<Buffer, Vec<Interval>>,
    shared: BTreeMap<Buffer, Vec<Access>>,
    /// What a recurrence has written, inside one.
    pub(super) recurrent: Option<Recurrent>,
}

impl<'a> Accesses<'a> {
    pub fn new(memory: &'a Memory, step: &Step, written: &'a mut HashMap<Buffer, Written>) -> Accesses<'a> {
        let writes = step.buffers().1.into_iter().map(|b| memory.root(b)).collect();
        Accesses {
            memory,
            task: step.task,
            tasks: step.tasks,
            round: step.rounds().map(|f| f.var),
            writes,
            written,
            scratch: HashMap::new(),
            shared: BTreeMap::new(),
            recurrent: None,
        }
    }

    pub fn read(
        &mut self,
        buffer: Buffer,
        linear: &Linear,
        ranges: &Ranges,
        conditions: &[usize],
    ) -> Result<(), String> {
        let root = self.memory.root(buffer);
        match self.memory.homes[root.index()] {
            Home::Scratch => self.read_scratch(root, linear, ranges, conditions),
            Home::Arena if !self.is_known(root, linear, ranges)? => {
                Err(format!("{buffer} is read where nothing was written before"))
            }
            Home::Arena | Home::State => {
                self.share(root, linear, Access::READS, ranges);
                Ok(())
            }
        }
    }

    pub fn write(
        &mut self,
        buffer: Buffer,
        linear: &Linear,
        ranges: &Ranges,
        conditions: &[usize],
    ) -> Result<(), String> {
        let root = self.memory.root(buffer);
        if self.memory.inputs.contains(&root) {
            return Err(format!("{buffer} is an input and written"));
        }
        match self.memory.homes[root.index()] {
            Home::Scratch => {
                let range = ranges.linear(linear, usize::MAX);
                let region = Region::new(linear, ranges).filter(|r| r.exact);
                let written = Interval { range, region, conditions: conditions.to_vec() };
                self.scratch.entry(root).or_default().push(written);
            }
            Home::Arena | Home::State => {
                let region = Region::new(linear, ranges);
                if let Some(r) = &mut self.recurrent {
                    r.write(root, linear, region.as_ref())?;
                }
                if let Some(region) = region {
                    self.written.entry(root).or_default().add(region);
                }
                self.share(root, linear, Access::WRITES, ranges);
            }
        }
        Ok(())
    }

    /// Was it written before the step, in it, or by an earlier iteration of the recurrence around here?
    fn is_known(&mut self, root: Buffer, linear: &Linear, ranges: &Ranges) -> Result<bool, String> {
        let (size, sizes) = (self.memory.size(root), self.memory.trailing(root));
        match self.recurrent.as_mut().map(|r| r.read(root, linear, ranges, size, sizes)).transpose()?.flatten() {
            Some(known) => Ok(known),
            None => Ok(self.was_written(root, linear, ranges)),
        }
    }

    fn was_written(&mut self, root: Buffer, linear: &Linear, ranges: &Ranges) -> bool {
        let Some(written) = self.written.get_mut(&root) else { return false };
        let (size, sizes) = (self.memory.size(root), self.memory.trailing(root));
        written.is_whole(size, sizes)
            || Region::new(linear, ranges).is_none_or(|region| written.has(&region, size, sizes))
    }

    fn share(&mut self, root: Buffer, linear: &Linear, writes: bool, ranges: &Ranges) {
        if self.tasks > 1 && self.writes.contains(&root) {
            let mut linear = linear.clone();
            if let Some(round) = self.round {
                // All move alike from round to round, so that those of the first meet where those of any do.
                linear.at.terms.retain(|(v, _)| *v != round);
            }
            let access = Access::new(self.task, &linear, writes, self.memory.trailing(root), ranges);
            let list = self.shared.entry(root).or_default();
            if !list.contains(&access) {
                list.push(access);
            }
        }
    }

    fn read_scratch(&self, root: Buffer, linear: &Linear, ranges: &Ranges, conditions: &[usize]) -> Result<(), String> {
        let (low, high) = ranges.linear(linear, usize::MAX);
        let none = vec![];
        let written = self.scratch.get(&root).unwrap_or(&none);
        let sure = |w: &&Interval| w.conditions.iter().all(|c| conditions.contains(c));
        let mut intervals: Vec<(i64, i64)> = written.iter().filter(sure).map(|w| w.range).collect();
        intervals.sort_unstable();
        let end = intervals.iter().fold(low, |end, (from, to)| if *from <= end { end.max(to + 1) } else { end });
        if end > high {
            return Ok(());
        }
        // Rows may lie apart, with gaps that nobody writes or reads.
        let mut exactly = Written::default();
        written.iter().filter(sure).filter_map(|w| w.region.clone()).for_each(|r| exactly.add(r));
        let (size, sizes) = (self.memory.size(root), self.memory.trailing(root));
        let read = Region::new(linear, ranges).filter(|r| r.exact);
        match read.is_some_and(|r| exactly.has(&r, size, sizes)) {
            true => Ok(()),
            false => Err(format!("scratch {root} is read at {end} before it is written there")),
        }
    }

    /// No two tasks meet in memory that one of them writes.
    pub fn finish(self) -> Result<(), String> {
        match self.shared.into_iter().find(|(_, list)| !disjoint(list)) {
            Some((root, list)) => Err(format!("two tasks may meet in {root}: {list:?}")),
            None => Ok(()),
        }
    }
}

//! What must hold of a program of nests before machine code is made from it; shares no code with the scheduler.
//!
//! - every variable is bound where it is used, once; a loop's condition can only become false in it;
//! - every load and store has one coordinate per axis, in its axis; every call of a microkernel stays inside its buffers;
//! - a load in bounds only because of a loop's condition depends on a variable of that loop, so that code generation
//!   does not compute it before the condition is tested;
//! - lanes of one vector loop read what the loop writes only at their own place, or beyond the reach of all of them;
//! - an iteration of a recurrence reads what it or the one before has written ([`recurrent`]);
//! - a tile or filter adds exactly along the loops that do not move its result;
//! - two tasks of a step, in lockstep of a round, never write the same element, nor does one read what another writes
//!   ([`tasks`]);
//! - additions through an index happen in steps of one task;
//! - scratch is written before it is read within a task, memory of the arena before or in the step that reads it;
//!   inputs are never written, outputs as a whole.
//!
//! Ranges are intervals, narrowed by conditions ([`ranges`]), so more may be refused than must be, but nothing is
//! accepted that goes outside. Written scratch is known by the interval from its first to its last element, written
//! memory of the arena by its elements ([`cover`]): where those are not known, all of it counts as written.

mod accesses;
mod calls;
mod cover;
mod ranges;
mod recurrent;
mod region;
mod tasks;

use super::affine::Affine;
use super::expr::{Coord, Expr, Node};
use super::kernel::{BufferType, Home, How, Store};
use super::nest::{For, Kind, Program, Step, Stmt};
use crate::base::{Buffer, Var};
use accesses::{Accesses, Memory};
use cover::Written;
use ranges::{Fact, Linear, Ranges};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The first broken rule, with its step, in words. `lanes`: of the vectors that tiles work on.
pub fn verify(program: &Program, lanes: usize) -> Result<(), String> {
    let memory = Memory::new(program);
    let mut written: HashMap<Buffer, Written> =
        program.inputs.iter().map(|(_, b, _)| (memory.root(*b), Written::everything())).collect();
    for (i, step) in program.steps.iter().enumerate() {
        let name = |e: String| format!("step {i} ({}): {e}", step.label);
        let accesses = Accesses::new(&memory, step, &mut written);
        let check = Check {
            program,
            memory: &memory,
            lanes,
            ranges: Ranges { vars: vec![(step.task, step.tasks)], facts: vec![] },
            loops: 1,
            conditions: vec![],
            met: 0,
            vector: None,
            own: vec![],
            seen: HashSet::new(),
            accesses,
        };
        check.step(step).map_err(name)?;
    }
    for (name, b) in &program.outputs {
        let root = memory.root(*b);
        let mut whole = || written.get_mut(&root).is_some_and(|w| w.is_whole(memory.size(root), memory.trailing(root)));
        if program.buffers[root.index()].home == Home::Arena && !whole() {
            return Err(format!("not all of the output `{name}` ({b}) is written"));
        }
    }
    Ok(())
}

struct Check<'a> {
    program: &'a Program,
    memory: &'a Memory,
    lanes: usize,
    ranges: Ranges,
    /// How many of the variables belong to loops, not reductions.
    loops: usize,
    /// The loops with conditions around here, by number.
    conditions: Vec<usize>,
    /// Loops with conditions so far.
    met: usize,
    /// The variable whose iterations may run at once.
    vector: Option<Var>,
    /// What the present group stores: memory and place.
    own: Vec<(Buffer, Linear)>,
    /// Nodes that hold under the present guards and variables.
    seen: HashSet<*const Node>,
    accesses: Accesses<'a>,
}

impl<'a> Check<'a> {
    fn step(mut self, step: &Step) -> Result<(), String> {
        if step.tasks == 0 {
            return Err("no tasks".into());
        }
        if step.lockstep && step.rounds().is_none_or(|f| f.kind != Kind::Recurrent) {
            return Err("lockstep, but no recurrence".into());
        }
        self.stmts(&step.body)?;
        self.accesses.finish()
    }

    fn stmts(&mut self, stmts: &[Stmt]) -> Result<(), String> {
        stmts.iter().try_for_each(|stmt| match stmt {
            Stmt::For(f) => self.for_loop(f),
            Stmt::Group(stores) => self.group(stores),
            Stmt::Tile(t) => self.tile(t).map_err(|e| format!("{e} in {t:?}")),
            Stmt::Transpose(t) => self.transpose(t).map_err(|e| format!("{e} in {t:?}")),
            Stmt::Transform(t) => self.transform(t).map_err(|e| format!("{e} in {t:?}")),
            Stmt::Filter(t) => self.filter(t).map_err(|e| format!("{e} in {t:?}")),
            Stmt::Mark(_) => Ok(()),
        })
    }

    fn bind(&mut self, var: Var, extent: usize) -> Result<(), String> {
        if self.ranges.extent(var).is_some() {
            return Err(format!("{var} is bound twice"));
        }
        self.ranges.vars.push((var, extent));
        Ok(())
    }

    fn for_loop(&mut self, f: &For) -> Result<(), String> {
        if f.extent == 0 {
            return Ok(());
        }
        if f.kind == Kind::Recurrent {
            return self.recurrent(f);
        }
        self.bind(f.var, f.extent)?;
        self.loops += 1;
        let (facts, conditions, vector) = (self.ranges.facts.len(), self.conditions.len(), self.vector);
        if let Some((at, bound)) = &f.within {
            self.ranges.bound(at)?;
            if at.coefficient(f.var) < 0 {
                return Err(format!("the loop over {} cannot end where {at} reaches {bound}", f.var));
            }
            let fact = Fact { at: at.clone(), low: None, high: *bound as i64 - 1, depth: self.loops };
            self.ranges.facts.push(fact);
            self.conditions.push(self.met);
            self.met += 1;
        }
        if f.kind == Kind::Vector {
            self.vector = Some(f.var);
        }
        self.stmts(&f.body)?;
        self.vector = vector;
        self.conditions.truncate(conditions);
        self.ranges.facts.truncate(facts);
        self.ranges.vars.pop();
        self.loops -= 1;
        Ok(())
    }

    // ---- stores and loads ----------------------------------------------------------------------

    fn group(&mut self, stores: &[Store]) -> Result<(), String> {
        self.seen.clear();
        self.own = stores.iter().map(|s| (self.memory.root(s.buffer), self.memory.linear(s.buffer, &s.at))).collect();
        for s in stores {
            self.expr(&s.value)?;
        }
        for s in stores {
            let linear = self.place(s.buffer, &s.at, usize::MAX)?;
            let indexed = s.at.iter().any(|c| matches!(c, Coord::Index { .. }));
            if s.how == How::Add {
                if indexed && self.ranges.vars[0].1 > 1 {
                    return Err(format!("an addition to {} through an index, in several tasks", s.buffer));
                }
                self.read(s.buffer, &linear)?;
            }
            self.write(s.buffer, &linear)?;
        }
        Ok(())
    }

    /// Checks the coordinates, each in its axis; conditions hold if tested at `depth` or before.
    fn place(&mut self, buffer: Buffer, at: &[Coord], depth: usize) -> Result<Linear, String> {
        let shape = &self.shape(buffer)?.shape;
        if shape.len() != at.len() {
            return Err(format!("{buffer}: {} coordinates for {shape:?}", at.len()));
        }
        for (coord, axis) in at.iter().zip(shape) {
            match coord {
                Coord::Affine(a) => {
                    self.ranges.bound(a)?;
                    let (low, high) = self.ranges.range(a, depth);
                    if low <= high && (low < 0 || high >= *axis as i64) {
                        return Err(format!("{buffer}: {a} is in {low}..={high}, not below {axis}"));
                    }
                }
                Coord::Index { from, extent } => {
                    if extent > axis {
                        return Err(format!("{buffer}: an index below {extent} on an axis of {axis}"));
                    }
                    self.expr(from)?;
                }
            }
        }
        Ok(self.memory.linear(buffer, at))
    }

    fn shape(&self, buffer: Buffer) -> Result<&'a BufferType, String> {
        self.program.buffers.get(buffer.index()).ok_or(format!("{buffer} does not exist"))
    }

    fn load(&mut self, buffer: Buffer, at: &[Coord]) -> Result<(), String> {
        let depth = at.iter().map(|c| match c {
            Coord::Affine(a) => self.ranges.depth(a, self.loops),
            Coord::Index { .. } => 0,
        });
        let depth = depth.max().unwrap_or(0);
        let linear = self.place(buffer, at, depth)?;
        let root = self.memory.root(buffer);
        let mut own = self.own.iter().filter(|(b, _)| *b == root).peekable();
        if self.vector.is_some() && own.peek().is_some() && own.all(|(_, l)| *l != linear && !self.is_far(l, &linear)) {
            return Err(format!("{buffer} is read at {:?} in lanes that write it elsewhere", linear.at));
        }
        self.read(buffer, &linear)
    }

    /// Do two accesses lie so far apart, or so between each other, that no lane of the loop meets another?
    fn is_far(&self, a: &Linear, b: &Linear) -> bool {
        let Some(var) = self.vector else { return false };
        let apart = &a.at - &b.at;
        let step = a.at.coefficient(var).abs();
        let reach = step * self.ranges.extent(var).unwrap_or(0) as i64;
        let between = step > 0 && apart.constant % step != 0;
        let plain = a.more.is_empty() && b.more.is_empty() && apart.is_constant();
        plain && (between || apart.constant.abs() >= reach)
    }

    fn read(&mut self, buffer: Buffer, linear: &Linear) -> Result<(), String> {
        self.accesses.read(buffer, linear, &self.ranges, &self.conditions)
    }

    fn write(&mut self, buffer: Buffer, linear: &Linear) -> Result<(), String> {
        self.accesses.write(buffer, linear, &self.ranges, &self.conditions)
    }

    /// `body` in a scope of its own.
    fn within(&mut self, body: &Expr) -> Result<(), String> {
        let seen = std::mem::take(&mut self.seen);
        let result = self.expr(body);
        self.seen = seen;
        result
    }

    fn expr(&mut self, e: &Expr) -> Result<(), String> {
        if !self.seen.insert(Arc::as_ptr(e)) {
            return Ok(());
        }
        match &**e {
            Node::Const(_) => Ok(()),
            Node::Coord(at) => self.ranges.bound(at),
            Node::Load(buffer, at) => self.load(*buffer, at),
            Node::Unary(_, x) => self.expr(x),
            Node::Binary(_, a, b) => {
                self.expr(a)?;
                self.expr(b)
            }
            Node::Select(c, a, b) => {
                self.expr(c)?;
                self.expr(a)?;
                self.expr(b)
            }
            Node::Reduce { vars, body, .. } => {
                let outer = self.ranges.vars.len();
                for (var, extent) in vars {
                    if *extent == 0 {
                        return Err(format!("{var} has no values"));
                    }
                    self.bind(*var, *extent)?;
                }
                self.within(body)?;
                self.ranges.vars.truncate(outer);
                Ok(())
            }
            Node::Guard { inside, body, .. } => self.guard(inside, body),
            Node::Random { step, counter, .. } => {
                self.ranges.bound(counter)?;
                self.expr(step)
            }
        }
    }

    fn guard(&mut self, inside: &[(Affine, usize)], body: &Expr) -> Result<(), String> {
        let outer = self.ranges.facts.len();
        let mut never = false;
        for (at, extent) in inside {
            self.ranges.bound(at)?;
            let high = *extent as i64 - 1;
            let range = self.ranges.range(at, 0);
            never |= range.1 < 0 || range.0 > high;
            self.ranges.facts.push(Fact { at: at.clone(), low: Some(0), high, depth: 0 });
        }
        // Nobody evaluates the body of a guard that never holds: the padding of something small.
        let result = if never { Ok(()) } else { self.within(body) };
        self.ranges.facts.truncate(outer);
        result
    }
}

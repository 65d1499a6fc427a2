//! One step of a program as one Cranelift function.
//!
//! Signature: [`dlc_runtime::abi::StepFn`]. Loops become counted loops that test at the end; what does not change
//! in a loop is computed before it; addresses are sums of outer terms first, so that the optimizer can hoist them.

use super::calls::Callee;
use super::columns::columns;
use super::free::Free;
use super::vector::{Calls, address};
use crate::base::{Buffer, Var};
use crate::loops::nest::Program;
use crate::loops::nest::{For, Kind, Place, Step, Stmt};
use crate::loops::{Affine, Coord, Expr, Home, How, Node, Store};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, FuncRef, InstBuilder, MemFlagsData, Value, types};
use cranelift_frontend::FunctionBuilder;
use std::collections::{HashMap, HashSet};

/// Lanes of a Cranelift vector.
pub const LANES: i64 = 4;

/// A value and whether it has a lane per iteration of the vector loop.
#[derive(Clone, Copy)]
pub struct Lanes {
    pub v: Value,
    pub wide: bool,
}

pub struct Lowerer<'a, 'b> {
    pub b: FunctionBuilder<'b>,
    pub program: &'a Program,
    pub places: Places<'a>,
    /// What the function under construction may call.
    pub callees: HashMap<Callee, FuncRef>,
    /// Nests that are functions of their own.
    pub calls: &'a Calls,
    pub has_fma: bool,
    /// state, arena, scratch
    pub homes: [Value; 3],
    /// Loop variables in scope: their value and extent, outermost first.
    pub vars: Vec<(Var, Value, usize)>,
    pub vector: Option<Var>,
    pub scopes: Vec<HashMap<(*const Node, bool), Lanes>>,
    pub free: Free<'a>,
    pub clock: Option<Clock>,
}

/// Where memories lie in their homes.
pub enum Places<'a> {
    /// Byte offset of each buffer.
    Known(&'a [usize]),
    /// The function is told: where the table of offsets begins, and the number of each memory in it.
    Told(Value, HashMap<Buffer, usize>),
}

/// Where the code of a step keeps time.
#[derive(Clone, Copy)]
pub struct Clock {
    /// Byte offset of its words in the scratch.
    pub at: usize,
    /// The number of the step's first part.
    pub first: Value,
}

impl Lowerer<'_, '_> {
    /// The whole function: tasks `begin..end`, counted on from round to round where tasks go in lockstep.
    pub fn step(&mut self, step: &Step, begin: Value, end: Value) {
        let rounds = step.rounds();
        let stmts = rounds.map_or(&step.body, |f| &f.body);
        self.scopes.push(HashMap::new());
        self.mark(Some(0));
        self.hoist(stmts, [step.task].into_iter().chain(rounds.map(|f| f.var)));
        let head = self.b.create_block();
        let body = self.b.create_block();
        let exit = self.b.create_block();
        let task = self.b.append_block_param(head, types::I64);
        self.b.ins().jump(head, &[BlockArg::Value(begin)]);
        self.b.switch_to_block(head);
        let more = self.b.ins().icmp(IntCC::UnsignedLessThan, task, end);
        self.b.ins().brif(more, body, &[], exit, &[]);
        self.b.switch_to_block(body);
        self.b.seal_block(body);
        let outer = self.vars.len();
        let mut own = task;
        if let Some(f) = rounds {
            let tasks = self.b.ins().iconst(types::I64, step.tasks as i64);
            self.vars.push((f.var, self.b.ins().udiv(task, tasks), f.extent));
            own = self.b.ins().urem(task, tasks);
        }
        self.vars.push((step.task, own, step.tasks));
        self.scopes.push(HashMap::new());
        self.stmts(stmts);
        self.scopes.pop();
        self.vars.truncate(outer);
        let next = self.b.ins().iadd_imm_s(task, 1);
        self.b.ins().jump(head, &[BlockArg::Value(next)]);
        self.b.seal_block(head);
        self.b.switch_to_block(exit);
        self.b.seal_block(exit);
        self.mark(None);
        self.b.ins().return_(&[]);
    }

    fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            match stmt {
                Stmt::For(f) => self.for_loop(f),
                Stmt::Group(stores) => self.group(stores),
                Stmt::Tile(t) => {
                    let one = self.b.ins().iconst(types::I64, 1);
                    self.tile(t, one, [0; 4]);
                }
                Stmt::Transpose(t) => self.transpose(t),
                Stmt::Transform(t) => self.transform(t),
                Stmt::Filter(t) => self.filter(t),
                Stmt::Mark(part) => self.mark(Some(*part)),
            }
        }
    }

    /// Runs `body` with `var` bound to `value` and a scope of its own.
    pub(super) fn bound(&mut self, var: Var, value: Value, extent: usize, body: impl FnOnce(&mut Self)) {
        self.vars.push((var, value, extent));
        self.scopes.push(HashMap::new());
        body(self);
        self.scopes.pop();
        self.vars.pop();
    }

    fn for_loop(&mut self, f: &For) {
        if f.extent == 0 {
            return;
        }
        if let Some(call) = self.calls.of.get(&address(f)) {
            return self.vectors(call);
        }
        if self.calls.part.contains(&address(f)) {
            return;
        }
        self.hoist(&f.body, [f.var]);
        if f.kind == Kind::Vector && self.fits_lanes(f) {
            return self.vector_loop(f);
        }
        if self.tiles(f).is_some() {
            return;
        }
        if f.extent == 1 && f.within.is_none() {
            let zero = self.b.ins().iconst(types::I64, 0);
            return self.bound(f.var, zero, 1, |s| s.stmts(&f.body));
        }
        let zero = self.b.ins().iconst(types::I64, 0);
        self.counted(zero, f.extent as i64, 1, |s, i| match &f.within {
            None => s.bound(f.var, i, f.extent, |s| s.stmts(&f.body)),
            Some((limit, bound)) => s.bound(f.var, i, f.extent, |s| {
                let at = s.affine(limit);
                let inside = s.b.ins().icmp_imm_s(IntCC::SignedLessThan, at, *bound as i64);
                s.only_if(inside, |s| s.stmts(&f.body));
            }),
        });
    }

    /// Can four iterations of `f` run at once?
    fn fits_lanes(&mut self, f: &For) -> bool {
        if f.within.is_some() || self.vector.is_some() || f.extent < LANES as usize {
            return false;
        }
        f.body.iter().all(|stmt| match stmt {
            Stmt::Group(stores) => stores.iter().all(|s| {
                s.at.iter().all(|c| match c {
                    Coord::Affine(_) => true,
                    Coord::Index { from, .. } => !self.free.depends(from, f.var),
                }) && self.position(s.buffer, &s.at).coefficient(f.var) == 1
                    && super::lanes::can_vectorize(self, &s.value, f.var)
            }),
            Stmt::For(_)
            | Stmt::Tile(_)
            | Stmt::Transpose(_)
            | Stmt::Transform(_)
            | Stmt::Filter(_)
            | Stmt::Mark(_) => false,
        })
    }

    fn vector_loop(&mut self, f: &For) {
        let whole = f.extent as i64 / LANES * LANES;
        let sums = columns(f).unwrap_or_default();
        let done = sums.iter().map(|sum| self.columns(f, sum)).max().unwrap_or(0);
        if done < whole {
            let start = self.b.ins().iconst(types::I64, done);
            self.vector = Some(f.var);
            self.counted(start, whole, LANES, |s, i| s.bound(f.var, i, f.extent, |s| s.stmts(&f.body)));
            self.vector = None;
        }
        for rest in whole..f.extent as i64 {
            let i = self.b.ins().iconst(types::I64, rest);
            self.bound(f.var, i, f.extent, |s| s.stmts(&f.body));
        }
    }

    /// `for i = start; i < end; i += by`, at least once.
    pub fn counted(&mut self, start: Value, end: i64, by: i64, body: impl FnOnce(&mut Self, Value)) {
        let head = self.b.create_block();
        let exit = self.b.create_block();
        let i = self.b.append_block_param(head, types::I64);
        self.b.ins().jump(head, &[BlockArg::Value(start)]);
        self.b.switch_to_block(head);
        body(self, i);
        let next = self.b.ins().iadd_imm_s(i, by);
        let more = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, next, end);
        self.b.ins().brif(more, head, &[BlockArg::Value(next)], exit, &[]);
        self.b.seal_block(head);
        self.b.switch_to_block(exit);
        self.b.seal_block(exit);
    }

    fn only_if(&mut self, condition: Value, body: impl FnOnce(&mut Self)) {
        let then = self.b.create_block();
        let join = self.b.create_block();
        self.b.ins().brif(condition, then, &[], join, &[]);
        self.b.switch_to_block(then);
        self.b.seal_block(then);
        body(self);
        self.b.ins().jump(join, &[]);
        self.b.switch_to_block(join);
        self.b.seal_block(join);
    }

    fn group(&mut self, stores: &[Store]) {
        let values: Vec<Lanes> = stores.iter().map(|s| self.eval(&s.value)).collect();
        for (store, value) in stores.iter().zip(values) {
            let mut v = value.v;
            if self.vector.is_some() && !value.wide {
                v = self.b.ins().splat(types::F32X4, v);
            }
            self.put(store, v);
        }
    }

    /// Stores a value in the lanes of the context.
    pub(super) fn put(&mut self, store: &Store, mut v: Value) {
        let address = self.address(store.buffer, &store.at);
        if store.how == How::Add {
            let ty = self.b.func.dfg.value_type(v);
            let old = self.b.ins().load(ty, unaligned(), address, 0);
            v = self.b.ins().fadd(old, v);
        }
        let flags = if self.vector.is_some() { unaligned() } else { MemFlagsData::trusted() };
        self.b.ins().store(flags, v, address, 0);
    }

    /// Computes what `body` needs in every iteration of a loop over some variables but does not change in it.
    pub fn hoist(&mut self, body: &[Stmt], vars: impl IntoIterator<Item = Var>) {
        let mut inner: Vec<Var> = vars.into_iter().collect();
        let mut written = HashSet::new();
        inside(body, &mut inner, &mut written);
        let written = written.into_iter().map(|b| self.free.root(b)).collect();
        let mut found = vec![];
        for_each_value(body, &mut |e| found.extend(self.free.invariants(e, &inner, &written)));
        let vector = self.vector.take();
        for e in found {
            self.eval(&e);
        }
        self.vector = vector;
    }

    // ---- addresses -----------------------------------------------------------------------------

    pub fn var(&self, var: Var) -> Value {
        let found = self.vars.iter().rev().find(|(v, _, _)| *v == var);
        found.unwrap_or_else(|| panic!("bug in schedule: loop variable {var} is not bound")).1
    }

    /// The value of a coordinate; outer variables are added first.
    pub fn affine(&mut self, a: &Affine) -> Value {
        let terms: Vec<(Value, i64)> =
            self.vars.iter().map(|(v, value, _)| (*value, a.coefficient(*v))).filter(|(_, c)| *c != 0).collect();
        for (v, _) in &a.terms {
            self.var(*v);
        }
        let mut sum = self.b.ins().iconst(types::I64, a.constant);
        for (value, c) in terms {
            let term = if c == 1 { value } else { self.b.ins().imul_imm_s(value, c) };
            sum = self.b.ins().iadd(sum, term);
        }
        sum
    }

    /// Elements from one index of each axis of `buffer` to the next.
    pub fn strides(&self, buffer: Buffer) -> Vec<i64> {
        let shape = &self.program.buffers[buffer.index()].shape;
        let mut strides = vec![1i64; shape.len()];
        for i in (0..shape.len().saturating_sub(1)).rev() {
            strides[i] = strides[i + 1] * shape[i + 1] as i64;
        }
        strides
    }

    /// The affine part of the position of an element, in elements.
    pub fn position(&self, buffer: Buffer, at: &[Coord]) -> Affine {
        let strides = self.strides(buffer);
        at.iter().zip(strides).fold(Affine::default(), |sum, (c, s)| match c {
            Coord::Affine(a) => &sum + &(a * s),
            Coord::Index { .. } => sum,
        })
    }

    pub fn address(&mut self, buffer: Buffer, at: &[Coord]) -> Value {
        let position = self.position(buffer, at);
        let mut address = self.base(buffer, position.constant);
        let mut linear = position;
        linear.constant = 0;
        let strides = self.strides(buffer);
        for (c, stride) in at.iter().zip(strides) {
            if let Coord::Index { from, extent } = c {
                let i = self.index(from, *extent);
                let bytes = self.b.ins().imul_imm_s(i, stride * 4);
                address = self.b.ins().iadd(address, bytes);
            }
        }
        if !linear.is_constant() {
            let bytes = self.affine(&(&linear * 4));
            address = self.b.ins().iadd(address, bytes);
        }
        address
    }

    /// A whole number from data as an index; clamped, so that not even a damaged buffer leads outside.
    fn index(&mut self, from: &Expr, extent: usize) -> Value {
        let vector = self.vector.take();
        let number = self.eval(from).v;
        self.vector = vector;
        let i = self.b.ins().fcvt_to_uint_sat(types::I64, number);
        let last = self.b.ins().iconst(types::I64, extent as i64 - 1);
        self.b.ins().umin(i, last)
    }

    fn base(&mut self, buffer: Buffer, elements: i64) -> Value {
        let root = self.free.root(buffer);
        let home = match self.program.buffers[root.index()].home {
            Home::State => self.homes[0],
            Home::Arena => self.homes[1],
            Home::Scratch => self.homes[2],
        };
        match &self.places {
            Places::Known(offsets) => self.b.ins().iadd_imm_s(home, offsets[root.index()] as i64 + elements * 4),
            Places::Told(table, numbers) => {
                let flags = MemFlagsData::trusted().with_readonly().with_can_move();
                let offset = self.b.ins().load(types::I64, flags, *table, 8 * numbers[&root] as i32);
                let memory = self.b.ins().iadd(home, offset);
                self.b.ins().iadd_imm_s(memory, elements * 4)
            }
        }
    }

    pub(super) fn place(&mut self, p: &Place) -> Value {
        let at: Vec<Coord> = p.at.iter().cloned().map(Coord::Affine).collect();
        self.address(p.buffer, &at)
    }
}

/// Vector accesses are aligned to elements only.
pub fn unaligned() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// Loop variables bound and buffers written somewhere in `body`.
fn inside(body: &[Stmt], vars: &mut Vec<Var>, written: &mut HashSet<Buffer>) {
    for stmt in body {
        match stmt {
            Stmt::For(f) => {
                vars.push(f.var);
                inside(&f.body, vars, written);
            }
            Stmt::Group(stores) => written.extend(stores.iter().map(|s| s.buffer)),
            Stmt::Tile(t) => {
                written.insert(t.c.buffer);
            }
            Stmt::Transpose(t) => {
                written.insert(t.to.buffer);
            }
            Stmt::Transform(t) => {
                written.insert(t.to.buffer);
            }
            Stmt::Filter(t) => {
                written.insert(t.to.buffer);
            }
            Stmt::Mark(_) => {}
        }
    }
}

fn for_each_value(body: &[Stmt], f: &mut impl FnMut(&Expr)) {
    for stmt in body {
        match stmt {
            Stmt::For(l) => for_each_value(&l.body, f),
            Stmt::Group(stores) => stores.iter().for_each(|s| f(&s.value)),
            Stmt::Tile(_) | Stmt::Transpose(_) | Stmt::Transform(_) | Stmt::Filter(_) | Stmt::Mark(_) => {}
        }
    }
}

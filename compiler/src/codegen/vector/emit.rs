//! From a plan to machine code.
//!
//! The function gets the address of a list: pointers, then scalars, eight bytes each. Rows are walked by moving the
//! pointers, vectors of a row by one index. What is the same for a row, or for the call, lies in the frame.

use super::folds::{combines, start};
use super::plan::{Phase, Plan};
use super::registers::{Frame, Registers};
use super::rows::Spot;
use super::values::{Id, Level, Op};
use super::vex::{self, Assembler, HELPER, Reg, Rm, SUM, gpr};
use crate::loops::Fold;
use std::collections::HashSet;

/// Registers for pointers; further ones stay in the list.
pub(super) const POINTERS: [u8; 11] = {
    let mut list = [gpr::RBX, gpr::RBP, gpr::RSI, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut i = 3;
    while i < 11 {
        list[i] = gpr::R8 + i as u8 - 3;
        i += 1;
    }
    list
};
const SAVED: [u8; 6] = [gpr::RBX, gpr::RBP, 12, 13, 14, gpr::R15];
pub(super) const INDEX: u8 = gpr::RCX;
pub(super) const ROW: u8 = gpr::RDX;
pub(super) const LIST: u8 = gpr::RDI;

/// Instead of a loop over vectors, so many things to do are written one after the other.
const WRITTEN_OUT: usize = 80;

/// One thing to do in straight code.
#[derive(Clone, Copy)]
pub(super) enum Item {
    Compute(Id),
    Store(u16, Id),
    /// Somewhere in a row that is straight code.
    Put(Spot, Id),
    /// Into a register.
    Fold(Fold, Id, Reg),
}

impl Item {
    pub(super) fn reads(self, e: &Emitter) -> Vec<Id> {
        match self {
            Item::Compute(id) => e.op(id).operands().collect(),
            Item::Store(_, id) | Item::Put(_, id) | Item::Fold(_, id, _) => vec![id],
        }
    }

    /// The same with another value.
    pub(super) fn with(self, f: impl Fn(Id) -> Id) -> Item {
        match self {
            Item::Compute(id) => Item::Compute(f(id)),
            Item::Store(to, id) => Item::Store(to, f(id)),
            Item::Put(to, id) => Item::Put(to, f(id)),
            Item::Fold(fold, id, into) => Item::Fold(fold, f(id), into),
        }
    }
}

/// The function in vectors of `lanes`, 8 or 16.
pub fn function(plan: &Plan, lanes: usize) -> Vec<u8> {
    let (a, frame) = (Assembler::new(lanes), Frame::new(lanes));
    let needed = needed(plan);
    let mut e = Emitter {
        plan,
        lanes,
        a,
        frame,
        needed,
        masked: false,
        beside: (0, 0),
        written_out: false,
        whole: None,
        free: None,
        stays: vec![],
        counters: vec![None; plan.loops.len()],
        rows: 1,
    };
    let saved = SAVED.into_iter().filter(|r| plan.pointers.iter().zip(POINTERS).any(|(_, p)| p == *r));
    let saved: Vec<u8> = saved.collect();
    saved.iter().for_each(|r| e.a.push(*r));
    let places = e.a.enter();
    for (i, (_, r)) in plan.pointers.iter().zip(POINTERS).enumerate() {
        e.a.load(r, LIST, i as i32 * 8);
    }
    e.body();
    e.a.leave(places, e.frame.bytes());
    saved.iter().rev().for_each(|r| e.a.pop(*r));
    e.a.zero_upper();
    e.a.ret();
    e.a.finish()
}

/// Values that something stored or folded is made of.
fn needed(plan: &Plan) -> HashSet<Id> {
    let folded = plan.phases.iter().filter_map(|p| p.folds.map(|(_, id)| id));
    let columns = plan.columns.iter().map(|c| c.of);
    let puts = plan.straight.iter().map(|put| put.id);
    let mut open: Vec<Id> = plan.stores.iter().map(|(_, id)| *id).chain(folded).chain(columns).chain(puts).collect();
    let mut found = HashSet::new();
    while let Some(id) = open.pop() {
        if found.insert(id) {
            open.extend(plan.values.ops[id as usize].0.operands());
        }
    }
    found
}

pub(super) struct Emitter<'a> {
    pub(super) plan: &'a Plan,
    pub(super) lanes: usize,
    pub(super) a: Assembler,
    pub(super) frame: Frame,
    needed: HashSet<Id>,
    /// Are these the last lanes of a row?
    pub(super) masked: bool,
    /// So many rows and vectors beside where the loops stand.
    pub(super) beside: (i32, i32),
    /// Is there no loop over vectors, but code for each? Then they are all beside where the row begins.
    pub(super) written_out: bool,
    /// Rows that the last loop moves over, where it leaves some to code behind it.
    pub(super) whole: Option<usize>,
    /// The registers for straight code, where others are taken, and values that stay in some of those.
    pub(super) free: Option<Vec<Reg>>,
    pub(super) stays: Vec<(Id, Reg)>,
    /// Where each loop counts its rounds; the last one does it in a register.
    pub(super) counters: Vec<Option<Rm>>,
    /// So many rows of straight code are computed side by side.
    pub(super) rows: usize,
}

impl Emitter<'_> {
    fn body(&mut self) {
        let plan = self.plan;
        for (id, (op, _)) in plan.values.ops.iter().enumerate() {
            let home = match op {
                Op::Constant(bits) => self.a.constant(*bits),
                Op::Table(place) | Op::Lanes(place) => self.a.constants(|i| plan.values.tables[usize::from(*place)][i]),
                _ => continue,
            };
            self.frame.settle(id as Id, home);
        }
        if !plan.columns.is_empty() {
            return self.columns();
        }
        let once = self.at_level(|level| level == Level::Call);
        self.kept(&once);
        self.pin(&once);
        if !plan.straight.is_empty() {
            let (items, rows) = (self.row_items(), self.rows);
            self.a.set(ROW, 0);
            return self.nest(0, plan.loops.len(), &mut |e| e.straight(&items, rows));
        }
        let mut done: HashSet<Id> = once.into_iter().collect();
        self.a.set(ROW, 0);
        self.nest(0, plan.loops.len(), &mut |e| e.row(&mut done));
    }

    /// The loops from `k` to `end` around something. Afterwards pointers are where each loop left them.
    pub(super) fn nest(&mut self, k: usize, end: usize, inside: &mut dyn FnMut(&mut Self)) {
        if k == end {
            return inside(self);
        }
        let plan = self.plan;
        let own = &plan.loops[k];
        let slot = (k + 1 < plan.loops.len()).then(|| self.frame.slot());
        self.counters[k] = slot;
        let counter = slot.map(|slot| if let Rm::At(base, at) = slot { (base, at) } else { (gpr::RSP, 0) });
        match counter {
            Some((base, at)) => self.a.set_at(base, at, 0),
            None => self.a.set(ROW, 0),
        }
        let top = self.a.bytes.len();
        self.nest(k + 1, end, inside);
        let moved = self.moved(k + 1);
        let rows = if slot.is_none() { self.rows } else { 1 };
        self.advance(|p| own.steps[p] * rows as i64 - moved[p]);
        match counter {
            Some((base, at)) => {
                self.a.add_at(base, at, 1);
                self.a.repeat_at_below(base, at, own.extent as i32, top);
            }
            None => {
                self.a.add(ROW, rows as i32);
                self.a.repeat_below(ROW, own.extent as i32, top);
            }
        }
    }

    /// How far loop `k` moves each pointer in all.
    pub(super) fn moved(&self, k: usize) -> Vec<i64> {
        let plan = self.plan;
        let Some(own) = plan.loops.get(k) else { return vec![0; plan.pointers.len()] };
        let rounds = match self.whole {
            Some(rows) if k + 1 == plan.loops.len() => rows,
            _ => own.extent,
        };
        own.steps.iter().map(|step| step * rounds as i64).collect()
    }

    /// Moves every pointer by some elements.
    pub(super) fn advance(&mut self, by: impl Fn(usize) -> i64) {
        for i in 0..self.plan.pointers.len() {
            let bytes = by(i) as i32 * 4;
            match POINTERS.get(i) {
                _ if bytes == 0 => {}
                Some(r) => self.a.add(*r, bytes),
                None => self.a.add_at(LIST, i as i32 * 8, bytes),
            }
        }
    }

    fn row(&mut self, done: &mut HashSet<Id>) {
        let plan = self.plan;
        for (k, phase) in plan.phases.iter().enumerate() {
            self.row_values(k, done);
            self.phase(k, phase);
        }
        if !plan.by_vectors {
            self.row_values(plan.phases.len(), done);
            for (pointer, id) in &plan.stores {
                let home = self.frame.home(*id).expect("bug in codegen: a row's value has a home");
                self.a.wide(vex::LOAD, HELPER, 0, home);
                let at = self.memory(*pointer, false);
                self.a.narrow(vex::STORE_ONE, HELPER, 0, at);
            }
        }
    }

    pub(super) fn at_level(&self, is: impl Fn(Level) -> bool) -> Vec<Id> {
        let all = self.plan.values.ops.iter().enumerate().map(|(i, x)| (i as Id, x));
        let kept = all.filter(|(id, (op, level))| self.needed.contains(id) && is(*level) && !op.is_constant());
        kept.map(|(id, _)| id).collect()
    }

    /// Values of the row that can be computed before phase `k`, and have not been.
    fn row_values(&mut self, k: usize, done: &mut HashSet<Id>) {
        let mut list = vec![];
        let row = self.at_level(|level| level == Level::Row);
        let mut late: HashSet<Id> = HashSet::new();
        for id in row {
            let op = self.plan.values.ops[id as usize].0;
            let waits = matches!(op, Op::Folded(phase) if phase as usize >= k);
            if waits || op.operands().any(|x| late.contains(&x)) {
                late.insert(id);
            } else if !matches!(op, Op::Folded(_)) && done.insert(id) {
                list.push(id);
            }
        }
        self.kept(&list);
    }

    /// Computes values that later code reads from the frame.
    pub(super) fn kept(&mut self, ids: &[Id]) {
        let homes: Vec<Rm> = ids.iter().map(|_| self.frame.slot()).collect();
        let items: Vec<Item> = ids.iter().map(|id| Item::Compute(*id)).collect();
        let uses: Vec<Vec<Id>> = items.iter().map(|i| i.reads(self)).collect();
        let mut r = self.registers(&uses);
        for (at, (item, home)) in items.iter().zip(homes).enumerate() {
            let Item::Compute(id) = *item else { continue };
            let register = self.compute(&mut r, id, at);
            self.a.wide(vex::STORE, register, 0, home);
            self.frame.settle(id, home);
        }
    }

    /// A loop over the vectors of a row, then the last lanes.
    fn phase(&mut self, k: usize, phase: &Phase) {
        let items = self.items(k, phase);
        let (whole, rest) = (phase.extent / self.lanes, phase.extent % self.lanes);
        let bytes = 4 * self.lanes as i32;
        if let Some((fold, _)) = phase.folds {
            let start = self.a.constant(start(fold));
            self.a.wide(vex::LOAD, SUM, 0, start);
        }
        let together = self.together(&items, phase);
        let (rounds, last) = (whole / together, whole % together);
        self.a.set(INDEX, 0);
        self.written_out = items.len() * whole <= WRITTEN_OUT;
        for (count, rounds, end) in [(together, rounds, whole - last), (1, last, whole)] {
            if self.written_out {
                for _ in 0..rounds {
                    self.straight(&items, count);
                    self.beside.1 += count as i32;
                }
            } else if rounds > 0 {
                let top = self.a.bytes.len();
                self.straight(&items, count);
                self.a.add(INDEX, count as i32 * bytes);
                if rounds > 1 {
                    self.a.repeat_below(INDEX, end as i32 * bytes, top);
                }
            }
        }
        if rest > 0 {
            self.a.last_lanes(rest);
            self.masked = true;
            self.straight(&items, 1);
            self.masked = false;
        }
        self.beside.1 = 0;
        if let Some((fold, _)) = phase.folds {
            self.a.across(combines(fold), SUM);
            let slot = self.frame.slot();
            self.a.wide(vex::STORE, SUM, 0, slot);
            let folded = self.plan.values.ops.iter().position(|(op, _)| *op == Op::Folded(k as u16));
            if let Some(id) = folded {
                self.frame.settle(id as Id, slot);
            }
        }
    }

    /// What a phase does for each vector. A value is stored at once, unless something of the same memory is read.
    pub(super) fn items(&self, k: usize, phase: &Phase) -> Vec<Item> {
        let number = if phase.folds.is_some() { k as u16 } else { u16::MAX };
        let ids = self.at_level(|level| level == Level::Vector(number));
        if let Some((fold, id)) = phase.folds {
            let all = ids.into_iter().map(Item::Compute);
            return all.chain([Item::Fold(fold, id, SUM)]).collect();
        }
        let is_read = self.plan.values.ops.iter().any(|(op, _)| match op {
            Op::Load(p) | Op::Shown(p) => self.plan.stores.iter().any(|(to, _)| self.plan.overlap(*p, *to)),
            _ => false,
        });
        let mut items = vec![];
        let mut last = vec![];
        let inside: HashSet<Id> = ids.iter().copied().collect();
        for id in ids {
            items.push(Item::Compute(id));
            let stores = self.plan.stores.iter().filter(|(_, x)| *x == id);
            let stores = stores.map(|(to, _)| Item::Store(*to, id));
            if is_read { last.extend(stores) } else { items.extend(stores) }
        }
        let same = self.plan.stores.iter().filter(|(_, id)| !inside.contains(id));
        items.extend(same.map(|(to, id)| Item::Store(*to, *id)));
        items.extend(last);
        items
    }

    pub(super) fn registers(&self, uses: &[Vec<Id>]) -> Registers {
        match &self.free {
            Some(usable) => Registers::of(usable.clone(), &self.stays, uses),
            None => Registers::new(self.lanes, uses),
        }
    }

    /// The items of one vector, or of some side by side; of rows, where they are straight code.
    pub(super) fn straight(&mut self, items: &[Item], together: usize) {
        let stands = self.beside;
        let (items, places): (Vec<Item>, Vec<usize>) = self.side_by_side(items, together).into_iter().unzip();
        let mut uses: Vec<Vec<Id>> = items.iter().map(|i| i.reads(self)).collect();
        let products = self.products(&items, &mut uses);
        let mut r = self.registers(&uses);
        for (at, item) in items.iter().enumerate() {
            match self.plan.straight.is_empty() {
                true => self.beside.1 = stands.1 + places[at] as i32,
                false => self.beside.0 = stands.0 + places[at] as i32,
            }
            match *item {
                Item::Compute(id) if products.contains(&id) => {}
                Item::Compute(id) => {
                    self.compute(&mut r, id, at);
                    let Op::Load(from) = self.op(id) else { continue };
                    let Some((_, floats)) = self.plan.ahead.iter().find(|(p, _)| *p == from) else { continue };
                    match self.memory(from, true) {
                        Rm::Sum(base, index) => self.a.fetch(base, index, 4 * floats),
                        Rm::Far(base, index, far) => self.a.fetch(base, index, far + 4 * floats),
                        _ => {}
                    }
                }
                Item::Store(pointer, id) => {
                    let from = r.fetch(&mut self.a, &mut self.frame, id);
                    let to = self.memory(pointer, true);
                    match self.masked {
                        true => self.a.store_masked(from, to),
                        false => self.a.wide(vex::STORE, from, 0, to),
                    }
                    r.release([id], at);
                    r.done();
                }
                Item::Put(to, id) => self.put(&mut r, to, id, at),
                Item::Fold(fold, id, into) => self.fold(&mut r, (fold, into), id, products.contains(&id), at),
            }
        }
        self.beside = stands;
    }
}

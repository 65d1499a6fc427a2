//! Which register holds which value, along straight code. A value that finds no room lies in the frame.

use super::values::Id;
use super::vex::{Assembler, LOAD, Reg, Rm, STORE, SUM, gpr};
use std::collections::HashMap;

/// Where values that outlive straight code lie, and how large the frame is.
pub struct Frame {
    lanes: usize,
    slots: usize,
    homes: HashMap<Id, Rm>,
}

impl Frame {
    pub fn new(lanes: usize) -> Frame {
        Frame { lanes, slots: 0, homes: HashMap::new() }
    }

    pub fn bytes(&self) -> i32 {
        (self.slots * self.lanes * 4) as i32
    }

    pub fn slot(&mut self) -> Rm {
        let at = self.bytes();
        self.slots += 1;
        Rm::At(gpr::RSP, at)
    }

    pub fn settle(&mut self, id: Id, home: Rm) {
        self.homes.insert(id, home);
    }

    pub fn home(&self, id: Id) -> Option<Rm> {
        self.homes.get(&id).copied()
    }
}

/// The registers along one piece of straight code.
pub struct Registers {
    holds: [Option<Id>; 32],
    /// Those that may be given out.
    usable: Vec<Reg>,
    /// Where each value is used again, the next last.
    uses: HashMap<Id, Vec<usize>>,
    /// Homes in this piece only.
    spilled: HashMap<Id, Rm>,
    /// Operands of the instruction in the making.
    busy: u32,
}

/// Registers that straight code may use.
pub fn usable(lanes: usize) -> impl DoubleEndedIterator<Item = Reg> {
    (0..SUM).chain(if lanes == 16 { 16..32 } else { 0..0 })
}

impl Registers {
    /// `uses` lists what each item of the code reads, in order.
    pub fn new(lanes: usize, uses: &[Vec<Id>]) -> Registers {
        Registers::of(usable(lanes).collect(), &[], uses)
    }

    /// Only `usable` are given out; others hold values that stay.
    pub fn of(usable: Vec<Reg>, stays: &[(Id, Reg)], uses: &[Vec<Id>]) -> Registers {
        let mut places: HashMap<Id, Vec<usize>> = HashMap::new();
        stays.iter().for_each(|(id, _)| places.entry(*id).or_default().push(usize::MAX));
        for (at, ids) in uses.iter().enumerate().rev() {
            ids.iter().for_each(|id| places.entry(*id).or_default().push(at));
        }
        let mut holds = [None; 32];
        stays.iter().for_each(|(id, r)| holds[*r as usize] = Some(*id));
        Registers { holds, usable, uses: places, spilled: HashMap::new(), busy: 0 }
    }

    fn register(&self, id: Id) -> Option<Reg> {
        self.holds.iter().position(|h| *h == Some(id)).map(|r| r as Reg)
    }

    fn home(&self, frame: &Frame, id: Id) -> Option<Rm> {
        frame.home(id).or_else(|| self.spilled.get(&id).copied())
    }

    /// Where a value is: a register if it is in one.
    pub fn place(&mut self, frame: &Frame, id: Id) -> Rm {
        if let Some(r) = self.register(id) {
            self.busy |= 1 << r;
            return Rm::Reg(r);
        }
        self.home(frame, id).expect("bug in codegen: a value is nowhere")
    }

    /// The value in a register.
    pub fn fetch(&mut self, a: &mut Assembler, frame: &mut Frame, id: Id) -> Reg {
        match self.place(frame, id) {
            Rm::Reg(r) => r,
            home => {
                let r = self.take(a, frame);
                a.wide(LOAD, r, 0, home);
                self.holds[r as usize] = Some(id);
                r
            }
        }
    }

    /// A register for something new: free, or of the value that is used last of all.
    pub fn take(&mut self, a: &mut Assembler, frame: &mut Frame) -> Reg {
        let busy = self.busy;
        let idle = |r: &Reg| busy & 1 << r == 0;
        let free = self.usable.iter().copied().find(|r| self.holds[*r as usize].is_none() && idle(r));
        let r = free.unwrap_or_else(|| {
            let next = |r: &Reg| {
                let id = self.holds[*r as usize];
                id.and_then(|id| self.uses.get(&id)).and_then(|u| u.last().copied()).unwrap_or(usize::MAX)
            };
            let idle = self.usable.iter().copied().filter(idle);
            let r = idle.max_by_key(next).expect("bug in codegen: an instruction has few operands");
            if let Some(id) = self.holds[r as usize]
                && self.home(frame, id).is_none()
            {
                let slot = frame.slot();
                a.wide(STORE, r, 0, slot);
                self.spilled.insert(id, slot);
            }
            r
        });
        self.holds[r as usize] = None;
        self.busy |= 1 << r;
        r
    }

    /// Is this the last use of a value?
    pub fn dies(&self, id: Id, at: usize) -> bool {
        self.uses.get(&id).is_none_or(|u| u.iter().all(|x| *x <= at))
    }

    /// What the operands do not need any more is free for the result.
    pub fn release(&mut self, ids: impl IntoIterator<Item = Id>, at: usize) {
        for id in ids {
            if let Some(u) = self.uses.get_mut(&id) {
                u.retain(|x| *x > at);
            }
            if self.dies(id, at)
                && let Some(r) = self.register(id)
            {
                self.holds[r as usize] = None;
                self.busy &= !(1 << r);
            }
        }
    }

    /// The result of an instruction, which is complete.
    pub fn hold(&mut self, r: Reg, id: Id) {
        self.holds[r as usize] = Some(id);
        self.busy = 0;
    }

    /// An instruction without a result is complete.
    pub fn done(&mut self) {
        self.busy = 0;
    }
}

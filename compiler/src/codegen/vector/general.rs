//! Instructions on general registers: counters, addresses, the frame.

use super::vex::{Assembler, Rm, gpr};

impl Assembler {
    /// Asks for what lies so many bytes behind the sum of two registers: `prefetcht0 [base + index + displacement]`.
    pub fn fetch(&mut self, base: u8, index: u8, displacement: i32) {
        self.bytes.extend([0x40 | (index >> 3) << 1 | base >> 3, 0x0F, 0x18, 0x8C, (index & 7) << 3 | (base & 7)]);
        self.bytes.extend(displacement.to_le_bytes());
    }

    fn rex(&mut self, reg: u8, base: u8) {
        self.bytes.push(0x48 | (reg >> 3) << 2 | base >> 3);
    }

    pub fn push(&mut self, r: u8) {
        self.bytes.extend([0x40 | r >> 3, 0x50 | (r & 7)]);
    }

    pub fn pop(&mut self, r: u8) {
        self.bytes.extend([0x40 | r >> 3, 0x58 | (r & 7)]);
    }

    /// `to = [base + displacement]`
    pub fn load(&mut self, to: u8, base: u8, displacement: i32) {
        self.rex(to, base);
        self.bytes.push(0x8B);
        self.operand(to, Rm::At(base, displacement), 0);
    }

    /// `to = value`
    pub fn set(&mut self, to: u8, value: i32) {
        self.rex(0, to);
        self.bytes.extend([0xC7, 0xC0 | (to & 7)]);
        self.bytes.extend(value.to_le_bytes());
    }

    /// `rsp` goes down by a frame of some bytes, to a multiple of 64, and the old one is kept above the frame. Gives the
    /// two places in the code where [`Assembler::leave`] writes how many. `rax` is lost.
    pub fn enter(&mut self) -> [usize; 2] {
        self.bytes.extend([0x48, 0x89, 0xE0]);
        self.add(gpr::RSP, 0);
        let size = self.bytes.len() - 4;
        self.bytes.extend([0x48, 0x83, 0xE4, 0xC0]);
        self.bytes.extend([0x48, 0x89, 0x84, 0x24, 0, 0, 0, 0]);
        [size, self.bytes.len() - 4]
    }

    /// Ends the frame that [`Assembler::enter`] began: `bytes` of it are the caller's.
    pub fn leave(&mut self, places: [usize; 2], bytes: i32) {
        for (place, value) in places.into_iter().zip([-bytes - 8, bytes]) {
            self.bytes[place..place + 4].copy_from_slice(&value.to_le_bytes());
        }
        self.load(gpr::RSP, gpr::RSP, bytes);
    }

    /// `to += value`
    pub fn add(&mut self, to: u8, value: i32) {
        self.rex(0, to);
        self.bytes.extend([0x81, 0xC0 | (to & 7)]);
        self.bytes.extend(value.to_le_bytes());
    }

    /// `[base + displacement] += value`
    pub fn add_at(&mut self, base: u8, displacement: i32, value: i32) {
        self.rex(0, base);
        self.bytes.push(0x81);
        self.operand(0, Rm::At(base, displacement), 4);
        self.bytes.extend(value.to_le_bytes());
    }

    /// `[base + displacement] = value`
    pub fn set_at(&mut self, base: u8, displacement: i32, value: i32) {
        self.rex(0, base);
        self.bytes.push(0xC7);
        self.operand(0, Rm::At(base, displacement), 4);
        self.bytes.extend(value.to_le_bytes());
    }

    /// Goes back to `target` while `[base + displacement]` is below `bound`.
    pub fn repeat_at_below(&mut self, base: u8, displacement: i32, bound: i32, target: usize) {
        self.rex(0, base);
        self.bytes.push(0x81);
        self.operand(7, Rm::At(base, displacement), 4);
        self.bytes.extend(bound.to_le_bytes());
        self.less(target);
    }

    /// Goes back to `target` while `r` is below `bound`.
    pub fn repeat_below(&mut self, r: u8, bound: i32, target: usize) {
        self.rex(0, r);
        self.bytes.extend([0x81, 0xF8 | (r & 7)]);
        self.bytes.extend(bound.to_le_bytes());
        self.less(target);
    }

    fn less(&mut self, target: usize) {
        self.bytes.extend([0x0F, 0x8C]);
        let from = self.bytes.len() as i32 + 4;
        self.bytes.extend((target as i32 - from).to_le_bytes());
    }

    pub fn zero_upper(&mut self) {
        self.bytes.extend([0xC5, 0xF8, 0x77]);
    }

    pub fn ret(&mut self) {
        self.bytes.push(0xC3);
    }
}

//! Encodings of the instructions that loops over vectors are made of, after Intel's manual, volume 2: of eight lanes with
//! the prefix VEX, of sixteen with EVEX.

/// A vector register, 0 to 15, of sixteen lanes 0 to 31.
pub type Reg = u8;

/// General registers, by their numbers.
pub mod gpr {
    pub const RAX: u8 = 0;
    pub const RCX: u8 = 1;
    pub const RDX: u8 = 2;
    pub const RBX: u8 = 3;
    pub const RSP: u8 = 4;
    pub const RBP: u8 = 5;
    pub const RSI: u8 = 6;
    pub const RDI: u8 = 7;
    pub const R8: u8 = 8;
    pub const R15: u8 = 15;
}

/// The last operand of an instruction.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Rm {
    Reg(Reg),
    /// `[base + displacement]`
    At(u8, i32),
    /// `[base + index]`
    Sum(u8, u8),
    /// `[base + index + displacement]`
    Far(u8, u8, i32),
    /// A constant of the pool, by its place in it: a whole vector.
    Pool(u32),
}

impl Rm {
    /// The base, or the register itself, and the index.
    fn registers(self) -> (u8, u8) {
        match self {
            Rm::Reg(r) | Rm::At(r, _) => (r, 0),
            Rm::Sum(base, index) | Rm::Far(base, index, _) => (base, index),
            Rm::Pool(_) => (0, 0),
        }
    }
}

/// Vector registers with a purpose: what is folded, a helper, the mask of the last of eight lanes.
pub const SUM: Reg = 13;
pub const HELPER: Reg = 14;
const MASK: Reg = 15;

/// Prefix, map and number of an instruction.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Code {
    prefix: u8,
    map: u8,
    number: u8,
}

const fn code(prefix: u8, map: u8, number: u8) -> Code {
    Code { prefix, map, number }
}

impl Code {
    /// The bits of sixteen floats are combined as those of integers: AVX-512F has no other way.
    fn of_sixteen(self) -> Code {
        match self {
            AND => code(1, 1, 0xDB),
            XOR => code(1, 1, 0xEF),
            other => other,
        }
    }
}

pub const LOAD: Code = code(0, 1, 0x10);
pub const STORE: Code = code(0, 1, 0x11);
const LOAD_MASKED: Code = code(1, 2, 0x2C);
const STORE_MASKED: Code = code(1, 2, 0x2E);
pub const STORE_ONE: Code = code(2, 1, 0x11);
pub const BROADCAST: Code = code(1, 2, 0x18);
pub const ADD: Code = code(0, 1, 0x58);
pub const MUL: Code = code(0, 1, 0x59);
pub const SUB: Code = code(0, 1, 0x5C);
pub const MIN: Code = code(0, 1, 0x5D);
pub const DIV: Code = code(0, 1, 0x5E);
pub const MAX: Code = code(0, 1, 0x5F);
pub const SQRT: Code = code(0, 1, 0x51);
pub const AND: Code = code(0, 1, 0x54);
pub const XOR: Code = code(0, 1, 0x57);
const COMPARE: Code = code(0, 1, 0xC2);
const BLEND: Code = code(1, 3, 0x4A);
const BLEND_BY_BITS: Code = code(1, 2, 0x65);
/// `a = b * a + c`
pub const FMA213: Code = code(1, 2, 0xA8);
/// `c = a * b + c`
pub const FMA231: Code = code(1, 2, 0xB8);
pub const ROUND: Code = code(1, 3, 0x08);
pub const TO_FLOAT: Code = code(0, 1, 0x5B);
pub const PLUS: Code = code(1, 1, 0xFE);
pub const MINUS: Code = code(1, 1, 0xFA);
/// `to = a * 2^floor(b)`, on sixteen lanes only.
pub const SCALE: Code = code(1, 2, 0x2C);
/// `to = b[a & 15]` lane by lane, on sixteen lanes only.
pub const ENTRY: Code = code(1, 2, 0x16);
const SHIFT: Code = code(1, 1, 0x72);
const UPPER_HALF: Code = code(1, 3, 0x19);
const UPPER_EIGHT: Code = code(1, 3, 0x1B);
const HIGH_TO_LOW: Code = code(0, 1, 0x12);
const ODD_TO_EVEN: Code = code(2, 1, 0x16);
const FROM_GENERAL: Code = code(1, 1, 0x6E);
const ALL_FROM_GENERAL: Code = code(1, 2, 0x7C);

/// Mask registers of sixteen lanes: of a choice, and of the last lanes of a row.
const CHOICE: u8 = 1;
const LAST: u8 = 2;

/// How an instruction of sixteen lanes goes by a mask.
#[derive(Clone, Copy)]
enum Masked {
    No,
    /// Other lanes stay.
    Keep(u8),
    /// Other lanes become 0.
    Zero(u8),
}

/// Machine code in the making.
pub struct Assembler {
    pub bytes: Vec<u8>,
    /// Of a vector: 8 or 16.
    pub lanes: usize,
    /// Constants, and where in the code their addresses are missing: the place, the constant, and how many bytes of
    /// the instruction follow.
    pool: Vec<Vec<u32>>,
    missing: Vec<(usize, u32, usize)>,
}

impl Assembler {
    pub fn new(lanes: usize) -> Assembler {
        Assembler { bytes: vec![], lanes, pool: vec![], missing: vec![] }
    }

    /// A constant of the pool, the same in all lanes.
    pub fn constant(&mut self, lane: u32) -> Rm {
        self.constants(|_| lane)
    }

    /// A constant of the pool, lane by lane.
    pub fn constants(&mut self, lane: impl Fn(usize) -> u32) -> Rm {
        let lanes: Vec<u32> = (0..self.lanes).map(lane).collect();
        let known = self.pool.iter().position(|c| *c == lanes);
        let at = known.unwrap_or_else(|| {
            self.pool.push(lanes);
            self.pool.len() - 1
        });
        Rm::Pool(at as u32)
    }

    fn vex(&mut self, c: Code, wide: bool, reg: u8, second: u8, rm: Rm) {
        let (base, index) = rm.registers();
        let not = |r: u8| (!r >> 3) & 1;
        self.bytes.push(0xC4);
        self.bytes.push(not(reg) << 7 | not(index) << 6 | not(base) << 5 | c.map);
        self.bytes.push((!second & 15) << 3 | u8::from(wide) << 2 | c.prefix);
        self.bytes.push(c.number);
    }

    fn evex(&mut self, c: Code, reg: u8, second: u8, rm: Rm, masked: Masked) {
        let c = c.of_sixteen();
        let (base, index) = rm.registers();
        // The fifth bit of a register in the last operand stands where memory has its index.
        let upper = if let Rm::Reg(r) = rm { r >> 1 } else { index };
        let (zero, mask) = match masked {
            Masked::No => (0, 0),
            Masked::Keep(mask) => (0, mask),
            Masked::Zero(mask) => (1, mask),
        };
        let not = |r: u8| (!r >> 3) & 1;
        let fifth = |r: u8| (!r >> 4) & 1;
        let double = u8::from(c == UPPER_EIGHT);
        self.bytes.push(0x62);
        self.bytes.push(not(reg) << 7 | not(upper) << 6 | not(base) << 5 | fifth(reg) << 4 | c.map);
        self.bytes.push(double << 7 | (!second & 15) << 3 | 4 | c.prefix);
        self.bytes.push(zero << 7 | 2 << 5 | fifth(second) << 3 | mask);
        self.bytes.push(c.number);
    }

    /// The prefix and number of an instruction on all lanes.
    fn prefixed(&mut self, c: Code, reg: u8, second: u8, rm: Rm) {
        match self.lanes {
            16 => self.evex(c, reg, second, rm, Masked::No),
            _ => self.vex(c, true, reg, second, rm),
        }
    }

    /// ModRM and what follows it; `after` bytes of the instruction come behind.
    pub(super) fn operand(&mut self, reg: u8, rm: Rm, after: usize) {
        let reg = (reg & 7) << 3;
        match rm {
            Rm::Reg(r) => self.bytes.push(0xC0 | reg | (r & 7)),
            Rm::At(base, displacement) => {
                self.bytes.push(0x80 | reg | (base & 7));
                if base & 7 == gpr::RSP {
                    self.bytes.push(0x24);
                }
                self.bytes.extend(displacement.to_le_bytes());
            }
            Rm::Sum(base, index) => {
                // With a displacement of one byte, since without one `rbp` and `r13` cannot be bases.
                self.bytes.extend([0x44 | reg, (index & 7) << 3 | (base & 7), 0]);
            }
            Rm::Far(base, index, displacement) => {
                self.bytes.extend([0x84 | reg, (index & 7) << 3 | (base & 7)]);
                self.bytes.extend(displacement.to_le_bytes());
            }
            Rm::Pool(at) => {
                self.bytes.push(0x05 | reg);
                self.missing.push((self.bytes.len(), at, after));
                self.bytes.extend([0; 4]);
            }
        }
    }

    /// An instruction on all lanes. Those with two operands take 0 as the second.
    pub fn wide(&mut self, c: Code, reg: Reg, second: Reg, rm: Rm) {
        self.prefixed(c, reg, second, rm);
        self.operand(reg, rm, 0);
    }

    /// The same with a byte behind.
    pub fn wide_with(&mut self, c: Code, reg: Reg, second: Reg, rm: Rm, byte: u8) {
        self.prefixed(c, reg, second, rm);
        self.operand(reg, rm, 1);
        self.bytes.push(byte);
    }

    /// An instruction on four lanes or one, with registers below 16.
    pub fn narrow(&mut self, c: Code, reg: Reg, second: Reg, rm: Rm) {
        self.vex(c, false, reg, second, rm);
        self.operand(reg, rm, 0);
    }

    /// Shifts every lane: `kind` is 2 to the right, 4 to the right with the sign, 6 to the left.
    pub fn shift(&mut self, kind: u8, to: Reg, from: Reg, by: u8) {
        self.prefixed(SHIFT, kind, to, Rm::Reg(from));
        self.operand(kind, Rm::Reg(from), 0);
        self.bytes.push(by);
    }

    /// `to = yes` where the comparison of `a` with `b` holds, else `no`.
    pub fn choose(&mut self, predicate: u8, to: Reg, (a, b): (Reg, Rm), yes: Rm, no: Reg) {
        if self.lanes == 16 {
            self.wide_with(COMPARE, CHOICE, a, b, predicate);
            self.evex(BLEND_BY_BITS, to, no, yes, Masked::Keep(CHOICE));
            return self.operand(to, yes, 0);
        }
        self.wide_with(COMPARE, HELPER, a, b, predicate);
        self.wide_with(BLEND, to, no, yes, HELPER << 4);
    }

    /// From here on masked instructions go by the first `count` lanes. `rax` is lost.
    pub fn last_lanes(&mut self, count: usize) {
        if self.lanes == 16 {
            self.set(gpr::RAX, (1 << count) - 1);
            // `kmovw k2, eax`
            return self.bytes.extend([0xC5, 0xF8, 0x92, 0xC0 | LAST << 3]);
        }
        let mask = self.constants(|i| if i < count { u32::MAX } else { 0 });
        self.wide(LOAD, MASK, 0, mask);
    }

    /// Other lanes become 0.
    pub fn load_masked(&mut self, to: Reg, at: Rm) {
        if self.lanes == 16 {
            self.evex(LOAD, to, 0, at, Masked::Zero(LAST));
            return self.operand(to, at, 0);
        }
        self.wide(LOAD_MASKED, to, MASK, at);
    }

    /// Memory of other lanes is not touched.
    pub fn store_masked(&mut self, from: Reg, at: Rm) {
        if self.lanes == 16 {
            self.evex(STORE, from, 0, at, Masked::Keep(LAST));
            return self.operand(from, at, 0);
        }
        self.wide(STORE_MASKED, from, MASK, at);
    }

    /// `sum = c(sum, from)` in the lanes of the mask; `neutral` changes nothing under `c`.
    pub fn fold_masked(&mut self, c: Code, sum: Reg, from: Reg, neutral: u32) {
        if self.lanes == 16 {
            self.evex(c, sum, sum, Rm::Reg(from), Masked::Keep(LAST));
            return self.operand(sum, Rm::Reg(from), 0);
        }
        let neutral = self.constant(neutral);
        self.wide(LOAD, HELPER, 0, neutral);
        self.wide_with(BLEND, HELPER, HELPER, Rm::Reg(from), MASK << 4);
        self.wide(c, sum, sum, Rm::Reg(HELPER));
    }

    /// The lanes of `sum` (below 16) put together by `c`, in all of them.
    pub fn across(&mut self, c: Code, sum: Reg) {
        self.together(c, sum);
        self.wide(BROADCAST, sum, 0, Rm::Reg(sum));
    }

    /// The lanes of `sum` (below 16) put together by `c`, in the first.
    pub fn together(&mut self, c: Code, sum: Reg) {
        let other = Rm::Reg(HELPER);
        if self.lanes == 16 {
            self.wide_with(UPPER_EIGHT, sum, 0, other, 1);
            self.vex(c, true, sum, sum, other);
            self.operand(sum, other, 0);
        }
        self.vex(UPPER_HALF, true, sum, 0, other);
        self.operand(sum, other, 1);
        self.bytes.push(1);
        self.narrow(c, sum, sum, other);
        self.narrow(HIGH_TO_LOW, HELPER, sum, Rm::Reg(sum));
        self.narrow(c, sum, sum, other);
        self.narrow(ODD_TO_EVEN, HELPER, 0, Rm::Reg(sum));
        self.narrow(c, sum, sum, other);
    }

    /// A general register's lower half in all lanes.
    pub fn spread(&mut self, to: Reg, from: u8) {
        if self.lanes == 16 {
            return self.wide(ALL_FROM_GENERAL, to, 0, Rm::Reg(from));
        }
        self.narrow(FROM_GENERAL, to, 0, Rm::Reg(from));
        self.wide(BROADCAST, to, 0, Rm::Reg(to));
    }

    /// The code with its constants behind it.
    pub fn finish(mut self) -> Vec<u8> {
        while self.bytes.len() % 64 != 0 {
            self.bytes.push(0xCC);
        }
        let pool = self.bytes.len();
        for (place, constant, after) in self.missing {
            let to = pool + constant as usize * self.lanes * 4;
            let displacement = to as i32 - (place + 4 + after) as i32;
            self.bytes[place..place + 4].copy_from_slice(&displacement.to_le_bytes());
        }
        for lanes in self.pool {
            lanes.iter().for_each(|lane| self.bytes.extend(lane.to_le_bytes()));
        }
        self.bytes
    }
}

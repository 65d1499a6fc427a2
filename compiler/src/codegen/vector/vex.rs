//! Encodings of the instructions that loops over vectors of eight are made of, after Intel's manual, volume 2.

/// A vector register, 0 to 15.
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
    /// A constant of the pool, by its place in it: eight lanes.
    Pool(u32),
}

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

pub const LOAD: Code = code(0, 1, 0x10);
pub const STORE: Code = code(0, 1, 0x11);
pub const LOAD_MASKED: Code = code(1, 2, 0x2C);
pub const STORE_MASKED: Code = code(1, 2, 0x2E);
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
pub const OR: Code = code(0, 1, 0x56);
pub const XOR: Code = code(0, 1, 0x57);
pub const COMPARE: Code = code(0, 1, 0xC2);
pub const BLEND: Code = code(1, 3, 0x4A);
/// `a = b * a + c`
pub const FMA213: Code = code(1, 2, 0xA8);
/// `c = a * b + c`
pub const FMA231: Code = code(1, 2, 0xB8);
pub const ROUND: Code = code(1, 3, 0x08);
pub const TO_FLOAT: Code = code(0, 1, 0x5B);
pub const PLUS: Code = code(1, 1, 0xFE);
pub const MINUS: Code = code(1, 1, 0xFA);
pub const SHIFT: Code = code(1, 1, 0x72);
pub const UPPER_HALF: Code = code(1, 3, 0x19);
pub const HIGH_TO_LOW: Code = code(0, 1, 0x12);
pub const ODD_TO_EVEN: Code = code(2, 1, 0x16);
pub const FROM_GENERAL: Code = code(1, 1, 0x6E);

/// Machine code in the making.
#[derive(Default)]
pub struct Assembler {
    pub bytes: Vec<u8>,
    /// Constants, and where in the code their addresses are missing: the place, the constant, and how many bytes of
    /// the instruction follow.
    pool: Vec<[u32; 8]>,
    missing: Vec<(usize, u32, usize)>,
}

impl Assembler {
    /// A constant of the pool.
    pub fn constant(&mut self, lanes: [u32; 8]) -> Rm {
        let known = self.pool.iter().position(|c| *c == lanes);
        let at = known.unwrap_or_else(|| {
            self.pool.push(lanes);
            self.pool.len() - 1
        });
        Rm::Pool(at as u32)
    }

    fn vex(&mut self, c: Code, wide: bool, reg: u8, second: u8, rm: Rm) {
        let (base, index) = match rm {
            Rm::Reg(r) | Rm::At(r, _) => (r, 0),
            Rm::Sum(base, index) => (base, index),
            Rm::Pool(_) => (0, 0),
        };
        let not = |r: u8| (!r >> 3) & 1;
        self.bytes.push(0xC4);
        self.bytes.push(not(reg) << 7 | not(index) << 6 | not(base) << 5 | c.map);
        self.bytes.push((!second & 15) << 3 | u8::from(wide) << 2 | c.prefix);
        self.bytes.push(c.number);
    }

    /// ModRM and what follows it; `after` bytes of the instruction come behind.
    fn operand(&mut self, reg: u8, rm: Rm, after: usize) {
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
            Rm::Pool(at) => {
                self.bytes.push(0x05 | reg);
                self.missing.push((self.bytes.len(), at, after));
                self.bytes.extend([0; 4]);
            }
        }
    }

    /// An instruction on eight lanes. Those with two operands take 0 as the second.
    pub fn wide(&mut self, c: Code, reg: Reg, second: Reg, rm: Rm) {
        self.vex(c, true, reg, second, rm);
        self.operand(reg, rm, 0);
    }

    /// The same with a byte behind.
    pub fn wide_with(&mut self, c: Code, reg: Reg, second: Reg, rm: Rm, byte: u8) {
        self.vex(c, true, reg, second, rm);
        self.operand(reg, rm, 1);
        self.bytes.push(byte);
    }

    /// An instruction on four lanes or one.
    pub fn narrow(&mut self, c: Code, reg: Reg, second: Reg, rm: Rm) {
        self.vex(c, false, reg, second, rm);
        self.operand(reg, rm, 0);
    }

    /// Shifts every lane: `kind` is 2 to the right, 4 to the right with the sign, 6 to the left.
    pub fn shift(&mut self, kind: u8, to: Reg, from: Reg, by: u8) {
        self.vex(SHIFT, true, kind, to, Rm::Reg(from));
        self.operand(kind, Rm::Reg(from), 0);
        self.bytes.push(by);
    }

    // ---- general registers ---------------------------------------------------------------------

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

    /// Goes back to `target` while `r` is below `bound`.
    pub fn repeat_below(&mut self, r: u8, bound: i32, target: usize) {
        self.rex(0, r);
        self.bytes.extend([0x81, 0xF8 | (r & 7)]);
        self.bytes.extend(bound.to_le_bytes());
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

    /// The code with its constants behind it.
    pub fn finish(mut self) -> Vec<u8> {
        while self.bytes.len() % 32 != 0 {
            self.bytes.push(0xCC);
        }
        let pool = self.bytes.len();
        for (place, constant, after) in self.missing {
            let to = pool + constant as usize * 32;
            let displacement = to as i32 - (place + 4 + after) as i32;
            self.bytes[place..place + 4].copy_from_slice(&displacement.to_le_bytes());
        }
        for lanes in self.pool {
            lanes.iter().for_each(|lane| self.bytes.extend(lane.to_le_bytes()));
        }
        self.bytes
    }
}

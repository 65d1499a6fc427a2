//! What a loop computes, as a list of operations on vectors.

use crate::codegen::math::Machine;
use cranelift_codegen::ir::condcodes::FloatCC;
use std::collections::HashMap;

/// The result of an operation, by its place in the list.
pub type Id = u32;

/// The phase of what is the same in all rows of a column, where columns are folded.
pub const OF_COLUMN: u16 = 0;

/// How often a value is computed: once, for each row, or for each vector of a row's phase.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    Call,
    Row,
    /// Inside the loop of one phase.
    Vector(u16),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    Constant(u32),
    /// Sixteen constants, by their place in [`Values::tables`].
    Table(u16),
    /// The same, a number for each lane.
    Lanes(u16),
    /// A number that the caller computed, in all lanes.
    Scalar(u16),
    /// What a pointer shows, in all lanes.
    Shown(u16),
    /// Neighbours from where a pointer and the loop stand.
    Load(u16),
    /// The same so many floats behind a pointer, in straight code.
    ShownAt(u16, i32),
    LoadAt(u16, i32),
    /// All lanes added, or the largest of them, in all lanes.
    Across(bool, Id),
    /// Numbers of the lanes, from where the loop stands; the number of the round of a loop around, by its place there.
    Places,
    Round(u16),
    /// What a phase has folded, in all lanes.
    Folded(u16),
    Two(Two, Id, Id),
    Fma(Id, Id, Id),
    /// By a predicate of the processor; a part of choices, never computed alone.
    Compare(u8, Id, Id),
    /// The third where the comparison of the first two holds, else the fourth.
    Choose(u8, Id, Id, Id, Id),
    Sqrt(Id),
    Floor(Id),
    ToFloat(Id),
    /// The kinds of [`super::vex::Assembler::shift`].
    Shift(u8, Id, u8),
}

/// Operations of two vectors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Two {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    And,
    Xor,
    Plus,
    Minus,
    /// The first times two to the power of the second, rounded down.
    Scale,
    /// From a table, the second, what the lowest bits of the first name.
    Entry,
}

impl Two {
    /// May the operands change places?
    pub fn commutes(self) -> bool {
        matches!(self, Two::Add | Two::Mul | Two::And | Two::Xor | Two::Plus)
    }
}

impl Op {
    /// Is it known before any call?
    pub fn is_constant(self) -> bool {
        matches!(self, Op::Constant(_) | Op::Table(_) | Op::Lanes(_))
    }

    pub fn operands(self) -> impl Iterator<Item = Id> {
        let list = match self {
            Op::Constant(_) | Op::Table(_) | Op::Scalar(_) | Op::Shown(_) | Op::Load(_) => [None; 4],
            Op::Places | Op::Round(_) | Op::Folded(_) => [None; 4],
            Op::Lanes(_) | Op::ShownAt(..) | Op::LoadAt(..) => [None; 4],
            Op::Across(_, a) => [Some(a), None, None, None],
            Op::Two(_, a, b) | Op::Compare(_, a, b) => [Some(a), Some(b), None, None],
            Op::Fma(a, b, c) => [Some(a), Some(b), Some(c), None],
            Op::Choose(_, a, b, x, y) => [Some(a), Some(b), Some(x), Some(y)],
            Op::Sqrt(a) | Op::Floor(a) | Op::ToFloat(a) | Op::Shift(_, a, _) => [Some(a), None, None, None],
        };
        list.into_iter().flatten()
    }

    /// The same operation on what `f` gives for its operands.
    pub fn with(self, f: impl Fn(Id) -> Id) -> Op {
        match self {
            Op::Two(two, a, b) => Op::Two(two, f(a), f(b)),
            Op::Compare(p, a, b) => Op::Compare(p, f(a), f(b)),
            Op::Fma(a, b, c) => Op::Fma(f(a), f(b), f(c)),
            Op::Choose(p, a, b, x, y) => Op::Choose(p, f(a), f(b), f(x), f(y)),
            Op::Sqrt(a) => Op::Sqrt(f(a)),
            Op::Floor(a) => Op::Floor(f(a)),
            Op::ToFloat(a) => Op::ToFloat(f(a)),
            Op::Shift(kind, a, by) => Op::Shift(kind, f(a), by),
            Op::Constant(_) | Op::Table(_) | Op::Scalar(_) | Op::Shown(_) | Op::Load(_) => self,
            Op::Places | Op::Round(_) | Op::Folded(_) => self,
            Op::Lanes(_) | Op::ShownAt(..) | Op::LoadAt(..) => self,
            Op::Across(max, a) => Op::Across(max, f(a)),
        }
    }
}

/// The list; equal operations of one phase are one.
#[derive(Default)]
pub struct Values {
    pub ops: Vec<(Op, Level)>,
    known: HashMap<(Op, Level), Id>,
    /// The phase that is being filled.
    pub phase: u16,
    /// Where columns are folded: which pointers move from row to row.
    pub moves: HashMap<u16, bool>,
    pub tables: Vec<[u32; 16]>,
    /// In straight code: the turn that is being filled, and those of the operations.
    pub turn: u16,
    pub turns: Vec<u16>,
    looks_up: bool,
}

impl Values {
    /// None yet; `looks_up`: may there be [`Two::Entry`] and [`Two::Scale`]?
    pub fn new(looks_up: bool) -> Values {
        Values { looks_up, ..Values::default() }
    }

    pub fn get(&mut self, op: Op) -> Id {
        let moves = match op {
            Op::Shown(p) | Op::Load(p) => self.moves.get(&p),
            _ => None,
        };
        let own = match (op, moves) {
            (Op::Shown(_) | Op::Load(_), Some(true)) => Level::Vector(self.phase),
            (Op::Load(_), Some(false)) => Level::Vector(OF_COLUMN),
            _ => own(op, self.phase),
        };
        // What is put together from all lanes is one number for the row.
        let inside = op.operands().filter(|_| !matches!(op, Op::Across(..)));
        let level = inside.map(|x| self.ops[x as usize].1).fold(own, Level::max);
        *self.known.entry((op, level)).or_insert_with(|| {
            self.ops.push((op, level));
            self.turns.push(self.turn);
            self.ops.len() as Id - 1
        })
    }

    /// `a / b`; what many elements are divided by is inverted once, which may be one rounding more.
    pub fn quotient(&mut self, a: Id, b: Id) -> Id {
        let level = |id: Id| self.ops[id as usize].1;
        let (many, once) = (level(a), level(b));
        if once == many || matches!(once, Level::Vector(_)) {
            return self.div(a, b);
        }
        let inverse = match self.ops[b as usize].0 {
            Op::Constant(bits) => self.constant(1.0 / f32::from_bits(bits)),
            _ => {
                let one = self.constant(1.0);
                self.div(one, b)
            }
        };
        self.mul(a, inverse)
    }

    pub fn constant(&mut self, x: f32) -> Id {
        self.get(Op::Constant(x.to_bits()))
    }

    /// Where a table lies in the list.
    fn table(&mut self, table: [u32; 16]) -> u16 {
        let place = self.tables.iter().position(|t| *t == table).unwrap_or_else(|| {
            self.tables.push(table);
            self.tables.len() - 1
        });
        place as u16
    }

    /// A constant for each lane.
    pub fn lanes(&mut self, lane: impl Fn(usize) -> f32) -> Id {
        let table = self.table(std::array::from_fn(|i| lane(i).to_bits()));
        self.get(Op::Lanes(table))
    }

    /// `x` where a comparison holds, else `y`.
    pub fn choose(&mut self, comparison: Id, x: Id, y: Id) -> Id {
        let Op::Compare(predicate, a, b) = self.ops[comparison as usize].0 else {
            panic!("bug in codegen: a choice goes by a comparison")
        };
        self.get(Op::Choose(predicate, a, b, x, y))
    }

    /// A comparison, for [`Values::choose`].
    pub fn compare(&mut self, cc: FloatCC, a: Id, b: Id) -> Id {
        let predicate = match cc {
            FloatCC::Equal => 0,
            FloatCC::LessThan => 1,
            FloatCC::LessThanOrEqual => 2,
            FloatCC::Unordered => 3,
            FloatCC::NotEqual => 4,
            FloatCC::GreaterThanOrEqual => 13,
            FloatCC::GreaterThan => 14,
            other => panic!("bug in codegen: no comparison {other}"),
        };
        self.get(Op::Compare(predicate, a, b))
    }
}

fn own(op: Op, phase: u16) -> Level {
    match op {
        Op::Shown(_) | Op::ShownAt(..) | Op::Round(_) | Op::Folded(_) | Op::Across(..) => Level::Row,
        Op::Load(_) | Op::LoadAt(..) | Op::Lanes(_) | Op::Places => Level::Vector(phase),
        _ => Level::Call,
    }
}

impl Machine for Values {
    type Number = Id;

    fn number(&mut self, _: Id, value: f32) -> Id {
        self.constant(value)
    }

    fn whole(&mut self, _: Id, value: i32) -> Id {
        self.get(Op::Constant(value as u32))
    }

    fn add(&mut self, a: Id, b: Id) -> Id {
        self.get(Op::Two(Two::Add, a, b))
    }

    fn sub(&mut self, a: Id, b: Id) -> Id {
        self.get(Op::Two(Two::Sub, a, b))
    }

    fn mul(&mut self, a: Id, b: Id) -> Id {
        self.get(Op::Two(Two::Mul, a, b))
    }

    fn div(&mut self, a: Id, b: Id) -> Id {
        self.get(Op::Two(Two::Div, a, b))
    }

    fn fma(&mut self, a: Id, b: Id, c: Id) -> Id {
        self.get(Op::Fma(a, b, c))
    }

    fn neg(&mut self, x: Id) -> Id {
        let sign = self.get(Op::Constant(1 << 31));
        self.get(Op::Two(Two::Xor, x, sign))
    }

    fn abs(&mut self, x: Id) -> Id {
        let rest = self.get(Op::Constant(!(1 << 31)));
        self.get(Op::Two(Two::And, x, rest))
    }

    fn bits(&mut self, x: Id) -> Id {
        x
    }

    fn unbits(&mut self, x: Id) -> Id {
        x
    }

    fn plus(&mut self, a: Id, b: Id) -> Id {
        self.get(Op::Two(Two::Plus, a, b))
    }

    fn minus(&mut self, a: Id, b: Id) -> Id {
        self.get(Op::Two(Two::Minus, a, b))
    }

    fn left(&mut self, x: Id, by: u8) -> Id {
        self.get(Op::Shift(6, x, by))
    }

    fn right(&mut self, x: Id, by: u8) -> Id {
        self.get(Op::Shift(4, x, by))
    }

    fn float(&mut self, x: Id) -> Id {
        self.get(Op::ToFloat(x))
    }

    fn looks_up(&self) -> bool {
        self.looks_up
    }

    fn entry(&mut self, at: Id, table: &[f32; 16]) -> Id {
        let place = self.table(table.map(f32::to_bits));
        let table = self.get(Op::Table(place));
        self.get(Op::Two(Two::Entry, at, table))
    }

    fn scaled(&mut self, x: Id, n: Id) -> Id {
        self.get(Op::Two(Two::Scale, x, n))
    }

    /// A choice between what is compared is one instruction, which takes its second operand where one is NaN.
    fn pick(&mut self, cc: FloatCC, [a, b]: [Id; 2], x: Id, y: Id) -> Id {
        match cc {
            FloatCC::LessThan if (x, y) == (b, a) => self.get(Op::Two(Two::Max, b, a)),
            FloatCC::LessThan if (x, y) == (a, b) => self.get(Op::Two(Two::Min, a, b)),
            FloatCC::GreaterThan if (x, y) == (a, b) => self.get(Op::Two(Two::Max, a, b)),
            FloatCC::GreaterThan if (x, y) == (b, a) => self.get(Op::Two(Two::Min, b, a)),
            _ => {
                let mask = self.compare(cc, a, b);
                self.choose(mask, x, y)
            }
        }
    }
}

//! What stands after the present place, where a value is made of tables.

use super::emit::{Known, moved};
use super::sources::Sources;
use crate::base::Value;
use crate::loops::{Binary, Fold, Unary};
use crate::ops::Op;

/// Elements after the present place. Without any of these, they are what they always will be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Beyond {
    /// Always 0.
    Zero,
    /// So far down that `exp` of it beside an element before is 0.
    Far,
    /// Finite, and not the number that it will be.
    Open,
    /// The same, and perhaps not finite.
    Wild,
}

use Beyond::{Far, Open, Wild, Zero};

/// As small as only a mask makes a number.
const MASK: f32 = -1e9;

/// What a condition says before and after the present place of an axis.
enum Condition {
    /// It holds after it, and nowhere else.
    After,
    /// It holds up to it, and nowhere else.
    UpTo,
    /// It holds up to it.
    AtLeast,
    Other,
}

/// One op of a step.
pub(super) struct Beyonds<'a> {
    pub s: &'a Sources<'a>,
    pub v: Value,
    pub op: &'a Op,
    pub here: Option<usize>,
    pub x: &'a [Known],
}

impl Beyonds<'_> {
    /// What stands after the present place in the result, and whether some of it may be masked.
    pub fn of(&self) -> Result<(Option<(usize, Beyond)>, bool), String> {
        if let Op::Select(_) = self.op {
            return self.select();
        }
        let bounded =
            matches!(self.op, Op::Map(f) if matches!(f.0, Unary::Exp | Unary::Tanh | Unary::Sigmoid | Unary::Erf));
        let masked = !bounded && self.x.iter().any(|x| x.masked);
        // A number as small as a mask is none that this follows.
        let operands = self.s.graph.operands(self.v);
        let adds =
            matches!(self.op, Op::Zip(_)) && operands.iter().any(|x| self.s.constant(*x).is_some_and(|c| c <= MASK));
        let Some(axis) = self.axis()? else { return Ok((None, masked || adds)) };
        let states: Vec<Option<Beyond>> = (0..self.x.len()).map(|i| self.state(i, axis)).collect();
        let found = match self.op {
            Op::Map(f) => states[0].and_then(|x| map(f.0, x)),
            Op::Zip(f) => self.zip(f.0, states[0], states[1]),
            Op::Contract(_) => match (states[0], states[1]) {
                (Some(Wild), _) | (_, Some(Wild)) => Some(Wild),
                (Some(Zero), _) | (_, Some(Zero)) => Some(Zero),
                _ => Some(Open),
            },
            Op::Reduce(r) => states[0].map(|x| if r.fold == Fold::Add && x == Far { Open } else { x }),
            Op::Concat(_) => join(states[0], states[1]),
            Op::Broadcast(_) | Op::Transpose(_) | Op::Reshape(_) | Op::Stack(_) | Op::Pick(_) | Op::Detach(_) => {
                states[0]
            }
            Op::Slice(x) if x.axis != axis => states[0],
            Op::Pad(x) if x.axis != axis => join(states[0], Some(Zero)),
            Op::Gather(_) if states[0].is_none() => states[1].map(|_| Open),
            _ => return Err(format!("{} of {} reads what comes later", self.op.name(), self.v)),
        };
        Ok((found.map(|x| (axis, x)), masked || adds))
    }

    /// The axis of the result after whose present place not all is known. What is folded away has to be harmless.
    fn axis(&self) -> Result<Option<usize>, String> {
        let mut found = None;
        for (slot, x) in self.x.iter().enumerate() {
            let Some((axis, beyond)) = x.beyond else { continue };
            match moved(self.s, self.v, (slot, axis), self.op) {
                Some(axis) if found.is_some_and(|f| f != axis) => return Err(format!("{} has two tables", self.v)),
                Some(axis) if self.here == Some(axis) => return Err(format!("{} meets its own table", self.v)),
                Some(axis) => found = Some(axis),
                None if self.harmless(slot, axis, beyond) => {}
                None => return Err(format!("{} of {} reads what comes later", self.op.name(), self.v)),
            }
        }
        Ok(found)
    }

    /// What stands after the place along `axis` of the result, in an operand.
    fn state(&self, slot: usize, axis: usize) -> Option<Beyond> {
        let (own, beyond) = self.x[slot].beyond?;
        (moved(self.s, self.v, (slot, own), self.op) == Some(axis)).then_some(beyond)
    }

    /// An axis is folded away: do its later elements not count?
    fn harmless(&self, slot: usize, axis: usize, beyond: Beyond) -> bool {
        match self.op {
            Op::Reduce(r) if r.fold == Fold::Add => beyond == Zero,
            Op::Reduce(r) if r.fold == Fold::Max => {
                matches!(beyond, Zero | Far) && !(beyond == Far && self.x[slot].masked)
            }
            Op::Contract(c) => {
                let letters = |slot: usize| if slot == 0 { c.a.chars() } else { c.b.chars() };
                let letter = letters(slot).nth(axis);
                let other = letters(1 - slot).position(|l| Some(l) == letter);
                let theirs = self.x[1 - slot].beyond.filter(|(axis, _)| Some(*axis) == other).map(|(_, b)| b);
                match (beyond, theirs) {
                    (Wild, _) | (_, Some(Wild)) => false,
                    (Zero, _) | (_, Some(Zero)) => true,
                    _ => false,
                }
            }
            _ => false,
        }
    }

    fn zip(&self, f: Binary, a: Option<Beyond>, b: Option<Beyond>) -> Option<Beyond> {
        let operands = self.s.graph.operands(self.v);
        let masked = self.x.iter().any(|x| x.masked);
        let positive = |slot: usize| self.s.constant(operands[slot]).is_some_and(|c| (1e-6..1e6).contains(&c));
        match (f, a, b) {
            (_, None, None) => None,
            (_, Some(Wild), _) | (_, _, Some(Wild)) => Some(Wild),
            (Binary::Mul, Some(Zero), _) | (Binary::Mul, _, Some(Zero)) => Some(Zero),
            (Binary::Div, Some(Zero), None) => Some(Zero),
            (Binary::Add | Binary::Sub, Some(Far), None) if !masked => Some(Far),
            (Binary::Add, None, Some(Far)) if !masked => Some(Far),
            (Binary::Mul | Binary::Div, Some(Far), None) if positive(1) => Some(Far),
            (Binary::Mul, None, Some(Far)) if positive(0) => Some(Far),
            (Binary::Add | Binary::Sub, Some(Zero), Some(Zero)) => Some(Zero),
            (Binary::Div | Binary::Pow, ..) => Some(Wild),
            (_, None | Some(Zero), None | Some(Zero)) => None,
            _ => Some(Open),
        }
    }

    fn select(&self) -> Result<(Option<(usize, Beyond)>, bool), String> {
        let operands = self.s.graph.operands(self.v);
        let far = |slot: usize| self.s.constant(operands[slot]).is_some_and(|c| c <= MASK);
        let nil = |slot: usize| self.s.constant(operands[slot]) == Some(0.0);
        let masked = self.x.iter().any(|x| x.masked);
        let table = self.axis()?;
        // Along which axis the condition parts what is before from what is after.
        let rank = self.s.shape(self.v).len();
        let axes = (0..rank).filter(|axis| Some(*axis) != self.here && self.s.shape(self.v)[*axis] == self.s.extent);
        let mut parted = axes.map(|axis| (axis, self.condition(operands[0], axis, self.here)));
        let parted = parted.find(|(axis, c)| !matches!(c, Condition::Other) && table.is_none_or(|t| t == *axis));
        let branch = |slot: usize, axis: usize| match self.state(slot, axis) {
            None if far(slot) => Some(Far),
            None if nil(slot) => Some(Zero),
            other => other,
        };
        let Some((axis, condition)) = parted else {
            let made = (1..3).any(|slot| far(slot));
            let Some(axis) = table else { return Ok((None, masked || made)) };
            let both = match (branch(1, axis), branch(2, axis)) {
                (Some(Far), Some(Far)) => Some(Far),
                (Some(Zero), Some(Zero)) => Some(Zero),
                _ => join(join(self.state(1, axis), self.state(2, axis)), self.state(0, axis).map(|_| Open)),
            };
            return Ok((both.map(|x| (axis, x)), masked || made));
        };
        let found = match condition {
            Condition::After => branch(1, axis),
            Condition::UpTo => branch(2, axis),
            _ => match (branch(1, axis), branch(2, axis)) {
                (Some(Far), Some(Far)) => Some(Far),
                (Some(Zero), Some(Zero)) => Some(Zero),
                (Some(Wild), _) | (_, Some(Wild)) => Some(Wild),
                _ => Some(Open),
            },
        };
        // What is left before must not be all masked too: then what was far is not far beside it.
        let found =
            if found == Some(Far) && (masked || self.kept_is_far(&condition, far)) { Some(Open) } else { found };
        Ok((found.map(|x| (axis, x)), masked))
    }

    /// Is what stands up to the present place a mask itself?
    fn kept_is_far(&self, condition: &Condition, far: impl Fn(usize) -> bool) -> bool {
        match condition {
            Condition::After => far(2),
            _ => far(1),
        }
    }

    fn condition(&self, v: Value, table: usize, here: Option<usize>) -> Condition {
        let s = self.s;
        let operands = s.graph.operands(v);
        if s.exists(v) == Some(table) {
            return Condition::AtLeast;
        }
        match s.graph.op(v) {
            Some(Op::Broadcast(b)) => {
                let inner = |axis: usize| b.axes.iter().position(|x| *x == axis);
                match inner(table) {
                    Some(table) => self.condition(operands[0], table, here.and_then(inner)),
                    None => Condition::Other,
                }
            }
            Some(Op::Transpose(t)) => self.condition(operands[0], t.perm[table], here.map(|axis| t.perm[axis])),
            Some(Op::Zip(f)) => {
                let (a, b) = (s.coordinate(operands[0]), s.coordinate(operands[1]));
                let (later, earlier) = (a == Some(table) && b == here, a == here && b == Some(table));
                match f.0 {
                    _ if here.is_none() => Condition::Other,
                    Binary::Gt if later => Condition::After,
                    Binary::Lt if earlier => Condition::After,
                    Binary::Le if later => Condition::UpTo,
                    Binary::Ge if earlier => Condition::UpTo,
                    _ => Condition::Other,
                }
            }
            _ => Condition::Other,
        }
    }
}

fn map(f: Unary, x: Beyond) -> Option<Beyond> {
    match (f, x) {
        (_, Wild) => Some(Wild),
        (Unary::Exp, Far) => Some(Zero),
        (Unary::Neg | Unary::Abs | Unary::Tanh | Unary::Sin | Unary::Erf | Unary::Floor | Unary::Sqrt, Zero) => {
            Some(Zero)
        }
        (_, Zero) => None,
        (Unary::Exp | Unary::Log | Unary::Sqrt, Open | Far) => Some(Wild),
        _ => Some(Open),
    }
}

fn join(a: Option<Beyond>, b: Option<Beyond>) -> Option<Beyond> {
    match (a, b) {
        (None | Some(Zero), None | Some(Zero)) if a == b => a,
        (None | Some(Zero), None | Some(Zero)) => None,
        (Some(Far), Some(Far)) => Some(Far),
        (Some(Wild), _) | (_, Some(Wild)) => Some(Wild),
        _ => Some(Open),
    }
}

/// Do the examples of a batch stay the first axis?
pub(super) fn batch_first(s: &Sources<'_>, v: Value, op: &Op) -> bool {
    let operands = s.graph.operands(v);
    match op {
        Op::Broadcast(b) => b.axes.first() == Some(&0),
        Op::Transpose(t) => t.perm.first() == Some(&0),
        Op::Contract(c) => {
            let moving = operands.iter().zip([&c.a, &c.b]).filter(|(x, _)| s.moving.contains(x));
            moving.into_iter().all(|(_, letters)| letters.chars().next() == c.y.chars().next())
        }
        Op::Reduce(r) => !r.axes.contains(&0),
        Op::ArgMax(r) => !r.axes.contains(&0),
        Op::Slice(x) => x.axis != 0,
        Op::Pad(x) => x.axis != 0,
        Op::Concat(x) => x.axis != 0,
        Op::Stack(x) => x.axis != 0,
        Op::Pick(x) => x.axis != 0,
        _ => true,
    }
}

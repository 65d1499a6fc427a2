//! The values of a step, one after the other.

use super::Want;
use super::beyond::{self, Beyond, Beyonds};
use super::demand::{in_parts, operand_wants};
use super::sources::{Sources, same_axis};
use crate::base::{Element, TensorType, Value};
use crate::graph::{Def, Graph};
use crate::ops::{Broadcast, Conv, Coordinate, Emit, Op, Reshape};
use dlc_runtime::kept::{Kind, PLACE};
use std::collections::HashMap;

/// A value of the step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub value: Value,
    /// Along one axis, what stands after the present place.
    pub beyond: Option<(usize, Beyond)>,
    /// Some of it may have been made as small as what is masked.
    pub masked: bool,
}

/// An input of the step, and what it begins as.
pub(super) struct Start {
    pub input: Value,
    pub of: Value,
    /// `None`: it stays.
    pub next: Option<(Kind, Result<Value, String>)>,
}

pub(super) struct Emitter<'a> {
    s: &'a Sources<'a>,
    pub step: Graph,
    known: HashMap<(Value, Want), Result<Known, String>>,
    starts: Vec<Start>,
    /// Inputs that are states, and the value whose element they carry.
    carried: Vec<(Value, Value)>,
    place: Option<Value>,
}

type Found = Result<Known, String>;

impl<'a> Emitter<'a> {
    /// All state is a part of the step, read or not.
    pub fn new(s: &'a Sources<'a>) -> Emitter<'a> {
        let mut step = Graph::new();
        step.batch = s.graph.batch;
        let mut known = HashMap::new();
        for var in &s.graph.state {
            let value = step.state(&var.path, s.graph.node(var.value).ty.clone(), var.init.clone(), var.kind);
            known.insert((var.value, Want::Whole), Ok(plain(value)));
        }
        Emitter { s, step, known, starts: vec![], carried: vec![], place: None }
    }

    /// The value where its elements never change again.
    pub fn final_of(&self, v: Value, want: Want) -> Result<Value, String> {
        let known = self.get(v, want)?;
        match known.beyond {
            None | Some((_, Beyond::Zero)) => Ok(known.value),
            Some(_) => Err(format!("{v} reads what comes later")),
        }
    }

    fn get(&self, v: Value, want: Want) -> Found {
        let want = self.s.settled(v, want);
        self.known.get(&(v, want)).cloned().unwrap_or_else(|| Err(format!("{v} is not there yet")))
    }

    /// The graph, and where its inputs begin.
    pub fn done(mut self) -> (Graph, Vec<Start>) {
        for (input, carry) in std::mem::take(&mut self.carried) {
            let states = self.s.graph.recurrences.iter().flat_map(|r| r.states.iter().flatten());
            let next = states.filter(|(c, _)| *c == carry).map(|(_, next)| *next).next().unwrap_or(carry);
            let value = match self.s.bodies.contains_key(&next) {
                true => self.final_of(next, Want::Now),
                false => Err(format!("{next} is outside of its recurrence")),
            };
            self.starts.push(Start { input, of: next, next: Some((Kind::State, value)) });
        }
        (self.step, self.starts)
    }

    pub fn emit(&mut self, v: Value, want: Want) {
        if self.known.contains_key(&(v, want)) {
            return;
        }
        self.step.set_origin(self.s.graph.node(v).origin.clone());
        let found = match want {
            Want::Whole => self.whole(v),
            Want::Here(axis) if !self.s.moving.contains(&v) && !in_parts(self.s, v) => self.look_up(v, axis),
            _ => self.part(v, want),
        };
        self.known.insert((v, want), found);
    }

    fn input(&mut self, ty: TensorType) -> Value {
        self.step.input(&format!("input({})", self.step.len()), ty)
    }

    fn place(&mut self) -> Value {
        if let Some(place) = self.place {
            return place;
        }
        let place = self.step.input(PLACE, TensorType::index(self.s.extent, &[1]));
        self.place = Some(place);
        place
    }

    fn whole(&mut self, v: Value) -> Found {
        let (s, ty) = (self.s, self.s.graph.node(v).ty.clone());
        if let Some(axis) = s.exists(v) {
            let ones = self.step.emit_here().filled(1.0, &ty.shape);
            return Ok(Known { beyond: Some((axis, Beyond::Open)), ..plain(ones) });
        }
        if s.moving.contains(&v) {
            return self.table(v, ty);
        }
        if s.bodies.contains_key(&v) {
            return Err(format!("{v} is inside a recurrence"));
        }
        if s.fed.contains(&v) {
            let input = self.input(ty);
            self.starts.push(Start { input, of: v, next: None });
            return Ok(plain(input));
        }
        match &s.graph.node(v).def {
            Def::Constant(bits) => Ok(plain(self.step.constant(f32::from_bits(*bits)))),
            Def::Op(op) => {
                let operands = s.graph.operands(v).into_iter().map(|x| Ok(self.get(x, Want::Whole)?.value));
                let operands = operands.collect::<Result<Vec<_>, String>>()?;
                Ok(plain(self.step.emit(op.clone(), &operands)))
            }
            _ => Err(format!("{v} comes from outside")),
        }
    }

    /// All of a value that changes: what earlier steps left, with the present element in its place.
    fn table(&mut self, v: Value, ty: TensorType) -> Found {
        if let Element::Index { .. } = ty.element {
            return Err(format!("{v} is a table of indices"));
        }
        let axes = (1..ty.rank()).filter(|axis| ty.shape[*axis] == self.s.extent);
        let fitting = axes.filter_map(|axis| Some((axis, self.final_of(v, Want::Here(axis)).ok()?))).next();
        let (axis, row) = fitting.ok_or_else(|| format!("{v} is no table of elements that stay"))?;
        let input = self.input(ty.clone());
        self.starts.push(Start { input, of: v, next: Some((Kind::Rows { axis }, Ok(row))) });
        let place = self.place();
        let e = self.step.emit_here();
        let (coord, place) = (e.coord(&ty.shape, axis), e.broadcast(place, &one_at(&ty.shape, axis), &[axis]));
        let (place, row) = (stretched(e, place, &ty.shape, axis), stretched(e, row, &ty.shape, axis));
        let here = e.eq(coord, place);
        let value = e.select(here, row, input);
        Ok(Known { beyond: Some((axis, Beyond::Open)), ..plain(value) })
    }

    /// One element of what does not change.
    fn look_up(&mut self, v: Value, axis: usize) -> Found {
        let whole = self.get(v, Want::Whole)?.value;
        if self.s.shape(v)[axis] != self.s.extent {
            return Err(format!("axis {axis} of {v} is another"));
        }
        let place = self.place();
        let e = self.step.emit_here();
        let rank = e.shape(whole).len();
        let forth: Vec<usize> = [axis].into_iter().chain((0..rank).filter(|i| *i != axis)).collect();
        let first = if axis == 0 { whole } else { e.transpose(whole, &forth) };
        let row = e.gather(first, place);
        let back: Vec<usize> = (0..rank).map(|i| forth.iter().position(|f| *f == i).unwrap_or(0)).collect();
        Ok(plain(if axis == 0 { row } else { e.transpose(row, &back) }))
    }

    /// An element, or what an iteration computes.
    fn part(&mut self, v: Value, want: Want) -> Found {
        let (s, shape) = (self.s, self.s.shape(v).to_vec());
        let here = match want {
            Want::Here(axis) => Some(axis),
            Want::Whole | Want::Now => None,
        };
        if here.is_some_and(|axis| shape.get(axis) != Some(&s.extent)) {
            return Err(format!("{v} goes along another axis"));
        }
        let small = here.map_or(shape.clone(), |axis| one_at(&shape, axis));
        if let Some(along) = s.exists(v) {
            let ones = self.step.emit_here().filled(1.0, &small);
            let beyond = (here != Some(along)).then_some((along, Beyond::Open));
            return Ok(Known { beyond, ..plain(ones) });
        }
        let op = match &s.graph.node(v).def {
            Def::Input(_) if v == s.grows && here == Some(1) => {
                let Def::Input(name) = &s.graph.node(v).def else { unreachable!("it is an input") };
                let ty = TensorType { shape: small, ..s.graph.node(v).ty.clone() };
                return Ok(plain(self.step.input(name, ty)));
            }
            Def::Op(op) => op.clone(),
            _ => return Err(format!("{v} comes from outside")),
        };
        if let Op::Carry(c) = &op {
            if !s.along(c.of) {
                return Err(format!("{v} goes along another axis"));
            }
            if !s.moving.contains(&v) {
                return Err(format!("{v} goes on without the input"));
            }
            if s.graph.operands(v).iter().any(|first| s.moving.contains(first)) {
                return Err(format!("{v} begins as something that changes"));
            }
            let input = self.input(s.graph.node(v).ty.clone());
            self.carried.push((input, v));
            return Ok(plain(input));
        }
        let wants = operand_wants(s, v, want).ok_or_else(|| format!("{} of {v} is not taken apart", op.name()))?;
        let operands = s.graph.operands(v);
        if s.moving.contains(&v) && !beyond::batch_first(s, v, &op) {
            return Err(format!("{v} moves the batch"));
        }
        let chosen = match &op {
            Op::Select(_) => s.constant(operands[0]),
            _ => None,
        };
        if let Some(condition) = chosen {
            return self.get(operands[if condition == 0.0 { 2 } else { 1 }], want);
        }
        let x = operands.iter().zip(&wants).map(|(x, want)| self.get(*x, *want)).collect::<Result<Vec<_>, _>>()?;
        let (beyond, masked) = Beyonds { s, v, op: &op, here, x: &x }.of()?;
        let values: Vec<Value> = x.iter().map(|x| x.value).collect();
        let value = match op {
            Op::Conv(c) => self.window(&c, here.unwrap_or(1), operands[0], &values)?,
            op => self.again(op, here, &small, &values)?,
        };
        Ok(Known { value, beyond, masked })
    }

    /// The same op on one place of an axis.
    fn again(&mut self, op: Op, here: Option<usize>, small: &[usize], x: &[Value]) -> Result<Value, String> {
        let op: Op = match op {
            Op::Coordinate(c) if here == Some(c.axis) => {
                let place = self.place();
                return Ok(self.step.emit_here().broadcast(place, small, &[c.axis]));
            }
            Op::Coordinate(c) => Coordinate { shape: small.to_vec(), ..c }.into(),
            Op::Broadcast(b) => Broadcast { shape: small.to_vec(), ..b }.into(),
            Op::Reshape(_) | Op::Stack(_) | Op::Pick(_) => Reshape { shape: small.to_vec() }.into(),
            op => op,
        };
        let types: Vec<&TensorType> = x.iter().map(|x| self.step.ty(*x)).collect();
        match op.infer(&types) {
            Ok(ty) if ty.shape == small => Ok(self.step.emit(op, x)),
            _ => Err(format!("{} has another form", op.name())),
        }
    }

    /// A convolution over the last elements: those before the first are zero.
    fn window(&mut self, c: &Conv, axis: usize, of: Value, x: &[Value]) -> Result<Value, String> {
        let i = axis - 1;
        let (reach, before) = ((c.spec.kernel[i] - 1) * c.spec.dilation[i] + 1, c.spec.pad[i].0);
        if c.spec.stride[i] != 1 || before + 1 < reach {
            return Err(format!("the convolution of {of} reads what comes later"));
        }
        let mut spec = c.spec.clone();
        spec.pad[i] = (0, 0);
        let mut last = x[0];
        if before > 0 {
            let mut ty = self.s.graph.node(of).ty.clone();
            ty.shape[axis] = before;
            let input = self.input(ty);
            let e = self.step.emit_here();
            let all = e.concat(input, x[0], axis);
            let next = e.slice(all, axis, 1, before);
            self.starts.push(Start { input, of, next: Some((Kind::Last { axis }, Ok(next))) });
            last = if before + 1 > reach { self.step.emit_here().slice(all, axis, 0, reach) } else { all };
        }
        Ok(self.step.emit_here().conv(last, x[1], &spec))
    }
}

fn plain(value: Value) -> Known {
    Known { value, beyond: None, masked: false }
}

fn one_at(shape: &[usize], axis: usize) -> Vec<usize> {
    let mut small = shape.to_vec();
    small[axis] = 1;
    small
}

/// One element along an axis, repeated.
fn stretched(e: &mut (dyn Emit + 'static), x: Value, shape: &[usize], axis: usize) -> Value {
    let mut without = shape.to_vec();
    without.remove(axis);
    let axes: Vec<usize> = (0..shape.len()).filter(|i| *i != axis).collect();
    let small = e.reshape(x, &without);
    e.broadcast(small, shape, &axes)
}

/// Where an axis of an operand is in the result.
pub(super) fn moved(s: &Sources<'_>, v: Value, (slot, axis): (usize, usize), op: &Op) -> Option<usize> {
    let operands = s.graph.operands(v);
    let from = s.shape(operands[slot]);
    match op {
        Op::Broadcast(b) => b.axes.get(axis).copied(),
        Op::Transpose(t) => t.perm.iter().position(|p| *p == axis),
        Op::Reshape(r) => same_axis(from, axis, &r.shape),
        Op::Stack(x) => Some(axis + usize::from(axis >= x.axis)),
        Op::Pick(x) => (axis != x.axis).then(|| axis - usize::from(axis > x.axis)),
        Op::Contract(c) => {
            let letter = if slot == 0 { c.a.chars().nth(axis) } else { c.b.chars().nth(axis) };
            c.y.chars().position(|l| Some(l) == letter)
        }
        Op::Reduce(r) => (!r.axes.contains(&axis)).then(|| axis - r.axes.iter().filter(|x| **x < axis).count()),
        Op::ArgMax(r) => (!r.axes.contains(&axis)).then(|| axis - r.axes.iter().filter(|x| **x < axis).count()),
        _ => Some(axis),
    }
}

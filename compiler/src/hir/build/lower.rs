//! Layers to ops: names of axes become positions.

use super::Mode;
use super::variable::Past;
use crate::base::{Element, Origin, Role, TensorType, Value};
use crate::graph::Graph;
use crate::hir::layer::{Clock, Layer, Recurrence, What};
use crate::hir::value::{LayerId, Table, Variable};
use crate::loops::{Binary, Fold, Unary};
use crate::ops::{Emit, Recur};
use dlc_runtime::data::augment::mixup::{second_input, share_input};
use dlc_runtime::extents::Extents;
use std::collections::{BTreeMap, BTreeSet};

/// A graph in the making.
pub struct Lower<'h> {
    pub graph: Graph,
    pub layers: &'h [Layer],
    pub mode: Mode,
    pub extents: Extents,
    pub seed: u64,
    pub role: Role,
    values: Vec<Option<Value>>,
    pub weights: BTreeMap<usize, Value>,
    pub states: BTreeMap<usize, Value>,
    /// Next values of stored tables.
    pub next: BTreeMap<usize, Value>,
    /// Stored tables that stay as they are.
    pub frozen: BTreeSet<usize>,
    /// Inputs with points that belong to no class.
    pub ignoring: BTreeSet<String>,
    /// Inputs of classes that come with those of a second example, in training.
    pub mixed: BTreeSet<String>,
    pub given: Vec<Value>,
    /// Scans of the program, and those that were met.
    pub scans: &'h [Recurrence],
    pub recurs: BTreeMap<usize, Recur>,
    clocks: Vec<(Clock, Value)>,
    /// Per layer.
    pub past: Vec<Past>,
    /// Where examples exist along each axis of variable length.
    pub ends: Vec<(Variable, Value)>,
}

impl<'h> Lower<'h> {
    pub fn new(layers: &'h [Layer], mode: Mode, extents: Extents, seed: u64) -> Lower<'h> {
        Lower {
            graph: Graph::new(),
            layers,
            mode,
            extents,
            seed,
            role: Role::Forward,
            values: vec![None; layers.len()],
            weights: BTreeMap::new(),
            states: BTreeMap::new(),
            next: BTreeMap::new(),
            frozen: BTreeSet::new(),
            ignoring: BTreeSet::new(),
            mixed: BTreeSet::new(),
            given: vec![],
            scans: &[],
            recurs: BTreeMap::new(),
            clocks: vec![],
            past: vec![Past::default(); layers.len()],
            ends: vec![],
        }
    }

    /// Lowers the reached layers in order; operands come before users.
    pub fn run(&mut self, reached: &[bool]) {
        for i in (0..self.layers.len()).filter(|i| reached[*i]) {
            let layer = &self.layers[i];
            let span = Some(layer.span);
            self.graph.set_origin(Origin { path: layer.path.clone(), span, role: self.role });
            let value = self.layer(layer);
            self.values[i] = Some(value);
            self.note_past(i);
        }
        self.carry_on(reached);
        self.graph.set_origin(Origin::default());
    }

    pub fn value(&self, id: LayerId) -> Value {
        self.values[id.index()].expect("operands are lowered before their users")
    }

    pub fn ty(&self, id: LayerId) -> &'h Table {
        &self.layers[id.index()].ty
    }

    pub fn e(&mut self) -> &mut (dyn Emit + 'static) {
        self.graph.emit_here()
    }

    /// The shape of a table's tensor.
    pub fn shape(&self, ty: &Table) -> Vec<usize> {
        self.tensor(ty).shape
    }

    pub fn clock(&mut self, clock: Clock) -> Value {
        if let Some((_, v)) = self.clocks.iter().find(|(c, _)| *c == clock) {
            return *v;
        }
        let name = match clock {
            Clock::Step => "step",
            Clock::Steps => "steps",
            Clock::StepsPerEpoch => "steps_per_epoch",
        };
        let v = self.graph.input(name, TensorType::new(&[]));
        self.clocks.push((clock, v));
        v
    }

    /// Position of an axis in the tensor of `ty`.
    pub fn position(&self, ty: &Table, name: &str) -> usize {
        ty.position(name).expect("checked: the axis is there") + usize::from(ty.batched)
    }

    /// A layer's value with the axes of `to`, in its order; missing ones are repeated.
    pub fn aligned(&mut self, id: LayerId, to: &Table) -> Value {
        let x = self.value(id);
        self.aligned_value(x, id, to)
    }

    /// The same for what stands for the layer's value.
    fn aligned_value(&mut self, x: Value, id: LayerId, to: &Table) -> Value {
        let from = self.ty(id);
        let mut places: Vec<usize> = if from.batched { vec![0] } else { vec![] };
        places.extend(from.axes.iter().map(|a| self.position(to, &a.name)));
        let shape = self.shape(to);
        self.placed(x, &places, &shape)
    }

    /// `x` with axis i at `places[i]` of `shape`.
    pub fn placed(&mut self, x: Value, places: &[usize], shape: &[usize]) -> Value {
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|i| places[*i]);
        let e = self.graph.emit_here();
        let x = if order.iter().enumerate().any(|(i, o)| i != *o) { e.transpose(x, &order) } else { x };
        let mut sorted = places.to_vec();
        sorted.sort_unstable();
        if e.ty(x).shape == shape { x } else { e.broadcast(x, shape, &sorted) }
    }

    fn layer(&mut self, layer: &Layer) -> Value {
        let inputs = &layer.inputs[..];
        match &layer.what {
            What::Input(name) => {
                let mut ty = self.tensor(&layer.ty);
                if let Element::Index { extent } = &mut ty.element {
                    *extent += usize::from(self.ignoring.contains(name));
                }
                self.graph.input(name, ty)
            }
            What::Clock(clock) => self.clock(*clock),
            What::Given(i) => self.given[*i],
            What::Weight(i) => self.weights[i],
            What::State(i) => self.states[i],
            What::Constant(x) => self.e().constant(*x as f32),
            What::Unary(op) => {
                let x = match op {
                    Unary::Log | Unary::Sqrt => self.tame(layer, inputs[0]),
                    Unary::Exp => self.bounded(inputs[0]),
                    _ => self.value(inputs[0]),
                };
                self.e().unary(*op, x)
            }
            What::Binary(op @ (Binary::Div | Binary::Pow)) => {
                let tamed = usize::from(*op == Binary::Div);
                let [a, b] = [0, 1].map(|i| {
                    let x = if i == tamed { self.tame(layer, inputs[i]) } else { self.value(inputs[i]) };
                    self.aligned_value(x, inputs[i], &layer.ty)
                });
                self.e().binary(*op, a, b)
            }
            What::Binary(op) => {
                let (a, b) = (self.aligned(inputs[0], &layer.ty), self.aligned(inputs[1], &layer.ty));
                self.e().binary(*op, a, b)
            }
            What::Select => {
                let [c, a, b] = [0, 1, 2].map(|i| self.aligned(inputs[i], &layer.ty));
                self.e().select(c, a, b)
            }
            _ => self.moving(layer),
        }
    }

    /// Layers that fold, move, or contract.
    fn moving(&mut self, layer: &Layer) -> Value {
        let inputs = &layer.inputs[..];
        match &layer.what {
            What::Reduce(fold) => self.reduce(*fold, inputs[0], &layer.ty),
            What::ArgMax(axis) => {
                let ended = self.ended(inputs[0], std::slice::from_ref(axis), f32::MIN);
                let (x, ty) = ended.unwrap_or_else(|| (self.value(inputs[0]), self.ty(inputs[0]).clone()));
                let at = self.position(&ty, axis);
                self.e().argmax(x, at)
            }
            What::Last(axis) => self.last(inputs[0], axis),
            What::Count(of) => self.count(of),
            What::Rename => self.value(inputs[0]),
            What::Permute => self.aligned(inputs[0], &layer.ty),
            What::Reshape => {
                let (x, shape) = (self.value(inputs[0]), self.shape(&layer.ty));
                self.reshape(x, &shape)
            }
            What::Slice { axis, start } => {
                let at = self.position(self.ty(inputs[0]), axis);
                let (x, len) = (self.value(inputs[0]), self.shape(&layer.ty)[at]);
                self.e().slice(x, at, *start, len)
            }
            What::Concat(axis) => self.concat(inputs, axis, &layer.ty),
            What::OneHot => self.one_hot(inputs[0], &layer.ty),
            What::Detach => {
                let x = self.value(inputs[0]);
                self.e().detach(x)
            }
            What::Coord(_) => {
                let shape = self.shape(&layer.ty);
                self.e().coord(&shape, 0)
            }
            _ => self.heavy(layer),
        }
    }

    /// Layers with weights, windows or modes.
    fn heavy(&mut self, layer: &Layer) -> Value {
        let inputs = &layer.inputs[..];
        match &layer.what {
            What::Dot(over) => self.dot(inputs, over, &layer.ty),
            What::Dense => self.dense(inputs, &layer.ty),
            What::Conv(w) => self.conv(inputs, w, &layer.ty),
            What::ConvTranspose(w) => self.conv_transpose(inputs, w, &layer.ty),
            What::MaxPool(w) => self.max_pool(inputs[0], w, &layer.ty),
            What::AvgPool(w) => self.avg_pool(inputs[0], w, &layer.ty),
            What::Upsample { over, by, linear } => self.upsample(inputs[0], over, by, *linear),
            What::BatchNorm { .. } => self.batch_norm(layer),
            What::Dropout { p, name } => self.dropout(layer, *p, name),
            What::Pick { .. } | What::Carry { .. } | What::Stack { .. } => self.recur(layer),
            What::Embed => {
                let (x, table) = (self.value(inputs[0]), self.value(inputs[1]));
                self.e().gather(table, x)
            }
            other => unreachable!("lowered before: {other:?}"),
        }
    }

    pub fn reshape(&mut self, x: Value, shape: &[usize]) -> Value {
        let e = self.e();
        if e.ty(x).shape == shape { x } else { e.reshape(x, shape) }
    }

    fn reduce(&mut self, fold: Fold, x: LayerId, left: &Table) -> Value {
        let gone = self.ty(x).axes.iter().filter(|a| left.axis(&a.name).is_none());
        let gone: Vec<String> = gone.map(|a| a.name.clone()).collect();
        let neutral = if fold == Fold::Max { f32::MIN } else { 0.0 };
        let ended = self.ended(x, &gone, neutral);
        let (x, from) = ended.unwrap_or_else(|| (self.value(x), self.ty(x).clone()));
        let axes: Vec<usize> = gone.iter().map(|n| self.position(&from, n)).collect();
        self.e().reduce(fold, x, &axes)
    }

    fn concat(&mut self, inputs: &[LayerId], axis: &str, ty: &Table) -> Value {
        let at = self.position(ty, axis);
        let mut parts = vec![];
        for id in inputs {
            let mut own = ty.clone();
            let size = self.ty(*id).axis(axis).map(|a| a.size.clone());
            for a in own.axes.iter_mut().filter(|a| a.name == axis) {
                a.size = size.clone().expect("checked: both sides have the axis");
            }
            parts.push(self.aligned(*id, &own));
        }
        self.e().concat(parts[0], parts[1], at)
    }

    fn one_hot(&mut self, x: LayerId, ty: &Table) -> Value {
        let shape = self.shape(ty);
        let own = self.value(x);
        let first = self.hot(own, &shape);
        let What::Input(name) = &self.layers[x.index()].what else { return first };
        if !self.mixed.contains(name) {
            return first;
        }
        let tensor = self.tensor(self.ty(x));
        let share = TensorType::new(&tensor.shape[..1]);
        let second = self.hidden(&second_input(name), tensor);
        let second = self.hot(second, &shape);
        let share = self.hidden(&share_input(name), share);
        let e = self.e();
        let share = e.broadcast(share, &shape, &[0]);
        let apart = e.sub(first, second);
        let part = e.mul(share, apart);
        e.add(second, part)
    }

    /// 1 at the index, 0 elsewhere.
    fn hot(&mut self, index: Value, shape: &[usize]) -> Value {
        let last = shape.len() - 1;
        let places: Vec<usize> = (0..last).collect();
        let e = self.e();
        let index = e.broadcast(index, shape, &places);
        let coord = e.coord(shape, last);
        e.eq(coord, index)
    }

    /// An input that no name of the program stands for.
    fn hidden(&mut self, name: &str, ty: TensorType) -> Value {
        match self.graph.find_input(name) {
            Some(known) => known,
            None => self.graph.input(name, ty),
        }
    }
}

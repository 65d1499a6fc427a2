//! Axes of which each example has its own length: what lies past its end is finite and never counts.
//!
//! A hidden input `length(t)` holds the length of every example. Whatever folds, slides or stops along such an axis
//! reads other numbers past the end (zeros, the least number, one), by a select that becomes a part of its kernel. The
//! gradient of a select is zero past the end, so what was computed there reaches no weight; where a slope there could
//! be infinite (logarithms, quotients), the operand is replaced before, since no number times infinity is zero.

use super::lower::Lower;
use crate::base::{Element as Kind, TensorType, Value};
use crate::hir::layer::{Layer, What, Window};
use crate::hir::value::{Axis, Change, Element, LayerId, Size, Table, Variable};
use crate::loops::{Binary, Fold, Unary};
use dlc_runtime::extents::length_input;

/// What is known of a layer's values past the end of the examples, by the names of axes.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// They are zero.
    zero: Vec<String>,
    /// They may be larger than what is before by any amount: a maximum left them out.
    beyond: Vec<String>,
}

/// `exp` of it is 0.
const FAR: f32 = -1e30;

impl Lower<'_> {
    /// Elements along an axis in this graph.
    pub fn size(&self, size: &Size) -> usize {
        match size {
            Size::Variable(v) => v.of(self.extents.get(&v.dim).unwrap_or(v.most)),
            other => other.known().expect("a solved program has no open sizes"),
        }
    }

    /// The tensor of a table: the batch first, where there is one.
    pub fn tensor(&self, ty: &Table) -> TensorType {
        let mut shape = if ty.batched { vec![self.extents.batch] } else { vec![] };
        shape.extend(ty.axes.iter().map(|a| self.size(&a.size)));
        match &ty.element {
            Element::Number => TensorType::new(&shape),
            Element::Index { size, .. } => TensorType::index(self.size(size), &shape),
        }
    }

    /// The shape that a table has where its examples are as long as can be: places in it do not depend on padding.
    pub fn widest(&self, ty: &Table) -> Vec<usize> {
        let (shape, first) = (self.tensor(ty).shape, usize::from(ty.batched));
        let most = |(at, axis): (usize, &Axis)| axis.size.variable().map_or(shape[first + at], |v| v.of(v.most));
        let mut within = shape[..first].to_vec();
        within.extend(ty.axes.iter().enumerate().map(most));
        // Counters are 32 bits wide.
        let small = within.iter().try_fold(1u32, |all, n| all.checked_mul(u32::try_from(*n).ok()?)).is_some();
        if small { within } else { shape }
    }

    /// The length of every example: `[batch]`.
    fn length(&mut self, v: &Variable) -> Value {
        let plain = Variable { changes: vec![], ..v.clone() };
        let (name, extent) = (length_input(&v.dim), self.size(&Size::Variable(plain)));
        let known = self.graph.find_input(&name);
        let kind = Kind::Index { extent: extent + 1 };
        let ty = TensorType { element: kind, shape: vec![self.extents.batch] };
        let mut n = known.unwrap_or_else(|| self.graph.input(&name, ty));
        let e = self.graph.emit_here();
        for change in &v.changes {
            n = match *change {
                Change::Times(by) => e.scale(n, by as f32),
                Change::Slide { more, stride } => {
                    let (more, stride, one) =
                        (e.filled_like(more as f32, n), e.filled_like(stride as f32, n), e.filled_like(1.0, n));
                    let sum = e.add(n, more);
                    let steps = e.div(sum, stride);
                    let steps = e.unary(Unary::Floor, steps);
                    let next = e.add(steps, one);
                    e.max(next, one)
                }
            };
        }
        n
    }

    /// 1 where an example has an element, 0 past its end: `[batch, extent]`.
    fn exists(&mut self, v: &Variable) -> Value {
        if let Some((_, known)) = self.ends.iter().find(|(of, _)| of == v) {
            return *known;
        }
        let shape = [self.extents.batch, self.size(&Size::Variable(v.clone()))];
        let length = self.length(v);
        let e = self.graph.emit_here();
        let (place, end) = (e.coord(&shape, 1), e.broadcast(length, &shape, &[0]));
        let exists = e.lt(place, end);
        self.ends.push((v.clone(), exists));
        exists
    }

    /// `x`, a value of type `ty`, with `fill` past the ends along some axes.
    pub fn cut(&mut self, x: Value, ty: &Table, axes: &[String], fill: f32) -> Value {
        let found: Vec<(usize, Variable)> = ty
            .variable()
            .filter(|(a, _)| axes.contains(&a.name))
            .map(|(a, v)| (self.position(ty, &a.name), v.clone()))
            .collect();
        found.into_iter().fold(x, |x, (at, v)| {
            let exists = self.exists(&v);
            let e = self.e();
            let shape = e.shape(x);
            let wide = if shape.len() == 2 { exists } else { e.broadcast(exists, &shape, &[0, at]) };
            let fill = e.filled(fill, &shape);
            e.select(wide, x, fill)
        })
    }

    /// A layer's value for every example by itself.
    fn own(&mut self, id: LayerId) -> (Value, Table) {
        let ty = Table { batched: true, ..self.ty(id).clone() };
        (self.aligned(id, &ty), ty)
    }

    /// A layer's value as what folds `axes` away must read it; `None` where none of them is variable.
    pub fn ended(&mut self, id: LayerId, axes: &[String], fill: f32) -> Option<(Value, Table)> {
        let variable = |a: &&String| self.ty(id).axis(a).is_some_and(|a| a.size.variable().is_some());
        let names: Vec<String> = axes.iter().filter(variable).cloned().collect();
        if names.is_empty() {
            return None;
        }
        let (x, ty) = self.own(id);
        let zero = &self.past[id.index()].zero;
        let left: Vec<String> = names.into_iter().filter(|n| fill != 0.0 || !zero.contains(n)).collect();
        Some((self.cut(x, &ty, &left, fill), ty))
    }

    /// Is a layer zero past the ends along an axis, or the axis not variable?
    pub fn is_zero_past(&self, id: LayerId, axis: &str) -> bool {
        let variable = self.ty(id).axis(axis).is_some_and(|a| a.size.variable().is_some());
        !variable || self.past[id.index()].zero.iter().any(|n| n == axis)
    }

    /// The operand of a function whose slope may be infinite: 1 past every end.
    pub fn tame(&mut self, layer: &Layer, id: LayerId) -> Value {
        let (mut x, ty) = (self.value(id), self.ty(id));
        if !ty.batched || matches!(self.layers[id.index()].what, What::Count(_)) {
            return x;
        }
        let all: Vec<String> = ty.variable().map(|(a, _)| a.name.clone()).collect();
        x = self.cut(x, ty, &all, 1.0);
        let inner = layer.scan.filter(|_| self.layers[id.index()].scan == layer.scan);
        match inner.and_then(|scan| self.runs(scan)) {
            Some(runs) => self.where_runs(runs, x, None),
            None => x,
        }
    }

    /// The operand of `exp`: 0 comes of it past ends that a maximum left out.
    pub fn bounded(&mut self, id: LayerId) -> Value {
        let beyond = self.past[id.index()].beyond.clone();
        let (x, ty) = (self.value(id), self.ty(id));
        if ty.batched { self.cut(x, ty, &beyond, FAR) } else { x }
    }

    /// Whether this iteration of a scan is one of an example's own: `[batch]`; `None` where all are.
    fn runs(&mut self, scan: usize) -> Option<Value> {
        let v = self.scans[scan].length.variable()?.clone();
        let (exists, of) = (self.exists(&v), self.recurrence(scan));
        Some(self.e().pick(exists, of, 1))
    }

    /// `x` in iterations of an example's own; `other`, or 1, elsewhere.
    fn where_runs(&mut self, runs: Value, x: Value, other: Option<Value>) -> Value {
        let e = self.e();
        let shape = e.shape(x);
        let wide = if shape.len() == 1 { runs } else { e.broadcast(runs, &shape, &[0]) };
        let other = other.unwrap_or_else(|| e.filled(1.0, &shape));
        e.select(wide, x, other)
    }

    /// The next value of a state: past an example's end it stays as it is.
    pub fn carried(&mut self, scan: usize, carry: Value, next: Value) -> Value {
        match self.runs(scan) {
            Some(runs) => self.where_runs(runs, next, Some(carry)),
            None => next,
        }
    }

    /// The last element of each example: all others are left out of a sum.
    pub fn last(&mut self, id: LayerId, axis: &str) -> Value {
        let (x, ty) = self.own(id);
        let at = self.position(&ty, axis);
        let v = ty.axis(axis).and_then(|a| a.size.variable()).expect("checked: the axis is variable").clone();
        let length = self.length(&v);
        let e = self.e();
        let shape = e.shape(x);
        let one = e.filled_like(1.0, length);
        let last = e.sub(length, one);
        let (place, last) = (e.coord(&shape, at), e.broadcast(last, &shape, &[0]));
        let here = e.eq(place, last);
        let kept = e.keep_where(here, x);
        e.reduce(Fold::Add, kept, &[at])
    }

    /// How many elements every example has along axes of these sizes: `[batch]`.
    pub fn count(&mut self, of: &[Size]) -> Value {
        let known: usize = of.iter().filter_map(Size::known).product();
        let all = [self.extents.batch];
        let mut count = self.e().filled(known as f32, &all);
        for v in of.iter().filter_map(Size::variable) {
            let n = self.length(v);
            count = self.e().mul(count, n);
        }
        count
    }

    /// The window with as many zeros behind an axis of variable length as its last place needs.
    pub fn fitted(&self, w: &Window, x: &Table, y: &Table) -> Window {
        let mut w = w.clone();
        for (i, name) in w.over.iter().enumerate() {
            let (Some(from), Some(to)) = (x.axis(name), y.axis(name)) else { continue };
            if from.size.variable().is_some() {
                let reach = (self.size(&to.size) - 1) * w.stride[i] + (w.kernel[i] - 1) * w.dilation[i] + 1;
                w.pad[i].1 = reach.saturating_sub(w.pad[i].0 + self.size(&from.size));
            }
        }
        w
    }

    /// What is known of a layer's values past the ends, from what is known of its operands'.
    pub fn note_past(&mut self, i: usize) {
        let layer = &self.layers[i];
        let operands: Vec<(&Table, &Past)> =
            layer.inputs.iter().map(|id| (&self.layers[id.index()].ty, &self.past[id.index()])).collect();
        self.past[i] = past(layer, &operands);
    }
}

fn past(layer: &Layer, x: &[(&Table, &Past)]) -> Past {
    let all = |pick: fn(&Past) -> &Vec<String>| -> Vec<String> {
        let mut names: Vec<String> = x.iter().flat_map(|(_, p)| pick(p)).cloned().collect();
        names.sort();
        names.dedup();
        names
    };
    // Zero in every operand.
    let both = |from: usize| -> Vec<String> {
        let mut names = x[from].1.zero.clone();
        names.retain(|n| x[from..].iter().all(|(_, p)| p.zero.contains(n)));
        names
    };
    let kept =
        |names: &[String]| -> Vec<String> { names.iter().filter(|n| layer.ty.axis(n).is_some()).cloned().collect() };
    let (zero, beyond) = match &layer.what {
        What::Binary(Binary::Mul) => (all(|p| &p.zero), all(|p| &p.beyond)),
        What::Binary(Binary::Div) => (x[0].1.zero.clone(), all(|p| &p.beyond)),
        What::Binary(Binary::Add | Binary::Sub) => (both(0), all(|p| &p.beyond)),
        What::Unary(Unary::Exp) => {
            let zero = kept(&x[0].1.beyond);
            (if layer.ty.batched { zero } else { vec![] }, vec![])
        }
        What::Unary(Unary::Neg | Unary::Abs) => (x[0].1.zero.clone(), x[0].1.beyond.clone()),
        What::Select => (both(1), all(|p| &p.beyond)),
        What::Detach | What::Dropout { .. } | What::Permute | What::Slice { .. } | What::Reshape => {
            (kept(&x[0].1.zero), x[0].1.beyond.clone())
        }
        What::Rename => {
            let renamed = |names: &[String]| -> Vec<String> {
                let new = |n: &String| x[0].0.position(n).map_or_else(|| n.clone(), |i| layer.ty.axes[i].name.clone());
                names.iter().map(new).collect()
            };
            (renamed(&x[0].1.zero), renamed(&x[0].1.beyond))
        }
        What::Reduce(fold) => {
            let gone = x[0].0.variable().map(|(a, _)| a.name.clone()).filter(|n| layer.ty.axis(n).is_none());
            let beyond = x[0].1.beyond.iter().cloned().chain(gone.filter(|_| *fold == Fold::Max)).collect();
            (if *fold == Fold::Add { kept(&x[0].1.zero) } else { vec![] }, beyond)
        }
        What::Dot(_) => (kept(&all(|p| &p.zero)), vec![]),
        _ => (vec![], vec![]),
    };
    Past { zero, beyond }
}

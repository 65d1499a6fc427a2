//! Contractions, and layers that only move numbers: `dense`, `dot`, `upsample`.

use super::lower::Lower;
use crate::base::Value;
use crate::hir::value::{LayerId, Table};
use crate::loops::{Binary, Unary};

/// Letters for the axes of a contraction.
const LETTERS: &str = "abcdefghijklmopqrstuvwxyzABCDEFGHIJKLMOPQRSTUVWXYZ";

/// The letter of the batch.
const BATCH: char = 'n';

fn letters(from: usize, count: usize) -> String {
    LETTERS.chars().skip(from).take(count).collect()
}

impl Lower<'_> {
    /// `x[n, lead.., f] * w[f, o..]`, and the bias.
    pub fn dense(&mut self, inputs: &[LayerId], ty: &Table) -> Value {
        let from = self.ty(inputs[0]);
        let batch = if from.batched { BATCH.to_string() } else { String::new() };
        let lead = letters(0, from.axes.len() - 1);
        let f = letters(lead.len(), 1);
        let outs = letters(lead.len() + 1, ty.axes.len() - lead.len());
        let (x, w) = (self.value(inputs[0]), self.value(inputs[1]));
        let (lx, lw, ly) = (format!("{batch}{lead}{f}"), format!("{f}{outs}"), format!("{batch}{lead}{outs}"));
        let y = self.e().contract(x, &lx, w, &lw, &ly);
        self.bias(y, inputs, outs.len())
    }

    /// Adds the third operand along the last `axes` axes.
    pub fn bias(&mut self, y: Value, inputs: &[LayerId], axes: usize) -> Value {
        let Some(bias) = inputs.get(2) else { return y };
        let b = self.value(*bias);
        let e = self.e();
        let shape = e.shape(y);
        let places: Vec<usize> = (shape.len() - axes..shape.len()).collect();
        let b = if places.len() == shape.len() { b } else { e.broadcast(b, &shape, &places) };
        e.add(y, b)
    }

    pub fn dot(&mut self, inputs: &[LayerId], over: &[String], ty: &Table) -> Value {
        let mut names: Vec<&str> = over.iter().map(String::as_str).collect();
        names.extend(ty.axes.iter().map(|a| a.name.as_str()));
        let spell = |t: &Table| {
            let mut text = if t.batched { BATCH.to_string() } else { String::new() };
            for a in &t.axes {
                let i = names.iter().position(|n| *n == a.name).expect("every axis is summed or kept");
                text.push_str(&letters(i, 1));
            }
            text
        };
        let (mut lx, mut ly, lz) = (spell(self.ty(inputs[0])), spell(self.ty(inputs[1])), spell(ty));
        let (mut x, mut y) = (self.value(inputs[0]), self.value(inputs[1]));
        // What lies past the ends is zero in one of the two.
        let zero = |l: &Self, id: LayerId| over.iter().all(|a| l.is_zero_past(id, a));
        if !zero(self, inputs[0]) && !zero(self, inputs[1]) {
            if self.ty(inputs[0]).batched || !self.ty(inputs[1]).batched {
                if let Some((cut, own)) = self.ended(inputs[0], over, 0.0) {
                    (x, lx) = (cut, spell(&own));
                }
            } else if let Some((cut, own)) = self.ended(inputs[1], over, 0.0) {
                (y, ly) = (cut, spell(&own));
            }
        }
        self.e().contract(x, &lx, y, &ly, &lz)
    }

    pub fn upsample(&mut self, x: LayerId, over: &[String], by: &[usize], linear: bool) -> Value {
        let ty = self.ty(x);
        let places: Vec<usize> = over.iter().map(|n| self.position(ty, n)).collect();
        let mut y = self.value(x);
        for (at, by) in places.into_iter().zip(by) {
            if *by > 1 {
                y = if linear { self.stretch(y, at, *by) } else { self.repeat(y, at, *by) };
            }
        }
        y
    }

    /// Every position `by` times.
    pub(super) fn repeat(&mut self, x: Value, at: usize, by: usize) -> Value {
        let e = self.e();
        let mut shape = e.shape(x);
        let places: Vec<usize> = (0..=shape.len()).filter(|i| *i != at + 1).collect();
        shape.insert(at + 1, by);
        let wide = e.broadcast(x, &shape, &places);
        shape.remove(at + 1);
        shape[at] *= by;
        e.reshape(wide, &shape)
    }

    /// Between neighbours, centres at half positions: each element goes as many parts of the way to the one before or after.
    fn stretch(&mut self, x: Value, at: usize, by: usize) -> Value {
        let e = self.e();
        let mut shape = e.shape(x);
        let n = shape[at];
        if n == 1 {
            return self.repeat(x, at, by);
        }
        // How far each of the `by` parts of element `i` lies after its centre; at both ends nothing lies farther out.
        let parts = [n, by];
        let (i, part) = (e.coord(&parts, 0), e.coord(&parts, 1));
        let steps = e.scale(part, 1.0 / by as f32);
        let first = e.filled(0.5 / by as f32 - 0.5, &parts);
        let offset = e.add(steps, first);
        let (zero, end) = (e.filled(0.0, &parts), e.filled((n - 1) as f32, &parts));
        let (low, high) = (e.sub(zero, i), e.sub(end, i));
        let inside = e.max(offset, low);
        let inside = e.min(inside, high);
        let (far, later) = (e.unary(Unary::Abs, inside), e.binary(Binary::Gt, offset, zero));
        let others = [(0, 1, 0), (1, 0, 1)].map(|(start, before, after)| {
            let moved = e.slice(x, at, start, n - 1);
            e.pad(moved, at, before, after)
        });
        let own: Vec<usize> = (0..=shape.len()).filter(|i| *i != at + 1).collect();
        shape.insert(at + 1, by);
        let [x, before, after] = [x, others[0], others[1]].map(|x| e.broadcast(x, &shape, &own));
        let [far, later] = [far, later].map(|x| e.broadcast(x, &shape, &[at, at + 1]));
        let other = e.select(later, after, before);
        let way = e.sub(other, x);
        let way = e.mul(far, way);
        let wide = e.add(x, way);
        shape.remove(at + 1);
        shape[at] *= by;
        e.reshape(wide, &shape)
    }
}

//! Examples of a field written into a batch.

use std::borrow::Cow;

use super::{Field, Pairing, Storage};
use crate::data::array::Numbers;

impl Field {
    /// Writes the named examples one after the other, each in `width` numbers; zeros stand past its end.
    pub fn write_padded(&self, examples: &[u32], width: usize, out: &mut [f32]) {
        let Some(lists) = self.lists() else { return self.write(examples, out) };
        out.fill(0.0);
        for (example, out) in examples.iter().zip(out.chunks_exact_mut(width.max(1))) {
            let values = lists.get(*example as usize);
            out.iter_mut().zip(values).for_each(|(out, index)| *out = *index as f32);
        }
    }

    /// Writes the named examples one after the other; indices as numbers.
    pub fn write(&self, examples: &[u32], out: &mut [f32]) {
        self.write_in(0, examples, out);
    }

    /// The same, as an epoch of training shows them.
    pub fn write_in(&self, epoch: u64, examples: &[u32], out: &mut [f32]) {
        let width = self.per_example();
        if width == 0 {
            return;
        }
        for (example, out) in examples.iter().zip(out.chunks_exact_mut(width)) {
            match &self.pairing {
                Some(Pairing::Alike(partners)) => out.fill(f32::from(u8::from(partners.are_alike(epoch, *example)))),
                _ => self.write_one(self.source(epoch, *example) as usize, width, out),
            }
        }
    }

    /// The example that an epoch shows in the place of this one.
    fn source(&self, epoch: u64, example: u32) -> u32 {
        match &self.pairing {
            Some(Pairing::Value(partners)) => partners.of(epoch, example),
            _ => example,
        }
    }

    /// The file of the cache that could not be read, if there was one.
    pub fn failure(&self) -> Option<String> {
        let Storage::Bytes { values: Numbers::Stored(stored), .. } = &*self.storage else { return None };
        stored.failure()
    }

    /// Numbers from 0 to 255.
    pub fn is_bytes(&self) -> bool {
        matches!(&*self.storage, Storage::Bytes { .. }) && self.prepared.dim.is_none()
    }

    /// One example of an epoch before its steps, where it is kept as bytes; else as it is.
    pub fn unstepped(&self, epoch: u64, example: u32, out: &mut [f32]) {
        let (width, shown) = (self.per_example(), self.source(epoch, example) as usize);
        match &*self.storage {
            Storage::Bytes { values, .. } => {
                let values = of_example(values, shown, width);
                out.iter_mut().zip(&values[..]).for_each(|(out, x)| *out = f32::from(*x));
            }
            _ => self.write_in(epoch, &[example], out),
        }
    }

    /// The steps that [`Field::unstepped`] left out; bytes are rounded to what they can be.
    pub fn stepped(&self, values: &[f32], out: &mut [f32]) {
        let Storage::Bytes { tables, .. } = &*self.storage else { return out.copy_from_slice(values) };
        let byte = |x: f32| (x + 0.5) as u8;
        match &tables[..] {
            [table] => out.iter_mut().zip(values).for_each(|(out, x)| *out = table[usize::from(byte(*x))]),
            [] => {
                for (element, (out, x)) in out.iter_mut().zip(values).enumerate() {
                    *out = self.prepared.chain.apply(f64::from(byte(*x)), element) as f32;
                }
            }
            tables => {
                let points = values.chunks_exact(tables.len());
                for (out, x) in out.chunks_exact_mut(tables.len()).zip(points) {
                    let each = out.iter_mut().zip(x).zip(tables);
                    each.for_each(|((out, x), table)| *out = table[usize::from(byte(*x))]);
                }
            }
        }
    }

    /// Bytes of one example of an epoch, and what they become: one table, or one for each of the last axis.
    pub fn tabled(&self, epoch: u64, example: u32) -> Option<(Cow<'_, [u8]>, &[[f32; 256]])> {
        let Storage::Bytes { values, tables } = &*self.storage else { return None };
        let bytes = of_example(values, self.source(epoch, example) as usize, self.per_example());
        (!tables.is_empty() && !bytes.is_empty()).then_some((bytes, &tables[..]))
    }

    fn write_one(&self, example: usize, width: usize, out: &mut [f32]) {
        let range = example * width..(example + 1) * width;
        match &*self.storage {
            Storage::Numbers(values) => {
                if let Some(values) = values.get(range) {
                    out.copy_from_slice(values);
                }
            }
            Storage::Bytes { values, tables } => {
                let values = &of_example(values, example, width)[..];
                match &tables[..] {
                    [table] => {
                        out.iter_mut().zip(values).for_each(|(out, x)| *out = table[*x as usize]);
                    }
                    [_, ..] => {
                        for (out, x) in out.chunks_exact_mut(tables.len()).zip(values.chunks_exact(tables.len())) {
                            out.iter_mut().zip(x).zip(tables).for_each(|((out, x), table)| *out = table[*x as usize]);
                        }
                    }
                    [] => {
                        for (element, (out, x)) in out.iter_mut().zip(values).enumerate() {
                            *out = self.prepared.chain.apply(f64::from(*x), element) as f32;
                        }
                    }
                }
            }
            // No number of a network: metrics and grids read it.
            Storage::Boxes(_) => out.fill(0.0),
            Storage::Grid(objects, grid) => grid.write(objects.of(example), objects.size(example), out),
            Storage::Ragged(..) => self.write_padded(&[example as u32], width, out),
            Storage::Rows { values, width: row, after } => {
                let start = (example + after) * row;
                let window = values.get(start..start + width).unwrap_or_default();
                out.iter_mut().zip(window).for_each(|(out, x)| *out = *x);
            }
            Storage::Windows { sequence, ahead } => {
                let start = example + ahead;
                let window = sequence.get(start..start + width).unwrap_or_default();
                out.iter_mut().zip(window).for_each(|(out, index)| *out = *index as f32);
            }
            Storage::Indices(indices) => {
                let indices = indices.get(range).unwrap_or_default();
                out.iter_mut().zip(indices).for_each(|(out, index)| *out = *index as f32);
            }
            Storage::OneHot { indices, classes } => {
                out.fill(0.0);
                let cells = width / (*classes).max(1);
                let indices = indices.get(example * cells..(example + 1) * cells);
                for (cell, index) in indices.unwrap_or_default().iter().enumerate() {
                    if let Some(out) = out.get_mut(cell * classes + *index as usize) {
                        *out = 1.0;
                    }
                }
            }
        }
    }
}

/// The bytes of one example; none of one that does not exist.
fn of_example(values: &Numbers, example: usize, width: usize) -> Cow<'_, [u8]> {
    match values {
        Numbers::U8(values) => values.get(example * width..(example + 1) * width).unwrap_or_default().into(),
        Numbers::Stored(stored) => {
            let mut read = vec![0; width];
            stored.read(example, &mut read);
            read.into()
        }
        Numbers::F32(_) => Cow::default(),
    }
}

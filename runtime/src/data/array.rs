//! Arrays of numbers as binary files hold them.

use std::sync::Arc;

use super::bytes::{Input, Limits};
use super::error::{DataError, Result};
use super::stored::Stored;

/// How one number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    U8,
    Bool,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    F32,
    F64,
}

impl Element {
    pub fn bytes(self) -> usize {
        match self {
            Element::U8 | Element::Bool | Element::I8 => 1,
            Element::U16 | Element::I16 | Element::F16 => 2,
            Element::U32 | Element::I32 | Element::F32 => 4,
            Element::U64 | Element::I64 | Element::F64 => 8,
        }
    }
}

/// Numbers in memory: bytes stay bytes, all else becomes `f32`.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    U8(Vec<u8>),
    F32(Vec<f32>),
    /// Bytes too many for the memory.
    Stored(Arc<Stored>),
}

impl Numbers {
    pub fn len(&self) -> usize {
        match self {
            Numbers::U8(values) => values.len(),
            Numbers::F32(values) => values.len(),
            Numbers::Stored(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, at: usize) -> f32 {
        match self {
            Numbers::U8(values) => values.get(at).copied().map_or(0.0, f32::from),
            Numbers::F32(values) => values.get(at).copied().unwrap_or(0.0),
            Numbers::Stored(values) => f32::from(values.get(at)),
        }
    }

    pub fn into_f32(self) -> Vec<f32> {
        match self {
            Numbers::U8(values) => values.into_iter().map(f32::from).collect(),
            Numbers::F32(values) => values,
            Numbers::Stored(values) => (0..values.len()).map(|at| f32::from(values.get(at))).collect(),
        }
    }
}

/// Row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub numbers: Numbers,
}

/// The product of a shape, unless it overflows.
pub fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |all, size| all.checked_mul(*size))
}

/// Numbers that come in pieces, put where they will stay.
struct Decoder {
    element: Element,
    big: bool,
    numbers: Numbers,
}

impl Decoder {
    /// Room for `count` numbers, unless there is none.
    fn new(element: Element, big: bool, count: usize) -> Option<Decoder> {
        let numbers = match element {
            Element::U8 | Element::Bool => {
                let mut values = Vec::new();
                values.try_reserve_exact(count).ok()?;
                Numbers::U8(values)
            }
            _ => {
                let mut values = Vec::new();
                values.try_reserve_exact(count).ok()?;
                Numbers::F32(values)
            }
        };
        Some(Decoder { element, big, numbers })
    }

    /// Takes whole elements; a rest of less than one is left out.
    fn push(&mut self, bytes: &[u8]) {
        let big = self.big;
        let out = match &mut self.numbers {
            Numbers::U8(out) if self.element == Element::Bool => {
                return out.extend(bytes.iter().map(|byte| u8::from(*byte != 0)));
            }
            Numbers::U8(out) => return out.extend_from_slice(bytes),
            Numbers::F32(out) => out,
            // What is read here lies in memory.
            Numbers::Stored(_) => return,
        };
        macro_rules! each {
            ($ty:ty, $convert:expr) => {{
                const SIZE: usize = size_of::<$ty>();
                let convert: fn($ty) -> f32 = $convert;
                let mut word = [0u8; SIZE];
                out.extend(bytes.chunks_exact(SIZE).map(|chunk| {
                    word.copy_from_slice(chunk);
                    convert(if big { <$ty>::from_be_bytes(word) } else { <$ty>::from_le_bytes(word) })
                }));
            }};
        }
        match self.element {
            Element::U8 | Element::Bool => {}
            Element::I8 => each!(i8, |x| f32::from(x)),
            Element::U16 => each!(u16, |x| f32::from(x)),
            Element::I16 => each!(i16, |x| f32::from(x)),
            Element::U32 => each!(u32, |x| x as f32),
            Element::I32 => each!(i32, |x| x as f32),
            Element::U64 => each!(u64, |x| x as f32),
            Element::I64 => each!(i64, |x| x as f32),
            Element::F16 => each!(u16, half),
            Element::F32 => each!(f32, |x| x),
            Element::F64 => each!(f64, |x| x as f32),
        }
    }
}

/// The numbers of a shape that a header promised, and then the end of the file.
pub fn read(mut input: Input<'_>, (element, big): (Element, bool), shape: Vec<usize>, limits: Limits) -> Result<Array> {
    let what = format!("the sizes {shape:?} of its header");
    let fail = |message: &str| {
        let error = DataError::new("E0502", format!("`{}` {message}", input.name)).file(&input.name);
        error.help("fetch the file again: its header is damaged")
    };
    let count = product(&shape).filter(|count| count.checked_mul(element.bytes()).is_some());
    let count = count.ok_or_else(|| fail("claims a size that no file can have"))?;
    let bytes = (count * element.bytes()) as u64;
    input.promised(bytes, limits, &what)?;
    let decoder = Decoder::new(element, big, count);
    let mut decoder = decoder.ok_or_else(|| fail("needs more memory than there is").help("give a part of the data"))?;
    input.read_exactly(bytes, &what, |piece| decoder.push(piece))?;
    Ok(Array { shape, numbers: decoder.numbers })
}

/// IEEE binary16, exactly.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f32::from(bits & 0x3ff);
    match (bits >> 10) & 0x1f {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        exponent => sign * (1.0 + fraction / 1024.0) * 2f32.powi(i32::from(exponent) - 15),
    }
}

/// From column-major to row-major.
pub fn transposed<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1usize;
    for size in shape {
        strides.push(stride);
        stride = stride.saturating_mul(*size);
    }
    let mut index = vec![0usize; shape.len()];
    let mut offset = 0usize;
    let mut out = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        out.extend(values.get(offset));
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            offset += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            offset -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_every_width() {
        let f32s = |element, big, bytes: &[u8]| {
            let mut decoder = Decoder::new(element, big, 3).unwrap();
            decoder.push(bytes);
            decoder.numbers.into_f32()
        };
        assert_eq!(f32s(Element::U8, false, &[0, 255]), [0.0, 255.0]);
        assert_eq!(f32s(Element::Bool, false, &[0, 1]), [0.0, 1.0]);
        assert_eq!(f32s(Element::I8, false, &[255]), [-1.0]);
        assert_eq!(f32s(Element::I16, true, &[255, 254]), [-2.0]);
        assert_eq!(f32s(Element::U16, true, &[1, 0]), [256.0]);
        assert_eq!(f32s(Element::I32, false, &[1, 0, 0, 0, 9]), [1.0]);
        assert_eq!(f32s(Element::I64, true, &[0, 0, 0, 0, 0, 0, 0, 3]), [3.0]);
        assert_eq!(f32s(Element::F64, false, &1.5f64.to_le_bytes()), [1.5]);
        assert_eq!(f32s(Element::F16, false, &[0, 0x3c, 0, 0xc0, 1, 0]), [1.0, -2.0, 5.9604645e-8]);
    }

    #[test]
    fn columns_become_rows() {
        assert_eq!(transposed(&[1, 2, 3, 4, 5, 6], &[2, 3]), [1, 3, 5, 2, 4, 6]);
        assert_eq!(transposed(&[7], &[]), [7]);
        assert!(transposed::<u8>(&[], &[0, 3]).is_empty());
    }
}

//! Tensor types and the dense reference tensor.
//!
//! Every element is an `f32` in the graph. Indices (labels, words, argmax) are whole numbers held in
//! `f32`, exact below 2^24; [`Element::Index`] records how many values such an index may take, and
//! the size limit is checked where dims are declared.

use std::fmt;

/// What the numbers of a tensor mean.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Element {
    Number,
    /// A whole number in `0..extent`.
    Index {
        extent: usize,
    },
}

/// Shape and element of a value. The batch, where there is one, is the first axis.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TensorType {
    pub element: Element,
    pub shape: Vec<usize>,
}

impl TensorType {
    pub fn new(shape: &[usize]) -> TensorType {
        TensorType { element: Element::Number, shape: shape.to_vec() }
    }

    pub fn index(extent: usize, shape: &[usize]) -> TensorType {
        TensorType { element: Element::Index { extent }, shape: shape.to_vec() }
    }

    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

impl fmt::Debug for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.element {
            Element::Number => write!(f, "f32")?,
            Element::Index { extent } => write!(f, "index<{extent}>")?,
        }
        write!(f, "{:?}", self.shape)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A dense row-major tensor for reference semantics; slow on purpose.
#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

impl Tensor {
    pub fn filled(shape: &[usize], value: f32) -> Tensor {
        Tensor { shape: shape.to_vec(), data: vec![value; shape.iter().product()] }
    }

    pub fn from_fn(shape: &[usize], mut f: impl FnMut(&[usize]) -> f32) -> Tensor {
        let mut data = Vec::with_capacity(shape.iter().product());
        for_each_index(shape, |at| data.push(f(at)));
        Tensor { shape: shape.to_vec(), data }
    }

    pub fn offset(&self, at: &[usize]) -> usize {
        at.iter().zip(&self.shape).fold(0, |o, (i, n)| o * n + i)
    }

    pub fn get(&self, at: &[usize]) -> f32 {
        self.data[self.offset(at)]
    }

    pub fn set(&mut self, at: &[usize], value: f32) {
        let o = self.offset(at);
        self.data[o] = value;
    }
}

/// Calls `f` for every index of `shape` in row-major order.
pub fn for_each_index(shape: &[usize], mut f: impl FnMut(&[usize])) {
    let count: usize = shape.iter().product();
    let mut at = vec![0; shape.len()];
    for _ in 0..count {
        f(&at);
        for axis in (0..shape.len()).rev() {
            at[axis] += 1;
            if at[axis] < shape[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
}

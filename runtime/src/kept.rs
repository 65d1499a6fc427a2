//! What a network keeps while one of its inputs grows: two programs instead of one over the whole.
//!
//! `fill` reads all that is there and leaves tables behind; `step` reads one more element and those tables, and tells what
//! to add to them. Both belong to one network: they share its weights.

use std::sync::Arc;

use crate::abi::Executable;

/// The input of a step that says where in the window the new element stands.
pub const PLACE: &str = "place()";

/// An input of `step`, and the output of `fill` that it begins as.
pub fn table(number: usize) -> String {
    format!("kept({number})")
}

/// The output of `step` that renews a table.
pub fn renewed(number: usize) -> String {
    format!("next({number})")
}

/// An input of `step` that stays as `fill` computed it under the same name.
pub fn fixed(number: usize) -> String {
    format!("fixed({number})")
}

/// How a table goes on from element to element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One element for each place along an axis: a step gives the one of its place.
    Rows { axis: usize },
    /// A state: a step gives all of it. `fill` gives those after every place, along axis 1.
    State,
    /// The last elements along an axis: a step gives all of them. `fill` gives the elements of every place.
    Last { axis: usize },
}

/// The tables of a pair of programs, by number, and how many do not change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub tables: Vec<Kind>,
    pub fixed: usize,
    /// Nothing depends on the place: steps can go on beyond the window.
    pub endless: bool,
}

/// One of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Half {
    /// Reads so many elements at once, or the whole window.
    Fill(usize),
    Step,
}

/// A program, and what lies between it and the other.
#[derive(Clone)]
pub struct HalfProgram {
    pub executable: Arc<Executable>,
    pub kept: Kept,
}

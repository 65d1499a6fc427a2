//! Program and plan to machine code.

mod expr;
mod free;
mod function;
mod jit;
mod lanes;
mod math;

pub use jit::{Compiled, Options, compile};

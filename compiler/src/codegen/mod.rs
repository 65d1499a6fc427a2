//! Program and plan to machine code.

mod alike;
mod calls;
mod columns;
mod cranelift;
mod expr;
mod free;
mod function;
mod jit;
mod lanes;
mod math;
mod random;
mod reduce;
mod tables;
mod vector;
mod wide;

pub use jit::{Compiled, Options, compile};

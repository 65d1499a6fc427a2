//! The dlc compiler: source text in, [`dlc_runtime::Executable`] out; no terminal, no file access.
//!
//! The modules are floors of a ladder, bottom first; each may use itself and those above it in this list.

// The code that pest derives names `::alloc`, because pest is built without its `std` feature.
extern crate alloc;

pub mod base;
pub mod codegen;
pub mod driver;
pub mod graph;
pub mod hir;
pub mod loops;
pub mod ops;
pub mod passes;
pub mod plan;
pub mod schedule;
pub mod syntax;

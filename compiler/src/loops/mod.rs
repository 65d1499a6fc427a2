//! The loop language: what a kernel computes (definitions) and how (nests).

pub mod affine;
pub mod expr;
pub mod interp;
pub mod interp_nest;
pub mod kernel;
pub mod nest;
pub mod print;
pub mod scalar;
pub mod verify;
pub mod verify_nest;

pub use affine::Affine;
pub use expr::{Binary, Coord, Expr, Fold, Node, Unary};
pub use kernel::{BufferType, Home, How, Kernel, Scope, Store};

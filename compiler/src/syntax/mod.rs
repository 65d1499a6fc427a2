//! Text to tree: the pest grammar, its recovery, and the tree as written.

pub mod ast;

//! One file per verb, each small: calls the engine, writes what it gave.

pub mod bench;
pub mod build;
pub mod check;
pub mod completions;
pub mod data;
pub mod explain;
pub mod predict;
pub mod show;
pub mod train;
pub mod version;

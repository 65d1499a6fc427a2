//! Data sets: read, checked, cut into parts, and turned into batches.

pub mod spec;

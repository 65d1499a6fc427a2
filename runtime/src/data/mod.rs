//! Data sets: read, checked, cut into parts, and turned into batches.

pub mod array;
pub mod augment;
pub mod bytes;
pub mod csv;
pub mod dataset;
pub mod error;
pub mod fields;
pub mod idx;
pub mod labels;
pub mod look;
pub mod marked;
pub mod npy;
pub mod objects;
pub mod order;
pub mod pictures;
pub mod preprocessing;
pub mod random;
pub mod raw;
pub mod seen;
pub mod spec;
pub mod split;
pub mod steps;
pub mod stored;
pub mod synthetic;
pub mod table;
pub mod text;

//! The laws that every op obeys, checked on every sample: a new op is covered by existing.

mod composite;
mod data;
mod elements;
mod gradients;
mod passes;
mod scans;
mod shapes;
mod sums;

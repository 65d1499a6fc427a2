//! The laws that every op obeys, checked on every sample: a new op is covered by existing.

mod composite;
mod data;
mod elements;
mod gradients;
#[path = "../common/scans.rs"]
mod networks;
mod passes;
mod repeated;
mod scans;
mod shapes;
mod sums;

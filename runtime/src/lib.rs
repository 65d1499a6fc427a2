//! The dlc runtime: what a compiled network needs to run and to learn.
//!
//! Two storeys. Below: [`abi`], [`arena`], [`pool`], [`micro`], with no dependency beyond `std`.
//! Above: [`data`], [`session`], [`checkpoint`], [`metrics`]. The lower never imports the upper.

pub mod abi;
pub mod checkpoint;
pub mod data;
pub mod metrics;
pub mod train;

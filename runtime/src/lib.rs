//! The dlc runtime: what a compiled network needs to run and to learn.
//!
//! Two storeys. Below: [`abi`], [`arena`], [`extents`], [`init`], [`micro`], [`pool`], [`profile`], [`verify`], with no dependency beyond `std`.
//! Above: [`data`], [`session`], [`checkpoint`], [`draw`], [`found`], [`metrics`], [`train`], [`predict`]. The lower never imports the upper.

pub mod abi;
pub mod arena;
pub mod checkpoint;
pub mod data;
pub mod draw;
pub mod extents;
pub mod found;
pub mod generate;
pub mod init;
pub mod kept;
pub mod metrics;
pub mod micro;
pub mod pool;
pub mod predict;
pub mod profile;
pub mod session;
pub mod train;
pub mod verify;

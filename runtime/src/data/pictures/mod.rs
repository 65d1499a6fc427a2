//! Pictures: found in folders and archives, decoded, brought to the size of their field.
//!
//! A picture is bytes, 0 to 255, row by row, the channels of a point side by side. Files of 16 bits are rounded to 8.

pub(in crate::data) mod archive;
mod archived;
mod cache;
mod decode;
mod files;
mod fill;
mod geometry;
mod mask;
mod pairs;
mod placing;
mod sources;
#[cfg(test)]
mod tests;

pub use cache::Cache;
pub use decode::{decode, size};
pub use files::{Entry, is_picture, list, natural};
pub use fill::{Fill, Wanted};
pub(super) use sources::{assembled, picture, wanted};
pub use sources::{columns, folders, placed, single, steps};

pub use pairs::pairs;
pub use placing::Placing;

/// The most points of one picture: 64 megapixels. A header that promises more is refused unread.
pub const MOST_POINTS: u64 = 1 << 26;

/// What a letterbox is filled with: a grey that no picture is made of.
const LETTERBOX: u8 = 114;

/// One decoded picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub h: usize,
    pub w: usize,
    /// 1 grey, 3 colours, 4 with alpha.
    pub c: usize,
    pub values: Vec<u8>,
}

impl Picture {
    pub fn new(h: usize, w: usize, c: usize) -> Picture {
        Picture { h, w, c, values: vec![0; h * w * c] }
    }
}

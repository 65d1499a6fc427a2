//! Boxes that a network found: read from its grid, and the same object told once.

use crate::data::objects::area;

/// Numbers that a cell says: how sure it is, the class, and left, top, right, bottom as shares of the picture.
pub const DETAILS: usize = 6;

/// One box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    pub class: u32,
    pub score: f64,
    /// Left, top, right, bottom.
    pub corners: [f64; 4],
}

/// What is told of all that cells say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// The least score.
    pub score: f64,
    /// Boxes of one class that share more than this are one object.
    pub overlap: f64,
    /// The most boxes.
    pub most: usize,
}

/// The boxes of one picture, the surest first; of equal ones that of the first cell. What is no number is nowhere.
pub fn read(cells: &[f32], wanted: Wanted) -> Vec<Found> {
    let mut all: Vec<Found> = cells.chunks_exact(DETAILS).filter_map(|cell| found(cell, wanted.score)).collect();
    // Stable: cells of equal scores keep their order.
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Found> = Vec::new();
    for found in all {
        if kept.len() >= wanted.most {
            break;
        }
        let same =
            |other: &&Found| other.class == found.class && shared(&other.corners, &found.corners) > wanted.overlap;
        if kept.iter().find(same).is_none() {
            kept.push(found);
        }
    }
    kept
}

fn found(cell: &[f32], least: f64) -> Option<Found> {
    let [score, class, left, top, right, bottom] = *cell else { return None };
    let whole = cell.iter().all(|x| x.is_finite());
    let corners = [left, top, right, bottom].map(|x| f64::from(x.clamp(0.0, 1.0)));
    let found = Found { class: class.max(0.0) as u32, score: f64::from(score), corners };
    (whole && found.score >= least && area(&corners) > 0.0).then_some(found)
}

/// The part that two boxes have in common of what both cover.
pub fn shared(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let both = common(a, b);
    let all = area(a) + area(b) - both;
    if all > 0.0 { both / all } else { 0.0 }
}

/// The area that two boxes have in common.
pub fn common(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let inner = [a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])];
    area(&inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_told_once() {
        let cells = [
            [0.5, 1.0, 0.0, 0.0, 0.5, 0.5],
            // The same object, and one of another class at the same place.
            [0.9, 1.0, 0.0, 0.0, 0.5, 0.45],
            [0.9, 0.0, 0.0, 0.0, 0.5, 0.45],
            // Outside of the picture, no number, not sure.
            [0.9, 0.0, 1.5, 0.0, 2.0, 0.5],
            [0.9, f32::NAN, 0.5, 0.5, 1.0, 1.0],
            [0.1, 0.0, 0.5, 0.5, 1.0, 1.0],
            [0.6, 1.0, 0.5, 0.5, 7.0, 1.0],
        ];
        let wanted = Wanted { score: 0.2, overlap: 0.5, most: 100 };
        let all = read(cells.as_flattened(), wanted);
        let shown: Vec<(u32, f32)> = all.iter().map(|found| (found.class, found.score as f32)).collect();
        assert_eq!(shown, [(1, 0.9), (0, 0.9), (1, 0.6)]);
        assert_eq!(all[2].corners, [0.5, 0.5, 1.0, 1.0]);
        assert_eq!(read(cells.as_flattened(), Wanted { most: 1, ..wanted }).len(), 1);
    }
}

//! Points on a plane, coloured by class.

use super::canvas::{Area, Canvas, LINE};
use super::marks::legend;
use super::palette::{BACK, GRAY, INK, class_colour};
use super::sheet::beside;

/// Points of the plane's side, and around it.
const SIDE: usize = 480;
const GAP: usize = 8;

/// Pairs and their classes; the plane is as large as the pairs lie apart. What is no number is left out.
pub fn scatter(title: &str, points: &[([f32; 2], Option<usize>)], classes: &[(Option<usize>, String)]) -> Canvas {
    let finite = || points.iter().filter(|(at, _)| at.iter().all(|x| x.is_finite()));
    let mut canvas = Canvas::new(SIDE + 2 * GAP, SIDE + 2 * GAP + LINE, BACK);
    canvas.text(title, (GAP as i64, 2), INK);
    let plane = Area::new(GAP, GAP + LINE, SIDE, SIDE);
    canvas.frame(plane, 1, GRAY);
    let bound = |axis: usize, start: f32, pick: fn(f32, f32) -> f32| finite().map(|(at, _)| at[axis]).fold(start, pick);
    let low = [0, 1].map(|axis| bound(axis, f32::INFINITY, f32::min));
    let high = [0, 1].map(|axis| bound(axis, f32::NEG_INFINITY, f32::max));
    for (at, class) in finite() {
        let place = |axis: usize| {
            let share = (at[axis] - low[axis]) / (high[axis] - low[axis]).max(f32::MIN_POSITIVE);
            (share * (SIDE - 12) as f32).round().clamp(0.0, SIDE as f32) as i64 + 4
        };
        // Upwards is larger.
        let (x, y) = (plane.x + place(0), plane.y + SIDE as i64 - 4 - place(1));
        canvas.fill(Area { x, y, w: 4, h: 4 }, class.map_or(INK, class_colour));
    }
    if classes.is_empty() { canvas } else { beside(&canvas, &legend(classes)) }
}

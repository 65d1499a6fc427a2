//! Boxes move with their picture.

use super::{Augment, Augmenter, Drawn, Move, STILL, drawn};
use crate::data::objects::{Object, Objects, area, clipped};
use crate::data::random::Stream;

/// The part of an object that must be left of it.
const LEFT: f64 = 0.25;

impl Augmenter {
    /// The objects of a picture as this epoch shows them; `field` is the one of its boxes.
    pub fn objects(&self, field: &str, objects: &Objects, epoch: u64, example: u32) -> Vec<Object> {
        let mut all = objects.of(example as usize).to_vec();
        let size = objects.size(example as usize);
        for (at, line) in self.lines.iter().enumerate() {
            if line.fields.iter().any(|name| name == field) {
                let stream = Stream::new("augment", &[self.seed, epoch, u64::from(example), at as u64]);
                let moves = moves(line, stream);
                if !moves.is_still() {
                    all = all.iter().filter_map(|object| moved(object, moves, size)).collect();
                }
            }
        }
        all
    }
}

fn moves(line: &Augment, stream: Stream) -> Move {
    let moves = drawn(line, stream).into_iter().filter_map(|drawn| match drawn {
        Drawn::Moved(next) => Some(next),
        _ => None,
    });
    moves.fold(STILL, Move::after)
}

/// Where an object comes to lie; nothing where most of it leaves the picture.
///
/// What is turned is taken for round: the box around the ellipse, since corners of boxes are empty more often than not.
fn moved(object: &Object, moves: Move, size @ [h, w]: [f64; 2]) -> Option<Object> {
    let [[a, b], [c, d]] = moves.turn;
    let whole = a * d - b * c;
    if whole == 0.0 {
        return None;
    }
    // From the source to the result.
    let back = [[d / whole, -b / whole], [-c / whole, a / whole]];
    let (x, y) = object.middle();
    let from = [y - h / 2.0 - moves.by[0], x - w / 2.0 - moves.by[1]];
    let [left, top, right, bottom] = object.corners;
    let half = [(bottom - top) / 2.0, (right - left) / 2.0];
    let middle = [0, 1].map(|at| back[at][0] * from[0] + back[at][1] * from[1]);
    let reach = [0, 1].map(|at| (back[at][0] * half[0]).hypot(back[at][1] * half[1]));
    let (y, x) = (middle[0] + h / 2.0, middle[1] + w / 2.0);
    let corners = [x - reach[1], y - reach[0], x + reach[1], y + reach[0]];
    let inside = clipped(corners, size);
    let stays = area(&inside) > LEFT * area(&corners);
    stays.then_some(Object { corners: inside, ..*object })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turned(turn: [[f64; 2]; 2], by: [f64; 2]) -> Option<[f64; 4]> {
        let object = Object { class: 1, corners: [2.0, 1.0, 6.0, 3.0], ignored: false };
        moved(&object, Move { turn, by }, [10.0, 20.0]).map(|object| object.corners)
    }

    #[test]
    fn boxes_lie_on_their_objects() {
        let one = [[1.0, 0.0], [0.0, 1.0]];
        assert_eq!(turned([[1.0, 0.0], [0.0, -1.0]], [0.0, 0.0]), Some([14.0, 1.0, 18.0, 3.0]));
        // The result at x shows what the source has at x + 2.
        assert_eq!(turned(one, [0.0, 2.0]), Some([0.0, 1.0, 4.0, 3.0]));
        assert_eq!(turned(one, [0.0, 4.0]), Some([0.0, 1.0, 2.0, 3.0]));
        assert_eq!(turned(one, [0.0, 5.5]), None);
        // Half as large around the middle.
        assert_eq!(turned([[2.0, 0.0], [0.0, 2.0]], [0.0, 0.0]), Some([6.0, 3.0, 8.0, 4.0]));
    }

    #[test]
    fn boxes_go_where_the_points_go() {
        use crate::data::augment::{AugmentStep, Moved};
        let (h, w) = (40, 50);
        let steps = vec![
            AugmentStep::Flip { axis: 1, negate: vec![] },
            AugmentStep::Rotate(25.0),
            AugmentStep::Zoom(0.3),
            AugmentStep::Shift { h: 4, w: 3 },
        ];
        let line = Augment { fields: vec!["image".into(), "objects".into()], steps, edge: false };
        let disc = Object { class: 0, corners: [15.0, 12.0, 27.0, 24.0], ignored: false };
        let picture = |x: usize, y: usize| {
            let away = (x as f64 + 0.5 - 21.0).hypot(y as f64 + 0.5 - 18.0);
            if away <= 6.0 { 255.0 } else { 0.0 }
        };
        let from: Vec<f32> = (0..h * w).map(|at| picture(at % w, at / w)).collect();
        for seed in 0..20 {
            let moves = moves(&line, Stream::new("test", &[seed]));
            let mut out = from.clone();
            Moved { size: [h, w, 1], from: &from, moves, edge: false }.write(false, &mut out);
            let Some(object) = moved(&disc, moves, [h as f64, w as f64]) else { continue };
            let lit = |at: &usize| out[*at] > 127.0;
            let columns: Vec<usize> = (0..h * w).filter(lit).map(|at| at % w).collect();
            let rows: Vec<usize> = (0..h * w).filter(lit).map(|at| at / w).collect();
            let least = |all: &[usize]| *all.iter().min().unwrap() as f64;
            let most = |all: &[usize]| *all.iter().max().unwrap() as f64 + 1.0;
            let seen = [least(&columns), least(&rows), most(&columns), most(&rows)];
            let near = object.corners.iter().zip(seen).all(|(a, b)| (a - b).abs() < 1.3);
            assert!(near, "seed {seed}: {:?} and {seen:?}", object.corners);
        }
    }
}

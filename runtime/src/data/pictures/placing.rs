//! Where the points of a picture go when it gets another size, and back.

use super::geometry::inner;
use crate::data::spec::PictureStep;

/// A point at x of the original is at `x * scale + shift` of the result, in points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placing {
    /// Across and down.
    pub scale: [f64; 2],
    pub shift: [f64; 2],
    /// Height and width of the original.
    pub from: [f64; 2],
    /// Height and width of the result.
    pub size: [f64; 2],
}

impl Placing {
    /// What `steps` do to a picture of this height and width.
    pub fn new(steps: &[PictureStep], (h, w): (usize, usize)) -> Placing {
        let size = [h as f64, w as f64];
        let same = Placing { scale: [1.0; 2], shift: [0.0; 2], from: size, size };
        steps.iter().fold(same, |placing, step| placing.then(step))
    }

    fn then(self, step: &PictureStep) -> Placing {
        let [old_h, old_w] = self.size;
        match *step {
            PictureStep::Resize { h, w, .. } => {
                let (h, w) = (h as f64, w as f64);
                self.moved([w / old_w, h / old_h], [0.0; 2], [h, w])
            }
            PictureStep::Letterbox { h, w } => {
                let (ih, iw) = inner((old_h as usize, old_w as usize), (h, w));
                let shift = [((w - iw) / 2) as f64, ((h - ih) / 2) as f64];
                self.moved([iw as f64 / old_w, ih as f64 / old_h], shift, [h as f64, w as f64])
            }
            PictureStep::Crop { top, bottom, left, right } => {
                let less = |side: f64, a: usize, b: usize| (side - a as f64 - b as f64).max(0.0);
                let size = [less(old_h, top, bottom), less(old_w, left, right)];
                self.moved([1.0; 2], [-(left as f64), -(top as f64)], size)
            }
            PictureStep::Gray | PictureStep::Levels(_) | PictureStep::Ignore(_) => self,
        }
    }

    fn moved(self, by: [f64; 2], shift: [f64; 2], size: [f64; 2]) -> Placing {
        let scale = [0, 1].map(|i| self.scale[i] * by[i]);
        let shift = [0, 1].map(|i| self.shift[i] * by[i] + shift[i]);
        Placing { scale, shift, size, ..self }
    }

    /// A box of the original in the result; what lies outside is not cut off.
    pub fn place(&self, corners: [f64; 4]) -> [f64; 4] {
        [0, 1, 2, 3].map(|i| corners[i] * self.scale[i % 2] + self.shift[i % 2])
    }

    /// A box of the result in the original.
    pub fn back(&self, corners: [f64; 4]) -> [f64; 4] {
        [0, 1, 2, 3].map(|i| (corners[i] - self.shift[i % 2]) / self.scale[i % 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let steps = [
            PictureStep::Crop { top: 10, bottom: 0, left: 20, right: 30 },
            PictureStep::Letterbox { h: 64, w: 64 },
            PictureStep::Resize { h: 32, w: 128, nearest: false },
        ];
        let placing = Placing::new(&steps, (110, 250));
        // 100 x 200 fills the width: 32 x 64, 16 rows below the top.
        assert_eq!(placing.place([20.0, 10.0, 220.0, 110.0]), [0.0, 8.0, 128.0, 24.0]);
        assert_eq!((placing.size, placing.from), ([32.0, 128.0], [110.0, 250.0]));
        let corners = [30.0, 20.0, 75.5, 90.25];
        let back = placing.back(placing.place(corners));
        assert!(back.iter().zip(corners).all(|(a, b)| (a - b).abs() < 1e-9));
    }
}

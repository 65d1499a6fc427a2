//! What changes points where they are: brightness, contrast, noise, and squares that are cut out.

use super::Drawn;

/// Sums that run side by side: one after the other, each would wait for the one before.
const LANES: usize = 8;

/// A picture: rows, columns, channels.
pub(super) struct Points<'a> {
    pub size: [usize; 3],
    pub values: &'a mut [f32],
    pub white: f32,
}

impl Points<'_> {
    pub fn light(&mut self, drawn: Drawn<'_>) {
        match drawn {
            Drawn::Moved(_) | Drawn::Negated(_) => return,
            Drawn::Times(by) => self.values.iter_mut().for_each(|x| *x *= by),
            Drawn::Spread(by) => {
                let mean = (sum(self.values) / self.values.len().max(1) as f64) as f32;
                self.values.iter_mut().for_each(|x| *x = mean + (*x - mean) * by);
            }
            Drawn::Noise(spread, mut stream) => {
                // Twelve even draws add up to a spread of 1.
                let mut bell = || (0..12).map(|_| stream.unit()).sum::<f64>() - 6.0;
                let spread = spread * self.white;
                self.values.iter_mut().for_each(|x| *x += spread * bell() as f32);
            }
            Drawn::Cut { side, middle } => self.cut(side, middle),
        }
        if self.white > 1.0 {
            self.values.iter_mut().for_each(|x| *x = x.clamp(0.0, self.white));
        }
    }

    fn cut(&mut self, side: usize, middle: [f64; 2]) {
        let [h, w, c] = self.size;
        let range = |at: usize, size: usize| {
            let first = (middle[at] * size as f64) as usize;
            first.saturating_sub(side / 2)..(first + side.div_ceil(2)).min(size)
        };
        for y in range(0, h) {
            let columns = range(1, w);
            self.values[(y * w + columns.start) * c..(y * w + columns.end) * c].fill(0.0);
        }
    }
}

fn sum(values: &[f32]) -> f64 {
    let (lanes, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0f64; LANES];
    for lane in lanes {
        for (sum, x) in sums.iter_mut().zip(lane) {
            *sum += f64::from(*x);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|x| f64::from(*x)).sum::<f64>()
}

//! New pictures out of old ones, in training alone: moved, turned, brightened.
//!
//! What is drawn depends on (seed, epoch, example, line) and nothing else, so that a picture, its mask and the numbers
//! beside it change together. Moves are composed into one, and points are mixed once. Pictures of bytes change before
//! their steps (`scale`, `standardize`), as numbers from 0 to 255; other tables after theirs.

mod boxes;

use super::fields::Field;
use super::random::Stream;

/// One line of a recipe: `augment image, mask |> random_flip(w)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Augment {
    pub fields: Vec<String>,
    pub steps: Vec<AugmentStep>,
    /// What moves in repeats the edge; else it is black.
    pub edge: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum AugmentStep {
    /// Of rows (0) or columns (1), every other time; the named elements of fields change their sign with it.
    Flip { axis: usize, negate: Vec<(String, usize)> },
    /// By up to so many points.
    Shift { h: usize, w: usize },
    /// A window of the picture with so many points around it: a shift.
    Crop { pad: usize },
    /// Times 1 - x to 1 + x.
    Zoom(f64),
    /// By up to so many degrees, either way.
    Rotate(f64),
    /// All points times 1 - x to 1 + x.
    Brightness(f64),
    /// Distances from the mean times 1 - x to 1 + x.
    Contrast(f64),
    /// Added to each point; the spread as a share of white.
    Noise(f64),
    /// A square of this side, somewhere, becomes black.
    Cutout(usize),
}

/// Lines of one recipe.
#[derive(Clone, Debug, Default)]
pub struct Augmenter {
    pub lines: Vec<Augment>,
    pub seed: u64,
}

/// From a point of the result to one of the source, rows first, both from the middle of the picture.
#[derive(Clone, Copy)]
struct Move {
    turn: [[f64; 2]; 2],
    by: [f64; 2],
}

const STILL: Move = Move { turn: [[1.0, 0.0], [0.0, 1.0]], by: [0.0, 0.0] };

impl Move {
    /// First `next`, then what was before: the inverse of doing `next` last.
    fn after(self, next: Move) -> Move {
        let [a, b] = self.turn;
        let row = |r: [f64; 2]| [0, 1].map(|column| r[0] * next.turn[0][column] + r[1] * next.turn[1][column]);
        let by = [0, 1].map(|at| self.turn[at][0] * next.by[0] + self.turn[at][1] * next.by[1] + self.by[at]);
        Move { turn: [row(a), row(b)], by }
    }

    fn is_still(&self) -> bool {
        self.turn == STILL.turn && self.by == STILL.by
    }

    /// No row becomes a column.
    fn is_upright(&self) -> bool {
        self.turn[0][1] == 0.0 && self.turn[1][0] == 0.0
    }

    fn is_whole(&self) -> bool {
        let numbers = self.turn.iter().flatten().chain(&self.by);
        numbers.into_iter().all(|x| x.fract() == 0.0)
    }
}

/// What was drawn of one step.
enum Drawn<'a> {
    Moved(Move),
    Negated(&'a [(String, usize)]),
    Times(f32),
    Spread(f32),
    Noise(f32, Stream),
    Cut { side: usize, middle: [f64; 2] },
}

/// A table of points: rows, columns, channels.
struct Points<'a> {
    size: [usize; 3],
    values: &'a mut [f32],
    /// Classes, which cannot be mixed.
    classes: bool,
    white: f32,
}

impl Augmenter {
    /// Whether a field, or the one that it is made of, is another one in each epoch.
    pub fn changes(&self, field: &Field) -> bool {
        let name = field.grid().map_or(field.name(), |grid| &grid.of);
        self.lines.iter().any(|line| line.fields.iter().any(|changed| changed == name))
    }

    /// Writes the named examples of a field as this epoch shows them.
    pub fn write(&self, field: &Field, epoch: u64, examples: &[u32], out: &mut Vec<f32>) {
        let width = field.per_example().max(1);
        out.resize(width * examples.len(), 0.0);
        if let (Some(grid), Some(objects)) = (field.grid(), field.objects()) {
            for (example, out) in examples.iter().zip(out.chunks_exact_mut(width)) {
                let shown = self.objects(&grid.of, objects, epoch, *example);
                grid.write(&shown, objects.size(*example as usize), out);
            }
            return;
        }
        let mut from = vec![0.0; width];
        for (example, out) in examples.iter().zip(out.chunks_exact_mut(width)) {
            field.unstepped(*example, out);
            for (at, line) in self.lines.iter().enumerate() {
                if line.fields.iter().any(|name| name == field.name()) {
                    let stream = Stream::new("augment", &[self.seed, epoch, u64::from(*example), at as u64]);
                    change(line, drawn(line, stream), field, out, &mut from);
                }
            }
            field.stepped(out);
        }
    }
}

fn drawn(line: &Augment, mut stream: Stream) -> Vec<Drawn<'_>> {
    let mut all = Vec::new();
    let moved = |by: [f64; 2]| Drawn::Moved(Move { by, ..STILL });
    for step in &line.steps {
        let about = |stream: &mut Stream, x: f64| stream.between(1.0 - x, 1.0 + x);
        let whole = |stream: &mut Stream, most: usize| stream.below(2 * most as u64 + 1) as f64 - most as f64;
        match step {
            AugmentStep::Flip { axis, negate } => {
                if stream.below(2) == 1 {
                    let mut flip = STILL;
                    flip.turn[*axis][*axis] = -1.0;
                    all.extend([Drawn::Moved(flip), Drawn::Negated(negate)]);
                }
            }
            AugmentStep::Shift { h, w } => all.push(moved([whole(&mut stream, *h), whole(&mut stream, *w)])),
            AugmentStep::Crop { pad } => all.push(moved([whole(&mut stream, *pad), whole(&mut stream, *pad)])),
            AugmentStep::Zoom(x) => {
                let by = 1.0 / about(&mut stream, *x).max(1e-3);
                all.push(Drawn::Moved(Move { turn: [[by, 0.0], [0.0, by]], ..STILL }));
            }
            AugmentStep::Rotate(degrees) => {
                let (sin, cos) = stream.between(-degrees, *degrees).to_radians().sin_cos();
                all.push(Drawn::Moved(Move { turn: [[cos, sin], [-sin, cos]], ..STILL }));
            }
            AugmentStep::Brightness(x) => all.push(Drawn::Times(about(&mut stream, *x) as f32)),
            AugmentStep::Contrast(x) => all.push(Drawn::Spread(about(&mut stream, *x) as f32)),
            AugmentStep::Noise(x) => {
                let key = stream.bits();
                all.push(Drawn::Noise(*x as f32, Stream::new("noise", &[key])));
            }
            AugmentStep::Cutout(side) => {
                all.push(Drawn::Cut { side: *side, middle: [stream.unit(), stream.unit()] });
            }
        }
    }
    all
}

fn change(line: &Augment, drawn: Vec<Drawn<'_>>, field: &Field, out: &mut [f32], from: &mut Vec<f32>) {
    let axes = &field.prepared.axes;
    let size = |at: usize| axes.get(at).map_or(1, |axis| axis.size);
    let is_picture = axes.len() >= 2;
    let size = [size(0), size(1), axes.iter().skip(2).map(|axis| axis.size).product()];
    let classes = field.prepared.dim.is_some();
    let white = if field.is_bytes() { 255.0 } else { 1.0 };
    let mut points = Points { size, values: out, classes, white };
    let mut moves = STILL;
    for drawn in &drawn {
        match drawn {
            Drawn::Moved(next) => moves = moves.after(*next),
            Drawn::Negated(elements) => {
                for (_, element) in elements.iter().filter(|(name, _)| name == field.name()) {
                    points.values.iter_mut().skip(*element).take(1).for_each(|x| *x = -*x);
                }
            }
            _ => {}
        }
    }
    if is_picture && !moves.is_still() {
        from.copy_from_slice(points.values);
        points.moved(from, moves, line.edge);
    }
    if is_picture && !classes {
        drawn.into_iter().for_each(|drawn| points.light(drawn));
    }
}

impl Points<'_> {
    fn moved(&mut self, from: &[f32], moves: Move, edge: bool) {
        let [h, w, c] = self.size;
        let middle = [(h as f64 - 1.0) / 2.0, (w as f64 - 1.0) / 2.0];
        let exact = self.classes || moves.is_whole();
        if exact && moves.is_upright() {
            return self.picked(from, moves, edge);
        }
        for y in 0..h {
            for x in 0..w {
                let (dy, dx) = (y as f64 - middle[0], x as f64 - middle[1]);
                let [sy, sx] =
                    [0, 1].map(|at| moves.turn[at][0] * dy + moves.turn[at][1] * dx + moves.by[at] + middle[at]);
                let out = &mut self.values[(y * w + x) * c..(y * w + x + 1) * c];
                let point = |y: f64, x: f64, channel: usize| {
                    let inside = y >= 0.0 && x >= 0.0 && y <= h as f64 - 1.0 && x <= w as f64 - 1.0;
                    if !inside && !edge {
                        return 0.0;
                    }
                    let (y, x) = (y.clamp(0.0, h as f64 - 1.0) as usize, x.clamp(0.0, w as f64 - 1.0) as usize);
                    from[(y * w + x) * c + channel]
                };
                for (channel, out) in out.iter_mut().enumerate() {
                    *out = match exact {
                        true => point((sy + 0.5).floor(), (sx + 0.5).floor(), channel),
                        false => {
                            let (y, x) = (sy.floor(), sx.floor());
                            let (fy, fx) = ((sy - y) as f32, (sx - x) as f32);
                            let row = |y: f64| point(y, x, channel) * (1.0 - fx) + point(y, x + 1.0, channel) * fx;
                            row(y) * (1.0 - fy) + row(y + 1.0) * fy
                        }
                    };
                }
            }
        }
    }

    /// The same where rows stay rows: each comes from one row, each column from one column.
    fn picked(&mut self, from: &[f32], moves: Move, edge: bool) {
        let [h, w, c] = self.size;
        let source = |at: usize, size: usize, place: usize| {
            let middle = (size as f64 - 1.0) / 2.0;
            let found = moves.turn[at][at] * (place as f64 - middle) + moves.by[at] + middle;
            let (found, last) = ((found + 0.5).floor(), size as f64 - 1.0);
            let inside = (0.0..=last).contains(&found);
            (inside || edge).then_some(found.clamp(0.0, last) as usize)
        };
        let columns: Vec<Option<usize>> = (0..w).map(|x| source(1, w, x)).collect();
        for (y, out) in self.values.chunks_exact_mut((w * c).max(1)).take(h).enumerate() {
            let row = source(0, h, y).and_then(|row| from.get(row * w * c..(row + 1) * w * c));
            let Some(row) = row else {
                out.fill(0.0);
                continue;
            };
            for (out, column) in out.chunks_exact_mut(c.max(1)).zip(&columns) {
                match column.and_then(|column| row.get(column * c..(column + 1) * c)) {
                    Some(point) => out.copy_from_slice(point),
                    None => out.fill(0.0),
                }
            }
        }
    }

    fn light(&mut self, drawn: Drawn<'_>) {
        match drawn {
            Drawn::Moved(_) | Drawn::Negated(_) => return,
            Drawn::Times(by) => self.values.iter_mut().for_each(|x| *x *= by),
            Drawn::Spread(by) => {
                let sum: f64 = self.values.iter().map(|x| f64::from(*x)).sum();
                let mean = (sum / self.values.len().max(1) as f64) as f32;
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

#[cfg(test)]
mod tests;

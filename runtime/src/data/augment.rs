//! New pictures out of old ones, in training alone: moved, turned, brightened.
//!
//! What is drawn depends on (seed, epoch, example, line) and nothing else, so that a picture, its mask and the numbers
//! beside it change together. Moves are composed into one, and points are mixed once. Pictures of bytes change before
//! their steps (`scale`, `standardize`), as numbers from 0 to 255; other tables after theirs.

mod boxes;
mod light;
pub mod mixup;
mod moves;

use std::sync::Arc;

use super::dataset::Dataset;
use super::fields::Field;
use super::random::Stream;
use super::split::Part;
use light::Points;
use moves::{Move, Moved, STILL};

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
    /// With another example, their shares from a beta distribution; after all that changes either of the two.
    Mixup(f64),
}

/// Lines of one recipe.
#[derive(Clone, Debug, Default)]
pub struct Augmenter {
    pub lines: Vec<Augment>,
    pub seed: u64,
    /// The examples that others are mixed with.
    pub among: Arc<[u32]>,
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

impl Augmenter {
    pub fn new(lines: Vec<Augment>, seed: u64, data: &Dataset) -> Augmenter {
        Augmenter { lines, seed, among: data.part(Part::Train).into() }
    }

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
        let classes = field.prepared.dim.is_some();
        let [mut values, mut other, mut room] = [(); 3].map(|_| vec![0.0; width]);
        for (example, out) in examples.iter().zip(out.chunks_exact_mut(width)) {
            let mix = self.mix(field, epoch, *example);
            if mix.is_none() && self.picked(field, epoch, *example, out) {
                continue;
            }
            self.one(field, epoch, mix.map_or(*example, |mix| mix.first), (&mut values, &mut room));
            if let Some(mix) = mix.filter(|_| !classes) {
                self.one(field, epoch, mix.second, (&mut other, &mut room));
                let rest = 1.0 - mix.share;
                values.iter_mut().zip(&other).for_each(|(x, other)| *x = mix.share * *x + rest * other);
            }
            field.stepped(&values, out);
        }
    }

    /// Writes an example whose points are bytes and at most change their places, which is quick; false where there is more to
    /// do. Of what moves twice the edges would be another.
    fn picked(&self, field: &Field, epoch: u64, example: u32, out: &mut [f32]) -> bool {
        let axes = &field.prepared.axes;
        let [h, w, ..] = &axes[..] else { return false };
        let size = [h.size, w.size, axes.iter().skip(2).map(|axis| axis.size).product()];
        let mut found = (STILL, true);
        for (line, stream) in self.streams(field, epoch, example) {
            let mut moves = STILL;
            for drawn in drawn(line, stream) {
                match drawn {
                    Drawn::Moved(next) => moves = moves.after(next),
                    Drawn::Negated(_) => {}
                    _ => return false,
                }
            }
            if !moves.is_still() {
                if !found.0.is_still() || !moves.only_picks() {
                    return false;
                }
                found = (moves, line.edge);
            }
        }
        let Some((bytes, tables)) = field.tabled(epoch, example) else { return false };
        let picks = found.0.picks(size, found.1);
        match tables {
            [table] => picks.write(&bytes, size[2], (table[0], |_, x: u8| table[usize::from(x)]), out),
            // Black is another number in each channel.
            _ if !found.1 => return false,
            tables => {
                picks.write(&bytes, size[2], (0.0, |at: usize, x: u8| tables[at % tables.len()][usize::from(x)]), out)
            }
        }
        true
    }

    /// The lines that change a field, each with what draws for this example.
    fn streams(&self, field: &Field, epoch: u64, example: u32) -> impl Iterator<Item = (&Augment, Stream)> {
        let lines =
            self.lines.iter().enumerate().filter(move |(_, line)| line.fields.iter().any(|name| name == field.name()));
        let stream = move |at: usize| Stream::new("augment", &[self.seed, epoch, u64::from(example), at as u64]);
        lines.map(move |(at, line)| (line, stream(at)))
    }

    /// One example in `values`, before it is mixed with another; `room` is for what moves.
    fn one(&self, field: &Field, epoch: u64, example: u32, (values, room): (&mut Vec<f32>, &mut Vec<f32>)) {
        field.unstepped(epoch, example, values);
        for (line, stream) in self.streams(field, epoch, example) {
            change(line, drawn(line, stream), field, values, room);
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
            AugmentStep::Mixup(_) => {}
        }
    }
    all
}

/// Changes the one picture in `values` as one line says; what moves comes out in `other`, and both change places.
fn change(line: &Augment, drawn: Vec<Drawn<'_>>, field: &Field, values: &mut Vec<f32>, other: &mut Vec<f32>) {
    let axes = &field.prepared.axes;
    let size = |at: usize| axes.get(at).map_or(1, |axis| axis.size);
    let is_picture = axes.len() >= 2;
    let size = [size(0), size(1), axes.iter().skip(2).map(|axis| axis.size).product()];
    let classes = field.prepared.dim.is_some();
    let white = if field.is_bytes() { 255.0 } else { 1.0 };
    let mut moves = STILL;
    for drawn in &drawn {
        match drawn {
            Drawn::Moved(next) => moves = moves.after(*next),
            Drawn::Negated(elements) => {
                for (_, element) in elements.iter().filter(|(name, _)| name == field.name()) {
                    values.iter_mut().skip(*element).take(1).for_each(|x| *x = -*x);
                }
            }
            _ => {}
        }
    }
    if is_picture && !moves.is_still() {
        Moved { size, from: values, moves, edge: line.edge }.write(classes, other);
        std::mem::swap(values, other);
    }
    if is_picture && !classes {
        let mut points = Points { size, values, white };
        drawn.into_iter().for_each(|drawn| points.light(drawn));
    }
}

#[cfg(test)]
mod tests;

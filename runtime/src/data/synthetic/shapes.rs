//! `shapes`: pictures of circles, squares and triangles, with boxes around them and a class for every point.

use super::MOST;
use crate::data::array::Numbers;
use crate::data::bytes::Limits;
use crate::data::error::{DataError, Result, grouped};
use crate::data::marked::on_grid;
use crate::data::objects::{Called, Object, Objects, area};
use crate::data::random::Stream;
use crate::data::raw::{Raw, RawField, Values};
use crate::data::spec::{DataSpec, FieldSpec, Selector};
use crate::found::common;

/// Classes of boxes; of a mask they come after the background.
const KINDS: [&str; 3] = ["circle", "square", "triangle"];
/// Shapes of one picture.
const MOST_SHAPES: u64 = 4;
/// The least side of a picture.
const LEAST: usize = 16;

/// What is drawn.
struct Drawn {
    images: Vec<u8>,
    masks: Vec<u8>,
    objects: Objects,
}

/// What the fields of `spec` ask for, of `count` examples.
pub fn read(spec: &DataSpec, (count, seed): (usize, u64), limits: Limits) -> Result<Raw> {
    if count == 0 || count > MOST {
        return Err(DataError::new("E0502", format!("{count} examples cannot be drawn"))
            .help(format!("`count` lies between 1 and {}", grouped(MOST))));
    }
    let size = sizes(spec)?;
    let total = size.iter().product::<usize>().saturating_mul(count);
    if total as u64 > limits.bytes {
        let message = format!("{} pictures of {size:?} are too many", grouped(count));
        return Err(DataError::new("E0502", message).field(spec.source_place).help("draw fewer: `count = 1000`"));
    }
    let drawn = draw(size, count, seed);
    let fields = spec.fields.iter().map(|field| one(field, size, &drawn)).collect::<Result<Vec<_>>>()?;
    let (name, notes) = ("shapes".to_string(), vec![]);
    Ok(Raw { count, fields, official: None, files: None, groups: None, table: None, name, notes })
}

fn one(field: &FieldSpec, [h, w, c]: [usize; 3], drawn: &Drawn) -> Result<RawField> {
    let fail = |code, message: String| Err(DataError::new(code, message).field(field.place));
    let bytes = |values: &Vec<u8>| Values::Numbers(Numbers::U8(values.clone()));
    let (shape, values) = match &field.from {
        Selector::Images => (vec![h, w, c], bytes(&drawn.images)),
        Selector::Masks => match &field.dim {
            Some(dim) if dim.size.is_none_or(|size| size > KINDS.len()) => (vec![h, w], bytes(&drawn.masks)),
            _ => {
                return fail(
                    "E0507",
                    format!("`{}` needs 4 classes: the background, {}", field.name, KINDS.join(", ")),
                );
            }
        },
        Selector::Boxes => {
            let called = |name: &&str| Called { name: name.to_string(), file: "shapes".into() };
            (vec![], Values::Boxes(drawn.objects.clone(), KINDS.iter().map(called).collect()))
        }
        Selector::Grid(grid) => return Ok(on_grid(grid)),
        _ => {
            return fail(
                "E0502",
                format!("`{}` reads what `shapes` does not have: `images`, `masks`, `boxes`", field.name),
            );
        }
    };
    Ok(RawField { shape, values, columns: vec![] })
}

/// Height, width and channels, as the field of pictures declares them.
fn sizes(spec: &DataSpec) -> Result<[usize; 3]> {
    let stepped = |field: &&FieldSpec| !crate::data::pictures::steps(field).is_empty();
    if let Some(field) = spec.fields.iter().find(stepped) {
        let message = format!("`{}` is drawn in the size of its field, and takes no steps of pictures", field.name);
        return Err(DataError::new("E0502", message).field(field.place));
    }
    let Some(field) = spec.fields.iter().find(|field| field.from == Selector::Images) else { return Ok([64, 64, 3]) };
    let declared: Vec<usize> = field.shape.iter().filter_map(|axis| axis.size).collect();
    match declared[..] {
        [h, w, c]
            if field.shape.len() == 3 && [h, w].iter().all(|n| (LEAST..=4096).contains(n)) && (c == 1 || c == 3) =>
        {
            Ok([h, w, c])
        }
        _ => {
            let message = format!("field `{}` has other axes than `shapes` draws", field.name);
            let help = "they are [h, w, c: 3], or c: 1, with 16 or more points along each side";
            Err(DataError::new("E0511", message).field(field.place).help(help))
        }
    }
}

/// One shape: what it is, its middle, half its size, how it is turned, and its colour.
pub(super) struct Shape {
    pub kind: u8,
    pub x: f64,
    pub y: f64,
    pub reach: f64,
    pub turn: f64,
    pub colour: [f64; 3],
}

impl Shape {
    /// The corners of squares and triangles.
    pub fn corners(&self) -> Vec<(f64, f64)> {
        let (count, start) =
            if self.kind == 1 { (4, std::f64::consts::FRAC_PI_4) } else { (3, -std::f64::consts::FRAC_PI_2) };
        let corner = |i: u32| {
            let angle = start + self.turn + std::f64::consts::TAU * f64::from(i) / f64::from(count);
            (self.x + self.reach * angle.cos(), self.y + self.reach * angle.sin())
        };
        (0..count).map(corner).collect()
    }

    pub fn covers(&self, x: f64, y: f64, corners: &[(f64, f64)]) -> bool {
        if self.kind == 0 {
            return (x - self.x).hypot(y - self.y) <= self.reach;
        }
        let next = corners.iter().cycle().skip(1);
        corners.iter().zip(next).all(|(a, b)| (b.0 - a.0) * (y - a.1) - (b.1 - a.1) * (x - a.0) >= 0.0)
    }

    pub fn bounds(&self) -> [f64; 4] {
        if self.kind == 0 {
            return [self.x - self.reach, self.y - self.reach, self.x + self.reach, self.y + self.reach];
        }
        let start = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
        self.corners().iter().fold(start, |b, (x, y)| [b[0].min(*x), b[1].min(*y), b[2].max(*x), b[3].max(*y)])
    }
}

fn shapes(stream: &mut Stream, [h, w, c]: [usize; 3]) -> Vec<Shape> {
    let side = h.min(w) as f64;
    let mut all: Vec<Shape> = Vec::new();
    for _ in 0..1 + stream.below(MOST_SHAPES) {
        // A place that hides no other shape; after some trials it does without.
        for _ in 0..20 {
            let reach = stream.between(side * 0.11, side * 0.24);
            let kind = stream.below(KINDS.len() as u64) as u8;
            let (x, y) = (stream.between(reach, w as f64 - reach), stream.between(reach, h as f64 - reach));
            let turn = stream.between(-0.3, 0.3);
            let grey = stream.between(90.0, 255.0);
            let mut colour = [0; 3].map(|_| if c == 1 { grey } else { stream.between(40.0, 255.0) });
            colour[stream.below(3) as usize] = if c == 1 { grey } else { 230.0 };
            let shape = Shape { kind, x, y, reach, turn, colour };
            let hides = |other: &Shape| {
                let (a, b) = (other.bounds(), shape.bounds());
                common(&a, &b) > 0.15 * area(&a).min(area(&b))
            };
            if !all.iter().any(hides) {
                all.push(shape);
                break;
            }
        }
    }
    all
}

fn draw(size @ [h, w, c]: [usize; 3], count: usize, seed: u64) -> Drawn {
    let mut stream = Stream::new("shapes", &[seed]);
    let mut images = Vec::with_capacity(count * h * w * c);
    let mut masks = Vec::with_capacity(count * h * w);
    let mut objects = Objects::default();
    for _ in 0..count {
        let shapes = shapes(&mut stream, size);
        let ground = stream.between(0.0, 70.0);
        let corners: Vec<Vec<(f64, f64)>> = shapes.iter().map(Shape::corners).collect();
        for row in 0..h {
            for column in 0..w {
                let (x, y) = (column as f64 + 0.5, row as f64 + 0.5);
                let on_top = shapes.iter().zip(&corners).rev().find(|(shape, corners)| shape.covers(x, y, corners));
                masks.push(on_top.map_or(0, |(shape, _)| shape.kind + 1));
                for channel in 0..c {
                    let plain = on_top.map_or(ground, |(shape, _)| shape.colour[channel]);
                    images.push((plain + stream.between(-20.0, 20.0)).clamp(0.0, 255.0) as u8);
                }
            }
        }
        let object = |shape: &Shape| Object { class: u32::from(shape.kind), corners: shape.bounds(), ignored: false };
        objects.push(shapes.iter().map(object), [h as f64, w as f64]);
    }
    Drawn { images, masks, objects }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_hold_what_the_mask_shows() {
        let [h, w, c] = [40, 56, 3];
        let drawn = draw([h, w, c], 50, 3);
        assert_eq!((drawn.images.len(), drawn.masks.len(), drawn.objects.len()), (50 * h * w * c, 50 * h * w, 50));
        for (at, mask) in drawn.masks.chunks(h * w).enumerate() {
            let objects = drawn.objects.of(at);
            assert!((1..=MOST_SHAPES as usize).contains(&objects.len()));
            for (point, class) in mask.iter().enumerate().filter(|(_, class)| **class > 0) {
                let (x, y) = ((point % w) as f64 + 0.5, (point / w) as f64 + 0.5);
                let holds = |object: &&Object| {
                    let [left, top, right, bottom] = object.corners;
                    object.class + 1 == u32::from(*class) && left <= x && x <= right && top <= y && y <= bottom
                };
                assert!(objects.iter().any(|object| holds(&object)), "picture {at}, {x} {y}");
            }
            for object in objects {
                let [left, top, right, bottom] = object.corners;
                assert!(left > -6.0 && top > -6.0 && right < w as f64 + 6.0 && bottom < h as f64 + 6.0);
                // Most of it is to be seen.
                let seen = mask.iter().filter(|class| u32::from(**class) == object.class + 1).count();
                assert!(seen as f64 > 0.25 * object.area(), "picture {at}: {seen} of {}", object.area());
            }
        }
        assert_eq!(draw([16, 16, 1], 3, 1).images, draw([16, 16, 1], 3, 1).images);
    }
}

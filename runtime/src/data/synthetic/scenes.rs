//! `scenes`: pictures of one or two shapes in two sizes and six colours, one beside, above or inside the other, and the
//! sentence that tells so: "a small red circle is left of a big blue square".
//!
//! There are 2,862 sentences. The last fifth of the pictures is the official test part, and every fifth of its sentences
//! is one that no other picture has.

use super::MOST;
use super::shapes::Shape;
use crate::data::array::Numbers;
use crate::data::bytes::Limits;
use crate::data::error::{DataError, Result, grouped};
use crate::data::random::Stream;
use crate::data::raw::{Raw, RawField, Values, Words, WordsBuilder};
use crate::data::spec::{DataSpec, FieldSpec, Selector};

const SIZES: [&str; 2] = ["small", "big"];
const COLOURS: [(&str, [f64; 3]); 6] = [
    ("red", [225.0, 45.0, 45.0]),
    ("green", [45.0, 190.0, 60.0]),
    ("blue", [55.0, 80.0, 230.0]),
    ("yellow", [230.0, 220.0, 50.0]),
    ("purple", [170.0, 60.0, 200.0]),
    ("white", [235.0, 235.0, 235.0]),
];
const KINDS: [&str; 3] = ["circle", "square", "triangle"];
/// How far corners are from the middle, so that shapes of one size look so.
const REACH: [f64; 3] = [1.0, 1.2, 1.3];
/// What fields may read.
pub const PARTS: [&str; 2] = ["images", "captions"];
/// The least side of a picture.
const LEAST: usize = 24;
/// The shares of the test part, and of what is new in it: one in so many.
const TEST: usize = 5;
const NEW: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Relation {
    LeftOf,
    Above,
    Inside,
}

/// What a shape is called, as places in the lists above.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Thing {
    size: usize,
    colour: usize,
    kind: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Scene {
    first: Thing,
    relation: Relation,
    second: Thing,
}

impl Thing {
    fn words(self) -> String {
        format!("a {} {} {}", SIZES[self.size], COLOURS[self.colour].0, KINDS[self.kind])
    }

    /// In a picture of this smaller side.
    fn shape(self, stream: &mut Stream, side: f64, radius: (f64, f64)) -> Shape {
        let reach = side * stream.between(radius.0, radius.1) * REACH[self.kind];
        let turn = stream.between(-0.12, 0.12);
        let colour = COLOURS[self.colour].1.map(|level| level + stream.between(-15.0, 15.0));
        Shape { kind: self.kind as u8, x: 0.0, y: 0.0, reach, turn, colour }
    }
}

impl Scene {
    fn words(&self) -> String {
        let relation = match self.relation {
            Relation::LeftOf => "left of",
            Relation::Above => "above",
            Relation::Inside => "inside",
        };
        format!("{} is {relation} {}", self.first.words(), self.second.words())
    }

    /// All that can be told apart: what is named first lies left, above, or small in something big of another colour.
    fn all() -> Vec<Scene> {
        let things: Vec<Thing> = (0..SIZES.len() * COLOURS.len() * KINDS.len())
            .map(|at| Thing { size: at % 2, colour: at / 2 % COLOURS.len(), kind: at / 2 / COLOURS.len() })
            .collect();
        let mut all = vec![];
        for first in &things {
            for second in &things {
                for relation in [Relation::LeftOf, Relation::Above, Relation::Inside] {
                    let visible = first.size < second.size && first.colour != second.colour;
                    if relation != Relation::Inside || visible {
                        all.push(Scene { first: *first, relation, second: *second });
                    }
                }
            }
        }
        all
    }

    /// The shapes where they are drawn, what lies on top last.
    fn shapes(&self, stream: &mut Stream, [h, w]: [usize; 2]) -> [Shape; 2] {
        let (w, h) = (w as f64, h as f64);
        let side = w.min(h);
        let radius = |thing: Thing| if thing.size == 0 { (0.065, 0.09) } else { (0.14, 0.17) };
        let inside = self.relation == Relation::Inside;
        let mut first = self.first.shape(stream, side, radius(self.first));
        // What holds something is as big as can be.
        let around = if inside { (0.165, 0.18) } else { radius(self.second) };
        let mut second = self.second.shape(stream, side, around);
        let gap = 0.02 * side;
        let room = first.reach + second.reach + gap;
        let mut within = |reach: f64, size: f64| stream.between(reach, size - reach);
        match self.relation {
            Relation::Inside => {
                (second.x, second.y) = (within(second.reach, w), within(second.reach, h));
                let mut near = |middle: f64| middle + within(0.0, 0.02 * side) - 0.01 * side;
                (first.x, first.y) = (near(second.x), near(second.y));
                return [second, first];
            }
            Relation::LeftOf => {
                first.x = within(first.reach, w - second.reach - room + first.reach);
                second.x = within(first.x + room, w - second.reach + first.x + room);
            }
            Relation::Above => {
                first.y = within(first.reach, h - second.reach - room + first.reach);
                second.y = within(first.y + room, h - second.reach + first.y + room);
            }
        }
        // Across, they are less apart than along.
        match self.relation {
            Relation::LeftOf => {
                first.y = within(first.reach, h);
                second.y = beside(stream, (first.y, 0.6 * (second.x - first.x)), second.reach, h);
            }
            _ => {
                first.x = within(first.reach, w);
                second.x = beside(stream, (first.x, 0.6 * (second.y - first.y)), second.reach, w);
            }
        }
        [first, second]
    }
}

/// A middle at most `far` from `from`, `reach` from both ends of `0..size`.
fn beside(stream: &mut Stream, (from, far): (f64, f64), reach: f64, size: f64) -> f64 {
    let (low, high) = ((from - far).max(reach), (from + far).min(size - reach));
    if low < high { stream.between(low, high) } else { low.min(size - reach) }
}

/// What the fields of `spec` ask for, of `count` examples.
pub fn read(spec: &DataSpec, (count, seed): (usize, u64), limits: Limits) -> Result<Raw> {
    if count < TEST || count > MOST {
        return Err(DataError::new("E0502", format!("{count} scenes cannot be drawn"))
            .field(spec.source_place)
            .help(format!("`count` lies between {TEST} and {}", grouped(MOST))));
    }
    let size = sizes(spec)?;
    let total = (size[0] * size[1] * 3).saturating_mul(count);
    if total as u64 > limits.bytes {
        let message = format!("{} pictures of {size:?} are too many", grouped(count));
        return Err(DataError::new("E0502", message).field(spec.source_place).help("draw fewer: `count = 1000`"));
    }
    let scenes = chosen(count, seed);
    let mut images = Vec::with_capacity(total);
    let mut stream = Stream::new("scenes", &[seed]);
    scenes.iter().for_each(|scene| draw(scene, &mut stream, size, &mut images));
    let mut words = WordsBuilder::default();
    scenes.iter().for_each(|scene| words.push(Some(scene.words().as_bytes())));
    let drawn = (Numbers::U8(images), words.finish());
    let fields = spec.fields.iter().map(|field| one(field, size, &drawn)).collect::<Result<Vec<_>>>()?;
    let (name, notes) = ("scenes".to_string(), vec![]);
    let official = Some(count - count / TEST);
    Ok(Raw { count, fields, official, files: None, groups: None, table: None, name, notes })
}

fn one(field: &FieldSpec, [h, w]: [usize; 2], (images, words): &(Numbers, Words)) -> Result<RawField> {
    let (shape, values) = match &field.from {
        Selector::Images => (vec![h, w, 3], Values::Numbers(images.clone())),
        Selector::Named(name) if name == PARTS[1] => (vec![], Values::Words(words.clone())),
        _ => {
            let message = format!("`{}` reads what `scenes` does not have: `images`, `captions`", field.name);
            return Err(DataError::new("E0502", message).field(field.place));
        }
    };
    Ok(RawField { shape, values, columns: vec![] })
}

/// Height and width, as the field of pictures declares them.
fn sizes(spec: &DataSpec) -> Result<[usize; 2]> {
    let stepped = |field: &&FieldSpec| !crate::data::pictures::steps(field).is_empty();
    if let Some(field) = spec.fields.iter().find(stepped) {
        let message = format!("`{}` is drawn in the size of its field, and takes no steps of pictures", field.name);
        return Err(DataError::new("E0502", message).field(field.place));
    }
    let Some(field) = spec.fields.iter().find(|field| field.from == Selector::Images) else { return Ok([48, 48]) };
    let declared: Vec<usize> = field.shape.iter().filter_map(|axis| axis.size).collect();
    match declared[..] {
        [h, w, 3] if field.shape.len() == 3 && [h, w].iter().all(|n| (LEAST..=4096).contains(n)) => Ok([h, w]),
        _ => {
            let message = format!("field `{}` has other axes than `scenes` draws", field.name);
            let help = format!("they are [h, w, c: 3], with {LEAST} or more points along each side");
            Err(DataError::new("E0511", message).field(field.place).help(help))
        }
    }
}

/// What each picture shows, the test part last.
fn chosen(count: usize, seed: u64) -> Vec<Scene> {
    let mut stream = Stream::new("scenes told", &[seed]);
    let mut all = Scene::all();
    stream.shuffle(&mut all);
    let new = all.split_off(all.len() - all.len() / NEW);
    let train = count - count / TEST;
    // Sentences take turns, so that a large enough training part has all that are not new.
    let mut scenes: Vec<Scene> = all.iter().copied().cycle().take(train).collect();
    let seen = scenes[..train.min(all.len())].to_vec();
    stream.shuffle(&mut scenes);
    scenes.extend((0..count / TEST).map(|at| {
        let among = if at % NEW == 0 { &new } else { &seen };
        among[stream.below(among.len() as u64) as usize]
    }));
    scenes
}

fn draw(scene: &Scene, stream: &mut Stream, size @ [h, w]: [usize; 2], images: &mut Vec<u8>) {
    let shapes = scene.shapes(stream, size);
    let ground = stream.between(0.0, 45.0);
    let corners = [shapes[0].corners(), shapes[1].corners()];
    for row in 0..h {
        for column in 0..w {
            let (x, y) = (column as f64 + 0.5, row as f64 + 0.5);
            let on_top = shapes.iter().zip(&corners).rev().find(|(shape, corners)| shape.covers(x, y, corners));
            for channel in 0..3 {
                let plain = on_top.map_or(ground, |(shape, _)| shape.colour[channel]);
                images.push((plain + stream.between(-12.0, 12.0)).clamp(0.0, 255.0) as u8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_fifth_of_what_is_tested_is_new() {
        let all: HashSet<String> = Scene::all().iter().map(Scene::words).collect();
        assert_eq!((all.len(), Scene::all().len()), (2862, 2862));
        for count in [5, 500, 12000] {
            let scenes = chosen(count, 1);
            assert_eq!(scenes.len(), count);
            let (train, test) = scenes.split_at(count - count / TEST);
            let train: HashSet<String> = train.iter().map(Scene::words).collect();
            let new = test.iter().filter(|scene| !train.contains(&scene.words())).count();
            assert_eq!(new, test.len().div_ceil(5), "{count}");
        }
        assert_eq!(chosen(50, 3), chosen(50, 3));
        assert_ne!(chosen(50, 3), chosen(50, 4));
    }

    #[test]
    fn pictures_show_what_is_told() {
        let mut stream = Stream::new("test", &[1]);
        for size in [[48, 48], [24, 24], [40, 90], [90, 40]] {
            for scene in Scene::all().iter().step_by(7) {
                let [a, b] = scene.shapes(&mut stream, size);
                for shape in [&a, &b] {
                    let [left, top, right, bottom] = shape.bounds();
                    let inside = left > -0.01 && top > -0.01 && right < size[1] as f64 + 0.01;
                    assert!(inside && bottom < size[0] as f64 + 0.01, "{scene:?} {size:?}");
                }
                let (across, down) = (b.x - a.x, b.y - a.y);
                match scene.relation {
                    Relation::LeftOf => {
                        assert!(a.bounds()[2] < b.bounds()[0] && across > 1.6 * down.abs(), "{scene:?} {size:?}");
                    }
                    Relation::Above => {
                        assert!(a.bounds()[3] < b.bounds()[1] && down > 1.6 * across.abs(), "{scene:?} {size:?}");
                    }
                    Relation::Inside => {
                        let corners = a.corners();
                        let [left, top, right, bottom] = b.bounds();
                        assert!(a.covers(b.x, b.y, &corners) && a.reach > b.reach, "{scene:?}");
                        let outer = a.bounds();
                        assert!(left > outer[0] && right < outer[2] && top > outer[1] && bottom < outer[3]);
                    }
                }
                assert!(
                    (scene.first.size == 1) == (a.reach > 0.13 * size[0].min(size[1]) as f64)
                        || scene.relation == Relation::Inside
                );
            }
        }
    }

    #[test]
    fn the_seed_decides() {
        let picture = |seed| {
            let (mut stream, mut images) = (Stream::new("scenes", &[seed]), vec![]);
            draw(&Scene::all()[5], &mut stream, [24, 30], &mut images);
            images
        };
        assert_eq!((picture(1).len(), picture(1)), (24 * 30 * 3, picture(1)));
        assert_ne!(picture(1), picture(2));
    }
}

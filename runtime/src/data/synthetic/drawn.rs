//! Sequences and tables that are drawn, in the sizes that the fields of the program have.
//!
//! `ball`: `frames` of a ball that flies straight and bounces off the walls, and the `place` (x, y) of its centre in the
//! next frame. `adding`: `pairs` of a number and a mark, and the `total` of the two marked numbers (Hochreiter and
//! Schmidhuber 1997). `pass`: `numbers` about a student (hours of study, hours of sleep, exercises done), and `passed`.

use std::f64::consts::TAU;

use super::MOST;
use crate::data::array::Numbers;
use crate::data::error::{DataError, Result, grouped};
use crate::data::random::Stream;
use crate::data::raw::{Raw, RawField, Values};
use crate::data::spec::{DataSpec, FieldSpec, Selector};

/// Numbers of one data set.
const MOST_NUMBERS: usize = 1 << 29;

/// What is drawn, and what the fields may read of it.
const KNOWN: [(&str, [&str; 2]); 3] =
    [("ball", ["frames", "place"]), ("adding", ["pairs", "total"]), ("pass", ["numbers", "passed"])];

pub fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|(known, _)| *known == name)
}

/// What fields may read of it.
pub fn parts(name: &str) -> &'static [&'static str] {
    KNOWN.iter().find(|(known, _)| *known == name).map_or(&[], |(_, parts)| parts)
}

/// What the fields of `spec` ask for, of `count` examples.
pub fn read(spec: &DataSpec, name: &str, (count, seed): (usize, u64)) -> Result<Raw> {
    let parts = KNOWN.iter().find(|(known, _)| *known == name).map_or(["", ""], |(_, parts)| *parts);
    if count == 0 || count > MOST {
        return Err(DataError::new("E0502", format!("{count} examples cannot be drawn"))
            .help(format!("`count` lies between 1 and {}", grouped(MOST))));
    }
    let named = |field: &FieldSpec, part: &str| matches!(&field.from, Selector::Named(own) if own == part);
    if let Some(field) = spec.fields.iter().find(|field| !parts.iter().any(|part| named(field, part))) {
        let message = format!("`{}` reads what `{name}` does not have", field.name);
        let help = format!("it has `{}` and `{}`", parts[0], parts[1]);
        return Err(DataError::new("E0502", message).file(name).field(field.place).help(help));
    }
    let first = spec.fields.iter().find(|field| named(field, parts[0]));
    let shape = sizes(name, first)?;
    let one: usize = shape.iter().try_fold(1usize, |all, size| all.checked_mul(*size)).unwrap_or(usize::MAX);
    if one.checked_mul(count).is_none_or(|all| all > MOST_NUMBERS) {
        let message = format!("{} examples of {shape:?} are too many", grouped(count));
        return Err(DataError::new("E0502", message).field(spec.source_place).help("draw fewer: `count = 1000`"));
    }
    let drawn = match name {
        "ball" => balls(&shape, count, seed),
        "adding" => sums(shape[0], count, seed),
        _ => students(count, seed),
    };
    let field = |field: &FieldSpec| {
        let (shape, numbers) = if named(field, parts[0]) { &drawn.0 } else { &drawn.1 };
        RawField { shape: shape.clone(), values: Values::Numbers(numbers.clone()), columns: vec![] }
    };
    let fields = spec.fields.iter().map(field).collect();
    let name = name.to_string();
    Ok(Raw { count, fields, official: None, files: None, groups: None, table: None, name, notes: vec![] })
}

/// The sizes of one example, as its field declares them.
fn sizes(name: &str, field: Option<&FieldSpec>) -> Result<Vec<usize>> {
    let (usual, axes): (&[usize], &str) = match name {
        "ball" => (&[6, 16, 16, 1], "[t, h, w, c]"),
        "adding" => (&[100, 2], "[t, v: 2]"),
        _ => (&[3], "[v: 3]"),
    };
    let Some(field) = field else { return Ok(usual.to_vec()) };
    let declared: Option<Vec<usize>> = field.shape.iter().map(|axis| axis.size).collect();
    let fits = |sizes: &Vec<usize>| match name {
        "ball" => sizes.len() == 4 && sizes.iter().all(|size| *size > 0),
        "adding" => sizes.len() == 2 && sizes[0] > 0 && sizes[1] == 2,
        _ => sizes[..] == [3],
    };
    declared.filter(fits).ok_or_else(|| {
        DataError::new("E0511", format!("field `{}` has other axes than `{name}` draws", field.name))
            .field(field.place)
            .help(format!("they are {axes}, each with a size"))
    })
}

type Drawn = (Vec<usize>, Numbers);

fn balls(shape: &[usize], count: usize, seed: u64) -> (Drawn, Drawn) {
    let [t, h, w, c] = shape[..] else { return ((vec![], Numbers::F32(vec![])), (vec![], Numbers::F32(vec![]))) };
    let mut stream = Stream::new("ball", &[seed]);
    let radius = (h.min(w) as f64 / 8.0).clamp(0.75, 4.0);
    let (mut frames, mut places) = (Vec::with_capacity(count * t * h * w * c), Vec::with_capacity(count * 2));
    for _ in 0..count {
        let track = |size: usize, stream: &mut Stream| {
            // The centre stays a radius away from the walls.
            let room = (size as f64 - 1.0 - 2.0 * radius).max(0.0);
            (stream.between(0.0, 2.0 * room), room, radius.min((size as f64 - 1.0) / 2.0))
        };
        let (x, y) = (track(w, &mut stream), track(h, &mut stream));
        let speed = stream.between(0.4, 1.0) * (h.min(w) as f64 / 8.0).max(0.5);
        let (dy, dx) = stream.between(0.0, TAU).sin_cos();
        // Going there and back again is going around a circle twice as long.
        let at = |(start, room, low): (f64, f64, f64), step: f64| {
            let around = (start + step).rem_euclid((2.0 * room).max(f64::MIN_POSITIVE));
            low + if around > room { 2.0 * room - around } else { around }.clamp(0.0, room)
        };
        for frame in 0..t {
            let passed = frame as f64 * speed;
            let (cx, cy) = (at(x, dx * passed), at(y, dy * passed));
            for row in 0..h {
                for column in 0..w {
                    let distance = (column as f64 - cx).hypot(row as f64 - cy);
                    let lit = (255.0 * (radius + 0.5 - distance).clamp(0.0, 1.0)).round() as u8;
                    frames.extend(std::iter::repeat_n(lit, c));
                }
            }
        }
        let passed = t as f64 * speed;
        places.extend([at(x, dx * passed) as f32, at(y, dy * passed) as f32]);
    }
    ((shape.to_vec(), Numbers::U8(frames)), (vec![2], Numbers::F32(places)))
}

/// One mark lies in each half.
fn sums(t: usize, count: usize, seed: u64) -> (Drawn, Drawn) {
    let mut stream = Stream::new("adding", &[seed]);
    let (mut pairs, mut totals) = (Vec::with_capacity(count * t * 2), Vec::with_capacity(count));
    for _ in 0..count {
        let half = t / 2;
        let marks = [stream.below(half as u64) as usize, half + stream.below((t - half) as u64) as usize];
        let mut total = 0.0;
        for at in 0..t {
            let (number, marked) = (stream.unit() as f32, marks.contains(&at));
            total += if marked { number } else { 0.0 };
            pairs.extend([number, f32::from(u8::from(marked))]);
        }
        totals.push(total);
    }
    ((vec![t, 2], Numbers::F32(pairs)), (vec![], Numbers::F32(totals)))
}

/// Hours of study help, and so does sleep up to eight hours; chance has its share.
fn students(count: usize, seed: u64) -> (Drawn, Drawn) {
    let mut stream = Stream::new("pass", &[seed]);
    let (mut numbers, mut passed) = (Vec::with_capacity(count * 3), Vec::with_capacity(count));
    for _ in 0..count {
        let (study, sleep) = (stream.between(0.0, 20.0), stream.between(3.0, 10.0));
        let exercises = stream.below(11) as f64;
        let score = 0.6 * (study - 9.0) - 0.5 * (sleep - 8.0).powi(2) + 0.7 * (exercises - 4.0) + 2.0;
        let luck = stream.unit();
        passed.push(u8::from(luck < 1.0 / (1.0 + (-1.5 * score).exp())));
        let tenths = |x: f64| ((x * 10.0).round() / 10.0) as f32;
        numbers.extend([tenths(study), tenths(sleep), exercises as f32]);
    }
    ((vec![3], Numbers::F32(numbers)), (vec![], Numbers::U8(passed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f32s(drawn: &Drawn) -> Vec<f32> {
        drawn.1.clone().into_f32()
    }

    #[test]
    fn balls_bounce_and_stay_inside() {
        for shape in [[6, 16, 16, 1], [3, 9, 31, 3], [2, 1, 1, 1], [12, 2, 5, 1]] {
            let (frames, places) = balls(&shape, 200, 1);
            assert_eq!(f32s(&frames).len(), 200 * shape.iter().product::<usize>());
            for place in f32s(&places).chunks(2) {
                let inside = |x: f32, size: usize| (0.0..=(size - 1) as f32).contains(&x);
                assert!(inside(place[0], shape[2]) && inside(place[1], shape[1]), "{shape:?} {place:?}");
            }
        }
        // The brightest spot of the last frame is near the place in the next.
        let (frames, places) = balls(&[2, 16, 16, 1], 300, 2);
        let (frames, places) = (f32s(&frames), f32s(&places));
        for (ball, place) in frames.chunks(512).zip(places.chunks(2)) {
            let last = &ball[256..];
            let mass: f32 = last.iter().sum();
            let mean = |of: &dyn Fn(usize) -> usize| {
                last.iter().enumerate().map(|(at, lit)| lit * of(at) as f32).sum::<f32>() / mass
            };
            let (x, y) = (mean(&|at| at % 16), mean(&|at| at / 16));
            assert!((x - place[0]).hypot(y - place[1]) < 2.2, "{x} {y} {place:?}");
        }
    }

    #[test]
    fn marked_numbers_are_added() {
        for t in [1, 2, 7, 100] {
            let (pairs, totals) = sums(t, 50, 3);
            for (pairs, total) in f32s(&pairs).chunks(2 * t).zip(f32s(&totals)) {
                let marked: Vec<f32> = pairs.chunks(2).filter(|pair| pair[1] == 1.0).map(|pair| pair[0]).collect();
                assert_eq!(marked.len(), 2.min(t));
                assert!((marked.iter().sum::<f32>() - total).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn some_pass() {
        let (_, passed) = students(2000, 1);
        let share = f32s(&passed).iter().sum::<f32>() / 2000.0;
        assert!((0.3..0.7).contains(&share), "{share}");
    }
}

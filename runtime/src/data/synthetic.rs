//! Data sets that are drawn, not read.
//!
//! `x_or_not`: 9x9 pictures of an X that is shifted, resized and turned by up to 20 degrees, against
//! single diagonals, plus signs, rings and broken X with as many lit pixels; then 2 % of the pixels
//! are flipped. All pictures differ, so that no split can put one into two parts.

pub mod drawn;
pub mod scenes;
pub mod shapes;

use std::collections::HashSet;

use super::array::{Array, Numbers};
use super::error::{DataError, Result};
use super::random::Stream;

/// Height and width of a picture.
pub const SIDE: usize = 9;
/// Pictures of one data set.
pub const MOST: usize = 1_000_000;
const PIXELS: usize = SIDE * SIDE;
/// The share of pixels that noise turns over.
const FLIPPED: f64 = 0.02;
/// A pixel nearer than this to a stroke belongs to it.
const STROKE: f64 = 0.6;

/// Pictures `[count, 9, 9, 1]` of 0 and 1, and labels: 1 for an X.
pub fn generate(name: &str, count: usize, seed: u64) -> Result<(Array, Array)> {
    if name != "x_or_not" {
        return Err(DataError::new("E0502", format!("there is no synthetic data `{name}`"))
            .help("there are `x_or_not`, `shapes`, `scenes`, `ball`, `adding` and `pass`: `synthetic(\"ball\", count = 3000, seed = 1)`"));
    }
    if count == 0 || count > MOST {
        return Err(DataError::new("E0502", format!("{count} pictures cannot be drawn"))
            .help("`count` lies between 1 and 1,000,000"));
    }
    let mut stream = Stream::new("x_or_not", &[seed]);
    let mut labels: Vec<u8> = (0..count).map(|i| (i % 2) as u8).collect();
    stream.shuffle(&mut labels);
    let mut pictures = Vec::with_capacity(count * PIXELS);
    let mut seen = HashSet::new();
    for label in &labels {
        let picture = loop {
            let picture = picture(&mut stream, *label == 1);
            let bits = picture.iter().fold(0u128, |all, lit| (all << 1) | u128::from(*lit));
            if seen.insert(bits) {
                break picture;
            }
        };
        pictures.extend(picture);
    }
    let images = Array { shape: vec![count, SIDE, SIDE, 1], numbers: Numbers::U8(pictures) };
    Ok((images, Array { shape: vec![count], numbers: Numbers::U8(labels) }))
}

type Point = (f64, f64);

fn picture(stream: &mut Stream, is_x: bool) -> [u8; PIXELS] {
    let middle = (SIDE - 1) as f64 / 2.0;
    let mut around = || middle + stream.between(-0.6, 0.6);
    let centre = (around(), around());
    let radius = stream.between(4.0, 5.0);
    let turn = stream.between(-20.0, 20.0).to_radians();
    let cross = arms(centre, radius, turn + std::f64::consts::FRAC_PI_4);
    let lit = |distance: &dyn Fn(Point) -> f64| pixels().filter(|p| distance(*p) < STROKE).count();
    // What is not an X is drawn with as many pixels as this X has: counting them does not help.
    let ink = lit(&|p| nearest(p, &cross));
    let mut picture = match is_x {
        true => ink_nearest(ink, |p| nearest(p, &cross)),
        false => other(stream, centre, radius, turn, ink, cross),
    };
    for pixel in &mut picture {
        if stream.unit() < FLIPPED {
            *pixel ^= 1;
        }
    }
    picture
}

/// A single diagonal, a plus sign, a ring, or an X that lacks an arm or its middle.
fn other(
    stream: &mut Stream,
    centre: Point,
    radius: f64,
    turn: f64,
    ink: usize,
    mut cross: Vec<(Point, Point)>,
) -> [u8; PIXELS] {
    match stream.below(4) {
        0 => {
            let side = if stream.below(2) == 0 { 1.0 } else { 3.0 };
            let line = arms(centre, radius, turn + side * std::f64::consts::FRAC_PI_4);
            ink_nearest(ink, |p| nearest(p, &[line[0], line[2]]))
        }
        1 => {
            let plus = arms(centre, radius, turn / 4.0);
            ink_nearest(ink, |p| nearest(p, &plus))
        }
        2 => {
            let radius = radius * 0.75;
            ink_nearest(ink, |p| ((p.0 - centre.0).hypot(p.1 - centre.1) - radius).abs())
        }
        _ if stream.below(2) == 0 => {
            cross.remove(stream.below(4) as usize);
            ink_nearest(ink, |p| nearest(p, &cross))
        }
        _ => {
            // The arms do not meet.
            for (from, to) in &mut cross {
                let along = |a: f64, b: f64| a + 0.55 * (b - a);
                *from = (along(from.0, to.0), along(from.1, to.1));
            }
            ink_nearest(ink, |p| nearest(p, &cross))
        }
    }
}

/// Four strokes from the centre, a right angle between neighbours.
fn arms(centre: Point, radius: f64, turn: f64) -> Vec<(Point, Point)> {
    (0..4)
        .map(|i| {
            let angle = turn + f64::from(i) * std::f64::consts::FRAC_PI_2;
            (centre, (centre.0 + radius * angle.cos(), centre.1 + radius * angle.sin()))
        })
        .collect()
}

fn pixels() -> impl Iterator<Item = Point> {
    (0..PIXELS).map(|i| ((i % SIDE) as f64, (i / SIDE) as f64))
}

fn nearest(p: Point, strokes: &[(Point, Point)]) -> f64 {
    let to = |(a, b): &(Point, Point)| {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let along = ((p.0 - a.0) * dx + (p.1 - a.1) * dy) / (dx * dx + dy * dy);
        let along = along.clamp(0.0, 1.0);
        (p.0 - a.0 - along * dx).hypot(p.1 - a.1 - along * dy)
    };
    strokes.iter().map(to).fold(f64::INFINITY, f64::min)
}

/// Lights the `ink` pixels nearest to a shape.
fn ink_nearest(ink: usize, distance: impl Fn(Point) -> f64) -> [u8; PIXELS] {
    let mut order: Vec<(f64, usize)> = pixels().map(distance).zip(0..).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut picture = [0; PIXELS];
    order.iter().take(ink).for_each(|(_, at)| picture[*at] = 1);
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_differ_and_classes_balance() {
        let (images, labels) = generate("x_or_not", 3000, 1).unwrap();
        let (Numbers::U8(pixels), Numbers::U8(labels)) = (images.numbers, labels.numbers) else { panic!() };
        let different: HashSet<&[u8]> = pixels.chunks(PIXELS).collect();
        assert_eq!(different.len(), 3000);
        assert_eq!(labels.iter().filter(|label| **label == 1).count(), 1500);
        let ink = |class: u8| {
            let of = pixels.chunks(PIXELS).zip(&labels).filter(|(_, label)| **label == class);
            of.map(|(picture, _)| picture.iter().map(|lit| u32::from(*lit)).sum::<u32>()).sum::<u32>()
        };
        let (not, x) = (f64::from(ink(0)), f64::from(ink(1)));
        assert!((not / x - 1.0).abs() < 0.02, "{not} {x}");
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(generate("x_or_not", 50, 3).unwrap(), generate("x_or_not", 50, 3).unwrap());
        assert_ne!(generate("x_or_not", 50, 3).unwrap(), generate("x_or_not", 50, 4).unwrap());
        assert_eq!(generate("y", 50, 3).unwrap_err().code, "E0502");
        assert_eq!(generate("x_or_not", 0, 3).unwrap_err().code, "E0502");
    }
}

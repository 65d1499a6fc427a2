//! Examples of a data set as pictures.

use super::canvas::Canvas;
use crate::data::fields::Field;
use crate::data::pictures::Picture;
use crate::data::spec::Selector;

/// Points that a small picture is widened to.
const WIDE: usize = 160;

/// How often a picture of this width is enlarged, so that its points are seen.
pub fn zoom_of(width: usize, height: usize) -> usize {
    about(WIDE, width.max(height))
}

/// The same for one that is drawn on, so that names of things leave something to be seen of them.
pub fn zoom_marked(width: usize, height: usize) -> usize {
    about(2 * WIDE, width.max(height))
}

/// How often a length goes into another, rounded.
fn about(wide: usize, length: usize) -> usize {
    let length = length.max(1);
    ((wide + length / 2) / length).max(1)
}

/// Height, width and channels, where a field's examples are pictures.
pub fn picture_shape(field: &Field) -> Option<[usize; 3]> {
    let sizes: Vec<usize> = field.prepared.axes.iter().map(|axis| axis.size).collect();
    let shape = match sizes[..] {
        [h, w, c] if c == 1 || c == 3 => [h, w, c],
        [h, w] if field.prepared.axes[0].name == "h" && field.prepared.axes[1].name == "w" => [h, w, 1],
        _ => return None,
    };
    (field.prepared.dim.is_none() && shape.iter().all(|n| *n > 0) && field.lists().is_none()).then_some(shape)
}

/// The numbers of one example as the field stores them, made points again: steps on pictures are undone.
pub fn of_example(field: &Field, example: u32) -> Option<Picture> {
    let shape = picture_shape(field)?;
    let mut values = vec![0.0; field.per_example()];
    field.write(&[example], &mut values);
    Some(of_numbers(field, &values, shape))
}

/// The same for numbers that are like those of the field: a picture that a network made.
pub fn of_numbers(field: &Field, values: &[f32], [h, w, c]: [usize; 3]) -> Picture {
    let chain = &field.prepared.chain;
    let known = matches!(field.prepared.from, Selector::Images | Selector::Picture(_));
    // Other sources have no white of their own: the field's example says what is bright.
    let mut like = vec![0.0; field.per_example()];
    field.write(&[0], &mut like);
    let finite = || like.iter().chain(values).copied().filter(|x| x.is_finite());
    let (low, high) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
    let byte = |(at, value): (usize, &f32)| {
        let (black, white) = match known {
            true => (chain.apply(0.0, at) as f32, chain.apply(255.0, at) as f32),
            false => (low, high),
        };
        let span = white - black;
        let share = if span != 0.0 && span.is_finite() { (value - black) / span } else { 0.0 };
        (share * 255.0).clamp(0.0, 255.0).round() as u8
    };
    Picture { h, w, c, values: values.iter().take(h * w * c).enumerate().map(byte).collect() }
}

/// An example, enlarged where it is small.
pub fn canvas_of_example(field: &Field, example: u32) -> Option<Canvas> {
    let picture = of_example(field, example)?;
    Some(Canvas::of(&picture, zoom_of(picture.w, picture.h)))
}

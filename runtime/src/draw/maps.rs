//! What a layer has learned and what it makes of an example: its filters, and a map for each of its channels.

use super::canvas::{Area, Canvas, LINE};
use super::marks::below;
use super::palette::INK;
use super::sheet::{Cell, sheet};
use crate::data::pictures::Picture;

/// Filters and maps that are drawn; there may be thousands.
const MOST: usize = 128;
/// Numbers that are drawn.
const NUMBERS: usize = 256;
/// Points of a map's longer side, about.
const MAP: usize = 96;
/// Points of a filter's longer side, about: of one that is a picture, and of one that is many.
const FILTER: [usize; 2] = [48, 18];
/// Channels of a filter that are drawn side by side.
const CHANNELS: usize = 32;
/// Points of a row, about.
const WIDE: usize = 1400;

/// Filters `[h, w, channels in, channels out]`: pictures where they see 1 or 3 channels, else a row of grey squares for each filter, a square for
/// each channel. 0 is grey; a filter's largest number is white or, below 0, black.
pub fn filters(values: &[f32], [h, w, from, to]: [usize; 4]) -> Canvas {
    let shown = to.min(MOST);
    let coloured = from == 1 || from == 3;
    let at = |y: usize, x: usize, i: usize, o: usize| values.get(((y * w + x) * from + i) * to + o).copied();
    let largest = |o: usize| {
        let all = (0..h * w * from).filter_map(|at| values.get(at * to + o));
        all.map(|x| x.abs()).filter(|x| x.is_finite()).fold(0.0, f32::max)
    };
    let byte = |x: Option<f32>, largest: f32| {
        let share = x.unwrap_or(0.0) / largest.max(f32::MIN_POSITIVE);
        (127.5 + 127.5 * share).clamp(0.0, 255.0).round() as u8
    };
    let zoom = (FILTER[usize::from(!coloured)] / h.max(w).max(1)).max(if coloured { 2 } else { 3 });
    let picture = |o: usize, channels: &[usize]| {
        let most = largest(o);
        let points = (0..h * w).flat_map(|p| channels.iter().map(move |i| byte(at(p / w, p % w, *i, o), most)));
        Canvas::of(&Picture { h, w, c: channels.len(), values: points.collect() }, zoom)
    };
    let one = |o: usize| match coloured {
        true => Cell::new(picture(o, &(0..from).collect::<Vec<_>>()), vec![o.to_string()]),
        false => {
            let parts: Vec<Canvas> = (0..from.min(CHANNELS)).map(|i| picture(o, &[i])).collect();
            Cell::new(row(&parts), vec![o.to_string()])
        }
    };
    let cells: Vec<Cell> = (0..shown).map(one).collect();
    let more = cut(to, MOST, "filters") + &if coloured { String::new() } else { cut(from, CHANNELS, "channels") };
    sheet(
        &format!("filters of {h} x {w} x {from}: 0 is grey, of each the largest is white or black{more}"),
        &cells,
        columns(&cells),
    )
}

fn cut(all: usize, most: usize, what: &str) -> String {
    if all > most { format!("; the first {most} of {all} {what}") } else { String::new() }
}

/// As many cells as make a row.
fn columns(cells: &[Cell]) -> usize {
    let widest = cells.iter().map(Cell::width).max().unwrap_or(1);
    (WIDE / (widest + 8)).clamp(1, 16)
}

/// Canvases of one size in a row, two points apart.
fn row(parts: &[Canvas]) -> Canvas {
    let (width, height) = parts.first().map_or((1, 1), |part| (part.width + 2, part.height));
    let mut canvas = Canvas::new((width * parts.len()).max(3) - 2, height, super::BACK);
    parts.iter().enumerate().for_each(|(at, part)| canvas.paste(part, (at * width, 0)));
    canvas
}

/// A layer's value of one example, `[h, w, channels]`: each map from its least number (black) to its largest (white), both written below.
pub fn maps(values: &[f32], [h, w, c]: [usize; 3]) -> Canvas {
    let part = h.max(w).div_ceil(2 * MAP).max(1);
    let zoom = if part > 1 { 1 } else { (MAP / h.max(w).max(1)).max(1) };
    let one = |channel: usize| {
        let map: Vec<f32> = (0..h * w).filter_map(|at| values.get(at * c + channel).copied()).collect();
        let picture = Canvas::of_values(&map, [h, w, 1], range(&map), zoom).smaller(part);
        Cell::new(picture, vec![channel.to_string(), range_text(range(&map))])
    };
    let cells: Vec<Cell> = (0..c.min(MOST)).map(one).collect();
    let title = format!("{c} maps of {h} x {w}{}", cut(c, MOST, "maps"));
    below(&sheet(&title, &cells, columns(&cells)), &legend())
}

/// The least and the largest of what is finite.
fn range(values: &[f32]) -> (f32, f32) {
    let finite = || values.iter().copied().filter(|x| x.is_finite());
    let (least, most) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
    if least <= most { (least, most) } else { (0.0, 0.0) }
}

fn range_text((least, most): (f32, f32)) -> String {
    format!("{least:.2} .. {most:.2}")
}

/// Numbers, as squares from the least (black) to the largest (white), with what they are called.
pub fn numbers(values: &[f32], names: &[String]) -> Canvas {
    let range = range(values);
    let one = |(at, x): (usize, &f32)| {
        let name = names.get(at).cloned().unwrap_or_else(|| at.to_string());
        Cell::new(Canvas::of_values(&[*x], [1, 1, 1], range, FILTER[0]), vec![name, format!("{x:.2}")])
    };
    let cells: Vec<Cell> = values.iter().take(NUMBERS).enumerate().map(one).collect();
    let title = format!(
        "{} numbers, {}: black to white{}",
        values.len(),
        range_text(range),
        cut(values.len(), NUMBERS, "numbers")
    );
    sheet(&title, &cells, columns(&cells))
}

/// What black and white mean.
fn legend() -> Canvas {
    let wide = 128;
    let mut canvas = Canvas::new(3 * wide + 220, LINE + 4, super::BACK);
    canvas.text("least", (8, 2), INK);
    for x in 0..wide {
        canvas.fill(Area::new(48 + x, 3, 1, LINE - 4), [(x * 2) as u8; 3]);
    }
    canvas.frame(Area::new(48, 3, wide, LINE - 4), 1, super::GRAY);
    canvas.text("largest, of each by itself", (54 + wide as i64, 2), INK);
    canvas
}

/// A heading with what was read, and canvases one below the other.
pub fn stacked(title: &str, read: Option<Canvas>, parts: &[Canvas]) -> Canvas {
    let read: Vec<Cell> = read.into_iter().map(|picture| Cell::new(picture, vec![])).collect();
    parts.iter().fold(sheet(title, &read, 1), |upper, part| below(&upper, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the first cell's picture begins.
    const FIRST: [usize; 2] = [8, 27];

    #[test]
    fn filters_show_their_numbers() {
        // Two filters of 1 x 2 over three channels; the second is all zero.
        let values: Vec<f32> = [2.0, -2.0, 0.0, 1.0, 0.0, 0.0].iter().flat_map(|x| [*x, 0.0]).collect();
        let drawn = filters(&values, [1, 2, 3, 2]);
        let [x, y] = FIRST;
        assert_eq!(drawn.get(x, y), Some([255, 0, 128]));
        assert_eq!(drawn.get(x + 24, y), Some([191, 128, 128]));
        assert_eq!(drawn.get(x + 48 + 8, y), Some([128; 3]));
        // Six channels: each a grey square.
        let drawn = filters(&values, [1, 1, 6, 2]);
        let squares: Vec<_> = (0..4).map(|i| drawn.get(x + i * 20, y).unwrap()[0]).collect();
        assert_eq!(squares, [255, 0, 128, 191]);
    }

    #[test]
    fn maps_reach_from_black_to_white_each() {
        let drawn = maps(&[0.0, 5.0, 1.0, 5.0, f32::NAN, 5.0, 0.25, 5.0], [1, 4, 2]);
        let [x, y] = FIRST;
        let points: Vec<_> = (0..4).map(|i| drawn.get(x + i * 24, y).unwrap()[0]).collect();
        assert_eq!(points, [0, 255, 0, 64]);
        // Thousands are not drawn, and large ones are drawn smaller.
        let wide = maps(&vec![1.0; 2 * 1000 * 500], [2, 1000, 500]);
        assert!(wide.width < 2000 && wide.height < 8000, "{} x {}", wide.width, wide.height);
        assert!(numbers(&vec![f32::NAN; 5000], &[]).height < 2000);
        assert!(numbers(&[], &[]).height > 0 && filters(&[], [0, 0, 0, 0]).height > 0);
    }
}

//! A picture that is drawn on: points, areas, pictures, text. What lies outside is left out.

use std::convert::Infallible;
use std::io::{self, Cursor};
use std::path::Path;

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::iso_8859_1::FONT_7X13;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{DrawTarget, Drawable, OriginDimensions, Pixel, Point, RgbColor, Size};
use embedded_graphics::text::{Baseline, Text};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use super::palette::Colour;
use crate::checkpoint::replace;
use crate::data::pictures::{MOST_POINTS, Picture};

/// Points from one line of text to the next.
pub const LINE: usize = 15;

/// Points from one letter to the next.
const LETTER: usize = 7;

/// Points that a text is wide.
pub fn text_width(text: &str) -> usize {
    text.chars().count() * LETTER
}

/// A rectangle; it may reach outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    pub x: i64,
    pub y: i64,
    pub w: usize,
    pub h: usize,
}

impl Area {
    pub fn new(x: usize, y: usize, w: usize, h: usize) -> Area {
        Area { x: x as i64, y: y as i64, w, h }
    }
}

/// A picture in colours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canvas {
    pub width: usize,
    pub height: usize,
    /// Three bytes a point, row by row.
    points: Vec<u8>,
}

impl Canvas {
    /// Of one colour. One too large for any viewer is cut at its bottom.
    pub fn new(width: usize, height: usize, colour: Colour) -> Canvas {
        let width = width.clamp(1, 1 << 16);
        let height = height.clamp(1, (MOST_POINTS as usize / width).max(1));
        Canvas { width, height, points: colour.repeat(width * height) }
    }

    /// A picture of one channel (grey) or three, or the first three of more, each point `zoom` points wide and high.
    pub fn of(picture: &Picture, zoom: usize) -> Canvas {
        let zoom = zoom.max(1);
        let mut canvas = Canvas::new(picture.w * zoom, picture.h * zoom, super::BACK);
        for y in 0..canvas.height {
            for x in 0..canvas.width {
                let first = (y / zoom * picture.w + x / zoom) * picture.c;
                let channel = |i: usize| picture.values.get(first + i).copied().unwrap_or(0);
                let colour = match picture.c {
                    0..=2 => [channel(0); 3],
                    _ => [channel(0), channel(1), channel(2)],
                };
                canvas.set(x as i64, y as i64, colour);
            }
        }
        canvas
    }

    /// `[h, w, c]` numbers, `low` as black and `high` as full colour.
    pub fn of_values(values: &[f32], [h, w, c]: [usize; 3], (low, high): (f32, f32), zoom: usize) -> Canvas {
        let span = if high > low { high - low } else { 1.0 };
        let byte = |value: &f32| ((value - low) / span * 255.0).clamp(0.0, 255.0).round() as u8;
        let values = values.iter().take(h * w * c).map(byte).collect();
        Canvas::of(&Picture { h, w, c, values }, zoom)
    }

    /// Every `part` by `part` points become one, their mean.
    pub fn smaller(self, part: usize) -> Canvas {
        if part <= 1 {
            return self;
        }
        let mut canvas = Canvas::new(self.width / part, self.height / part, super::BACK);
        for y in 0..canvas.height {
            for x in 0..canvas.width {
                let mut sums = [0usize; 3];
                let points = (0..part * part).filter_map(|i| self.get(x * part + i % part, y * part + i / part));
                points.for_each(|colour| (0..3).for_each(|i| sums[i] += usize::from(colour[i])));
                canvas.set(x as i64, y as i64, sums.map(|sum| (sum / (part * part)) as u8));
            }
        }
        canvas
    }

    pub fn get(&self, x: usize, y: usize) -> Option<Colour> {
        let at = (y * self.width + x) * 3;
        let inside = x < self.width && y < self.height;
        inside.then(|| [self.points[at], self.points[at + 1], self.points[at + 2]])
    }

    pub fn set(&mut self, x: i64, y: i64, colour: Colour) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if x < self.width && y < self.height {
            let at = (y * self.width + x) * 3;
            self.points[at..at + 3].copy_from_slice(&colour);
        }
    }

    /// `share` of the colour over what is there.
    pub fn blend(&mut self, x: usize, y: usize, colour: Colour, share: f32) {
        if let Some(old) = self.get(x, y) {
            let mix = |i: usize| (f32::from(old[i]) * (1.0 - share) + f32::from(colour[i]) * share).round() as u8;
            self.set(x as i64, y as i64, [mix(0), mix(1), mix(2)]);
        }
    }

    pub fn fill(&mut self, area: Area, colour: Colour) {
        let (rows, columns) = (span(area.y, area.h, self.height), span(area.x, area.w, self.width));
        for y in rows {
            for x in columns.clone() {
                self.set(x, y, colour);
            }
        }
    }

    /// The border of an area, `thick` points inwards.
    pub fn frame(&mut self, area: Area, thick: usize, colour: Colour) {
        let thin = thick.min(area.w).min(area.h);
        let (right, bottom) =
            (area.x.saturating_add((area.w - thin) as i64), area.y.saturating_add((area.h - thin) as i64));
        self.fill(Area { h: thin, ..area }, colour);
        self.fill(Area { y: bottom, h: thin, ..area }, colour);
        self.fill(Area { w: thin, ..area }, colour);
        self.fill(Area { x: right, w: thin, ..area }, colour);
    }

    /// A line of text with its upper left corner at a point. Letters beyond Latin-1 are shown as `?`.
    pub fn text(&mut self, text: &str, (x, y): (i64, i64), colour: Colour) {
        let [red, green, blue] = colour;
        let style = MonoTextStyle::new(&FONT_7X13, Rgb888::new(red, green, blue));
        let clip = |at: i64| at.clamp(-1 << 20, 1 << 20) as i32;
        let one_line: String = text.chars().take(1 << 10).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let Ok(_) = Text::with_baseline(&one_line, Point::new(clip(x), clip(y)), style, Baseline::Top).draw(self);
    }

    /// Another canvas with its upper left corner at a point.
    pub fn paste(&mut self, other: &Canvas, (x, y): (usize, usize)) {
        for row in 0..other.height {
            for column in 0..other.width {
                if let Some(colour) = other.get(column, row) {
                    self.set((x + column) as i64, (y + row) as i64, colour);
                }
            }
        }
    }

    /// The bytes of a PNG file.
    pub fn png(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Cursor::new(Vec::new());
        PngEncoder::new(&mut bytes)
            .write_image(&self.points, self.width as u32, self.height as u32, ExtendedColorType::Rgb8)
            .map_err(io::Error::other)?;
        Ok(bytes.into_inner())
    }

    /// Writes a PNG file, whole or not at all.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let bytes = self.png()?;
        replace(path, |file| file.write_all(&bytes))
    }
}

/// The part of `from..from + length` that is in `0..limit`.
fn span(from: i64, length: usize, limit: usize) -> std::ops::Range<i64> {
    let end = from.saturating_add(i64::try_from(length).unwrap_or(i64::MAX));
    from.clamp(0, limit as i64)..end.clamp(0, limit as i64)
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width as u32, self.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, colour) in pixels {
            self.set(point.x.into(), point.y.into(), [colour.r(), colour.g(), colour.b()]);
        }
        Ok(())
    }
}

//! What a network says of a picture, drawn on it: boxes with names, classes of points, bars of probabilities.

use super::canvas::{Area, Canvas, LINE, text_width};
use super::palette::{BACK, Colour, GRAY, INK, class_colour, is_light};

/// Of a class over the picture below it.
const VEIL: f32 = 0.5;

/// A box to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// What is written at it.
    pub text: String,
    pub class: usize,
    /// Left, top, right, bottom, in points of the canvas.
    pub corners: [f64; 4],
}

/// Frames in the colours of their classes; names stand above them, or inside where there is no room.
pub fn boxes(canvas: &mut Canvas, marks: &[Mark]) {
    let thick = if canvas.width.max(canvas.height) > 300 { 2 } else { 1 };
    let whole = |x: f64| x.clamp(-1e6, 1e6).round() as i64;
    for mark in marks {
        let [left, top, right, bottom] = mark.corners.map(whole);
        let (w, h) = ((right - left).max(1) as usize, (bottom - top).max(1) as usize);
        canvas.frame(Area { x: left, y: top, w, h }, thick, class_colour(mark.class));
    }
    // Names last, so that no frame crosses them.
    for mark in marks.iter().filter(|mark| !mark.text.is_empty()) {
        let [left, top, ..] = mark.corners.map(whole);
        let y = if top >= LINE as i64 { top - LINE as i64 } else { top };
        let x = left.min(canvas.width as i64 - text_width(&mark.text) as i64 - 2).max(0);
        label(canvas, &mark.text, (x, y), class_colour(mark.class));
    }
}

/// Text on a ground of its own.
fn label(canvas: &mut Canvas, text: &str, (x, y): (i64, i64), ground: Colour) {
    canvas.fill(Area { x, y, w: text_width(text) + 2, h: LINE - 1 }, ground);
    canvas.text(text, (x + 1, y), if is_light(ground) { INK } else { BACK });
}

/// Colours every point by its class: `class` of a point of the canvas, or nothing.
pub fn veil(canvas: &mut Canvas, class: &dyn Fn(usize, usize) -> Option<usize>) {
    for y in 0..canvas.height {
        for x in 0..canvas.width {
            if let Some(class) = class(x, y) {
                canvas.blend(x, y, class_colour(class), VEIL);
            }
        }
    }
}

/// Names of classes beside their colours; what has no class has none.
pub fn legend(entries: &[(Option<usize>, String)]) -> Canvas {
    let width = entries.iter().map(|(_, name)| text_width(name)).max().unwrap_or(0);
    let mut canvas = Canvas::new(width + LINE + 4, entries.len().max(1) * LINE, BACK);
    for (row, (class, name)) in entries.iter().enumerate() {
        let square = Area::new(0, row * LINE + 1, LINE - 3, LINE - 3);
        match class {
            Some(class) => canvas.fill(square, class_colour(*class)),
            None => canvas.frame(square, 1, INK),
        }
        canvas.text(name, (LINE as i64 + 2, (row * LINE) as i64), INK);
    }
    canvas
}

/// The length of a bar that says 1.
const BAR: usize = 100;

/// Names, bars and percentages.
pub fn bars(entries: &[(String, f64)]) -> Canvas {
    let names = entries.iter().map(|(name, _)| text_width(name)).max().unwrap_or(0) + 6;
    let mut canvas = Canvas::new(names + BAR + text_width(" 100.0 %"), entries.len().max(1) * LINE, BACK);
    for (row, (name, share)) in entries.iter().enumerate() {
        let y = row * LINE;
        let long = (share.clamp(0.0, 1.0) * BAR as f64).round() as usize;
        canvas.text(name, (0, y as i64), INK);
        canvas.fill(Area::new(names, y + 2, BAR, LINE - 5), GRAY);
        canvas.fill(Area::new(names, y + 2, long, LINE - 5), class_colour(1));
        canvas.text(&format!(" {:>5.1} %", share * 100.0), ((names + BAR) as i64, y as i64), INK);
    }
    canvas
}

/// Lines of text.
pub fn lines(texts: &[String]) -> Canvas {
    let width = texts.iter().map(|text| text_width(text)).max().unwrap_or(1);
    let mut canvas = Canvas::new(width, texts.len().max(1) * LINE, BACK);
    for (row, text) in texts.iter().enumerate() {
        canvas.text(text, (0, (row * LINE) as i64), INK);
    }
    canvas
}

/// The second canvas below the first.
pub fn below(upper: &Canvas, lower: &Canvas) -> Canvas {
    let gap = LINE / 3;
    let mut canvas = Canvas::new(upper.width.max(lower.width), upper.height + gap + lower.height, BACK);
    canvas.paste(upper, (0, 0));
    canvas.paste(lower, (0, upper.height + gap));
    canvas
}

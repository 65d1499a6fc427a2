//! A confusion of classes as a picture: the darker, the more often.

use super::canvas::{Area, Canvas, LINE, text_width};
use super::palette::{BACK, GRAY, INK, is_light, ramp};
use crate::metrics::Confusion;

const AXES: &str = "rows: what it is, columns: what it was taken for";
/// Classes that are drawn; more are in the table.
const MOST: usize = 200;
/// Classes whose counts are written into their cells.
const WRITTEN: usize = 30;

/// Rows are what it is, columns what it was taken for; a row's colours are shares of the row.
pub fn confusion(title: &str, classes: &[String], counts: &Confusion) -> Canvas {
    let count = counts.classes.min(MOST);
    let name = |class: usize| classes.get(class).cloned().unwrap_or_else(|| class.to_string());
    let rows: Vec<u64> = (0..count).map(|is| (0..counts.classes).map(|taken| counts.get(is, taken)).sum()).collect();
    let longest = (0..count).map(|class| text_width(&name(class))).max().unwrap_or(0);
    let widest = (0..count * count).map(|i| counts.get(i / count, i % count)).max().unwrap_or(0);
    let side = match count <= WRITTEN {
        true => (text_width(&widest.to_string()) + 6).max(longest.min(84) + 4).max(LINE + 4),
        false => LINE,
    };
    let (left, top) = (longest + 16, 2 * LINE + 16);
    let mut canvas = Canvas::new(
        (left + count * side + 8).max(text_width(title) + 16).max(text_width(AXES) + 16),
        top + count * side + LINE + 8,
        BACK,
    );
    canvas.text(title, (8, 4), INK);
    for is in 0..count {
        let (y, own) = (top + is * side, name(is));
        let middle = (y + side.saturating_sub(LINE) / 2) as i64;
        canvas.text(&own, ((left - 6 - text_width(&own)) as i64, middle), INK);
        let shown = side.saturating_sub(2) / 7;
        if count <= WRITTEN {
            let short: String = own.chars().take(shown).collect();
            canvas.text(&short, ((left + is * side + 2) as i64, (LINE + 12) as i64), INK);
        }
        for taken in 0..count {
            let number = counts.get(is, taken);
            let colour = ramp(number as f64 / rows[is].max(1) as f64);
            let x = left + taken * side;
            canvas.fill(Area::new(x, y, side, side), colour);
            canvas.frame(Area::new(x, y, side, side), 1, GRAY);
            if count <= WRITTEN && number > 0 {
                let text = number.to_string();
                let at = x + (side - text_width(&text).min(side)) / 2;
                canvas.text(&text, (at as i64, middle), if is_light(colour) { INK } else { BACK });
            }
        }
    }
    canvas.text(AXES, (8, (top + count * side + 4) as i64), INK);
    canvas
}

//! Many pictures on one sheet, each with lines of text below it.

use super::canvas::{Area, Canvas, LINE, text_width};
use super::palette::{BACK, Colour, GRAY, INK};

/// Between cells, and around them.
const GAP: usize = 8;

/// A picture and what is written below it.
#[derive(Clone, Debug)]
pub struct Cell {
    pub picture: Canvas,
    pub lines: Vec<String>,
    /// Around the picture.
    pub frame: Option<Colour>,
}

impl Cell {
    pub fn new(picture: Canvas, lines: Vec<String>) -> Cell {
        Cell { picture, lines, frame: None }
    }

    pub(super) fn width(&self) -> usize {
        self.lines.iter().map(|line| text_width(line)).fold(self.picture.width, usize::max)
    }

    fn height(&self) -> usize {
        self.picture.height + GAP / 2 + self.lines.len() * LINE
    }
}

/// Cells in rows of `columns`, all as large as the largest.
pub fn sheet(title: &str, cells: &[Cell], columns: usize) -> Canvas {
    let columns = columns.clamp(1, cells.len().max(1));
    let width = cells.iter().map(Cell::width).max().unwrap_or(1);
    let height = cells.iter().map(Cell::height).max().unwrap_or(1);
    let top = if title.is_empty() { GAP } else { GAP + LINE + GAP / 2 };
    let whole = (GAP + columns * (width + GAP)).max(2 * GAP + text_width(title));
    let mut canvas = Canvas::new(whole, top + cells.len().div_ceil(columns) * (height + GAP), BACK);
    canvas.text(title, (GAP as i64, GAP as i64), INK);
    for (at, cell) in cells.iter().enumerate() {
        let (x, y) = (GAP + at % columns * (width + GAP), top + at / columns * (height + GAP));
        let around = Area { x: x as i64 - 2, y: y as i64 - 2, w: cell.picture.width + 4, h: cell.picture.height + 4 };
        canvas.frame(around, 2, cell.frame.unwrap_or(GRAY));
        canvas.paste(&cell.picture, (x, y));
        for (row, line) in cell.lines.iter().enumerate() {
            let below = y + cell.picture.height + GAP / 2 + row * LINE;
            canvas.text(line, (x as i64, below as i64), INK);
        }
    }
    canvas
}

/// Two canvases side by side.
pub fn beside(left: &Canvas, right: &Canvas) -> Canvas {
    let mut canvas = Canvas::new(left.width + GAP + right.width, left.height.max(right.height), BACK);
    canvas.paste(left, (0, 0));
    canvas.paste(right, (left.width + GAP, 0));
    canvas
}

//! Pictures of data and of results: a canvas with text, and what is drawn on it.

mod canvas;
mod confusion;
mod example;
mod maps;
mod marks;
mod palette;
mod scatter;
mod sheet;
mod shown;

pub use canvas::{Area, Canvas, LINE, text_width};
pub use confusion::confusion;
pub use example::{canvas_of_example, of_example, of_numbers, picture_shape, zoom_marked, zoom_of};
pub use maps::{filters, maps, numbers, stacked};
pub use marks::{Mark, bars, below, boxes, legend, lines, veil};
pub use palette::{BACK, Colour, GRAY, INK, class_colour, colour_of_points, is_light, ramp};
pub use scatter::scatter;
pub use sheet::{Cell, beside, sheet};
pub use shown::{examples, said, truth};

#[cfg(test)]
mod tests;

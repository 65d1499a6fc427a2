//! Examples of a data set on one sheet, as they are and as training shows them: pictures with their masks and boxes,
//! what they are called, and what else is known of them.

use super::canvas::Canvas;
use super::example::{of_numbers, picture_shape, zoom_marked, zoom_of};
use super::marks::{Mark, below, boxes, legend, lines, veil};
use super::palette::colour_of_points;
use super::sheet::{Cell, beside, sheet};
use crate::data::augment::Augmenter;
use crate::data::dataset::Dataset;
use crate::data::fields::Field;
use crate::data::look::told;

/// Points of a picture's longer side at most.
const LARGEST: usize = 320;
/// Letters of a line.
const LETTERS: usize = 44;
/// Lines below a picture, and where there is none.
const LINES: usize = 8;

/// The named examples: on the left as they are, on the right as the first epoch shows them, where that changes them.
pub fn examples(data: &Dataset, augmenter: &Augmenter, wanted: &[u32]) -> Canvas {
    let changed = data.fields.iter().any(|field| augmenter.changes(field));
    let mut cells = vec![];
    for example in wanted {
        let plain = panel(data, None, *example, zoom_of);
        let picture = match (plain, changed) {
            (Some(plain), true) => {
                let shown = panel(data, Some(augmenter), *example, zoom_of);
                Some(shown.map_or(plain.clone(), |shown| beside(&plain, &shown)))
            }
            (plain, _) => plain,
        };
        let texts = said(data, augmenter, *example, picture.is_some());
        let picture = picture.unwrap_or_else(|| lines(&[format!("example {example}")]));
        cells.push(Cell::new(picture, texts));
    }
    let pictures = data.fields.iter().any(|field| picture_shape(field).is_some());
    let widest = cells.iter().map(|cell| cell.picture.width).max().unwrap_or(1);
    let columns = if pictures { (1400 / (widest + 8)).clamp(1, 8) } else { 3 };
    let title = match changed && pictures {
        true => "left: as read; right: as the first epoch shows it",
        false => "examples of the training part",
    };
    let made = sheet(title, &cells, columns);
    match classes_of_points(data) {
        entries if entries.is_empty() => made,
        entries => below(&made, &legend(&entries)),
    }
}

/// One example as its data has it: its picture with its boxes, and once more with its mask.
pub fn truth(data: &Dataset, example: u32) -> Option<Canvas> {
    panel(data, None, example, zoom_marked)
}

/// The pictures of one example, with boxes on them, and with masks on a second copy.
fn panel(
    data: &Dataset,
    augmenter: Option<&Augmenter>,
    example: u32,
    zoom: fn(usize, usize) -> usize,
) -> Option<Canvas> {
    let mut made: Vec<Canvas> = vec![];
    for field in &data.fields {
        let Some(shape @ [h, w, _]) = picture_shape(field) else { continue };
        let picture = of_numbers(field, &values(field, augmenter, example), shape);
        let part = h.max(w).div_ceil(LARGEST).max(1);
        let zoom = if part > 1 { 1 } else { zoom(w, h) };
        let scale = zoom as f64 / part as f64;
        let plain = Canvas::of(&picture, zoom).smaller(part);
        let mut with_boxes = plain.clone();
        boxes(&mut with_boxes, &marks(data, augmenter, example, ([h, w], scale)));
        made.push(with_boxes);
        for mask in data.fields.iter().filter(|mask| is_mask_of(mask, [h, w])) {
            let classes = values(mask, augmenter, example);
            let names = mask.prepared.dim.as_ref().map_or(&[][..], |dim| &dim.names);
            let known = mask.prepared.dim.as_ref().map_or(0, |dim| dim.size.unwrap_or(dim.names.len()));
            let class = |x: usize, y: usize| {
                let at = |x: usize, most: usize| ((x as f64 / scale) as usize).min(most.saturating_sub(1));
                let class = classes.get(at(y, h) * w + at(x, w)).map(|x| *x as usize);
                // What is ignored keeps the colour of the picture, and so does the background.
                class.filter(|class| *class < known).and_then(|class| colour_of_points(class, names))
            };
            let mut veiled = plain.clone();
            veil(&mut veiled, &class);
            made.push(veiled);
        }
    }
    made.into_iter().reduce(|left, right| beside(&left, &right))
}

fn values(field: &Field, augmenter: Option<&Augmenter>, example: u32) -> Vec<f32> {
    let mut values = vec![0.0; field.per_example()];
    match augmenter.filter(|augmenter| augmenter.changes(field)) {
        Some(augmenter) => augmenter.write(field, 0, &[example], &mut values),
        None => field.write(&[example], &mut values),
    }
    values
}

fn is_mask_of(field: &Field, size: [usize; 2]) -> bool {
    let sizes: Vec<usize> = field.prepared.axes.iter().map(|axis| axis.size).collect();
    field.prepared.dim.is_some() && field.grid().is_none() && field.lists().is_none() && sizes == size
}

/// Boxes of all fields of boxes, from the picture that they are in to the canvas.
fn marks(data: &Dataset, augmenter: Option<&Augmenter>, example: u32, ([h, w], scale): ([usize; 2], f64)) -> Vec<Mark> {
    let mut all = vec![];
    for field in data.fields.iter().filter(|field| field.grid().is_none()) {
        let Some(objects) = field.objects() else { continue };
        let [high, wide] = objects.size(example as usize);
        let by = [w as f64 / wide * scale, h as f64 / high * scale];
        let own = match augmenter {
            Some(augmenter) => augmenter.objects(field.name(), objects, 0, example),
            None => objects.of(example as usize).to_vec(),
        };
        let names = field.prepared.dim.as_ref().map_or(&[][..], |dim| &dim.names);
        all.extend(own.iter().map(|object| {
            let class = object.class as usize;
            let name = names.get(class).cloned().unwrap_or_else(|| class.to_string());
            let text = if object.ignored { format!("({name})") } else { name };
            Mark { text, class, corners: [0, 1, 2, 3].map(|i| object.corners[i] * by[i % 2]) }
        }));
    }
    all
}

/// What the other fields say, in lines.
pub fn said(data: &Dataset, augmenter: &Augmenter, example: u32, pictured: bool) -> Vec<String> {
    let mut all = if pictured { vec![format!("example {example}")] } else { vec![] };
    for field in data.fields.iter().filter(|field| field.grid().is_none()) {
        let drawn = picture_shape(field).is_some() || field.prepared.axes.len() > 1;
        if drawn {
            continue;
        }
        let told = |example: u32| told(data, field, example);
        let mixed = augmenter.mix(field, 0, example).map_or_else(String::new, |mix| {
            let [most, rest] = [mix.share, 1.0 - mix.share].map(|share| (100.0 * share).round());
            format!(" (seen: {most} % {}, {rest} % {})", told(mix.first), told(mix.second))
        });
        let text: Vec<char> = format!("{}: {}{mixed}", field.name(), told(example)).chars().collect();
        all.extend(text.chunks(LETTERS).map(|line| line.iter().collect::<String>()));
    }
    all.truncate(LINES);
    all
}

/// Names of the classes of masks.
fn classes_of_points(data: &Dataset) -> Vec<(Option<usize>, String)> {
    let pictures: Vec<[usize; 3]> = data.fields.iter().filter_map(picture_shape).collect();
    let is_mask = |field: &&Field| pictures.iter().any(|[h, w, _]| is_mask_of(field, [*h, *w]));
    let Some(dim) = data.fields.iter().find(is_mask).and_then(|field| field.prepared.dim.as_ref()) else {
        return vec![];
    };
    let size = dim.size.unwrap_or(dim.names.len());
    let name = |class: usize| dim.names.get(class).cloned().unwrap_or_else(|| class.to_string());
    (0..size).map(|class| (colour_of_points(class, &dim.names), name(class))).collect()
}

//! Answers as pictures: what the network says of an example, drawn on it and beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{OutputSpec, ShownBox, boxes};
use crate::abi::Executable;
use crate::data::bytes::Limits;
use crate::data::dataset::Dataset;
use crate::data::error::Result;
use crate::data::fields::Field;
use crate::data::pictures::{self, Entry, Picture, Placing};
use crate::draw::{self, Canvas, Mark};
use crate::train::{Batch, Clock, Compiled, Engine, Feeder, Mode, by_length};

/// Classes that are told of an example.
const BEST: usize = 5;
/// Points of a side; larger pictures are drawn smaller.
const LARGEST: usize = 1280;
/// Numbers of one output that are written out.
const MOST_NUMBERS: usize = 8;

/// Numbers that are kept at most.
const MOST_HELD: usize = 1 << 26;

/// Outputs of some examples, as the network gave them.
#[derive(Debug, Default)]
pub struct Kept {
    outputs: Vec<OutputSpec>,
    /// Outputs that are logits or probabilities of classes.
    scores: Vec<String>,
    wanted: BTreeSet<u32>,
    values: BTreeMap<u32, Vec<Vec<f32>>>,
}

/// What a network says of one example.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// The best classes and their probabilities.
    Classes(Vec<(String, f64)>),
    /// A class for every point.
    Mask {
        h: usize,
        w: usize,
        classes: Vec<usize>,
        names: Vec<String>,
    },
    Boxes(Vec<ShownBox>),
    Picture {
        name: String,
        axes: Vec<String>,
        shape: [usize; 3],
        values: Vec<f32>,
    },
    Text(String),
}

impl Said {
    /// Whether it is drawn on the picture that it is about.
    pub fn is_marked(&self) -> bool {
        matches!(self, Said::Mask { .. } | Said::Boxes(_))
    }
}

impl Kept {
    /// Of these examples; outputs with axes of variable length are text, and no pictures.
    pub fn new(outputs: &[OutputSpec], scores: Vec<String>, wanted: impl IntoIterator<Item = u32>) -> Kept {
        let fixed = |output: &&OutputSpec| output.variable.iter().all(Option::is_none);
        let outputs = outputs.iter().filter(fixed).cloned().collect();
        Kept { outputs, scores, wanted: wanted.into_iter().collect(), values: BTreeMap::new() }
    }

    pub(super) fn keep(
        &mut self,
        engine: &dyn Engine,
        executable: &Executable,
        batch: &Batch,
    ) -> std::result::Result<(), String> {
        for (at, example) in batch.examples.iter().enumerate() {
            let held: usize = self.values.values().next().map_or(0, |all| all.iter().map(Vec::len).sum());
            if !self.wanted.contains(example) || held * self.values.len() > MOST_HELD {
                continue;
            }
            let mut all = Vec::new();
            for output in &self.outputs {
                let has = executable.outputs.iter().any(|slot| slot.name == output.name);
                let values = if has { engine.read(executable, &output.name)? } else { &[] };
                let width = values.len() / batch.examples.len().max(1);
                all.push(values.get(at * width..(at + 1) * width).unwrap_or_default().to_vec());
            }
            self.values.insert(*example, all);
        }
        Ok(())
    }

    pub fn has_map(&self) -> bool {
        self.map_at().is_some()
    }

    fn map_at(&self) -> Option<usize> {
        let two =
            |output: &OutputSpec| output.dim.is_none() && matches!(&output.axes[..], [axis] if axis.size == Some(2));
        self.outputs.iter().position(|output| two(output) && !self.scores.contains(&output.name))
    }

    /// An output of two numbers that are no scores, if there is one: a place on a map.
    pub fn map(&self) -> Option<(&str, Vec<(u32, [f32; 2])>)> {
        let at = self.map_at()?;
        let place = |(example, values): (&u32, &Vec<Vec<f32>>)| match values.get(at).map(|v| &v[..]) {
            Some([x, y]) => Some((*example, [*x, *y])),
            _ => None,
        };
        Some((&self.outputs[at].name, self.values.iter().filter_map(place).collect()))
    }

    /// The examples that there is something to say of.
    pub fn examples(&self) -> impl Iterator<Item = u32> {
        self.values.keys().copied()
    }

    /// What was said of an example; boxes lie in the picture that `placing` led from.
    pub fn said(&self, example: u32, placing: Option<Placing>) -> Vec<Said> {
        let values = self.values.get(&example).map_or(&[][..], |all| all);
        let mut said: Vec<Said> =
            self.outputs.iter().zip(values).filter_map(|(o, v)| self.part(o, v, placing)).collect();
        let has = |wanted: fn(&Said) -> bool| said.iter().any(wanted);
        let (classes, mask) =
            (has(|part| matches!(part, Said::Classes(_))), has(|part| matches!(part, Said::Mask { .. })));
        // What is drawn need not be said again.
        if classes || mask {
            said.retain(|part| !matches!(part, Said::Text(_)));
        }
        said
    }

    fn part(&self, output: &OutputSpec, values: &[f32], placing: Option<Placing>) -> Option<Said> {
        if values.is_empty() {
            return None;
        }
        if let Some(shown) = &output.found {
            return Some(Said::Boxes(boxes(shown, values, placing)));
        }
        let sizes: Vec<usize> = output.axes.iter().map(|axis| axis.size.unwrap_or(axis.names.len())).collect();
        let name = |dim: &crate::data::spec::DimSpec, class: usize| {
            dim.names.get(class).cloned().unwrap_or_else(|| class.to_string())
        };
        match (&output.dim, &sizes[..]) {
            (Some(dim), []) => Some(Said::Text(format!("{} {}", output.name, name(dim, *values.first()? as usize)))),
            (Some(dim), [h, w]) => {
                let classes = values.iter().map(|x| *x as usize).collect();
                Some(Said::Mask { h: *h, w: *w, classes, names: dim.names.clone() })
            }
            (None, [_]) if self.scores.contains(&output.name) => {
                let mut all: Vec<(String, f64)> =
                    probabilities(values).into_iter().enumerate().map(|(i, p)| (name(&output.axes[0], i), p)).collect();
                all.sort_by(|a, b| b.1.total_cmp(&a.1));
                all.truncate(BEST);
                Some(Said::Classes(all))
            }
            (None, [_, _, _]) if self.scores.contains(&output.name) => None,
            (None, [h, w, c]) if *c == 1 || *c == 3 => {
                let axes = output.axes.iter().map(|axis| axis.name.clone()).collect();
                Some(Said::Picture { name: output.name.clone(), axes, shape: [*h, *w, *c], values: values.to_vec() })
            }
            (None, sizes) if sizes.len() <= 1 => {
                let numbers = values.iter().take(MOST_NUMBERS).map(|x| format!("{x:.3}")).collect::<Vec<_>>();
                let more = if values.len() > MOST_NUMBERS { " ..." } else { "" };
                Some(Said::Text(format!("{} {}{more}", output.name, numbers.join(" "))))
            }
            _ => None,
        }
    }
}

/// Of logits, or as they are where they are probabilities already.
fn probabilities(values: &[f32]) -> Vec<f64> {
    let sum: f64 = values.iter().map(|x| f64::from(*x)).sum();
    if values.iter().all(|x| (0.0..=1.0).contains(x)) && (sum - 1.0).abs() < 1e-3 {
        return values.iter().map(|x| f64::from(*x)).collect();
    }
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = values.iter().map(|x| f64::from(x - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|x| x / sum).collect()
}

/// The picture that an example is: the file as it was given, or else a field of numbers with two sides.
pub fn picture_of(data: &Dataset, file: Option<&Path>, example: u32) -> Result<Option<(Picture, Placing)>> {
    let Some(field) = data.fields.iter().find(|field| draw::picture_shape(field).is_some()) else { return Ok(None) };
    if let Some(file) = file.filter(|file| pictures::is_picture(&file.to_string_lossy())) {
        let name = file.display().to_string();
        let bytes = Entry::on_disk(Path::new(""), &name).bytes(Limits::default())?;
        let picture = pictures::decode(&name, &bytes, None)?;
        let placing = Placing::new(&field.prepared.picture, (picture.h, picture.w));
        return Ok(Some((picture, placing)));
    }
    let own = draw::of_example(field, example);
    Ok(own.map(|picture| {
        let placing = Placing::new(&[], (picture.h, picture.w));
        (picture, placing)
    }))
}

/// The example with all that was said of it.
pub fn drawn(said: &[Said], picture: Option<&(Picture, Placing)>, data: &Dataset) -> Canvas {
    let mut canvas = None;
    let mut scale = 1.0;
    let mut beside: Vec<Canvas> = vec![];
    if let Some((picture, _)) = picture {
        let part = picture.w.max(picture.h).div_ceil(LARGEST).max(1);
        let enlarged = if said.iter().any(Said::is_marked) { draw::zoom_marked } else { draw::zoom_of };
        let zoom = if part > 1 { 1 } else { enlarged(picture.w, picture.h) };
        scale = zoom as f64 / part as f64;
        canvas = Some(Canvas::of(picture, zoom).smaller(part));
    }
    let field = data.fields.iter().find(|field| draw::picture_shape(field).is_some());
    // Boxes lie on what colours points.
    let (boxes, others): (Vec<&Said>, Vec<&Said>) = said.iter().partition(|part| matches!(part, Said::Boxes(_)));
    for part in others.into_iter().chain(boxes) {
        match (part, canvas.as_mut(), picture) {
            (Said::Mask { .. }, Some(canvas), Some((_, placing))) => beside.push(veil(canvas, part, placing, scale)),
            (Said::Boxes(found), Some(canvas), _) => {
                let mark = |found: &ShownBox| Mark {
                    text: format!("{} {:.2}", found.class, found.score),
                    class: found.index as usize,
                    corners: found.corners.map(|x| x * scale),
                };
                draw::boxes(canvas, &found.iter().map(mark).collect::<Vec<_>>());
            }
            (Said::Classes(best), ..) => beside.push(draw::bars(best)),
            (Said::Text(text), ..) => beside.push(draw::lines(std::slice::from_ref(text))),
            (Said::Picture { name, axes, shape: [h, w, c], values }, ..) => {
                // Scores of a grid's classes may be three as well.
                let alike = |field: &&Field| field.prepared.axes.iter().map(|axis| &axis.name).eq(axes);
                let Some(field) = field.filter(alike) else { continue };
                let made = Canvas::of(&draw::of_numbers(field, values, [*h, *w, *c]), draw::zoom_of(*w, *h));
                beside.push(draw::below(&made, &draw::lines(std::slice::from_ref(name))));
            }
            _ => {}
        }
    }
    let side = beside.into_iter().reduce(|upper, lower| draw::below(&upper, &lower));
    match (canvas, side) {
        (Some(canvas), Some(side)) => draw::beside(&canvas, &side),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => draw::lines(&["nothing to draw".into()]),
    }
}

/// Colours the classes of points; the legend of those that occur, with their shares.
fn veil(canvas: &mut Canvas, mask: &Said, placing: &Placing, scale: f64) -> Canvas {
    let Said::Mask { h, w, classes, names } = mask else { return draw::lines(&[]) };
    let [high, wide] = placing.size;
    let class = |x: usize, y: usize| {
        let (x, y) = ((x as f64 + 0.5) / scale, (y as f64 + 0.5) / scale);
        let [x, y, ..] = placing.place([x, y, x, y]);
        let inside = (0.0..wide).contains(&x) && (0.0..high).contains(&y);
        let at = |x: f64, size: f64, cells: usize| ((x / size * cells as f64) as usize).min(cells.saturating_sub(1));
        let place = at(y, high, *h) * w + at(x, wide, *w);
        let class = inside.then(|| classes.get(place).copied()).flatten();
        class.and_then(|class| draw::colour_of_points(class, names))
    };
    draw::veil(canvas, &class);
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    classes.iter().for_each(|class| *counts.entry(*class).or_default() += 1);
    let name = |class: usize| names.get(class).cloned().unwrap_or_else(|| class.to_string());
    let share = |count: usize| 100.0 * count as f64 / classes.len().max(1) as f64;
    let entries = counts.iter().map(|(class, count)| {
        let text = format!("{} {:.1} %", name(*class), share(*count));
        (draw::colour_of_points(*class, names), text)
    });
    draw::legend(&entries.collect::<Vec<_>>())
}

/// Runs the examples that are wanted.
pub fn keep(
    compiled: &mut dyn Compiled,
    engine: &mut dyn Engine,
    data: &Dataset,
    (batch, kept): (usize, &mut Kept),
) -> std::result::Result<(), String> {
    let mut feeder = Feeder::new(data);
    let examples: Vec<u32> = kept.wanted.iter().copied().collect();
    for batch in by_length(data, &examples, batch) {
        let executable = compiled.executable(Mode::Predict, &batch.extents)?;
        feeder.feed(engine, &executable, &batch, Clock::default())?;
        engine.run(&executable)?;
        kept.keep(engine, &executable, &batch)?;
    }
    Ok(())
}

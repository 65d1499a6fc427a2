//! `dlc run MODEL.dlm PICTURE --show LAYER -o maps.png`: a layer's filters, and what it makes of an example.

use std::path::Path;

use dlc_compiler::driver::Solved;
use dlc_compiler::hir::{Inside, SHOWN};
use dlc_runtime::checkpoint::Model;
use dlc_runtime::data::bytes::Limits;
use dlc_runtime::draw::{self, Canvas};
use dlc_runtime::extents::dim_of_input;
use dlc_runtime::predict;
use dlc_runtime::train::{Clock, Compiled, Feeder, Mode, by_length};

use super::network::Network;
use super::predict::{format, unreadable};
use super::{Settings, program, spec};
use crate::output;
use crate::trouble::{Message, Trouble};

/// Paths in a message.
const LISTED: usize = 60;
/// Paths in a note.
const NOTED: usize = 8;
/// Points of a side; a larger input is drawn smaller.
const LARGEST: usize = 320;

/// Draws the layer called `name`: its filters, and with an input the maps of its first example. A line about it goes with it.
pub fn show_layer(
    model: &Path,
    input: Option<&Path>,
    name: &str,
    settings: &Settings,
) -> Result<(String, Canvas), Trouble> {
    let (stored, solved) = program::model(model, &settings.sets)?;
    let inside = chosen(&solved.inside(), name, model)?;
    let axes: Vec<String> = inside.axes.iter().map(|(name, size)| format!("{name}: {size}")).collect();
    let mut said = format!("{}  [{}]", inside.path, axes.join(", "));
    let (mut parts, mut read) = (vec![], None);
    if let Some((sizes, filters)) = filters(&inside, &stored) {
        said += &format!("  weights {sizes}");
        parts.push(filters);
    }
    if let Some(input) = input {
        let names =
            spec::dims(&solved).into_iter().find(|dim| inside.axes.last().is_some_and(|(last, _)| *last == dim.name));
        let (values, picture) = value((model, &stored), solved, &inside, input, settings)?;
        read = picture;
        let sizes: Vec<usize> = inside.axes.iter().map(|(_, size)| *size).collect();
        parts.push(match sizes[..] {
            [h, w, c] => draw::maps(&values, [h, w, c]),
            [h, w] => draw::maps(&values, [h, w, 1]),
            _ => draw::numbers(&values, &names.map_or_else(Vec::new, |dim| dim.names)),
        });
    }
    if parts.is_empty() {
        let message =
            Message::new(format!("`{}` has no filters, and there is no input to see its value of", inside.path));
        return Err(Trouble::Usage(
            message.help("name a picture: `dlc run MODEL.dlm PICTURE --show LAYER -o maps.png`"),
        ));
    }
    let picture = draw::stacked(&said, read, &parts);
    Ok((said, picture))
}

/// What the layer is for the first example of a file: the program that predicts gives it as one more output. And the example, where it is a picture.
fn value(
    (model, stored): (&Path, &Model),
    solved: Solved,
    inside: &Inside,
    input: &Path,
    settings: &Settings,
) -> Result<(Vec<f32>, Option<Canvas>), Trouble> {
    let mut network = Network::new(solved.showing(inside), settings.target()?);
    let first = network.get(Mode::Predict, 1)?;
    stored.has_inputs(&model.display().to_string(), first.inputs.iter()).map_err(|error| unreadable(&error))?;
    let wanted: Vec<String> =
        first.inputs.iter().map(|slot| slot.name.clone()).filter(|name| dim_of_input(name).is_none()).collect();
    let mut session = network.session(settings.threads(), &first, Some((model, stored)))?;
    let data = predict::read(&stored.preprocessing, &wanted, format(input), Limits::default());
    let data = data.map_err(|error| unreadable(&error))?;
    data.notes.iter().for_each(|note| output::say(&format!("{note}\n")));
    if data.count > 1 {
        output::say(&format!("note: the first of {} examples is shown\n", data.count));
    }
    let mut run = || -> Result<Vec<f32>, String> {
        let batch = by_length(&data, &[0], 1).into_iter().next().ok_or("no example")?;
        let executable = network.executable(Mode::Predict, &batch.extents)?;
        Feeder::new(&data).feed(&mut session, &executable, &batch, Clock::default())?;
        session.run(&executable)?;
        session.output(&executable, SHOWN).map(<[f32]>::to_vec)
    };
    let values = run().map_err(|text| network.trouble(text))?;
    let own = predict::picture_of(&data, Some(input), 0).map_err(|error| unreadable(&error))?;
    let picture = own.map(|(picture, _)| {
        let part = picture.w.max(picture.h).div_ceil(LARGEST).max(1);
        let zoom = if part > 1 { 1 } else { draw::zoom_of(picture.w, picture.h) };
        Canvas::of(&picture, zoom).smaller(part)
    });
    Ok((values, picture))
}

/// The layer of this path, or of a path that ends so: the first of several, and the others are told.
fn chosen(all: &[Inside], name: &str, model: &Path) -> Result<Inside, Trouble> {
    let ends = |inside: &&Inside| {
        let rest = inside.path.strip_suffix(name);
        !name.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '/']))
    };
    let listed = |paths: Vec<&str>, between: &str, most: usize| {
        let more = if paths.len() > most { format!("{between}and {} more", paths.len() - most) } else { String::new() };
        paths[..most.min(paths.len())].join(between) + &more
    };
    let found: Vec<&Inside> = all.iter().filter(ends).collect();
    let Some(first) = found.first() else {
        let message = Message::new(format!("{} has no layer `{name}`", model.display()));
        // The model's name may be left out.
        let short = |inside: &'_ Inside| inside.path.split_once('.').map_or(0, |(model, _)| model.len() + 1);
        let known = all.iter().filter(|inside| !inside.inner).map(|inside| &inside.path[short(inside)..]).collect();
        return Err(Trouble::Usage(message.help(format!("it has\n    {}", listed(known, "\n    ", LISTED)))));
    };
    if let Some(exact) = found.iter().find(|inside| inside.path == name) {
        return Ok((*exact).clone());
    }
    if found.len() > 1 {
        let others = found.iter().skip(1).map(|inside| inside.path.as_str()).collect();
        output::say(&format!(
            "note: `{name}` is taken for `{}`; there are also {}\n",
            first.path,
            listed(others, ", ", NOTED)
        ));
    }
    Ok((*first).clone())
}

/// The filters of a convolution or, of a layer that reads a picture point by point, pictures of that size; else all weights as one map. Their sizes.
fn filters(inside: &Inside, stored: &Model) -> Option<(String, Canvas)> {
    let tensor = stored.tensors.get(inside.weight.as_ref()?)?;
    let sizes: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
    let drawn = match (tensor.shape[..].as_ref(), inside.slides, inside.reads) {
        ([h, w, from, to], 2, _) => draw::filters(&tensor.values, [*h, *w, *from, *to]),
        ([w, from, to], 1, _) => draw::filters(&tensor.values, [1, *w, *from, *to]),
        ([from, to], 0, Some([h, w, c])) if *from == h * w * c => draw::filters(&tensor.values, [h, w, c, *to]),
        // Rows are what comes in, columns what goes out.
        ([from, to], 0, _) => draw::maps(&tensor.values, [*from, *to, 1]),
        _ => return None,
    };
    Some((sizes.join(" x "), drawn))
}

//! `dlc data`: the data of a program or a model, read and looked at.

use std::path::Path;

use dlc_compiler::base::SourceMap;
use dlc_compiler::hir::{Hir, LayerId, What};
use dlc_runtime::data::augment::{Augment, Augmenter};
use dlc_runtime::data::bytes::Limits;
use dlc_runtime::data::dataset::{self, Dataset};
use dlc_runtime::data::look::{self, Doubles, FieldLook, told};
use dlc_runtime::data::order::permutation;
use dlc_runtime::data::spec::DataSpec;
use dlc_runtime::data::split::Part;
use dlc_runtime::draw::{self, Canvas};

use super::program;
use crate::args::DataArgs;
use crate::report;
use crate::trouble::{Message, Trouble};

/// Examples of a sheet, where nobody says how many.
const SHOWN: usize = 12;
/// And at most.
const MOST: usize = 200;

/// What was seen.
pub struct LookedAt {
    pub name: String,
    pub examples: usize,
    /// Parts that have examples, and how many.
    pub parts: Vec<(&'static str, usize)>,
    pub fields: Vec<FieldLook>,
    pub doubles: Vec<Doubles>,
    pub notes: Vec<String>,
    /// Of the first examples that were asked for: their numbers, and what each field says.
    pub head: Vec<(u32, Vec<(String, String)>)>,
    pub sheet: Option<Canvas>,
}

/// A program's data, what it learns from, and the names of its inputs.
struct Named {
    spec: DataSpec,
    root: std::path::PathBuf,
    sources: SourceMap,
    inputs: Vec<String>,
    augment: Vec<Augment>,
    seed: u64,
}

/// Reads the data that a program or a model names, and looks at it.
pub fn look(args: &DataArgs) -> Result<LookedAt, Trouble> {
    let named = named(args)?;
    if let Some(name) = args.name.as_ref().filter(|name| **name != named.spec.name) {
        let message = Message::new(format!("{} has no data `{name}`", args.file.display()));
        return Err(Trouble::Usage(message.help(format!("its data is called `{}`", named.spec.name))));
    }
    let known: Vec<&str> = named.spec.fields.iter().map(|field| field.name.as_str()).collect();
    if let Some(field) = args.fields.iter().find(|field| !known.contains(&field.as_str())) {
        let message = Message::new(format!("`{}` has no field `{field}`", named.spec.name));
        return Err(Trouble::Usage(message.help(format!("it has `{}`", known.join("`, `")))));
    }
    let data = dataset::load(&named.spec, &named.root, Limits::default())
        .map_err(|error| report::data::trouble(&error, &named.sources))?;
    let seed = args.seed.unwrap_or(named.seed);
    let first = first(&data, seed, args.head.map_or(SHOWN, |head| head as usize).min(MOST));
    let doubles = look::doubles(&data, &named.inputs);
    let wanted = |name: &str| args.fields.is_empty() || args.fields.iter().any(|field| field == name);
    let mut data = data;
    data.fields.retain(|field| wanted(field.name()) || field.grid().is_some());
    let head = if args.head.is_some() { first.iter().map(|at| (*at, said(&data, *at))).collect() } else { vec![] };
    let augmenter = Augmenter::new(named.augment, seed, &data);
    let sheet = args.sheet.as_ref().map(|_| draw::examples(&data, &augmenter, &first));
    let parts = Part::ALL.into_iter().map(|part| (part.name(), data.part(part).len())).filter(|(_, count)| *count > 0);
    Ok(LookedAt {
        name: data.name.clone(),
        examples: data.count,
        parts: parts.collect(),
        fields: look::look(&data),
        doubles,
        notes: data.notes.clone(),
        head,
        sheet,
    })
}

fn named(args: &DataArgs) -> Result<Named, Trouble> {
    let none = || {
        let message = Message::new(format!("{} has no `data`", args.file.display()));
        Trouble::Data(message.help("say where examples come from: `data NAME { source = ...  field ... = ... }`"))
    };
    let root = match &args.program.data_root {
        Some(root) => root.clone(),
        None => args.file.parent().map(Path::to_path_buf).unwrap_or_default(),
    };
    let of =
        |spec: Option<&DataSpec>, hir: &Hir, augment: Option<Vec<Augment>>, seed: Option<u64>, sources: SourceMap| {
            let spec = spec.ok_or_else(none)?.clone();
            let (augment, seed) = (augment.unwrap_or_default(), seed.unwrap_or(0));
            Ok(Named { spec, root: root.clone(), sources, inputs: inputs(hir), augment, seed })
        };
    if program::is_model(&args.file) {
        let (_, solved) = program::model(&args.file, &args.program.sets)?;
        let train = solved.train();
        let (augment, seed) = (train.map(|train| train.augment.clone()), train.map(|train| train.seed));
        return of(solved.data(), solved.hir(), augment, seed, SourceMap::default());
    }
    let checked = program::checked(&args.file, &args.program.sets)?;
    let train = checked.train();
    let (augment, seed) = (train.map(|train| train.augment.clone()), train.map(|train| train.seed));
    of(checked.data(), checked.hir(), augment, seed, checked.sources().clone())
}

/// The fields that a network reads to answer.
fn inputs(hir: &Hir) -> Vec<String> {
    let mut open: Vec<LayerId> = hir.outputs.iter().chain(&hir.predicts).map(|named| named.layer).collect();
    let mut seen = vec![false; hir.layers.len()];
    let mut names = vec![];
    while let Some(id) = open.pop() {
        if std::mem::replace(&mut seen[id.index()], true) {
            continue;
        }
        let layer = hir.layer(id);
        if let What::Input(name) = &layer.what {
            names.push(name.clone());
        }
        open.extend(layer.inputs.iter().copied());
    }
    names
}

/// The first of the training part as an epoch takes them, or of the first part that has any.
fn first(data: &Dataset, seed: u64, most: usize) -> Vec<u32> {
    let part = Part::ALL.into_iter().map(|part| data.part(part)).find(|part| !part.is_empty()).unwrap_or_default();
    let order = permutation(seed, 0, part.len());
    order.iter().filter_map(|at| part.get(*at as usize).copied()).take(most).collect()
}

fn said(data: &Dataset, example: u32) -> Vec<(String, String)> {
    let fields = data.fields.iter().filter(|field| field.grid().is_none());
    fields.map(|field| (field.name().to_string(), told(data, field, example))).collect()
}

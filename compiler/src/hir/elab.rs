//! The state of elaboration: frames of expanded blocks, the layers made so far, and messages.

use super::layer::{Hir, Layer, Start, Stored, Weight, What};
use super::program::{Declared, Global, Program};
use super::value::{Axis, LayerId, Size, Table, Val};
use crate::base::{Code, Diagnostic, SourceMap, Span};
use crate::syntax::ast;
use dlc_runtime::data::spec::FieldSpec;
use std::collections::{HashMap, HashSet};

/// Blocks within blocks; far beyond any network, small enough for the stack.
pub const DEPTH: usize = 64;
/// Layers of one program.
const LAYERS: usize = 200_000;
/// Messages of one run; whoever reads so many corrects some first.
const MESSAGES: usize = 300;
/// Elements of one table.
const ELEMENTS: usize = 1 << 40;

/// The proof that a message was given.
#[derive(Clone, Copy, Debug)]
pub struct Reported;

pub type Res<T> = Result<T, Reported>;

/// A name of a block's body.
#[derive(Clone, Debug)]
pub struct Local<'a> {
    pub val: Val<'a>,
    pub span: Span,
    pub used: bool,
    /// Defined by the body (a formal need not be used).
    pub defined: bool,
}

/// One expanded block.
#[derive(Default)]
pub struct Frame<'a> {
    pub name: String,
    pub call: Span,
    /// The name of the model, in its own body: each definition starts a path.
    pub model: Option<String>,
    /// Path of definitions to here.
    pub prefix: String,
    /// How many layers of each name there are in this definition.
    pub counters: HashMap<String, usize>,
    pub vars: HashMap<String, Local<'a>>,
    pub order: Vec<String>,
    /// Is the text part of the standard library?
    pub standard: bool,
    /// What `..` stands for.
    pub rest: Option<Vec<Axis>>,
    /// Names of the signature for dims that labels index.
    pub aliases: HashMap<String, String>,
    /// Sizes of the axes that the signature names.
    pub sizes: HashMap<String, Size>,
    /// Stored tables by name.
    pub states: HashMap<String, usize>,
    /// The scan whose body is being read.
    pub inside: Option<super::scan::Inside>,
}

/// A declared dim, worked out.
#[derive(Clone, Debug)]
pub struct DimInfo {
    pub size: Size,
    pub names: Vec<String>,
    pub span: Span,
}

/// A size and names that the data gave to a dim.
pub type SolvedDim = (String, usize, Vec<String>);

/// Everything elaboration knows.
pub struct Elab<'a> {
    pub program: &'a Program,
    pub declared: Declared<'a>,
    pub solved: &'a [SolvedDim],
    pub hir: Hir,
    /// Fields of `train` that are made of other fields.
    pub late: Vec<FieldSpec>,
    pub diagnostics: Vec<Diagnostic>,
    pub frames: Vec<Frame<'a>>,
    pub dims: HashMap<String, DimInfo>,
    /// Constants worked out; `None` while one is being worked out.
    pub constants: HashMap<String, Option<Val<'a>>>,
    pub used: HashSet<String>,
    /// Names that items with syntax errors declare: silent.
    pub broken: HashSet<String>,
    /// Standard blocks that the program expands.
    pub used_standard: HashSet<&'a str>,
    /// Weights and stored tables by path.
    pub weight_index: HashMap<String, usize>,
    pub state_index: HashMap<String, usize>,
    /// Model inputs and fields.
    pub inputs: HashMap<String, LayerId>,
    /// Path of the layer that is being made.
    pub here: String,
    /// How often a dropout was made under one path.
    pub repeats: HashMap<String, usize>,
    /// Calls of blocks so far.
    pub calls: usize,
    /// Is a duration a number of steps here? Then: epochs planned.
    pub clock: Option<f64>,
    pub depth: usize,
}

impl<'a> Elab<'a> {
    pub fn new(program: &'a Program, declared: Declared<'a>, solved: &'a [SolvedDim]) -> Elab<'a> {
        Elab {
            program,
            declared,
            solved,
            hir: Hir::default(),
            late: vec![],
            diagnostics: vec![],
            frames: vec![Frame::default()],
            dims: HashMap::new(),
            constants: HashMap::new(),
            used: HashSet::new(),
            broken: HashSet::new(),
            used_standard: HashSet::new(),
            weight_index: HashMap::new(),
            state_index: HashMap::new(),
            inputs: HashMap::new(),
            here: String::new(),
            repeats: HashMap::new(),
            calls: 0,
            clock: None,
            depth: 0,
        }
    }

    pub fn frame(&mut self) -> &mut Frame<'a> {
        self.frames.last_mut().expect("the outermost frame is never popped")
    }

    /// Have enough mistakes been told? Then nobody reads what a similar name would be, and looking for one takes time.
    pub fn told_enough(&self) -> bool {
        self.diagnostics.len() >= MESSAGES
    }

    /// Gives a message, with the chain of blocks that led here, unless it was given before.
    pub fn report(&mut self, mut d: Diagnostic) -> Reported {
        let again = |e: &Diagnostic| e.code == d.code && e.primary.span == d.primary.span;
        if !self.told_enough() && !self.diagnostics.iter().any(again) {
            if let Some((text, span)) = self.chain().filter(|(_, call)| !holds(*call, d.primary.span)) {
                d.notes.insert(0, (text, Some(span)));
            }
            self.diagnostics.push(d);
        }
        Reported
    }

    /// Gives a lint, unless it is about the standard library, was given before, or is allowed on its line.
    pub fn warn(&mut self, d: Diagnostic) {
        let span = d.primary.span;
        let standard = self.program.units.iter().all(|u| u.source != span.source);
        let again = self.diagnostics.iter().any(|e| e.code == d.code && e.primary.span == span);
        if !standard && !again && !allowed(&self.program.sources, d.code, span) {
            self.diagnostics.push(d);
        }
    }

    /// An error with nothing but a sentence.
    pub fn fail<T>(&mut self, code: Code, span: Span, message: impl Into<String>) -> Res<T> {
        Err(self.report(Diagnostic::error(code, span, message)))
    }

    /// "in `attention`, called from `Transformer`, called here", runs of one block counted.
    fn chain(&self) -> Option<(String, Span)> {
        let frames: Vec<_> = self.frames.iter().filter(|f| !f.name.is_empty()).collect();
        let outer = frames.first()?;
        let mut runs: Vec<(&str, usize)> = vec![];
        for f in frames.iter().rev() {
            match runs.last_mut() {
                Some((name, n)) if *name == f.name => *n += 1,
                _ => runs.push((&f.name, 1)),
            }
        }
        let shown: Vec<_> = runs
            .iter()
            .map(|(name, n)| match n {
                1 => format!("`{name}`"),
                n => format!("`{name}`, {n} times"),
            })
            .collect();
        let block = if shown.len() == 1 && runs[0].1 == 1 { "block " } else { "" };
        Some((format!("in {block}{}, called here", shown.join(", called from ")), outer.call))
    }

    pub fn ty(&self, id: LayerId) -> &Table {
        &self.hir.layers[id.index()].ty
    }

    /// Adds a layer; refuses sizes that no machine holds.
    pub fn push(&mut self, what: What, inputs: &[LayerId], ty: Table, span: Span) -> Res<LayerId> {
        self.check_size(&ty, span)?;
        if self.hir.layers.len() >= LAYERS {
            return self.fail("E0315", span, format!("the program has more than {LAYERS} layers"));
        }
        let path = self.here.clone();
        let scan = self.frames.iter().find_map(|f| f.inside.as_ref()).map(super::scan::Inside::number);
        self.hir.layers.push(Layer { what, inputs: inputs.to_vec(), ty, path, span, scan });
        Ok(LayerId(self.hir.layers.len() as u32 - 1))
    }

    /// E0306 and E0315.
    pub fn check_size(&mut self, ty: &Table, span: Span) -> Res<()> {
        for (i, a) in ty.axes.iter().enumerate() {
            if ty.axes[..i].iter().any(|b| b.name == a.name) {
                let e = Diagnostic::error("E0306", span, format!("the result would have two axes `{}`", a.name));
                return Err(self.report(e.here(format!("gives {ty}")).help(format!(
                    "name the new axis: `name: size`, or rename the old one: `view({} -> other)`",
                    a.name
                ))));
            }
        }
        let sizes = ty.axes.iter().filter_map(|a| a.size.most());
        let count = sizes.map(|n| n.max(1)).try_fold(1usize, usize::checked_mul);
        if count.is_none_or(|n| n > ELEMENTS) {
            let e = Diagnostic::error("E0315", span, format!("a table of {ty} is too large"));
            return Err(self.report(e.note("at most 2^40 elements")));
        }
        Ok(())
    }

    /// The path of a new layer called `name` in this definition.
    pub fn next_path(&mut self, name: &str) -> String {
        let frame = self.frame();
        let n = frame.counters.entry(name.to_string()).or_insert(0);
        let path = format!("{}/{name}[{n}]", frame.prefix);
        *n += 1;
        path
    }

    /// The weight `path`; shared layers meet theirs again.
    pub fn weight(&mut self, path: String, ty: Table, start: Start, span: Span) -> Res<LayerId> {
        self.check_size(&ty, span)?;
        self.one_size(&ty, "a weight", span)?;
        let known = self.weight_index.get(&path).copied();
        if let Some(i) = known {
            let first = &self.hir.weights[i];
            if first.ty.axes.iter().map(|a| &a.size).ne(ty.axes.iter().map(|a| &a.size)) {
                let message = format!("the shared layer would need weights {ty} here and {} before", first.ty);
                let e = Diagnostic::error("E0405", span, message).label(first.span, "first used here");
                return Err(self.report(e.help("use a layer of its own for each shape")));
            }
        }
        let index = known.unwrap_or_else(|| {
            self.hir.weights.push(Weight { path: path.clone(), ty: ty.clone(), start, span });
            let index = self.hir.weights.len() - 1;
            self.weight_index.insert(path.clone(), index);
            index
        });
        let here = std::mem::replace(&mut self.here, path);
        let id = self.push(What::Weight(index), &[], ty, span);
        self.here = here;
        id
    }

    /// The stored table `path`.
    pub fn stored(&mut self, path: String, ty: Table, start: f64) -> usize {
        if let Some(i) = self.state_index.get(&path) {
            return *i;
        }
        let index = self.hir.states.len();
        self.state_index.insert(path.clone(), index);
        self.hir.states.push(Stored { path, ty, start, next: None });
        index
    }

    /// Tells `let`-like names of the body.
    pub fn define(&mut self, name: &ast::Ident, val: Val<'a>, defined: bool) {
        let frame = self.frame();
        let local = Local { val, span: name.span, used: false, defined };
        if frame.vars.insert(name.node.clone(), local).is_none() {
            frame.order.push(name.node.clone());
        }
    }

    /// A declared dim, if this text may see it (the standard library sees none).
    pub fn dim(&mut self, name: &str) -> Res<Option<DimInfo>> {
        if self.frame().standard {
            return Ok(None);
        }
        match self.declared.globals.get(name) {
            Some(Global::Dim(d)) => {
                let d = *d;
                self.used.insert(name.to_string());
                self.dim_info(d).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Does `outer` show `inner` already?
fn holds(outer: Span, inner: Span) -> bool {
    outer.source == inner.source && outer.start <= inner.start && inner.end <= outer.end
}

/// `# allow(name)` on the line.
pub fn allowed(sources: &SourceMap, lint: &str, span: Span) -> bool {
    let text = &sources.get(span.source).text;
    let at = (span.start as usize).min(text.len());
    let start = text.as_bytes()[..at].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let line = text[start..].lines().next().unwrap_or("");
    line.split_once('#').is_some_and(|(_, comment)| {
        comment.split_once("allow(").is_some_and(|(_, rest)| {
            let names = rest.split(')').next().unwrap_or("");
            names.split(',').any(|n| n.trim() == lint)
        })
    })
}

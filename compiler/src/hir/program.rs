//! The texts of a program: the main file, its imports, the standard library, and what they declare.

use super::Sources;
use super::library::Library;
use crate::base::{Diagnostic, SourceId, SourceMap, Span};
use crate::syntax::{self, ast};
use std::collections::HashMap;

/// The line that separates a closed program from the standard blocks that it was closed with. What follows
/// means what it meant then: it sees no dims of the program, as the standard library does.
pub const CLOSED: &str = "## The blocks of the standard library that this program uses.";

/// One parsed text of the user.
#[derive(Clone, Debug)]
pub struct Unit {
    pub source: SourceId,
    pub file: ast::File,
}

/// All texts: those of the user, parsed, the main file first; and the standard library.
#[derive(Clone, Debug)]
pub struct Program {
    pub sources: SourceMap,
    pub units: Vec<Unit>,
    pub library: Library,
    /// `--set` values, as written.
    pub sets: Vec<(String, String)>,
}

impl Program {
    /// A block of the standard library, and its name as it is kept there.
    pub fn standard_block(&self, name: &str) -> Option<(&str, &ast::Block)> {
        self.library.get(&self.sources, name)
    }
}

struct Loader<'s> {
    sources: &'s dyn Sources,
    program: Program,
    diagnostics: Vec<Diagnostic>,
    /// Files on the way from the main file to here, for cycles.
    open: Vec<String>,
    loaded: Vec<String>,
}

/// Reads the main text, what it imports, and the standard library.
pub fn load(name: &str, text: &str, sources: &dyn Sources, sets: &[(String, String)]) -> (Program, Vec<Diagnostic>) {
    let program =
        Program { sources: SourceMap::default(), units: vec![], library: Library::default(), sets: sets.to_vec() };
    let mut loader = Loader { sources, program, diagnostics: vec![], open: vec![], loaded: vec![] };
    let (own, closed) = match text.find(CLOSED) {
        Some(i) => text.split_at(i),
        None => (text, ""),
    };
    loader.unit(name, own);
    let Loader { mut program, mut diagnostics, .. } = loader;
    program.library = Library::new(&mut program.sources);
    if !closed.is_empty() {
        diagnostics.extend(program.library.replace(&mut program.sources, name, closed));
    }
    (program, diagnostics)
}

impl Loader<'_> {
    fn unit(&mut self, name: &str, text: &str) {
        let source = self.program.sources.add(name, text);
        let (file, diagnostics) = syntax::parse(&self.program.sources, source);
        let imports: Vec<_> = file
            .items
            .iter()
            .filter_map(|i| match i {
                ast::Item::Import(import) => Some(import.path.clone()),
                _ => None,
            })
            .collect();
        self.diagnostics.extend(diagnostics);
        self.program.units.push(Unit { source, file });
        self.open.push(name.to_string());
        self.loaded.push(name.to_string());
        for path in imports {
            self.import(name, &path.node, path.span);
        }
        self.open.pop();
    }

    fn import(&mut self, from: &str, path: &str, span: Span) {
        let full = beside(from, path);
        if let Some(start) = self.open.iter().position(|o| *o == full) {
            let mut chain = self.open[start..].to_vec();
            chain.push(full.clone());
            let e = Diagnostic::error("E0210", span, format!("`{full}` imports itself"));
            self.diagnostics.push(e.note(format!("the circle: {}", chain.join(" -> "))));
        } else if !self.loaded.contains(&full) {
            match self.sources.read(&full) {
                Ok(text) => self.unit(&full, &text),
                Err(why) => {
                    let e = Diagnostic::error("E0208", span, format!("cannot import `{path}`: {why}"));
                    self.diagnostics.push(e.note("paths of imports start at the folder of the importing file"));
                }
            }
        }
    }
}

/// `path` as seen from the file `from`, with `.` and `..` worked out.
fn beside(from: &str, path: &str) -> String {
    let folder = from.rfind('/').map_or("", |i| &from[..i]);
    if path.starts_with('/') || folder.is_empty() {
        return path.trim_start_matches("./").to_string();
    }
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." if parts.last().is_some_and(|p| *p != ".." && !p.is_empty()) => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// A declared name that is a compile-time value.
#[derive(Clone, Copy)]
pub enum Global<'a> {
    Dim(&'a ast::Dim),
    Const(&'a ast::Const),
}

/// What the texts declare, by name.
#[derive(Default)]
pub struct Declared<'a> {
    pub globals: HashMap<&'a str, Global<'a>>,
    /// Names in the order of the program.
    pub order: Vec<&'a str>,
    pub blocks: HashMap<&'a str, &'a ast::Block>,
    pub models: Vec<&'a ast::Block>,
    pub data: Vec<&'a ast::Data>,
    pub trains: Vec<&'a ast::Train>,
    pub generates: Vec<&'a ast::Generate>,
}

impl Declared<'_> {
    /// Whether an item of this name could be read.
    pub fn has(&self, name: &str) -> bool {
        self.globals.contains_key(name)
            || self.blocks.contains_key(name)
            || self.models.iter().any(|model| model.name.node == name)
            || self.data.iter().any(|data| data.name.node == name)
    }
}

/// Collects the declarations; two of one name and kind are E0205.
pub fn declare(program: &Program) -> (Declared<'_>, Vec<Diagnostic>) {
    let mut d = Declared::default();
    let mut diagnostics = vec![];
    let mut seen: HashMap<(u8, &str), Span> = HashMap::new();
    for unit in &program.units {
        for item in &unit.file.items {
            let Some((kind, name)) = space(item) else { continue };
            if let Some(first) = seen.insert((kind, &name.node), name.span) {
                let e = Diagnostic::error("E0205", name.span, format!("`{}` is defined twice", name.node));
                diagnostics.push(e.here("the second").label(first, "the first"));
                continue;
            }
            add(&mut d, item);
        }
    }
    (d, diagnostics)
}

fn add<'a>(d: &mut Declared<'a>, item: &'a ast::Item) {
    match item {
        ast::Item::Dim(x) => {
            d.globals.insert(&x.name.node, Global::Dim(x));
            d.order.push(&x.name.node);
        }
        ast::Item::Const(x) => {
            d.globals.insert(&x.name.node, Global::Const(x));
            d.order.push(&x.name.node);
        }
        ast::Item::Block(b) if b.kind == ast::BlockKind::Model => d.models.push(b),
        ast::Item::Block(b) => {
            d.blocks.insert(&b.name.node, b);
        }
        ast::Item::Data(x) => d.data.push(x),
        ast::Item::Train(x) => d.trains.push(x),
        ast::Item::Generate(x) => d.generates.push(x),
        ast::Item::Import(_) => {}
    }
}

/// Names of one kind must differ: values, blocks and models, data.
fn space(item: &ast::Item) -> Option<(u8, &ast::Ident)> {
    match item {
        ast::Item::Dim(x) => Some((0, &x.name)),
        ast::Item::Const(x) => Some((0, &x.name)),
        ast::Item::Block(x) => Some((1, &x.name)),
        ast::Item::Data(x) => Some((2, &x.name)),
        ast::Item::Train(x) => Some((3, &x.model)),
        ast::Item::Generate(x) => Some((4, &x.model)),
        ast::Item::Import(_) => None,
    }
}

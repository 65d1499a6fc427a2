//! What the tests of whole programs share.
#![allow(dead_code)]

use dlc_compiler::base::{Failed, Value};
use dlc_compiler::graph::Graph;
use dlc_compiler::hir::{self, Checked, Mode, Solved, Sources};
use dlc_compiler::passes;

pub struct NoFiles;

impl Sources for NoFiles {
    fn read(&self, path: &str) -> Result<String, String> {
        match path {
            "blocks.dl" => Ok("block Twice(x: [..]) -> y: [..] { y = 2 * x }".into()),
            _ => Err("no such file".into()),
        }
    }
}

pub fn checked(text: &str) -> Result<Checked, Failed> {
    hir::check("test.dl", text, &NoFiles, &[])
}

/// Messages as `code line:column message`.
pub fn messages(text: &str) -> Vec<String> {
    let (sources, list) = match checked(text) {
        Ok(c) => (c.sources().clone(), c.warnings.clone()),
        Err(f) => (f.sources, f.diagnostics),
    };
    list.iter()
        .map(|d| {
            let (line, column) = sources.line_column(d.primary.span.source, d.primary.span.start);
            let name = &sources.get(d.primary.span.source).name;
            let place = if name == "test.dl" { String::new() } else { format!("{name}:") };
            format!("{} {place}{line}:{column} {}", d.code, d.message)
        })
        .collect()
}

pub fn good(text: &str) -> Checked {
    match checked(text) {
        Ok(c) => c,
        Err(_) => panic!("{}", messages(text).join("\n")),
    }
}

pub fn solved(text: &str) -> Solved {
    good(text).solve(&[]).unwrap_or_else(|f| panic!("{:?}", f.diagnostics))
}

pub struct Rule(pub hir::UpdateRule);

impl passes::UpdateRule for Rule {
    fn prepare(&self, graph: &mut Graph, gradients: &mut [(usize, Value)]) {
        self.0.prepare(graph, gradients);
    }

    fn apply(&self, graph: &mut Graph, weight: usize, gradient: Value) {
        self.0.apply(graph, weight, gradient);
    }
}

pub fn training(s: &Solved, batch: usize) -> Graph {
    let mut g = s.graph(Mode::Train, batch);
    passes::run(&mut g, passes::TRAINING, &Rule(s.update_rule()), &mut ());
    g
}

/// Every mode builds and verifies; training differentiates.
pub fn all_graphs(text: &str, batch: usize) -> Graph {
    let s = solved(text);
    for mode in [Mode::Evaluate, Mode::Predict] {
        let mut g = s.graph(mode, batch);
        passes::run(&mut g, passes::INFERENCE, &passes::Frozen, &mut ());
    }
    training(&s, batch)
}

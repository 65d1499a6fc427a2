//! `start` and `freeze`: what a training takes from another model, and what it leaves as it is.

use super::elab::{Elab, Res};
use super::value::Val;
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::Expr;

/// A model file that weights start from.
#[derive(Clone, PartialEq, Debug)]
pub struct StartFile {
    pub path: String,
    pub span: Span,
}

/// Parts listed in a message.
const LISTED: usize = 12;

/// Whether `part` stands in a path as whole names: `See` in `Net.f/See[0]/conv[1].weight`, as do `f/See` and `conv[1]`.
pub fn is_part(path: &str, part: &str) -> bool {
    let inner = path.split_once('.').map_or(path, |(_, inner)| inner);
    let ends = |c: Option<char>| c.is_none_or(|c| "/.[".contains(c));
    let begins = |c: Option<char>| c.is_none_or(|c| "/.".contains(c));
    let stands = |(at, _): (usize, &str)| {
        begins(inner[..at].chars().next_back()) && ends(inner[at + part.len()..].chars().next())
    };
    !part.is_empty() && inner.match_indices(part).any(stands)
}

impl<'a> Elab<'a> {
    /// `start = "base.dlm"`
    pub fn start_file(&mut self, e: &'a Expr) -> Res<Option<StartFile>> {
        match self.eval(e)? {
            Val::Text(path) if path.ends_with(".dlm") => Ok(Some(StartFile { path, span: e.span })),
            Val::Text(path) => {
                let error =
                    Diagnostic::error("E0410", e.span, format!("`{path}` is no model file: they end in `.dlm`"));
                Err(self.report(error.help("train the other program first, and name the `best.dlm` of its run folder")))
            }
            other => {
                let error = Diagnostic::error("E0402", e.span, format!("`start` is a text, found {}", other.kind()));
                Err(self.report(error.help("write `start = \"base.dlm\"`")))
            }
        }
    }

    /// `freeze = ["See"]`: weights and statistics whose paths have that part stay as they are.
    pub fn freeze(&mut self, e: &'a Expr) -> Res<()> {
        let value = self.eval(e)?;
        let items = match value {
            Val::List(items) => items,
            one => vec![one],
        };
        for item in items {
            let Val::Text(part) = item else {
                let error = Diagnostic::error("E0402", e.span, format!("`freeze` is texts, found {}", item.kind()));
                return Err(
                    self.report(error.help("name blocks, layers or weights: `freeze = [\"See\", \"conv[0]\"]`"))
                );
            };
            if !self.hir.weights.iter().any(|weight| is_part(&weight.path, &part)) {
                return Err(self.no_such_part(&part, e.span));
            }
            self.hir.frozen.push(part);
        }
        Ok(())
    }

    fn no_such_part(&mut self, part: &str, span: Span) -> super::elab::Reported {
        let message = format!("no weight of `{}` is called or lies in `{part}`", self.hir.model);
        let mut known: Vec<&str> = vec![];
        for weight in &self.hir.weights {
            let inner = weight.path.split_once('.').map_or(&weight.path[..], |(_, inner)| inner);
            for name in inner.split(['/', '.', '[']).filter(|name| !name.ends_with(']')) {
                if !known.contains(&name) {
                    known.push(name);
                }
            }
        }
        let near = super::near::nearest(part, known.iter().copied()).map(str::to_string);
        let all: Vec<String> = known.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
        let error = Diagnostic::error("E0607", span, message).note(format!("its parts are {}", all.join(", ")));
        self.report(match near {
            Some(near) => error.help(format!("a part with a similar name exists: `{near}`")),
            None => error.help("name a block, a layer or a weight of the model"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::is_part;

    #[test]
    fn whole_names_only() {
        let path = "Net.f/See[0]/y/conv[1].weight";
        for part in ["See", "f", "f/See", "See[0]", "conv[1]", "conv", "weight", "y/conv[1].weight"] {
            assert!(is_part(path, part), "{part}");
        }
        for part in ["", "Se", "ee", "Net", "See[1]", "conv[", "onv[1]", "weigh"] {
            assert!(!is_part(path, part), "{part}");
        }
    }
}

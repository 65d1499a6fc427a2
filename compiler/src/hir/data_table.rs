//! `csv(...)`: how a table of text is written.

use super::args::Call;
use super::elab::{Elab, Res};
use super::value::Val;
use crate::base::{Diagnostic, Span};
use dlc_runtime::data::bytes::Limits;
use dlc_runtime::data::spec::Source;

impl<'a> Elab<'a> {
    /// A table of the file `path`, pictures in it below `root`: what other sources call these two is theirs.
    pub fn csv(&mut self, c: &mut Call<'a>, path: &'static str, root: &'static str) -> Res<Source> {
        let path = self.take_text(c, path)?;
        let header = self.take_flag(c, "header", true)?;
        let (skip, at) = self.take_number(c, "skip", Some(0.0))?;
        let skip = self.whole_number((Val::Number(skip), at), "skip", 0)?;
        if skip as u64 > Limits::default().bytes {
            let e = Diagnostic::error("E0410", at, format!("`skip` is {skip}: no file has so many lines"));
            return Err(self.report(e.help("`skip` counts the lines before the table: `skip = 1`")));
        }
        let separator = self.take_word(c, "separator")?;
        let decimal = match self.take_word(c, "decimal")? {
            None => '.',
            Some((Ok(text), at)) => match text.as_str() {
                "." => '.',
                "," => ',',
                _ => return self.fail("E0410", at, "the decimal sign is \".\" or \",\""),
            },
            Some((Err(_), at)) => return self.fail("E0402", at, "the decimal sign is a text"),
        };
        let separator = match separator {
            None => None,
            Some((Ok(text), at)) => Some(self.separator(&text, decimal, at)?),
            Some((Err(_), at)) => return self.fail("E0402", at, "the separator is a text"),
        };
        let missing = match self.take_any(c, "missing")? {
            None => vec![],
            Some((Val::Text(t), _)) => vec![t],
            Some((Val::List(items), at)) => {
                let mut all = vec![];
                for item in items {
                    match item {
                        Val::Text(t) => all.push(t),
                        other => {
                            return self.fail(
                                "E0402",
                                at,
                                format!("`missing` is a list of texts, found {}", other.kind()),
                            );
                        }
                    }
                }
                all
            }
            Some((other, at)) => return self.fail("E0402", at, format!("`missing` is a text, found {}", other.kind())),
        };
        let root = match self.take_word(c, root)? {
            None => None,
            Some((Ok(root), _)) => Some(root),
            Some((Err(_), at)) => return self.fail("E0402", at, "the root of pictures is a text"),
        };
        let encoding = self.encoding(c)?;
        Ok(Source::Csv { path, header, skip, separator, missing, decimal, root, encoding })
    }

    /// One character that is not a part of numbers or of the quotes around cells.
    fn separator(&mut self, text: &str, decimal: char, at: Span) -> Res<char> {
        let text = unescape(text);
        let mut chars = text.chars();
        let (Some(one), None) = (chars.next(), chars.next()) else {
            let e = Diagnostic::error("E0410", at, "the separator is one character");
            return Err(self.report(e.help("without `separator` it is found out; else write `separator = \";\"`")));
        };
        let why = match one {
            _ if one == decimal => "it is the decimal sign",
            '0'..='9' => "it is a part of numbers",
            '"' => "it stands around cells",
            ' '..='~' | '\t' => return Ok(one),
            _ if one.is_control() => "it is no visible character",
            _ => "it takes several bytes",
        };
        let e = Diagnostic::error("E0410", at, format!("`{}` cannot separate cells: {why}", one.escape_debug()));
        Err(self.report(e.help("separators are `,`, `;`, `\\t`, a space, and other ASCII characters")))
    }
}

fn unescape(text: &str) -> String {
    text.replace("\\t", "\t")
}

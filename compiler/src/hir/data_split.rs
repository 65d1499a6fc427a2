//! The split of a data section.

use super::args::Call;
use super::data::DataInfo;
use super::elab::{Elab, Res};
use super::value::Val;
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{Arg, Expr};
use dlc_runtime::data::spec::{ColumnRef, Source, Split};

impl<'a> Elab<'a> {
    /// `ratio(train = 80%, val = 20%)`, `official(val = 10%)`, `in_order(...)`
    pub fn split(&mut self, e: &'a Expr, info: &DataInfo) -> Res<Split> {
        let (name, args) = self.named_call(e, "a split, such as `ratio(train = 80%, val = 20%)`,")?;
        let mut c = Call::new(&name, vec![], args, e.span);
        let (seed, at) = self.take_number(&mut c, "seed", Some(0.0))?;
        let seed = self.whole_number((Val::Number(seed), at), "seed", 0)? as u64;
        let split = match name.node.as_str() {
            "official" => {
                let (val, at) = self.take_number(&mut c, "val", Some(0.0))?;
                self.share(val, at, "val")?;
                Split::Official { val, seed }
            }
            "ratio" | "in_order" => {
                let [train, val, test] = self.shares(&mut c)?;
                if name.node == "in_order" {
                    Split::InOrder { train, val, test }
                } else {
                    let stratify = self.field_word(&mut c, "stratify", info)?;
                    let group = self.group(&mut c)?;
                    if stratify.is_some() && group.is_some() {
                        let e = Diagnostic::error("E0410", c.span, "a split is by class or by group, not both");
                        return Err(self.report(e.help("leave out `stratify` or `group`")));
                    }
                    Split::Ratio { train, val, test, stratify, group, seed }
                }
            }
            "files" => {
                let (val, at) = self.take_number(&mut c, "val", Some(0.0))?;
                self.share(val, at, "val")?;
                Split::Files { val, seed }
            }
            other => {
                let err = Diagnostic::error("E0203", name.span, format!("unknown split `{other}`"));
                return Err(self.report(err.note("there are `ratio`, `official`, `in_order` and `files`")));
            }
        };
        self.finish(&mut c)?;
        Ok(split)
    }

    fn share(&mut self, x: f64, at: Span, name: &str) -> Res<()> {
        if (0.0..=1.0).contains(&x) {
            return Ok(());
        }
        self.fail("E0410", at, format!("`{name}` is {x}, a share is within 0% and 100%"))
    }

    fn shares(&mut self, c: &mut Call<'a>) -> Res<[f64; 3]> {
        let mut shares = [0.0; 3];
        for (share, name) in shares.iter_mut().zip(["train", "val", "test"]) {
            let (x, at) = self.take_number(c, name, Some(0.0))?;
            self.share(x, at, name)?;
            *share = x;
        }
        let sum: f64 = shares.iter().sum();
        if (sum - 1.0).abs() > 1e-6 || shares[0] == 0.0 {
            let message = format!("the parts add up to {}%, with {}% to train on", percent(sum), percent(shares[0]));
            let e = Diagnostic::error("E0410", c.span, message);
            return Err(self.report(e.help("the parts of a split add up to 100%")));
        }
        Ok(shares)
    }

    fn field_word(&mut self, c: &mut Call<'a>, name: &'static str, info: &DataInfo) -> Res<Option<String>> {
        let Some((word, at)) = self.take_word(c, name)? else { return Ok(None) };
        match word {
            Ok(w) if info.fields.iter().any(|f| f.name == w) => Ok(Some(w)),
            Ok(w) if info.poisoned.contains(&w) => Err(super::elab::Reported),
            Ok(w) => self.fail("E0201", at, format!("there is no field `{w}`")),
            Err(other) => self.fail("E0402", at, format!("`{name}` names a field, found {}", other.kind())),
        }
    }

    fn group(&mut self, c: &mut Call<'a>) -> Res<Option<ColumnRef>> {
        c.asked.push("group");
        let Some(i) = c.named.iter().position(|(n, _)| n.node == "group") else { return Ok(None) };
        let e = c.named.remove(i).1;
        let (name, args) = self.named_call(e, "a column, such as `column(\"writer\")`,")?;
        match (name.node.as_str(), args) {
            ("column", [Arg::Positional(column)]) => self.column(column).map(Some),
            _ => self.fail("E0410", e.span, "`group` is a column: `group = column(\"writer\")`"),
        }
    }
}

fn percent(x: f64) -> f64 {
    (x * 1e6).round() / 1e4
}

/// What a data section without `split` means.
pub fn default_split(source: Option<&Source>, in_order: bool) -> Split {
    match source {
        Some(Source::Text { .. }) => Split::InOrder { train: 0.7, val: 0.15, test: 0.15 },
        Some(Source::Cifar { .. }) => Split::Official { val: 0.0, seed: 0 },
        _ if in_order => Split::InOrder { train: 0.7, val: 0.15, test: 0.15 },
        Some(source) if super::data_lines::has_parts(source) => Split::Files { val: 0.0, seed: 0 },
        _ => Split::Ratio { train: 0.7, val: 0.15, test: 0.15, stratify: None, group: None, seed: 0 },
    }
}

//! Which settings a data section may have.

use super::elab::Elab;
use crate::base::Diagnostic;
use crate::syntax::ast;

const SETTINGS: &[&str] = &["source", "split"];

impl<'a> Elab<'a> {
    /// Whether all settings of a section are known; messages about the others.
    pub fn data_settings(&mut self, d: &'a ast::Data) -> bool {
        let mut whole = true;
        for s in &d.settings {
            if s.name.node == "cache" {
                let message = "this version does not have the setting `cache` of `data` yet";
                let e = Diagnostic::error("E0199", s.name.span, message);
                self.report(e.help("say it on the command line: `--cache-limit`, `--no-cache`"));
                whole = false;
            } else if !SETTINGS.contains(&s.name.node.as_str()) {
                self.unknown_setting(&s.name, "data", SETTINGS);
                whole = false;
            }
        }
        whole
    }
}

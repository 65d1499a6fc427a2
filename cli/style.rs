//! Colours and line drawing: what the terminal can show and what the user asked for.

use std::io::{IsTerminal, stderr, stdout};

use crate::args::Color;

/// How text is drawn in this run.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub color: bool,
    /// Line drawing beyond ASCII.
    pub unicode: bool,
    /// A live line may be drawn on standard error.
    pub live: bool,
}

impl Style {
    /// Live lines, colour and line drawing only on a terminal; `NO_COLOR` and `--color` decide about colour.
    pub fn new(color: Color) -> Style {
        let terminal = stderr().is_terminal();
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        };
        Style { color, unicode: terminal && utf8_locale(), live: terminal }
    }

    /// Emphasis for headings on standard output.
    pub fn bold(&self, text: &str) -> String {
        match self.color && stdout().is_terminal() {
            true => format!("\x1b[1m{text}\x1b[0m"),
            false => text.to_string(),
        }
    }
}

fn utf8_locale() -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .is_some_and(|value| value.to_ascii_lowercase().replace('-', "").contains("utf8"))
}

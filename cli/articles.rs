//! The articles of `dlc explain`: one file per message in `grammar/messages/`, listed here and nowhere else.
//!
//! `tests/tidy.rs` compares the list with the folder, with the codes that the sources raise, and with `tests/ui/`.

macro_rules! articles {
    ($($code:literal)*) => {
        &[$(($code, include_str!(concat!("../grammar/messages/", $code, ".md")))),*]
    };
}

/// Errors, by code.
pub const ERRORS: &[(&str, &str)] = articles!();

/// Warnings, by name.
pub const LINTS: &[(&str, &str)] = articles!();

/// The article on a code or lint; the letter of a code may be small.
pub fn find(code: &str) -> Option<&'static str> {
    let same = |(name, _): &&(&str, &str)| name.eq_ignore_ascii_case(code);
    ERRORS.iter().chain(LINTS).find(same).map(|(_, article)| *article)
}

/// The heading of an article without the code: what it is about.
pub fn title(article: &str) -> &str {
    let first = article.lines().next().unwrap_or("");
    first.split_once(": ").map_or(first, |(_, title)| title)
}

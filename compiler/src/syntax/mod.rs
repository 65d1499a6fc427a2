//! Text to tree: the pest grammar, its recovery, and the tree as written.
//!
//! [`parse`] takes any text whatever and gives the items that could be read, and a message (E01xx)
//! for each that could not. A broken item costs no other: the text is split at its items first.
//! The tree nests at most a few hundred levels deep, so everything after may recurse over it.

pub mod ast;
mod error;
pub mod format;
mod lexer;
mod parse;
pub mod print;
mod scan;
mod settings;
#[cfg(test)]
mod tests;

use crate::base::{Diagnostic, SourceId, SourceMap};

/// Longest text that is read. The tree of a text is some hundred times as large.
const MAX_BYTES: usize = 1 << 20;

/// Reads one source. Never fails: what cannot be read is left out and reported, sorted by place.
pub fn parse(sources: &SourceMap, id: SourceId) -> (ast::File, Vec<Diagnostic>) {
    let text = sources.get(id).text.as_str();
    if text.len() > MAX_BYTES {
        return (ast::File::default(), vec![error::text_too_long(id, text.len(), MAX_BYTES)]);
    }
    let (pieces, mut faults) = scan::split(text, id, body_start(text));
    if pieces.is_empty() && faults.is_empty() {
        return (ast::File::default(), vec![error::nothing_to_compile(id, text)]);
    }
    let mut items = vec![];
    for piece in pieces.iter().filter(|piece| piece.sound) {
        if faults.len() >= scan::MAX_FAULTS {
            break;
        }
        items.extend(parse::piece(text, id, *piece, &mut faults));
    }
    faults.sort_by_key(|fault| fault.primary.span);
    (ast::File { items }, faults)
}

/// The names of all dims, constants, blocks and models that a text declares, also of those items
/// that [`parse`] could not read: a later stage need not report them as unknown.
pub fn declared_names(sources: &SourceMap, id: SourceId) -> Vec<String> {
    let text = sources.get(id).text.as_str();
    if text.len() > MAX_BYTES {
        return vec![];
    }
    let (pieces, _) = scan::split(text, id, body_start(text));
    let name = |piece: &scan::Piece| {
        let mut tokens = lexer::Lexer::new(text, piece.start, piece.end);
        let keyword = tokens.next()?.text(text);
        let name = tokens.next().filter(|t| t.kind == lexer::Kind::Word)?.text(text);
        matches!(keyword, "dim" | "const" | "block" | "model" | "data").then(|| name.to_owned())
    };
    pieces.iter().filter_map(name).collect()
}

/// Where the text begins: after the byte order mark that some editors write.
fn body_start(text: &str) -> usize {
    if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 }
}

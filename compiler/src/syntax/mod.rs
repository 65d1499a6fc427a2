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

/// A block of which only the name was read.
#[derive(Clone, Debug)]
pub struct Unread {
    pub name: String,
    source: SourceId,
    piece: scan::Piece,
}

impl Unread {
    /// The block; `None` where it is written wrongly.
    pub fn read(&self, sources: &SourceMap) -> Option<ast::Block> {
        let text = sources.get(self.source).text.as_str();
        parse::piece(text, self.source, self.piece, &mut vec![]).into_iter().find_map(ast::Item::into_block)
    }
}

/// The blocks of a text, to be read when they are needed. What is wrong with the text is not told.
pub fn unread_blocks(sources: &SourceMap, id: SourceId) -> Vec<Unread> {
    let named = declared(sources.get(id).text.as_str(), id);
    let blocks = named.filter(|(keyword, ..)| *keyword == "block");
    blocks.map(|(_, name, piece)| Unread { name: name.to_owned(), source: id, piece }).collect()
}

/// The names of all dims, constants, blocks and models that a text declares, also of those items
/// that [`parse`] could not read: a later stage need not report them as unknown.
pub fn declared_names(sources: &SourceMap, id: SourceId) -> Vec<String> {
    let kinds = ["dim", "const", "block", "model", "data"];
    let named = declared(sources.get(id).text.as_str(), id).filter(|(keyword, ..)| kinds.contains(keyword));
    named.map(|(_, name, _)| name.to_owned()).collect()
}

/// Keyword, name and piece of all items that begin with a keyword and a name.
fn declared(text: &str, id: SourceId) -> impl Iterator<Item = (&str, &str, scan::Piece)> {
    let pieces = if text.len() > MAX_BYTES { vec![] } else { scan::split(text, id, body_start(text)).0 };
    pieces.into_iter().filter_map(move |piece| {
        let mut tokens = lexer::Lexer::new(text, piece.start, piece.end);
        let keyword = tokens.next()?.text(text);
        let name = tokens.next().filter(|t| t.kind == lexer::Kind::Word)?.text(text);
        Some((keyword, name, piece))
    })
}

/// Where the text begins: after the byte order mark that some editors write.
fn body_start(text: &str) -> usize {
    if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 }
}

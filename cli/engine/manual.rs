//! What `dlc show` prints: blocks of the standard library as written, primitives from their manual.

use dlc_compiler::base::SourceMap;
use dlc_compiler::hir::STDLIB;
use dlc_compiler::syntax::{self, ast};

/// One section per primitive: `## conv(x, ...)`, then what it does.
const PRIMITIVES: &str = include_str!("../../grammar/layers.md");

/// Settings and their defaults, after the sections of the layers.
const SETTINGS: &str = include_str!("../../grammar/settings.md");

/// One block of the standard library.
struct Block {
    name: String,
    file: &'static str,
    /// With the comment above it.
    source: String,
}

fn blocks() -> Vec<Block> {
    let mut found = vec![];
    for (file, text) in STDLIB {
        let mut sources = SourceMap::default();
        let id = sources.add(*file, *text);
        for item in syntax::parse(&sources, id).0.items {
            if let ast::Item::Block(block) = item {
                let (start, end) = (block.span.start as usize, block.span.end as usize);
                let source = text.get(with_comment(text, start)..end).unwrap_or("").to_string();
                found.push(Block { name: block.name.node, file, source });
            }
        }
    }
    found
}

/// Where the lines of comment directly above a place begin.
fn with_comment(text: &str, start: usize) -> usize {
    let mut at = text.get(..start).and_then(|t| t.rfind('\n')).map_or(0, |i| i + 1);
    while at > 0 {
        let above = text.get(..at - 1).and_then(|t| t.rfind('\n')).map_or(0, |i| i + 1);
        match text.get(above..at) {
            Some(line) if line.trim_start().starts_with('#') => at = above,
            _ => break,
        }
    }
    at
}

/// `(signature, text)` of each primitive.
fn primitives() -> impl Iterator<Item = (&'static str, &'static str)> {
    PRIMITIVES.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap_or((section, "")))
}

fn name_of(signature: &str) -> &str {
    signature.split('(').next().unwrap_or(signature)
}

/// The source of a block of the standard library with its comment, or the manual of a primitive.
pub fn show(name: &str) -> Option<String> {
    if let Some(block) = blocks().into_iter().find(|block| block.name == name) {
        return Some(format!("# {}\n{}\n", block.file, block.source.trim_end()));
    }
    let (signature, text) = primitives().find(|(signature, _)| name_of(signature) == name)?;
    Some(format!("{signature}\n\n{}\n", text.trim()))
}

/// All names that [`show`] knows, with the first sentence about each.
pub fn shown() -> Vec<(String, String)> {
    let first = |text: &str| text.trim().lines().next().unwrap_or("").trim_start_matches(['#', ' ']).to_string();
    let mut all: Vec<(String, String)> =
        primitives().map(|(signature, text)| (name_of(signature).to_string(), first(text))).collect();
    all.extend(blocks().into_iter().map(|block| {
        let about = if block.source.starts_with('#') { first(&block.source) } else { block.file.to_string() };
        (block.name, about)
    }));
    all.sort();
    all
}

/// Every default of the language.
pub fn defaults() -> String {
    let mut text = String::from("# Layers\n\n");
    primitives().for_each(|(signature, _)| text += &format!("{signature}\n"));
    text += "\n# Blocks of the standard library\n\n";
    for block in blocks() {
        let line = block.source.lines().find(|line| line.starts_with("block ")).unwrap_or("");
        text += &format!("{}\n", line.trim_start_matches("block ").trim_end_matches(['{', ' ']));
    }
    text + "\n" + SETTINGS
}

#[cfg(test)]
mod tests {
    use super::*;

    // `view` is a form of the grammar and no row of the table.
    #[test]
    fn every_primitive_has_its_section() {
        let shown: Vec<&str> = primitives().map(|(signature, _)| name_of(signature)).collect();
        let known: Vec<&str> = dlc_compiler::hir::primitives().collect();
        let missing: Vec<&&str> = known.iter().filter(|name| !shown.contains(name)).collect();
        let stale: Vec<&&str> = shown.iter().filter(|name| !known.contains(name) && **name != "view").collect();
        assert!(missing.is_empty() && stale.is_empty(), "missing {missing:?}, stale {stale:?}");
    }

    #[test]
    fn blocks_come_with_their_comment() {
        assert_eq!(with_comment("a\n# b\n# c\nblock d", 10), 2);
        assert_eq!(with_comment("a\n\nblock d", 3), 3);
    }
}

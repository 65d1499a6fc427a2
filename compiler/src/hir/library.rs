//! The standard library: its blocks by name, each read when a program first asks for it.

use crate::base::{Diagnostic, SourceMap};
use crate::syntax::{self, ast};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The standard library, always there.
pub const STDLIB: &[(&str, &str)] = &[
    ("stdlib/activations.dl", include_str!("../../../stdlib/activations.dl")),
    ("stdlib/attention.dl", include_str!("../../../stdlib/attention.dl")),
    ("stdlib/boxes.dl", include_str!("../../../stdlib/boxes.dl")),
    ("stdlib/layers.dl", include_str!("../../../stdlib/layers.dl")),
    ("stdlib/losses.dl", include_str!("../../../stdlib/losses.dl")),
    ("stdlib/optimizers.dl", include_str!("../../../stdlib/optimizers.dl")),
    ("stdlib/recurrent.dl", include_str!("../../../stdlib/recurrent.dl")),
    ("stdlib/schedules.dl", include_str!("../../../stdlib/schedules.dl")),
    ("stdlib/sequences.dl", include_str!("../../../stdlib/sequences.dl")),
];

/// The blocks that every program may use.
#[derive(Clone, Debug, Default)]
pub struct Library {
    blocks: BTreeMap<String, Shelved>,
}

#[derive(Clone, Debug)]
enum Shelved {
    Closed(syntax::Unread, OnceLock<ast::Block>),
    Open(ast::Block),
}

impl Library {
    /// Finds the blocks of [`STDLIB`]; the texts themselves become sources.
    pub fn new(sources: &mut SourceMap) -> Library {
        let mut library = Library::default();
        for (name, text) in STDLIB {
            let source = sources.add(*name, *text);
            let found = syntax::unread_blocks(sources, source).into_iter();
            library.blocks.extend(found.map(|unread| (unread.name.clone(), Shelved::Closed(unread, OnceLock::new()))));
        }
        library
    }

    /// Reads the blocks that a program was closed with; they win over those that were there.
    pub fn replace(&mut self, sources: &mut SourceMap, name: &str, text: &str) -> Vec<Diagnostic> {
        let source = sources.add(name, text);
        let (file, diagnostics) = syntax::parse(sources, source);
        let blocks = file.items.into_iter().filter_map(ast::Item::into_block);
        self.blocks.extend(blocks.map(|block| (block.name.node.clone(), Shelved::Open(block))));
        diagnostics
    }

    /// The block of that name, and its name as it is kept here.
    pub fn get(&self, sources: &SourceMap, name: &str) -> Option<(&str, &ast::Block)> {
        let (name, shelved) = self.blocks.get_key_value(name)?;
        let block = match shelved {
            Shelved::Open(block) => block,
            Shelved::Closed(unread, block) => {
                block.get_or_init(|| unread.read(sources).expect("the standard library is written well"))
            }
        };
        Some((name, block))
    }

    pub fn has(&self, name: &str) -> bool {
        self.blocks.contains_key(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.blocks.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Every block and nothing else is on the shelves, and reads as in its whole text.
    #[test]
    fn a_block_alone_is_the_block_of_its_text() {
        let mut sources = SourceMap::default();
        let library = Library::new(&mut sources);
        let mut names = vec![];
        for (id, text) in sources.iter() {
            let (file, faults) = syntax::parse(&sources, id);
            assert!(faults.is_empty(), "{}: {faults:?}", text.name);
            for item in file.items {
                let whole = item.into_block().expect("there are only blocks");
                let alone = library.get(&sources, &whole.name.node);
                assert_eq!(alone.map(|(_, block)| format!("{block:?}")), Some(format!("{whole:?}")));
                names.push(whole.name.node);
            }
        }
        names.sort();
        assert!(library.names().eq(names.iter().map(String::as_str)));
    }
}

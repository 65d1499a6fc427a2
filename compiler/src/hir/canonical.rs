//! The closed source: one text that means the same without imports and under any standard library.

use super::Elaborated;
use super::program::Program;
use crate::syntax::ast::{File, Item};
use crate::syntax::format;

/// Items of the program, imports replaced by what they import, then the standard blocks that are used.
pub fn closed(program: &Program, elaborated: &Elaborated) -> String {
    let mut file = File::default();
    // Imported files come before the file that imports them.
    for unit in program.units.iter().rev().filter(|u| !u.standard) {
        let own = unit.file.items.iter().filter(|i| !matches!(i, Item::Import(_)));
        file.items.extend(own.cloned());
    }
    let defined: Vec<String> = file.items.iter().filter_map(block_name).map(str::to_string).collect();
    for unit in program.units.iter().filter(|u| u.standard) {
        let used = unit.file.items.iter().filter(|i| {
            block_name(i).is_some_and(|n| elaborated.standard.iter().any(|s| s == n) && !defined.iter().any(|d| d == n))
        });
        file.items.extend(used.cloned());
    }
    format::canonical(&file)
}

fn block_name(item: &Item) -> Option<&str> {
    match item {
        Item::Block(b) => Some(&b.name.node),
        _ => None,
    }
}

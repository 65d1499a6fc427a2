//! The closed source: one text that means the same without imports and under any standard library.

use super::Elaborated;
use super::program::{CLOSED, Program};
use crate::syntax::ast::{DimSize, Expr, ExprKind, File, Item};
use crate::syntax::format;

/// Items of the program, imports replaced by what they import and `--set` values written in; after a line that
/// says so, the standard blocks that are used.
pub fn closed(program: &Program, elaborated: &Elaborated) -> String {
    let mut file = File::default();
    // Imported files come before the file that imports them.
    for unit in program.units.iter().rev() {
        let own = unit.file.items.iter().filter(|i| !matches!(i, Item::Import(_)));
        file.items.extend(own.cloned());
    }
    for item in &mut file.items {
        settle(item, &program.sets);
    }
    let used = elaborated.standard.iter().filter_map(|name| program.standard_block(name));
    let library = File { items: used.map(|(_, block)| Item::Block(block.clone())).collect() };
    let text = format::canonical(&file);
    if library.items.is_empty() {
        return text;
    }
    format!("{text}\n{CLOSED}\n\n{}", format::canonical(&library))
}

/// Writes a `--set` value into the constant or dim that it sets.
fn settle(item: &mut Item, sets: &[(String, String)]) {
    let (name, value): (_, &mut Expr) = match item {
        Item::Const(c) => (&c.name.node, &mut c.value),
        Item::Dim(d) => match &mut d.size {
            DimSize::Equal(e) => (&d.name.node, e),
            DimSize::AtMost(_) | DimSize::Solved => return,
        },
        _ => return,
    };
    let Some((_, text)) = sets.iter().rev().find(|(n, _)| n == name) else { return };
    value.node = match (text.as_str(), text.parse::<f64>()) {
        ("true", _) => ExprKind::Bool(true),
        ("false", _) => ExprKind::Bool(false),
        (_, Ok(x)) if x.is_finite() => ExprKind::Number(x),
        _ => ExprKind::Text(text.clone()),
    };
}

//! What the grammar cannot say about settings: none twice (E0108), durations with a unit (E0109).

use super::ast::{Arg, Expr, ExprKind, Ident, Setting};
use crate::base::Diagnostic;
use std::collections::BTreeMap;

/// Keeps the first of several things of one name and reports the others.
pub(super) fn unique<T>(things: &mut Vec<T>, name: impl Fn(&T) -> Option<&Ident>) -> Vec<Diagnostic> {
    let mut seen = BTreeMap::new();
    let mut faults = vec![];
    things.retain(|thing| {
        let Some(name) = name(thing) else { return true };
        match seen.get(&name.node) {
            Some(first) => {
                faults.push(twice(name, *first));
                false
            }
            None => {
                seen.insert(name.node.clone(), name.span);
                true
            }
        }
    });
    faults
}

/// `name` was given before, at `first`.
pub(super) fn twice(name: &Ident, first: crate::base::Span) -> Diagnostic {
    Diagnostic::error("E0108", name.span, format!("`{}` is given twice", name.node))
        .here("given again")
        .label(first, "first given here")
}

/// Durations in the settings of `train` that are bare numbers. What a name stands for is not known
/// here; only numbers as written are judged.
pub(super) fn missing_units(settings: &[Setting]) -> Vec<Diagnostic> {
    let mut faults = vec![];
    for setting in settings {
        let ExprKind::Call { callee, args } = &setting.value.node else { continue };
        let ExprKind::Name(called) = &callee.node else { continue };
        for (i, arg) in args.iter().enumerate() {
            let duration = match (setting.name.node.as_str(), called.as_str(), arg) {
                ("stop", "patience", Arg::Positional(value)) if i == 0 => value,
                ("schedule", _, Arg::Named(name, value)) if name.node == "warmup" => value,
                ("schedule", "steps", Arg::Named(name, value)) if name.node == "at" => value,
                _ => continue,
            };
            bare_numbers(duration, &mut faults);
        }
    }
    faults
}

fn bare_numbers(duration: &Expr, faults: &mut Vec<Diagnostic>) {
    match &duration.node {
        ExprKind::Number(n) if *n != 0.0 => faults.push(
            Diagnostic::error("E0109", duration.span, "the unit of time is missing")
                .here("epochs or steps")
                .help(format!("write `{n} epochs` or `{n} steps`")),
        ),
        ExprKind::List(items) => items.iter().for_each(|item| bare_numbers(item, faults)),
        _ => {}
    }
}

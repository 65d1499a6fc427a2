//! Lints and late errors about data and training: splits, paths, schedules, weights that no gradient reaches.

use super::elab::Elab;
use super::layer::{Hir, Layer, What};
use super::value::LayerId;
use crate::base::{Diagnostic, Span};
use crate::loops::{Binary, Unary};
use crate::syntax::ast::{self, Arg, Expr, ExprKind, Unit};

/// A schedule that rises for a larger share of the run than this hardly comes to its point.
const LONGEST_WARMUP: f64 = 0.5;

/// Epochs of a run that says nothing about its length.
const DEFAULT_EPOCHS: f64 = 10.0;

impl<'a> Elab<'a> {
    /// All of them, for the first `train` and its data.
    pub fn recipe_lints(&mut self) {
        for data in self.declared.data.clone() {
            self.path_outside_project(data);
        }
        let Some(train) = self.declared.trains.first().copied() else { return };
        if let Some(data) = self.declared.data.iter().copied().find(|d| d.name.node == train.data.node) {
            self.missing_validation(data);
        }
        self.schedule_fits(train);
        self.gradients_reach_weights();
    }

    fn missing_validation(&mut self, data: &'a ast::Data) {
        let Some(split) = setting(&data.settings, "split") else { return };
        let has_val = arguments(split).iter().any(|arg| matches!(arg, Arg::Named(name, _) if name.node == "val"));
        if !has_val {
            let d = Diagnostic::warning("missing_validation", split.span, "the split has no validation part");
            self.warn(d.help("add `val = 10%`: the best epoch is chosen by it"));
        }
    }

    fn path_outside_project(&mut self, data: &'a ast::Data) {
        let Some(source) = setting(&data.settings, "source") else { return };
        for arg in arguments(source) {
            let Arg::Positional(Expr { node: ExprKind::Text(path), span }) = arg else { continue };
            if leaves(path) {
                let message = format!("`{path}` leads out of the project");
                let d = Diagnostic::warning("path_outside_project", *span, message);
                self.warn(d.help("use a relative path, and `--data-root` where the data lies elsewhere"));
            }
        }
    }

    /// E0604 for what comes after the end; a lint for a warm-up that is most of the run.
    fn schedule_fits(&mut self, train: &'a ast::Train) {
        let Some(schedule) = setting(&train.settings, "schedule") else { return };
        let (epochs, steps) = (length(train, "epochs"), length(train, "steps"));
        let share = |e: &Expr| match e.node {
            ExprKind::Percent(p) => Some(p / 100.0),
            ExprKind::Quantity(n, Unit::Epochs) if steps.is_none() => Some(n / epochs.unwrap_or(DEFAULT_EPOCHS)),
            ExprKind::Quantity(n, Unit::Steps) => Some(n / steps?),
            _ => None,
        };
        for arg in arguments(schedule) {
            let Arg::Named(name, value) = arg else { continue };
            for moment in moments(value) {
                match share(moment) {
                    Some(part) if part >= 1.0 => {
                        let message = "this point of the schedule lies after the end of the training";
                        self.report(
                            Diagnostic::error("E0604", moment.span, message).label(train.model.span, "trained here"),
                        );
                    }
                    Some(part) if name.node == "warmup" && part > LONGEST_WARMUP => {
                        let message = format!("the rate rises for {:.0} % of the training", 100.0 * part);
                        self.warn(Diagnostic::warning("schedule_too_short", moment.span, message));
                    }
                    Some(_) | None => {}
                }
            }
        }
    }

    /// E0411 for weights that the loss depends on, but only through steps.
    fn gradients_reach_weights(&mut self) {
        let roots: Vec<LayerId> = self.hir.losses.iter().map(|l| l.layer).collect();
        let all = super::lints::reachable(&self.hir, &roots, false);
        let smooth = smoothly_reachable(&self.hir, &roots);
        let stuck = |(i, layer): (usize, &Layer)| {
            let weight = matches!(layer.what, What::Weight(_)) && all[i] && !smooth[i];
            weight.then(|| (layer.path.clone(), layer.span))
        };
        let found: Vec<(String, Span)> = self.hir.layers.iter().enumerate().filter_map(stuck).collect();
        for (path, span) in found {
            let message = format!("no gradient reaches `{path}`");
            let d = Diagnostic::error("E0411", span, message);
            self.report(
                d.note("between it and the loss is `argmax`, `floor`, `detach` or a comparison, which have none"),
            );
        }
    }
}

/// Which layers have a way to `roots` that gradients can take.
fn smoothly_reachable(hir: &Hir, roots: &[LayerId]) -> Vec<bool> {
    let mut reached = vec![false; hir.layers.len()];
    let mut open = roots.to_vec();
    while let Some(id) = open.pop() {
        if std::mem::replace(&mut reached[id.index()], true) {
            continue;
        }
        let layer = hir.layer(id);
        match layer.what {
            What::Detach | What::ArgMax(_) | What::Unary(Unary::Floor) => {}
            What::Binary(Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne) => {}
            What::Select => open.extend(&layer.inputs[1..]),
            _ => open.extend(&layer.inputs),
        }
    }
    reached
}

fn setting<'a>(settings: &'a [ast::Setting], name: &str) -> Option<&'a Expr> {
    settings.iter().find(|s| s.name.node == name).map(|s| &s.value)
}

fn arguments(e: &Expr) -> &[Arg] {
    match &e.node {
        ExprKind::Call { args, .. } => args,
        _ => &[],
    }
}

/// One duration, or a list of them.
fn moments(e: &Expr) -> &[Expr] {
    match &e.node {
        ExprKind::List(items) => items,
        _ => std::slice::from_ref(e),
    }
}

/// `epochs = 10` or `10 epochs`, as written.
fn length(train: &ast::Train, name: &str) -> Option<f64> {
    match setting(&train.settings, name)?.node {
        ExprKind::Number(n) | ExprKind::Quantity(n, _) => Some(n),
        _ => None,
    }
}

/// Absolute, or above the program's folder.
fn leaves(path: &str) -> bool {
    let absolute = path.starts_with(['/', '\\', '~']) || path.get(1..3).is_some_and(|p| p == ":\\" || p == ":/");
    let mut depth = 0i32;
    let climbs = path.split(['/', '\\']).any(|part| {
        depth += match part {
            ".." => -1,
            "." | "" => 0,
            _ => 1,
        };
        depth < 0
    });
    absolute || climbs
}

#[cfg(test)]
mod tests {
    use super::leaves;

    #[test]
    fn paths_that_leave() {
        for path in ["/data/x.csv", "../x.csv", "a/../../x.csv", "C:\\x.csv", "~/x.csv"] {
            assert!(leaves(path), "{path}");
        }
        for path in ["x.csv", "a/b.csv", "a/../b.csv", "./x.csv", "tabular/iris.csv"] {
            assert!(!leaves(path), "{path}");
        }
    }
}

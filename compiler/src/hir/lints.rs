//! Lints that need no data: what is legal, but hardly what was meant.

use super::elab::Elab;
use super::layer::{Hir, Layer, What};
use super::value::{LayerId, Val};
use crate::base::{Diagnostic, Span};
use crate::loops::{Binary, Unary};
use crate::syntax::ast;
use dlc_runtime::data::error::grouped;

/// Which ways from a result to its causes count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Through {
    All,
    /// Not through operations that have no gradient; `detach` is meant and counts.
    Gradients,
}

/// Which layers `roots` depend on.
pub fn reachable(hir: &Hir, roots: &[LayerId], through: Through) -> Vec<bool> {
    let mut reached = vec![false; hir.layers.len()];
    let mut open = roots.to_vec();
    while let Some(id) = open.pop() {
        if std::mem::replace(&mut reached[id.index()], true) {
            continue;
        }
        let layer = hir.layer(id);
        let skipped = if through == Through::All { 0 } else { without_gradient(&layer.what) };
        open.extend(layer.inputs.iter().skip(skipped));
        if let What::Carry { scan, which } = layer.what {
            open.extend(hir.scans[scan].states[which].1);
        }
    }
    reached
}

/// How many of the first operands get no gradient.
fn without_gradient(what: &What) -> usize {
    match what {
        What::ArgMax(_) | What::OneHot | What::Unary(Unary::Floor) => usize::MAX,
        What::Binary(Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne) => usize::MAX,
        What::Select | What::Embed => 1,
        _ => 0,
    }
}

/// Is the layer what a block of this name ends in?
fn made_by(layer: &Layer, block: &str) -> bool {
    let mut parts = layer.path.rsplit('/').take(2);
    parts.any(|p| p.strip_prefix(block).is_some_and(|rest| rest.starts_with('[')))
}

/// Does the layer belong to a `layer` of the program, which has a name and no number?
fn shared(layer: &Layer) -> bool {
    !layer.path.ends_with(']')
}

impl<'a> Elab<'a> {
    /// The layer that computes a value, past renaming and reshaping.
    fn source_of(&self, mut id: LayerId) -> &Layer {
        loop {
            let layer = self.hir.layer(id);
            match (&layer.what, &layer.inputs[..]) {
                (What::Rename | What::Reshape | What::Permute, [x]) => id = *x,
                _ => return layer,
            }
        }
    }

    /// What feeds a loss.
    pub fn loss_lints(&mut self, name: &str, x: LayerId, span: Span) {
        let layer = self.source_of(x).clone();
        let classes = name == "cross_entropy";
        let lint =
            |name: &'static str, text: &str| Diagnostic::warning(name, span, text).label(layer.span, "computed here");
        if classes && (made_by(&layer, "softmax") || made_by(&layer, "log_softmax")) {
            let d = lint("softmax_before_loss", "`cross_entropy` takes logits: it has a softmax of its own");
            self.warn(d.help("keep the softmax for users: `predict sure = softmax(logits, over = ...)`"));
        }
        if name == "bce" && layer.what == What::Unary(Unary::Sigmoid) {
            let d = lint("sigmoid_before_bce", "`bce` takes logits: it has a sigmoid of its own");
            self.warn(d.help("keep the sigmoid for users: `predict chance = sigmoid(logits)`"));
        }
        if (classes || name == "bce") && made_by(&layer, "relu") {
            let d = lint("relu_on_logits", "the logits go through `relu` and can never be negative");
            self.warn(d.help("end with `dense` alone"));
        }
        if matches!(layer.what, What::Dropout { .. }) {
            let d = lint("dead_dropout", "`dropout` directly before the loss removes answers, not features");
            self.warn(d.help("put it before the last layer with weights"));
        }
    }

    /// A name that is also a dim.
    pub fn shadow_lint(&mut self, name: &ast::Ident) {
        let is_dim = matches!(self.declared.globals.get(name.node.as_str()), Some(super::program::Global::Dim(_)));
        if is_dim && !self.frame().standard {
            let message = format!("`{}` is also a dimension", name.node);
            self.used.insert(name.node.clone());
            self.warn(Diagnostic::warning("name_shadows_dim", name.span, message).help("give it another name"));
        }
    }

    /// Definitions of the finished body that nothing reads.
    pub fn unused_lint(&mut self) {
        let frame = self.frames.last().expect("never empty");
        if frame.standard {
            return;
        }
        let unused: Vec<(String, Span, bool)> = frame
            .order
            .iter()
            .filter_map(|n| frame.vars.get(n).map(|l| (n, l)))
            .filter(|(n, l)| l.defined && !l.used && !n.starts_with('_') && !matches!(l.val, Val::Poison))
            .map(|(n, l)| (n.clone(), l.span, frame.model.is_some()))
            .collect();
        for (name, span, model) in unused {
            let mut d = Diagnostic::warning("unused_value", span, format!("`{name}` is never used"));
            if model {
                let start = format!("{}.{name}/", self.hir.model);
                let own = self.hir.weights.iter().filter(|w| w.path.starts_with(&start));
                let count: usize = own.map(|w| w.shape().iter().product::<usize>()).sum();
                if count > 0 {
                    d = d.here(format!("its {} weights would never learn", grouped(count)));
                    if let Some((place, text)) = self.reads_too(&name) {
                        d = d.label(place, text);
                    }
                }
            }
            self.warn(d);
        }
    }

    /// A later definition that begins with the same name as `name`'s: perhaps it should have read `name`.
    fn reads_too(&self, name: &str) -> Option<(Span, String)> {
        let model = self.declared.models.iter().find(|m| m.name.node == self.hir.model)?;
        let first = |e: &ast::Expr| match &e.node {
            ast::ExprKind::Pipe(first, _) => match &first.node {
                ast::ExprKind::Name(n) => Some((n.clone(), first.span)),
                _ => None,
            },
            _ => None,
        };
        let defs = model.body.iter().filter_map(|s| match s {
            ast::Stmt::Def { targets, value } => Some((targets[0].name.node.as_str(), first(value))),
            _ => None,
        });
        let mut after = defs.skip_while(|(n, _)| *n != name);
        let (_, own) = after.next()?;
        let (own, _) = own?;
        after.find_map(|(other, read)| {
            let (read, span) = read?;
            (read == own).then(|| (span, format!("`{other}` reads `{own}` too")))
        })
    }

    /// Lints about the whole program.
    pub fn lints(&mut self) {
        self.unused_dims();
        self.structure();
        self.wide_flatten();
        if !self.hir.losses.is_empty() {
            self.unused_outputs();
        }
    }

    fn unused_dims(&mut self) {
        for name in self.declared.order.clone() {
            if let super::program::Global::Dim(d) = self.declared.globals[name]
                && !self.used.contains(name)
            {
                let message = format!("the dimension `{name}` is never used");
                self.warn(Diagnostic::warning("unused_dim", d.name.span, message));
            }
        }
    }

    fn structure(&mut self) {
        let mut found = vec![];
        for layer in &self.hir.layers {
            let Some(x) = layer.inputs.first() else { continue };
            let before = self.source_of(*x);
            match layer.what {
                What::Dense if before.what == What::Dense && !shared(layer) && !shared(before) => {
                    let d = Diagnostic::warning(
                        "linear_after_linear",
                        layer.span,
                        "two `dense` layers without a nonlinearity are one",
                    );
                    found.push(d.label(before.span, "the first").help("put `relu` between them"));
                }
                What::BatchNorm { .. }
                    if matches!(before.what, What::Dense | What::Conv(_)) && before.inputs.len() == 3 =>
                {
                    let d = Diagnostic::warning(
                        "bias_before_batch_norm",
                        before.span,
                        "the bias is taken away again by `batch_norm`",
                    );
                    found.push(d.label(layer.span, "normalized here").help("write `bias = false`"));
                }
                _ => {}
            }
        }
        for d in found {
            self.warn(d);
        }
    }

    fn wide_flatten(&mut self) {
        let Some(total) = self.hir.parameters().filter(|n| *n >= 100_000) else { return };
        let mut found = None;
        for layer in self.hir.layers.iter().filter(|l| l.what == What::Dense) {
            let flat = self.hir.layer(layer.inputs[0]);
            let What::Weight(w) = self.hir.layer(layer.inputs[1]).what else { continue };
            let own: usize = self.hir.weights[w].shape().iter().product();
            let from_picture = made_by(flat, "flatten") && self.hir.layer(flat.inputs[0]).ty.axes.len() > 1;
            if from_picture && own as u64 * 10 > total * 9 {
                found = Some((layer.span, own));
            }
        }
        if let Some((span, own)) = found {
            let message =
                format!("this `dense` after `flatten` holds {} of {} weights", grouped(own), grouped(total as usize));
            let d = Diagnostic::warning("wide_flatten", span, message);
            self.warn(d.help("pool before it, or take the mean: `mean(over = [h, w])`"));
        }
    }

    fn unused_outputs(&mut self) {
        let roots: Vec<LayerId> = self.hir.losses.iter().map(|l| l.layer).collect();
        let reached = reachable(&self.hir, &roots, Through::All);
        for out in self.hir.outputs.clone() {
            if !reached[out.layer.index()] {
                let message = format!("no loss reaches the output `{}`", out.name);
                let d = Diagnostic::warning("unused_output", out.span, message);
                self.warn(d.help("add it to the loss, or make it a `predict`"));
            }
        }
    }
}

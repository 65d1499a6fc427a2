//! Metrics of what a network tells by itself: `bleu(tokens)`, `exact(tokens)`.

use super::data::DataInfo;
use super::elab::{Elab, Res};
use super::spec::{MetricArg, MetricSpec};
use super::value::Val;
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{self, Arg, Expr, ExprKind};
use dlc_runtime::data::spec::{FieldStep, TextStep};

/// What is compared of the texts of the test part and those that are told of its examples.
pub const TOLD_METRICS: &[&str] = &["bleu", "exact"];
/// `exact(tokens, new = true)`: of texts that the training part does not have.
const NEW: &str = "exact_new";

impl<'a> Elab<'a> {
    /// The input that `generate` lets grow; what it should become are the texts of its field.
    pub fn told_metric(&mut self, name: &ast::Ident, args: &'a [Arg], span: Span) -> Res<MetricSpec> {
        let kind = name.node.clone();
        let (input, at, new) = match args {
            [Arg::Positional(Expr { node: ExprKind::Name(input), span })] => (input.clone(), *span, false),
            [Arg::Positional(Expr { node: ExprKind::Name(input), span }), Arg::Named(flag, e)]
                if flag.node == "new" && kind == "exact" =>
            {
                (input.clone(), *span, self.only_new(e)?)
            }
            _ => {
                let e = Diagnostic::error("E0602", span, format!("`{kind}` needs the input that is told"));
                return Err(self.report(e.help(format!("write `{kind}(tokens)`"))));
            }
        };
        let grown = |g: &&ast::Generate| g.choices.iter().any(|(own, _)| own.node == input);
        if !self.declared.generates.clone().iter().any(|g| grown(g)) {
            let e =
                Diagnostic::error("E0602", at, format!("`{kind}` compares what is told, and nothing tells `{input}`"));
            return Err(self.report(e.help(format!("add `generate MODEL {{ {input} <- greedy(logits) }}`"))));
        }
        let args = vec![MetricArg::Field(input)];
        let kind = if new { NEW.to_string() } else { kind };
        let (label, names, variable) = (kind.clone(), vec![], vec![]);
        Ok(MetricSpec { kind, label, args, classes: None, names, ignored: vec![], variable, k: 0, detection: None })
    }

    fn only_new(&mut self, e: &'a Expr) -> Res<bool> {
        match self.eval(e)? {
            Val::Bool(new) => Ok(new),
            other => self.fail("E0402", e.span, format!("`new` is true or false, found {}", other.kind())),
        }
    }

    /// E0602 where a field has no text of each example to compare with.
    pub fn told_fits(&mut self, metrics: &[MetricSpec], data: &DataInfo) -> Res<()> {
        let Some(spec) = &data.spec else { return Ok(()) };
        for metric in metrics.iter().filter(|m| m.kind == NEW || TOLD_METRICS.contains(&m.kind.as_str())) {
            let input = metric.args.first().map_or("", MetricArg::name);
            let next = |step: &FieldStep| matches!(step, FieldStep::Text(TextStep::NextToken { .. }));
            let fits = |name: &str| spec.fields.iter().any(|f| f.name == name && f.steps.iter().any(next));
            if let Some(field) = data.fields.iter().find(|f| f.name == input && !fits(&f.name)) {
                let message = format!("`{}` compares texts, and `{input}` is no text of each example", metric.kind);
                let e = Diagnostic::error("E0602", field.span, message);
                return Err(self.report(e.help("read it of a column of texts: `line |> words |> next_token`")));
            }
        }
        Ok(())
    }
}

//! The `generate` section: which output chooses what follows, and how.

use super::elab::{Elab, Res};
use super::layer::{Hir, What};
use super::near::nearest;
use super::spec::GenerateSpec;
use super::value::{Element, Size};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::{self, Arg, Expr, ExprKind};

const RULES: &str = "`sample(logits, temperature = 1, top = 40, top_p = 0.9, seed = 0)`, `greedy(logits)` and `beam(logits, width = 4)`";

/// What each rule takes besides the logits.
const ARGUMENTS: &[(&str, &[&str])] =
    &[("sample", &["temperature", "top", "top_p", "seed"]), ("greedy", &[]), ("beam", &["width"])];

/// Lines that are kept side by side by `beam`.
const WIDEST: usize = 64;

impl<'a> Elab<'a> {
    /// The section about the model that is kept; others are told.
    pub fn generates(&mut self) -> Option<GenerateSpec> {
        let mut found = None;
        for g in self.declared.generates.clone() {
            if self.broken.contains(&g.model.node) {
                continue;
            }
            if g.model.node != self.hir.model {
                let message = format!("`generate {}` is about no model of this program that is trained", g.model.node);
                let e = Diagnostic::error("E0201", g.model.span, message);
                let trained = (!self.hir.model.is_empty()).then(|| format!("trained is `{}`", self.hir.model));
                self.report(match trained {
                    Some(help) => e.help(help),
                    None => e,
                });
            } else {
                found = self.generate(g).ok();
            }
        }
        found
    }

    fn generate(&mut self, g: &'a ast::Generate) -> Res<GenerateSpec> {
        let mut limit = 500;
        for s in &g.settings {
            let known = |(_, names): &&(&str, &[&str])| names.contains(&s.name.node.as_str());
            if let Some((rule, _)) = ARGUMENTS.iter().find(known) {
                let e = Diagnostic::error("E0209", s.name.span, format!("`generate` has no setting `{}`", s.name.node));
                self.report(e.help(format!("it stands in the choice: `{rule}(logits, {} = ...)`", s.name.node)));
                continue;
            }
            if s.name.node != "limit" {
                self.unknown_setting(&s.name, "generate", &["limit"]);
                continue;
            }
            let value = self.eval(&s.value)?;
            limit = self.whole_number((value, s.value.span), "limit", 1)?;
        }
        let [(input, rule)] = &g.choices[..] else {
            let e = Diagnostic::error(
                "E0407",
                g.span,
                format!("`generate` needs one choice, here are {}", g.choices.len()),
            );
            return Err(self.report(e.help("write `tokens <- sample(logits)`")));
        };
        let (input_name, width) = (input.node.clone(), 1);
        let mut spec = GenerateSpec { input: input_name, limit, temperature: 1.0, width, ..GenerateSpec::default() };
        let output = self.rule(rule, &mut spec)?;
        let model = self.declared.models.iter().find(|model| model.name.node == g.model.node);
        if !model.is_some_and(|model| model.formals.iter().any(|formal| formal.name.node == input.node)) {
            let names = model.map_or(&[][..], |model| &model.formals[..]).iter();
            let names = names.map(|formal| format!("`{}`", formal.name.node)).collect::<Vec<_>>().join(" and ");
            let e = Diagnostic::error("E0201", input.span, format!("the model has no input `{}`", input.node));
            return Err(self.report(e.help(format!("what is chosen becomes a part of an input: here of {names}"))));
        }
        self.continues(input, (&output, rule.span), spec)
    }

    /// `sample(logits, ...)`, `greedy(logits)`: the name of the logits.
    fn rule(&mut self, rule: &'a Expr, spec: &mut GenerateSpec) -> Res<String> {
        let (name, args) = self.named_call(rule, "a choice, such as `sample(logits)`,")?;
        match name.node.as_str() {
            "greedy" => spec.temperature = 0.0,
            "beam" => (spec.temperature, spec.width) = (0.0, 4),
            "sample" => {}
            other => {
                let e = Diagnostic::error("E0203", name.span, format!("`{other}` chooses no symbol"));
                return Err(self.report(e.help(format!("there are {RULES}"))));
            }
        }
        let known = ARGUMENTS.iter().find(|(rule, _)| *rule == name.node).map_or(&[][..], |(_, known)| *known);
        let mut output = None;
        let mut given: Vec<&str> = vec![];
        for arg in args {
            match arg {
                Arg::Positional(Expr { node: ExprKind::Name(n), .. }) if output.is_none() => output = Some(n.clone()),
                Arg::Named(n, e) if known.contains(&n.node.as_str()) => {
                    if given.contains(&n.node.as_str()) {
                        return self.fail("E0108", n.span, format!("`{}` is given twice", n.node));
                    }
                    given.push(&n.node);
                    self.argument(n, e, spec)?;
                }
                Arg::Named(n, _) => {
                    let d = Diagnostic::error("E0408", n.span, format!("`{}` has no argument `{}`", name.node, n.node));
                    return Err(self.report(match nearest(&n.node, known.iter().copied()) {
                        _ if n.node == "top_k" && name.node == "sample" => d.help("among the likeliest 40: `top = 40`"),
                        Some(near) => d.help(format!("an argument with a similar name exists: `{near}`")),
                        None => d.help(format!("there are {RULES}")),
                    }));
                }
                _ => {
                    let d = Diagnostic::error("E0408", rule.span, format!("`{}` does not take this", name.node));
                    return Err(self.report(d.help(format!("there are {RULES}"))));
                }
            }
        }
        match output {
            Some(output) => Ok(output),
            None => self.fail("E0407", rule.span, format!("`{}` needs the logits to choose by", name.node)),
        }
    }

    /// `temperature = 0.8` and its like.
    fn argument(&mut self, name: &ast::Ident, e: &'a Expr, spec: &mut GenerateSpec) -> Res<()> {
        let placed = (self.eval(e)?, e.span);
        match name.node.as_str() {
            "temperature" => {
                spec.temperature = self.number(placed)?;
                if !(spec.temperature > 0.0 && spec.temperature <= 100.0) {
                    let message = format!("`temperature` is {}, it must be above 0 and at most 100", spec.temperature);
                    let d = Diagnostic::error("E0410", e.span, message);
                    return Err(self.report(d.help("always the likeliest symbol: `greedy(logits)`")));
                }
            }
            "top" => spec.top = Some(self.whole_number(placed, "top", 1)?),
            "top_p" => {
                let share = self.number(placed)?;
                if !(share > 0.0 && share <= 1.0) {
                    let message = format!("`top_p` is {share}, it must be above 0 and at most 1");
                    let d = Diagnostic::error("E0410", e.span, message);
                    return Err(
                        self.report(d.help("how likely those that are chosen from are together: `top_p = 0.9`"))
                    );
                }
                spec.top_p = Some(share);
            }
            "seed" => spec.seed = Some(self.whole_number(placed, "seed", 0)? as u64),
            _ => {
                spec.width = self.whole_number(placed, "width", 1)?;
                if spec.width > WIDEST {
                    let message = format!("`width` is {}, and {WIDEST} is the most", spec.width);
                    return self.fail("E0410", e.span, message);
                }
            }
        }
        Ok(())
    }

    /// The logits are an output of the model, with one row of scores for each element of the input.
    fn continues(&mut self, input: &ast::Ident, (output, at): (&str, Span), spec: GenerateSpec) -> Res<GenerateSpec> {
        let is_input = |l: &&super::layer::Layer| matches!(&l.what, What::Input(name) if *name == input.node);
        let Some(ty) = self.hir.layers.iter().find(is_input).map(|l| l.ty.clone()) else {
            return self.fail("E0201", input.span, format!("the model does not read `{}`", input.node));
        };
        let (Element::Index { dim, .. }, [place]) = (&ty.element, &ty.axes[..]) else {
            let message =
                format!("`{}` is {ty}; what is generated is a line of indices, such as `char[t]`", input.node);
            return self.fail("E0402", input.span, message);
        };
        let Some(scores) = shown(&self.hir, output) else {
            let e = Diagnostic::error("E0201", at, format!("the model answers with no `{output}`"));
            return Err(self.report(e.help("it is an output of the model, or where there are any a `predict`")));
        };
        let axes: Vec<&str> = scores.axes.iter().map(|axis| axis.name.as_str()).collect();
        if scores.is_index() || axes != [place.name.as_str(), dim.as_str()] {
            let message = format!(
                "`{output}` is {scores}, and what follows `{}` is chosen by [{}, {dim}]",
                input.node, place.name
            );
            return self.fail("E0310", at, message);
        }
        if place.size == Size::Known(0) {
            return self.fail("E0410", input.span, "nothing can be generated along an axis of size 0");
        }
        let window = place.size.most().unwrap_or(0);
        let along = place.size.variable().map(|v| v.dim.clone());
        Ok(GenerateSpec { output: output.to_string(), dim: dim.clone(), along, window, ..spec })
    }
}

/// The type of what users see under this name.
fn shown(hir: &Hir, name: &str) -> Option<super::value::Table> {
    let named = if hir.predicts.is_empty() { &hir.outputs } else { &hir.predicts };
    named.iter().find(|n| n.name == name).map(|n| hir.layer(n.layer).ty.clone())
}

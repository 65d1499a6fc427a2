//! Who is called: a shared layer, a block of the program or of the standard library, or a primitive.

use super::args::Call;
use super::elab::{Elab, Reported, Res};
use super::near::nearest;
use super::value::{Placed, Val};
use super::{intrinsics, shape};
use crate::base::{Diagnostic, Span, Spanned};
use crate::syntax::ast::{self, Arg, Expr, ExprKind, Ident};

/// What chooses symbols in `generate`, and is no layer.
const CHOICES: &[&str] = &["beam", "greedy", "sample"];

impl<'a> Elab<'a> {
    pub fn call(&mut self, callee: &'a Expr, args: &'a [Arg], piped: Option<Placed<'a>>, span: Span) -> Res<Val<'a>> {
        let ExprKind::Name(name) = &callee.node else {
            return self.fail("E0404", callee.span, "this cannot be called: the name of a layer is needed");
        };
        let name = Spanned { node: name.clone(), span: callee.span };
        self.apply(&name, piped.into_iter().collect(), args, span, None)
    }

    /// Calls `name`; `path` is given for shared layers.
    pub fn apply(
        &mut self,
        name: &Ident,
        given: Vec<Placed<'a>>,
        args: &'a [Arg],
        span: Span,
        path: Option<String>,
    ) -> Res<Val<'a>> {
        let mut c = Call::new(name, given, args, span);
        if let Some(local) = self.frame().vars.get_mut(&name.node) {
            local.used = true;
            return match local.val.clone() {
                Val::Layer(inner, path) => self.shared(inner, path, c),
                Val::Poison => Err(Reported),
                other => {
                    let message = format!("`{}` is {}, it cannot be called", name.node, other.kind());
                    self.fail("E0404", name.span, message)
                }
            };
        }
        if let Some((block, standard)) = self.block_named(&name.node) {
            c.path = path.unwrap_or_else(|| self.next_path(&name.node));
            return self.expand(block, standard, c);
        }
        if let Some(build) = intrinsics::find(&name.node) {
            c.path = path.unwrap_or_else(|| self.next_path(&name.node));
            let outer = std::mem::replace(&mut self.here, c.path.clone());
            let result = build(self, &mut c).and_then(|v| self.finish(&mut c).map(|()| v));
            self.here = outer;
            return result;
        }
        Err(self.unknown_layer(name))
    }

    /// Calls a block of the standard library for the compiler itself.
    pub fn standard_block(&mut self, name: &Ident, given: Vec<Placed<'a>>, span: Span) -> Res<Val<'a>> {
        let Some((key, block)) = self.program.standard_block(&name.node) else {
            return Err(self.unknown_layer(name));
        };
        self.used_standard.insert(key);
        let mut c = Call::new(name, given, &[], span);
        c.path = self.next_path(&name.node);
        self.expand(block, true, c)
    }

    fn block_named(&mut self, name: &str) -> Option<(&'a ast::Block, bool)> {
        let own = if self.frame().standard { None } else { self.declared.blocks.get(name) };
        match own {
            Some(b) => Some((b, false)),
            None => self.program.standard_block(name).map(|(k, b)| {
                self.used_standard.insert(k);
                (b, true)
            }),
        }
    }

    pub fn callable(&self, name: &str) -> bool {
        self.declared.blocks.contains_key(name) || self.program.library.has(name) || intrinsics::find(name).is_some()
    }

    fn shared(&mut self, inner: &'a Expr, path: String, mut c: Call<'a>) -> Res<Val<'a>> {
        let mut tables = vec![];
        while let Some(g) = c.queue.pop_front() {
            tables.push(self.given(g)?);
        }
        self.finish(&mut c)?;
        let (callee, args): (_, &'a [Arg]) = match &inner.node {
            ExprKind::Call { callee, args } => (&**callee, args),
            _ => (inner, &[]),
        };
        let ExprKind::Name(name) = &callee.node else {
            return self.fail("E0404", callee.span, "the name of a layer is needed");
        };
        let name = Spanned { node: name.clone(), span: callee.span };
        self.apply(&name, tables, args, c.span, Some(path))
    }

    fn unknown_layer(&mut self, name: &Ident) -> Reported {
        if self.broken.contains(&name.node) || self.told_enough() {
            return Reported;
        }
        let e = Diagnostic::error("E0203", name.span, format!("unknown layer `{}`", name.node));
        if self.declared.models.iter().any(|model| model.name.node == name.node) {
            let help = format!("what is used inside a model is a block: `block {}(x: ...) -> y {{ ... }}`", name.node);
            return self.report(e.here("a model, not a layer").help(help));
        }
        let e = e.here("not a layer");
        if CHOICES.contains(&name.node.as_str()) {
            return self
                .report(e.help(format!("symbols are chosen in `generate M {{ tokens <- {}(logits) }}`", name.node)));
        }
        let mut all: Vec<&str> = intrinsics::names().collect();
        all.extend(self.declared.blocks.keys().copied());
        all.extend(self.program.library.names());
        all.sort_unstable();
        let near = nearest(&name.node, all).map(str::to_string);
        self.report(match near {
            Some(near) => e.help(format!("a layer with a similar name exists: `{near}`")),
            None => e,
        })
    }

    /// `view(a -> b)`, the only call with an arrow.
    pub fn map(
        &mut self,
        callee: &'a Expr,
        piped: Option<Placed<'a>>,
        from: &'a [ast::Axis],
        to: &'a [ast::Axis],
        span: Span,
    ) -> Res<Val<'a>> {
        let is_view = matches!(&callee.node, ExprKind::Name(n) if n == "view");
        if !is_view {
            return self.fail("E0404", callee.span, "only `view` takes `a -> b`");
        }
        let Some(x) = piped else {
            let e = Diagnostic::error("E0407", span, "`view` needs a table");
            return Err(self.report(e.help("write `x |> view(a -> b)`")));
        };
        let path = self.next_path("view");
        let outer = std::mem::replace(&mut self.here, path);
        let result = shape::view(self, x, from, to, span);
        self.here = outer;
        result
    }
}

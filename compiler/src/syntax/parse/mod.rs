//! pest pairs to the tree: the only folder that sees pest and its `Rule`.
//!
//! Here: items, statements, types. `expr` reads expressions, `wanted` translates expectations.
//! The grammar fixes which children a pair has and in which order, so `expect` on a child states a
//! fact of `grammar/dl.pest`.

mod expr;
mod wanted;

use super::ast::*;
use super::error;
use super::lexer::Lexer;
use super::scan::Piece;
use super::settings;
use crate::base::{Diagnostic, SourceId, Span, Spanned};
use pest::Parser;
use pest::error::{ErrorVariant, InputLocation};
use pest::iterators::Pair;
use std::iter::Peekable;

#[derive(pest_derive::Parser)]
#[grammar = "../../grammar/dl.pest"]
struct Grammar;

/// The children of a pair that say something: neither punctuation nor reserved words.
type Children<'a> = Peekable<Box<dyn Iterator<Item = Pair<'a, Rule>> + 'a>>;

fn children(pair: Pair<'_, Rule>) -> Children<'_> {
    let telling: Box<dyn Iterator<Item = Pair<'_, Rule>> + '_> =
        Box::new(pair.into_inner().filter(|child| !wanted::is_sign(child.as_rule())));
    telling.peekable()
}

/// Takes the next child if it is of this rule.
fn take<'a>(children: &mut Children<'a>, rule: Rule) -> Option<Pair<'a, Rule>> {
    children.next_if(|child| child.as_rule() == rule)
}

/// The next child, which the grammar puts there.
fn next<'a>(children: &mut Children<'a>) -> Pair<'a, Rule> {
    children.next().expect("the grammar puts a child here")
}

/// Reads one piece of a text; what is wrong with it goes to `faults`.
pub(super) fn piece(text: &str, source: SourceId, piece: Piece, faults: &mut Vec<Diagnostic>) -> Vec<Item> {
    let input = text.get(piece.start..piece.end).unwrap_or("");
    match Grammar::parse(Rule::file, input) {
        Ok(mut pairs) => {
            let ends = Lexer::new(input, 0, input.len()).map(|token| token.end).collect();
            let mut reader = Reader { source, offset: piece.start, ends, faults: vec![] };
            let file = pairs.next().expect("a file is one pair");
            let items = children(file).filter_map(|item| reader.item(item)).collect();
            faults.append(&mut reader.faults);
            items
        }
        Err(fault) => {
            let at = match fault.location {
                InputLocation::Pos(at) | InputLocation::Span((at, _)) => at + piece.start,
            };
            let range = (piece.start, piece.end);
            faults.push(match fault.variant {
                ErrorVariant::ParsingError { positives, .. } => {
                    error::unexpected(source, text, range, at, &wanted::all(&positives))
                }
                // The guard of pest against a small stack: the scan should have come first.
                ErrorVariant::CustomError { .. } => {
                    let here = error::span(source, piece.start, piece.start);
                    error::too_deep(here, super::scan::MAX_DEPTH)
                }
            });
            vec![]
        }
    }
}

struct Reader {
    source: SourceId,
    /// Where the piece begins in its source.
    offset: usize,
    /// Ends of all words of the piece: pest counts blanks after the last word into a pair.
    ends: Vec<usize>,
    faults: Vec<Diagnostic>,
}

impl Reader {
    fn span(&self, pair: &Pair<Rule>) -> Span {
        let span = pair.as_span();
        let after = self.ends.partition_point(|end| *end <= span.end());
        let end = after.checked_sub(1).map_or(span.end(), |i| self.ends[i]).max(span.start());
        error::span(self.source, self.offset + span.start(), self.offset + end)
    }

    fn item(&mut self, pair: Pair<Rule>) -> Option<Item> {
        let span = self.span(&pair);
        let rule = pair.as_rule();
        let c = &mut children(pair);
        Some(match rule {
            Rule::import => Item::Import(Import { path: self.text(next(c)), span }),
            Rule::dim => {
                let name = self.ident(next(c));
                let size = match c.next() {
                    None => DimSize::Solved,
                    Some(size) => {
                        let equal = size.as_rule() == Rule::dim_eq;
                        let value = self.expr(next(&mut children(size)));
                        if equal { DimSize::Equal(value) } else { DimSize::AtMost(value) }
                    }
                };
                Item::Dim(Dim { name, size, span })
            }
            Rule::constant => Item::Const(Const { name: self.ident(next(c)), value: self.expr(next(c)), span }),
            Rule::block => Item::Block(self.block(BlockKind::Block, c, span)),
            Rule::model => Item::Block(self.block(BlockKind::Model, c, span)),
            Rule::data => Item::Data(self.data(c, span)),
            Rule::train => Item::Train(self.train(c, span)),
            Rule::generate => Item::Generate(self.generate(c, span)),
            _ => return None,
        })
    }

    fn block(&mut self, kind: BlockKind, c: &mut Children, span: Span) -> Block {
        let name = self.ident(next(c));
        let mut signature = children(next(c));
        let mut formals = vec![];
        while let Some(formal) = take(&mut signature, Rule::formal) {
            let c = &mut children(formal);
            let name = self.ident(next(c));
            let ty = take(c, Rule::ty).map(|ty| self.ty(ty));
            formals.push(Formal { name, ty, default: c.next().map(|value| self.expr(value)) });
        }
        let outputs = signature.map(|out| self.target(out)).collect();
        let body = children(next(c)).map(|stmt| self.stmt(stmt)).collect();
        Block { kind, name, formals, outputs, body, span }
    }

    fn stmt(&mut self, pair: Pair<Rule>) -> Stmt {
        let rule = pair.as_rule();
        let c = &mut children(pair);
        match rule {
            Rule::layer => Stmt::Layer { name: self.ident(next(c)), value: self.expr(next(c)) },
            Rule::predict => Stmt::Predict { name: self.ident(next(c)), value: self.expr(next(c)) },
            Rule::param | Rule::state => {
                let name = self.ident(next(c));
                let ty = self.ty(next(c));
                let init = self.expr(next(c));
                if rule == Rule::param { Stmt::Param { name, ty, init } } else { Stmt::State { name, ty, init } }
            }
            _ => Stmt::Def { targets: self.targets(c), value: self.expr(next(c)) },
        }
    }

    fn target(&mut self, pair: Pair<Rule>) -> Target {
        let c = &mut children(pair);
        Target { name: self.ident(next(c)), ty: c.next().map(|ty| self.ty(ty)) }
    }

    fn targets(&mut self, c: &mut Children) -> Vec<Target> {
        std::iter::from_fn(|| take(c, Rule::target)).map(|target| self.target(target)).collect()
    }

    fn data(&mut self, c: &mut Children, span: Span) -> Data {
        let name = self.ident(next(c));
        let (mut fields, mut settings) = (vec![], vec![]);
        for child in c {
            match child.as_rule() {
                Rule::field => fields.push(self.field(child)),
                _ => settings.push(self.setting(child)),
            }
        }
        self.no_setting_twice(&mut settings);
        Data { name, fields, settings, span }
    }

    fn train(&mut self, c: &mut Children, span: Span) -> Train {
        let (model, data) = (self.ident(next(c)), self.ident(next(c)));
        let (mut augments, mut fields, mut groups, mut settings) = (vec![], vec![], vec![], vec![]);
        for child in c {
            match child.as_rule() {
                Rule::augment => augments.push(self.augment(child)),
                Rule::field => fields.push(self.field(child)),
                Rule::group => groups.push(self.group(child)),
                _ => settings.push(self.setting(child)),
            }
        }
        self.no_setting_twice(&mut settings);
        let mut again = settings::unique(&mut groups, |group: &Group| Some(&group.name));
        groups.retain(|group| {
            let same = settings.iter().find(|setting| setting.name.node == group.name.node);
            again.extend(same.map(|setting| settings::twice(&group.name, setting.name.span)));
            same.is_none()
        });
        self.faults.append(&mut again);
        self.faults.append(&mut settings::missing_units(&settings));
        Train { model, data, augments, fields, groups, settings, span }
    }

    fn generate(&mut self, c: &mut Children, span: Span) -> Generate {
        let model = self.ident(next(c));
        let (mut choices, mut settings) = (vec![], vec![]);
        for child in c {
            match child.as_rule() {
                Rule::choose => {
                    let c = &mut children(child);
                    choices.push((self.ident(next(c)), self.expr(next(c))));
                }
                _ => settings.push(self.setting(child)),
            }
        }
        self.no_setting_twice(&mut settings);
        Generate { model, choices, settings, span }
    }

    fn augment(&mut self, pair: Pair<Rule>) -> Augment {
        let span = self.span(&pair);
        let c = &mut children(pair);
        let names = std::iter::from_fn(|| take(c, Rule::ident)).map(|name| self.ident(name)).collect();
        Augment { names, stages: c.map(|stage| self.expr(stage)).collect(), span }
    }

    fn field(&mut self, pair: Pair<Rule>) -> Field {
        let span = self.span(&pair);
        let c = &mut children(pair);
        Field { targets: self.targets(c), value: self.expr(next(c)), span }
    }

    fn group(&mut self, pair: Pair<Rule>) -> Group {
        let c = &mut children(pair);
        let name = self.ident(next(c));
        let mut settings = c.map(|setting| self.setting(setting)).collect();
        self.no_setting_twice(&mut settings);
        Group { name, settings }
    }

    fn setting(&mut self, pair: Pair<Rule>) -> Setting {
        let c = &mut children(pair);
        Setting { name: self.ident(next(c)), value: self.expr(next(c)) }
    }

    fn no_setting_twice(&mut self, settings: &mut Vec<Setting>) {
        self.faults.append(&mut settings::unique(settings, |setting| Some(&setting.name)));
    }

    fn ident(&self, pair: Pair<Rule>) -> Ident {
        Spanned { node: pair.as_str().to_owned(), span: self.span(&pair) }
    }

    fn ty(&mut self, pair: Pair<Rule>) -> Type {
        let span = self.span(&pair);
        let c = &mut children(pair);
        let element = take(c, Rule::elem).map(|name| self.ident(next(&mut children(name))));
        let shape = c.next().map(|shape| children(shape).map(|axis| self.axis(axis)).collect());
        Type { element, shape, span }
    }

    fn axis(&mut self, pair: Pair<Rule>) -> Axis {
        let span = self.span(&pair);
        let c = &mut children(pair);
        let first = next(c);
        let kind = match first.as_rule() {
            Rule::rest => AxisKind::Rest,
            Rule::bare_size => AxisKind::Size(expr::decimal(first.as_str())),
            _ => AxisKind::Named(self.ident(first), c.next().map(|size| self.expr(size))),
        };
        Axis { kind, span }
    }
}

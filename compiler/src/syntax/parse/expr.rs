//! Expressions: precedence, calls, pipelines.

use super::{Children, Reader, Rule, children, next, take};
use crate::base::{Diagnostic, Span, Spanned};
use crate::syntax::ast::*;
use crate::syntax::settings;
use pest::iterators::Pair;

/// The number that digits stand for; the grammar has seen that they are some.
pub(super) fn decimal(digits: &str) -> f64 {
    digits.trim().parse().unwrap_or(f64::INFINITY)
}

fn infix(sign: &str) -> Infix {
    match sign {
        "or" => Infix::Or,
        "and" => Infix::And,
        "<" => Infix::Lt,
        "<=" => Infix::Le,
        ">" => Infix::Gt,
        ">=" => Infix::Ge,
        "==" => Infix::Eq,
        "!=" => Infix::Ne,
        "-" => Infix::Sub,
        "*" => Infix::Mul,
        "/" => Infix::Div,
        "^" => Infix::Pow,
        _ => Infix::Add,
    }
}

/// What an operator binds to its left and to its right; the stronger side wins an operand.
fn power(operator: Infix) -> (u8, u8) {
    match operator {
        Infix::Or => (1, 2),
        Infix::And => (3, 4),
        Infix::Lt | Infix::Le | Infix::Gt | Infix::Ge | Infix::Eq | Infix::Ne => (6, 7),
        Infix::Add | Infix::Sub => (8, 9),
        Infix::Mul | Infix::Div => (10, 11),
        Infix::Pow => (14, 13),
    }
}

fn prefix_power(operator: Prefix) -> u8 {
    match operator {
        Prefix::Not => 5,
        Prefix::Neg => 12,
    }
}

fn spanned(node: ExprKind, span: Span) -> Expr {
    Spanned { node, span }
}

impl Reader {
    /// Any expression or stage.
    pub(super) fn expr(&mut self, pair: Pair<Rule>) -> Expr {
        let span = self.span(&pair);
        let rule = pair.as_rule();
        match rule {
            Rule::sum => self.climb(&mut children(pair), 0),
            Rule::chain | Rule::extent => {
                let c = &mut children(pair);
                let first = self.expr(next(c));
                let stages: Vec<Expr> = c.map(|stage| self.expr(stage)).collect();
                match stages.is_empty() {
                    true => first,
                    false => spanned(ExprKind::Pipe(Box::new(first), stages), span),
                }
            }
            Rule::if_expr => {
                let c = &mut children(pair);
                let mut part = || Box::new(self.expr(next(c)));
                let (condition, then, otherwise) = (part(), part(), part());
                spanned(ExprKind::If { condition, then, otherwise }, span)
            }
            Rule::apply => {
                let c = &mut children(pair);
                let name = self.atom(next(c));
                self.postfixes(name, c)
            }
            Rule::repeat => self.repeat(pair, span),
            _ => self.atom(pair),
        }
    }

    fn repeat(&mut self, pair: Pair<Rule>, span: Span) -> Expr {
        let c = &mut children(pair);
        let var = take(c, Rule::repeat_var).map(|var| self.ident(next(&mut children(var))));
        let over = Box::new(self.expr(next(c)));
        let stages = c.map(|stage| self.expr(stage)).collect();
        spanned(ExprKind::Repeat { var, over, stages }, span)
    }

    /// Precedence climbing over the operands and operators of a `sum`.
    fn climb(&mut self, c: &mut Children, least: u8) -> Expr {
        let mut left = match take(c, Rule::prefix) {
            Some(sign) => {
                let operator = if sign.as_str() == "-" { Prefix::Neg } else { Prefix::Not };
                let operand = self.climb(c, prefix_power(operator));
                let span = self.span(&sign).to(operand.span);
                spanned(ExprKind::Prefix(operator, Box::new(operand)), span)
            }
            None => {
                let atom = self.atom(next(c));
                self.postfixes(atom, c)
            }
        };
        while let Some(sign) = c.next_if(|sign| sign.as_rule() == Rule::infix && power(infix(sign.as_str())).0 >= least)
        {
            let operator = infix(sign.as_str());
            let right = self.climb(c, power(operator).1);
            let span = left.span.to(right.span);
            left = spanned(ExprKind::Infix(operator, Box::new(left), Box::new(right)), span);
        }
        left
    }

    fn atom(&mut self, pair: Pair<Rule>) -> Expr {
        let span = self.span(&pair);
        let text = pair.as_str();
        let node = match pair.as_rule() {
            Rule::number => ExprKind::Number(decimal(text)),
            Rule::percent => ExprKind::Percent(decimal(text.trim_end_matches('%'))),
            Rule::quantity => {
                let unit = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
                let (digits, unit) = text.split_at(unit);
                let unit = match unit.as_bytes().first() {
                    Some(b'e') => Unit::Epochs,
                    Some(b's') => Unit::Steps,
                    Some(b'm') => Unit::Minutes,
                    _ => Unit::Hours,
                };
                ExprKind::Quantity(decimal(digits), unit)
            }
            Rule::string => ExprKind::Text(self.text(pair).node),
            Rule::bool => ExprKind::Bool(text == "true"),
            Rule::list => ExprKind::List(children(pair).map(|item| self.expr(item)).collect()),
            Rule::paren => self.expr(next(&mut children(pair))).node,
            Rule::scan => self.scan(pair),
            _ => ExprKind::Name(text.to_owned()),
        };
        spanned(node, span)
    }

    /// A text without its quotes and escapes.
    pub(super) fn text(&mut self, pair: Pair<Rule>) -> Spanned<String> {
        let span = self.span(&pair);
        let quoted = pair.as_str();
        let mut node = String::new();
        let mut chars = quoted.get(1..quoted.len() - 1).unwrap_or("").chars();
        while let Some(c) = chars.next() {
            let plain = match c {
                '\\' => chars.next().unwrap_or('\\'),
                c => {
                    node.push(c);
                    continue;
                }
            };
            node.push(match plain {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '"' | '\\' => plain,
                other => {
                    let message = format!("`\\{}` means nothing in a text", other.escape_default());
                    self.faults.push(
                        Diagnostic::error("E0101", span, message)
                            .note("these do: `\\n`, `\\t`, `\\r`, `\\\"` and `\\\\`")
                            .help("write two backslashes, or `/` in a path"),
                    );
                    other
                }
            });
        }
        Spanned { node, span }
    }

    fn postfixes(&mut self, mut base: Expr, c: &mut Children) -> Expr {
        while let Some(pair) = c.next_if(|p| matches!(p.as_rule(), Rule::call | Rule::index | Rule::member)) {
            let span = base.span.to(self.span(&pair));
            let rule = pair.as_rule();
            let base_of = Box::new(base);
            let node = match rule {
                Rule::call => self.call(base_of, pair),
                Rule::index => {
                    let axes = children(pair).map(|axis| self.selection(axis)).collect();
                    ExprKind::Index { base: base_of, axes }
                }
                _ => ExprKind::Member(base_of, self.ident(next(&mut children(pair)))),
            };
            base = spanned(node, span);
        }
        base
    }

    /// `f(a, b = c)` or, with axes after an arrow, `f(a -> b)`.
    fn call(&mut self, callee: Box<Expr>, pair: Pair<Rule>) -> ExprKind {
        let (to, from): (Vec<_>, Vec<_>) = children(pair).partition(|child| child.as_rule() == Rule::axis);
        if to.is_empty() {
            return ExprKind::Call { callee, args: self.args(from) };
        }
        let from = from.into_iter().filter_map(|axis| self.left_axis(axis)).collect();
        let to = to.into_iter().map(|axis| self.axis(axis)).collect();
        ExprKind::Map { callee, from, to }
    }

    fn args(&mut self, pairs: Vec<Pair<Rule>>) -> Vec<Arg> {
        let mut args: Vec<Arg> = pairs.into_iter().filter_map(|pair| self.arg(pair)).collect();
        let name = |arg: &Arg| match arg {
            Arg::Named(name, _) => Some(name.clone()),
            Arg::Positional(_) | Arg::Axis(..) | Arg::Range(_) => None,
        };
        let mut named: Vec<Ident> = args.iter().filter_map(name).collect();
        let again = settings::unique(&mut named, |name: &Ident| Some(name));
        args.retain(|arg| name(arg).is_none_or(|name| named.contains(&name)));
        self.faults.extend(again);
        args
    }

    fn arg(&mut self, pair: Pair<Rule>) -> Option<Arg> {
        let span = self.span(&pair);
        Some(match pair.as_rule() {
            Rule::named => {
                let c = &mut children(pair);
                Arg::Named(self.ident(next(c)), self.expr(next(c)))
            }
            Rule::axis_arg => {
                let c = &mut children(pair);
                Arg::Axis(self.ident(next(c)), self.expr(next(c)))
            }
            Rule::rest => {
                self.faults.push(
                    Diagnostic::error("E0101", span, "`..` is not a value")
                        .note("it stands for axes, before or after `->`, or for a range, `0..4`"),
                );
                return None;
            }
            _ => match self.range(pair) {
                Selection::At(value) => Arg::Positional(value),
                Selection::Range(range) => Arg::Range(range),
            },
        })
    }

    /// An argument before `->`, which must be an axis.
    fn left_axis(&mut self, pair: Pair<Rule>) -> Option<Axis> {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::rest => Some(AxisKind::Rest),
            _ => match self.arg(pair)? {
                Arg::Axis(name, size) => Some(AxisKind::Named(name, Some(size))),
                Arg::Positional(Spanned { node: ExprKind::Name(name), span }) => {
                    Some(AxisKind::Named(Spanned { node: name, span }, None))
                }
                Arg::Positional(Spanned { node: ExprKind::Number(size), .. }) => Some(AxisKind::Size(size)),
                Arg::Positional(_) | Arg::Named(..) | Arg::Range(_) => None,
            },
        };
        if kind.is_none() {
            self.faults.push(
                Diagnostic::error("E0101", span, "before `->` stand axes, and this is none")
                    .note("axes look like `c`, `head: 4` or `..`"),
            );
        }
        kind.map(|kind| Axis { kind, span })
    }

    fn selection(&mut self, pair: Pair<Rule>) -> (Ident, Selection) {
        let c = &mut children(pair);
        (self.ident(next(c)), self.range(next(c)))
    }

    /// A range, or the expression that is there instead.
    fn range(&mut self, pair: Pair<Rule>) -> Selection {
        let span = self.span(&pair);
        let rule = pair.as_rule();
        let ranged = rule == Rule::extent && pair.clone().into_inner().any(|child| child.as_rule() == Rule::range_end);
        if rule == Rule::range_to {
            let end = Some(self.expr(next(&mut children(pair))));
            return Selection::Range(Range { start: None, end, span });
        }
        if !ranged {
            return Selection::At(self.expr(pair));
        }
        let c = &mut children(pair);
        let start = Some(self.expr(next(c)));
        let end = children(next(c)).next().map(|end| self.expr(end));
        Selection::Range(Range { start, end, span })
    }

    fn scan(&mut self, pair: Pair<Rule>) -> ExprKind {
        let c = &mut children(pair);
        let mut inputs = vec![];
        while let Some(input) = take(c, Rule::scan_in) {
            let c = &mut children(input);
            inputs.push((self.ident(next(c)), self.expr(next(c))));
        }
        let over = self.ident(next(c));
        let args = take(c, Rule::scan_args).map_or(vec![], |args| {
            let pairs = children(args).collect();
            self.args(pairs)
        });
        let (mut body, mut yields) = (vec![], vec![]);
        for child in c {
            match child.as_rule() {
                Rule::yields => yields = children(child).map(|value| self.expr(value)).collect(),
                _ => body.push(self.stmt(child)),
            }
        }
        ExprKind::Scan(Box::new(Scan { inputs, over, args, body, yields }))
    }
}

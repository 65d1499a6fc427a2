//! From pest's sets of rules to what a user would call them.

use super::Rule;
use crate::syntax::error::Want;

/// Signs and reserved words: they say nothing in the tree.
pub(super) fn is_sign(rule: Rule) -> bool {
    rule == Rule::EOI || matches!(one(rule), Some(Want::Sign(_)))
}

/// What the rules ask for, sorted, each once.
pub(super) fn all(rules: &[Rule]) -> Vec<Want> {
    let mut wants: Vec<Want> = rules.iter().filter_map(|rule| one(*rule)).map(beginning).collect();
    wants.sort();
    wants.dedup();
    wants
}

fn one(rule: Rule) -> Option<Want> {
    Some(match rule {
        Rule::EOI => Want::End,
        Rule::file
        | Rule::import
        | Rule::dim
        | Rule::constant
        | Rule::block
        | Rule::model
        | Rule::data
        | Rule::train
        | Rule::generate => Want::Item,
        Rule::layer
        | Rule::param
        | Rule::state
        | Rule::predict
        | Rule::def
        | Rule::field
        | Rule::setting
        | Rule::augment
        | Rule::group
        | Rule::choose => Want::Statement,
        rule if begins_value(rule) => Want::Value,
        Rule::ident | Rule::word | Rule::target | Rule::formal | Rule::out | Rule::scan_in | Rule::repeat_var => {
            Want::Name
        }
        Rule::ty | Rule::shape | Rule::elem => Want::Type,
        Rule::axis | Rule::rest | Rule::bare_size | Rule::axis_sel => Want::Axis,
        Rule::apply | Rule::repeat => Want::Layer,
        Rule::string => Want::Text,
        Rule::sig => Want::Signature,
        Rule::body => Want::Body,
        Rule::yields => Want::Yield,
        Rule::infix | Rule::call | Rule::index | Rule::member | Rule::range_end | Rule::scan_args => Want::More,
        _ => return sign(rule).map(Want::Sign),
    })
}

/// Reserved words that begin something stand for it.
fn beginning(want: Want) -> Want {
    match want {
        Want::Sign("import" | "dim" | "const" | "block" | "model" | "data" | "train" | "generate") => Want::Item,
        Want::Sign("layer" | "param" | "predict" | "state" | "field" | "augment") => Want::Statement,
        Want::Sign("yield") => Want::Yield,
        Want::Sign("if" | "not" | "scan" | "true" | "false") => Want::Value,
        Want::Sign("repeat") => Want::Layer,
        other => other,
    }
}

fn begins_value(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::chain
            | Rule::if_expr
            | Rule::sum
            | Rule::number
            | Rule::quantity
            | Rule::percent
            | Rule::bool
            | Rule::list
            | Rule::paren
            | Rule::scan
            | Rule::prefix
            | Rule::minus
            | Rule::named
            | Rule::axis_arg
            | Rule::extent
            | Rule::range_to
    )
}

fn sign(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::equals => "=",
        Rule::colon => ":",
        Rule::comma => ",",
        Rule::pipe => "|>",
        Rule::arrow => "->",
        Rule::chosen => "<-",
        Rule::lparen => "(",
        Rule::rparen => ")",
        Rule::lbracket => "[",
        Rule::rbracket => "]",
        Rule::lbrace => "{",
        Rule::rbrace => "}",
        _ => return reserved(rule),
    })
}

fn reserved(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::kw_import => "import",
        Rule::kw_dim => "dim",
        Rule::kw_const => "const",
        Rule::kw_block => "block",
        Rule::kw_model => "model",
        Rule::kw_data => "data",
        Rule::kw_train => "train",
        Rule::kw_generate => "generate",
        Rule::kw_field => "field",
        Rule::kw_augment => "augment",
        Rule::kw_layer => "layer",
        Rule::kw_param => "param",
        Rule::kw_predict => "predict",
        Rule::kw_scan => "scan",
        Rule::kw_over => "over",
        Rule::kw_state => "state",
        Rule::kw_yield => "yield",
        Rule::kw_repeat => "repeat",
        Rule::kw_in => "in",
        Rule::kw_on => "on",
        Rule::kw_if => "if",
        Rule::kw_then => "then",
        Rule::kw_else => "else",
        Rule::kw_and => "and",
        Rule::kw_or => "or",
        Rule::kw_not => "not",
        _ => return None,
    })
}

//! The one layout of a program: what is written into model files.
//!
//! Holds after: the text parses to the same tree, except for the order of fields and settings, and
//! laying it out again gives the same text. Comments are not in the tree, so they are lost.
//! Two blanks a level; a definition of more than [`WIDTH`] characters breaks before each `|>`.

use super::ast::*;

/// Columns of a line, where a pipeline allows it.
const WIDTH: usize = 100;

/// A whole file in its canonical layout.
pub fn canonical(file: &File) -> String {
    let mut out = String::new();
    let mut before = None;
    for item in &file.items {
        let short = matches!(item, Item::Import(_) | Item::Dim(_) | Item::Const(_));
        if before.is_some_and(|before: bool| !(before && short)) {
            out.push('\n');
        }
        before = Some(short);
        write_item(&mut out, item);
    }
    out
}

fn write_item(out: &mut String, item: &Item) {
    match item {
        Item::Import(import) => define(out, 0, &format!("import {}", text(&import.path.node)), &[]),
        Item::Dim(dim) => {
            let head = format!("dim {}", dim.name.node);
            match &dim.size {
                DimSize::Equal(value) => define(out, 0, &format!("{head} = "), &lines(value)),
                DimSize::AtMost(value) => define(out, 0, &format!("{head} <= "), &lines(value)),
                DimSize::Solved => define(out, 0, &head, &[]),
            }
        }
        Item::Const(constant) => {
            define(out, 0, &format!("const {} = ", constant.name.node), &lines(&constant.value));
        }
        Item::Block(block) => write_block(out, block),
        Item::Data(data) => {
            open(out, 0, &format!("data {}", data.name.node));
            let is_source = |setting: &&Setting| setting.name.node == "source";
            data.settings.iter().filter(is_source).for_each(|s| write_setting(out, 1, s));
            data.fields.iter().for_each(|field| write_field(out, field));
            data.settings.iter().filter(|s| !is_source(s)).for_each(|s| write_setting(out, 1, s));
            close(out, 0);
        }
        Item::Train(train) => {
            open(out, 0, &format!("train {} on {}", train.model.node, train.data.node));
            train.augments.iter().for_each(|augment| write_augment(out, augment));
            train.fields.iter().for_each(|field| write_field(out, field));
            for group in &train.groups {
                open(out, 1, &group.name.node);
                group.settings.iter().for_each(|setting| write_setting(out, 2, setting));
                close(out, 1);
            }
            train.settings.iter().for_each(|setting| write_setting(out, 1, setting));
            close(out, 0);
        }
        Item::Generate(generate) => {
            open(out, 0, &format!("generate {}", generate.model.node));
            for (name, value) in &generate.choices {
                define(out, 1, &format!("{} <- ", name.node), &lines(value));
            }
            generate.settings.iter().for_each(|setting| write_setting(out, 1, setting));
            close(out, 0);
        }
    }
}

fn write_block(out: &mut String, block: &Block) {
    let keyword = match block.kind {
        BlockKind::Block => "block",
        BlockKind::Model => "model",
    };
    let formals: Vec<String> = block.formals.iter().map(formal).collect();
    let outputs = match block.outputs.as_slice() {
        [only] => target(only),
        several => format!("({})", several.iter().map(target).collect::<Vec<_>>().join(", ")),
    };
    open(out, 0, &format!("{keyword} {}({}) -> {outputs}", block.name.node, formals.join(", ")));
    block.body.iter().for_each(|stmt| write_stmt(out, stmt));
    close(out, 0);
}

fn write_stmt(out: &mut String, stmt: &Stmt) {
    let (head, value) = stmt_parts(stmt);
    define(out, 1, &head, &lines(value));
}

/// A statement up to its value, and the value.
fn stmt_parts(stmt: &Stmt) -> (String, &Expr) {
    match stmt {
        Stmt::Layer { name, value } => (format!("layer {} = ", name.node), value),
        Stmt::Param { name, ty, init } => (format!("param {}: {} = ", name.node, type_text(ty)), init),
        Stmt::State { name, ty, init } => (format!("state {}: {} = ", name.node, type_text(ty)), init),
        Stmt::Predict { name, value } => (format!("predict {} = ", name.node), value),
        Stmt::Def { targets, value } => {
            (format!("{} = ", targets.iter().map(target).collect::<Vec<_>>().join(", ")), value)
        }
    }
}

fn write_field(out: &mut String, field: &Field) {
    let targets: Vec<String> = field.targets.iter().map(target).collect();
    define(out, 1, &format!("field {} = ", targets.join(", ")), &lines(&field.value));
}

fn write_setting(out: &mut String, level: usize, setting: &Setting) {
    define(out, level, &format!("{} = ", setting.name.node), &lines(&setting.value));
}

fn write_augment(out: &mut String, augment: &Augment) {
    let names: Vec<&str> = augment.names.iter().map(|name| name.node.as_str()).collect();
    let mut parts = vec![names.join(", ")];
    parts.extend(augment.stages.iter().map(|stage| format!("|> {}", expr(stage, 0))));
    define(out, 1, "augment ", &parts);
}

fn open(out: &mut String, level: usize, head: &str) {
    define(out, level, &format!("{head} {{"), &[]);
}

fn close(out: &mut String, level: usize) {
    define(out, level, "}", &[]);
}

/// Writes `head` and the parts behind it: on one line, or a part a line.
fn define(out: &mut String, level: usize, head: &str, parts: &[String]) {
    let indent = "  ".repeat(level);
    let flat = parts.join(" ");
    let fits = indent.len() + head.chars().count() + flat.chars().count() <= WIDTH;
    let value = if fits { flat } else { parts.join(&format!("\n{indent}  ")) };
    out.push_str(format!("{indent}{head}{value}").trim_end());
    out.push('\n');
}

/// An expression in the parts between which a line may break.
fn lines(value: &Expr) -> Vec<String> {
    match &value.node {
        ExprKind::Pipe(first, stages) => {
            let mut parts = vec![expr(first, SUM)];
            parts.extend(stages.iter().map(|stage| format!("|> {}", expr(stage, 0))));
            parts
        }
        ExprKind::If { condition, then, otherwise } => {
            vec![format!("if {} then {}", expr(condition, 0), expr(then, 0)), format!("else {}", expr(otherwise, 0))]
        }
        _ => vec![expr(value, 0)],
    }
}

/// How tightly an expression holds together; one that is looser than its place needs brackets.
const PIPE: u8 = 1;
const SUM: u8 = 2;
const PREFIX_NOT: u8 = 4;
const PREFIX_NEG: u8 = 8;
const ATOM: u8 = 10;

fn infix_sign(operator: Infix) -> (&'static str, u8) {
    match operator {
        Infix::Or => ("or", 2),
        Infix::And => ("and", 3),
        Infix::Lt => ("<", 5),
        Infix::Le => ("<=", 5),
        Infix::Gt => (">", 5),
        Infix::Ge => (">=", 5),
        Infix::Eq => ("==", 5),
        Infix::Ne => ("!=", 5),
        Infix::Add => ("+", 6),
        Infix::Sub => ("-", 6),
        Infix::Mul => ("*", 7),
        Infix::Div => ("/", 7),
        Infix::Pow => ("^", 9),
    }
}

fn tightness(value: &Expr) -> u8 {
    match &value.node {
        ExprKind::If { .. } => 0,
        ExprKind::Pipe(..) => PIPE,
        ExprKind::Prefix(Prefix::Not, _) => PREFIX_NOT,
        ExprKind::Prefix(Prefix::Neg, _) => PREFIX_NEG,
        ExprKind::Infix(operator, ..) => infix_sign(*operator).1,
        ExprKind::Number(_)
        | ExprKind::Quantity(..)
        | ExprKind::Percent(_)
        | ExprKind::Text(_)
        | ExprKind::Bool(_)
        | ExprKind::Name(_)
        | ExprKind::List(_)
        | ExprKind::Repeat { .. }
        | ExprKind::Call { .. }
        | ExprKind::Map { .. }
        | ExprKind::Index { .. }
        | ExprKind::Member(..)
        | ExprKind::Scan(_) => ATOM,
    }
}

/// One expression in a place that needs it to be at least so tight.
pub(super) fn expr(value: &Expr, least: u8) -> String {
    if tightness(value) < least {
        return format!("({})", expr(value, 0));
    }
    match &value.node {
        ExprKind::Number(n) => number(*n),
        ExprKind::Quantity(n, unit) => quantity(*n, *unit),
        ExprKind::Percent(n) => format!("{n}%"),
        ExprKind::Text(content) => text(content),
        ExprKind::Bool(b) => b.to_string(),
        ExprKind::Name(name) => name.clone(),
        ExprKind::List(items) => format!("[{}]", join(items, |item| expr(item, 0))),
        ExprKind::Prefix(Prefix::Not, operand) => format!("not {}", expr(operand, PREFIX_NOT)),
        ExprKind::Prefix(Prefix::Neg, operand) => format!("-{}", expr(operand, PREFIX_NEG)),
        ExprKind::Infix(operator, left, right) => {
            let (sign, level) = infix_sign(*operator);
            let (to_left, to_right) = match operator {
                Infix::Pow => (level + 1, level),
                _ => (level, level + 1),
            };
            format!("{} {sign} {}", expr(left, to_left), expr(right, to_right))
        }
        ExprKind::If { .. } | ExprKind::Pipe(..) => lines(value).join(" "),
        ExprKind::Repeat { var, over, stages } => {
            let var = var.as_ref().map_or(String::new(), |var| format!("{} in ", var.node));
            let stages: Vec<String> = stages.iter().map(|stage| expr(stage, 0)).collect();
            format!("repeat {var}{} {{ {} }}", expr(over, SUM), stages.join(" |> "))
        }
        ExprKind::Call { callee, args } => format!("{}({})", base(callee), join(args, arg)),
        ExprKind::Map { callee, from, to } => {
            format!("{}({} -> {})", base(callee), join(from, axis), join(to, axis))
        }
        ExprKind::Index { base: table, axes } => {
            let axes = join(axes, |(name, place)| match place {
                Selection::At(value) => format!("{}: {}", name.node, expr(value, 0)),
                Selection::Range(part) => format!("{}: {}", name.node, range(part)),
            });
            format!("{}[{axes}]", base(table))
        }
        ExprKind::Member(of, name) => format!("{}.{}", base(of), name.node),
        ExprKind::Scan(scan) => scan_text(scan),
    }
}

fn join<T>(things: &[T], show: impl Fn(&T) -> String) -> String {
    things.iter().map(show).collect::<Vec<_>>().join(", ")
}

/// What a call, an index or a member is of; `3.c` would read as a number.
fn base(value: &Expr) -> String {
    match value.node {
        ExprKind::Number(_) | ExprKind::Quantity(..) | ExprKind::Percent(_) => {
            format!("({})", expr(value, 0))
        }
        _ => expr(value, ATOM),
    }
}

pub(super) fn number(n: f64) -> String {
    let plain = n == 0.0 || (1e-4..1e15).contains(&n.abs());
    if plain { format!("{n}") } else { format!("{n:e}") }
}

fn quantity(n: f64, unit: Unit) -> String {
    let unit = match unit {
        Unit::Epochs => "epoch",
        Unit::Steps => "step",
        Unit::Minutes => "minute",
        Unit::Hours => "hour",
    };
    format!("{n} {unit}{}", if n == 1.0 { "" } else { "s" })
}

pub(super) fn text(content: &str) -> String {
    let mut out = String::from("\"");
    for c in content.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '"' | '\\' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out + "\""
}

pub(super) fn arg(arg: &Arg) -> String {
    match arg {
        Arg::Positional(value) => expr(value, 0),
        Arg::Named(name, value) => format!("{} = {}", name.node, expr(value, 0)),
        Arg::Axis(name, value) => format!("{}: {}", name.node, expr(value, 0)),
        Arg::Range(part) => range(part),
    }
}

fn range(part: &Range) -> String {
    let side = |side: &Option<Expr>| side.as_ref().map_or(String::new(), |value| expr(value, SUM));
    format!("{}..{}", side(&part.start), side(&part.end))
}

pub(super) fn axis(axis: &Axis) -> String {
    match &axis.kind {
        AxisKind::Rest => "..".to_owned(),
        AxisKind::Named(name, None) => name.node.clone(),
        AxisKind::Named(name, Some(size)) => format!("{}: {}", name.node, expr(size, SUM)),
        AxisKind::Size(size) => number(*size),
    }
}

pub(super) fn type_text(ty: &Type) -> String {
    let element = ty.element.as_ref().map_or("", |name| name.node.as_str());
    let shape = ty.shape.as_ref().map_or(String::new(), |axes| format!("[{}]", join(axes, axis)));
    format!("{element}{shape}")
}

pub(super) fn target(target: &Target) -> String {
    let ty = target.ty.as_ref().map_or(String::new(), |ty| format!(": {}", type_text(ty)));
    format!("{}{ty}", target.name.node)
}

pub(super) fn formal(formal: &Formal) -> String {
    let ty = formal.ty.as_ref().map_or(String::new(), |ty| format!(": {}", type_text(ty)));
    let default = formal.default.as_ref().map_or(String::new(), |value| format!(" = {}", expr(value, 0)));
    format!("{}{ty}{default}", formal.name.node)
}

fn scan_text(scan: &Scan) -> String {
    let inputs = join(&scan.inputs, |(name, of)| format!("{} in {}", name.node, expr(of, SUM)));
    let args = match scan.args.as_slice() {
        [] => String::new(),
        args => format!(" ({})", join(args, arg)),
    };
    let mut body = String::new();
    for stmt in &scan.body {
        let (head, value) = stmt_parts(stmt);
        body += &format!("{head}{}  ", expr(value, 0));
    }
    let yields = join(&scan.yields, |value| expr(value, 0));
    format!("scan {inputs} over {}{args} {{ {body}yield {yields} }}", scan.over.node)
}

//! The tree as text, for `--emit ast`: one node a line, children two blanks deeper, no places.

use super::ast::*;
use super::format;

/// Dumps a file.
pub fn dump(file: &File) -> String {
    let mut tree = Tree { out: String::new(), level: 0 };
    file.items.iter().for_each(|item| tree.item(item));
    tree.out
}

struct Tree {
    out: String,
    level: usize,
}

impl Tree {
    fn line(&mut self, line: impl AsRef<str>) {
        self.out += &"  ".repeat(self.level);
        self.out += line.as_ref();
        self.out.push('\n');
    }

    /// A line, and below it what `children` writes.
    fn node(&mut self, line: impl AsRef<str>, children: impl FnOnce(&mut Tree)) {
        self.line(line);
        self.level += 1;
        children(self);
        self.level -= 1;
    }

    fn valued(&mut self, line: impl AsRef<str>, value: &Expr) {
        self.node(line, |tree| tree.expr(value));
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Import(import) => self.line(format!("import {}", format::text(&import.path.node))),
            Item::Dim(dim) => match &dim.size {
                DimSize::Equal(size) => self.valued(format!("dim {} =", dim.name.node), size),
                DimSize::AtMost(size) => self.valued(format!("dim {} <=", dim.name.node), size),
                DimSize::Solved => self.line(format!("dim {} from data", dim.name.node)),
            },
            Item::Const(constant) => {
                self.valued(format!("const {}", constant.name.node), &constant.value);
            }
            Item::Block(block) => self.block(block),
            Item::Data(data) => self.node(format!("data {}", data.name.node), |tree| {
                tree.settings(&data.settings);
                data.fields.iter().for_each(|field| tree.field(field));
            }),
            Item::Train(train) => {
                let head = format!("train {} on {}", train.model.node, train.data.node);
                self.node(head, |tree| tree.train(train));
            }
            Item::Generate(generate) => {
                self.node(format!("generate {}", generate.model.node), |tree| {
                    for (name, value) in &generate.choices {
                        tree.valued(format!("choose {}", name.node), value);
                    }
                    tree.settings(&generate.settings);
                });
            }
        }
    }

    fn block(&mut self, block: &Block) {
        let keyword = match block.kind {
            BlockKind::Block => "block",
            BlockKind::Model => "model",
        };
        self.node(format!("{keyword} {}", block.name.node), |tree| {
            block.formals.iter().for_each(|f| tree.line(format!("formal {}", format::formal(f))));
            block.outputs.iter().for_each(|o| tree.line(format!("output {}", format::target(o))));
            block.body.iter().for_each(|stmt| tree.stmt(stmt));
        });
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Layer { name, value } => self.valued(format!("layer {}", name.node), value),
            Stmt::Param { name, ty, init } => {
                self.valued(format!("param {}: {}", name.node, format::type_text(ty)), init);
            }
            Stmt::State { name, ty, init } => {
                self.valued(format!("state {}: {}", name.node, format::type_text(ty)), init);
            }
            Stmt::Predict { name, value } => self.valued(format!("predict {}", name.node), value),
            Stmt::Def { targets, value } => {
                let names: Vec<String> = targets.iter().map(format::target).collect();
                self.valued(format!("def {}", names.join(", ")), value);
            }
        }
    }

    fn train(&mut self, train: &Train) {
        for augment in &train.augments {
            let names: Vec<&str> = augment.names.iter().map(|name| name.node.as_str()).collect();
            self.node(format!("augment {}", names.join(", ")), |tree| tree.exprs(&augment.stages));
        }
        train.fields.iter().for_each(|field| self.field(field));
        for group in &train.groups {
            self.node(format!("group {}", group.name.node), |tree| tree.settings(&group.settings));
        }
        self.settings(&train.settings);
    }

    fn field(&mut self, field: &Field) {
        let names: Vec<String> = field.targets.iter().map(format::target).collect();
        self.valued(format!("field {}", names.join(", ")), &field.value);
    }

    fn settings(&mut self, settings: &[Setting]) {
        for setting in settings {
            self.valued(format!("setting {}", setting.name.node), &setting.value);
        }
    }

    fn exprs(&mut self, values: &[Expr]) {
        values.iter().for_each(|value| self.expr(value));
    }

    fn expr(&mut self, value: &Expr) {
        match &value.node {
            ExprKind::Number(_)
            | ExprKind::Quantity(..)
            | ExprKind::Percent(_)
            | ExprKind::Text(_)
            | ExprKind::Bool(_)
            | ExprKind::Name(_) => {
                self.line(format::expr(value, 0));
            }
            ExprKind::List(items) => self.node("list", |tree| tree.exprs(items)),
            ExprKind::Prefix(operator, operand) => {
                self.valued(format!("{operator:?}").to_lowercase(), operand);
            }
            ExprKind::Infix(operator, left, right) => {
                self.node(format!("{operator:?}").to_lowercase(), |tree| {
                    tree.expr(left);
                    tree.expr(right);
                });
            }
            ExprKind::If { condition, then, otherwise } => self.node("if", |tree| {
                tree.expr(condition);
                tree.valued("then", then);
                tree.valued("else", otherwise);
            }),
            ExprKind::Pipe(first, stages) => self.node("pipe", |tree| {
                tree.expr(first);
                tree.exprs(stages);
            }),
            ExprKind::Repeat { var, over, stages } => {
                let var = var.as_ref().map_or(String::new(), |var| format!(" {} in", var.node));
                self.node(format!("repeat{var}"), |tree| {
                    tree.expr(over);
                    tree.node("stages", |tree| tree.exprs(stages));
                });
            }
            ExprKind::Call { callee, args } => self.called("call", callee, |tree| tree.args(args)),
            ExprKind::Map { callee, from, to } => self.called("map", callee, |tree| {
                from.iter().for_each(|axis| tree.line(format!("from {}", format::axis(axis))));
                to.iter().for_each(|axis| tree.line(format!("to {}", format::axis(axis))));
            }),
            ExprKind::Index { base, axes } => self.node("index", |tree| {
                tree.expr(base);
                axes.iter().for_each(|(name, place)| match place {
                    Selection::At(value) => tree.valued(format!("at {}:", name.node), value),
                    Selection::Range(range) => {
                        tree.node(format!("at {}:", name.node), |tree| tree.range(range));
                    }
                });
            }),
            ExprKind::Member(of, name) => self.valued(format!("member {}", name.node), of),
            ExprKind::Scan(scan) => self.scan(scan),
        }
    }

    /// A call of a name shows it in its line, of anything else below.
    fn called(&mut self, form: &str, callee: &Expr, children: impl FnOnce(&mut Tree)) {
        match &callee.node {
            ExprKind::Name(name) => self.node(format!("{form} {name}"), children),
            _ => self.node(form, |tree| {
                tree.valued("callee", callee);
                children(tree);
            }),
        }
    }

    fn args(&mut self, args: &[Arg]) {
        args.iter().for_each(|arg| match arg {
            Arg::Positional(value) => self.expr(value),
            Arg::Named(name, value) => self.valued(format!("{} =", name.node), value),
            Arg::Axis(name, value) => self.valued(format!("{}:", name.node), value),
            Arg::Range(range) => self.range(range),
        });
    }

    fn range(&mut self, range: &Range) {
        self.node("range", |tree| {
            for (name, side) in [("from", &range.start), ("to", &range.end)] {
                if let Some(value) = side {
                    tree.valued(name, value);
                }
            }
        });
    }

    fn scan(&mut self, scan: &Scan) {
        self.node(format!("scan over {}", scan.over.node), |tree| {
            for (name, of) in &scan.inputs {
                tree.valued(format!("{} in", name.node), of);
            }
            tree.args(&scan.args);
            scan.body.iter().for_each(|stmt| tree.stmt(stmt));
            tree.node("yield", |tree| tree.exprs(&scan.yields));
        });
    }
}

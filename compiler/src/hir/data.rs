//! The `data` section: source, fields, split; from text to [`DataSpec`].

use super::args::Call;
use super::data_pictures::ignored;
use super::data_split;
use super::data_steps::place;
use super::elab::{Elab, Res};
use super::near::nearest;
use super::value::{Element, Table, Val};
use crate::base::{Diagnostic, Span, Spanned};
use crate::syntax::ast::{self, Arg, Expr, ExprKind};
use dlc_runtime::data::error::grouped;
use dlc_runtime::data::spec::{AxisSpec, Cifar, DataSpec, DimSpec, FieldSpec, FieldStep, Selector, Source, Split};
use dlc_runtime::data::synthetic;

/// A field as the checker sees it.
#[derive(Clone, Debug)]
pub struct FieldInfo {
    pub name: String,
    pub ty: Table,
    pub span: Span,
    /// The boxes of each picture, and no table.
    pub boxes: bool,
}

/// A data section as the checker sees it.
#[derive(Debug, Default)]
pub struct DataInfo {
    pub name: String,
    pub span: Span,
    pub fields: Vec<FieldInfo>,
    /// Fields that could not be read: silent.
    pub poisoned: Vec<String>,
    /// `None` where something in it is wrong.
    pub spec: Option<DataSpec>,
}

const LATER_SOURCES: &[&str] = &["parquet", "wav"];
const SOURCES: &[&str] = &[
    "captions",
    "cifar10",
    "cifar100",
    "coco",
    "csv",
    "folders",
    "idx",
    "jsonl",
    "lines",
    "npy",
    "npz",
    "pairs",
    "synthetic",
    "text",
    "voc",
    "yolo",
];

impl<'a> Elab<'a> {
    /// Checks every data section and gives the one that is trained on (or the first).
    pub fn data_sections(&mut self, train: Option<&'a ast::Train>) -> Option<DataInfo> {
        let sections = self.declared.data.clone();
        let wanted = train.map(|t| &t.data);
        let mut chosen = None;
        for d in sections {
            let info = self.data_section(d);
            let take = wanted.map_or(chosen.is_none(), |w| w.node == d.name.node);
            if take {
                chosen = Some(info);
            }
        }
        if let (None, Some(name)) = (&chosen, wanted)
            && !self.broken.contains(&name.node)
        {
            let e = Diagnostic::error("E0201", name.span, format!("unknown data `{}`", name.node));
            let names: Vec<_> = self.declared.data.iter().map(|d| d.name.node.clone()).collect();
            let near = nearest(&name.node, names.iter().map(String::as_str)).map(str::to_string);
            self.report(match near {
                Some(near) => e.help(format!("data with a similar name exists: `{near}`")),
                None => e,
            });
        }
        chosen
    }

    fn data_section(&mut self, d: &'a ast::Data) -> DataInfo {
        let mut info = DataInfo { name: d.name.node.clone(), span: d.name.span, ..DataInfo::default() };
        let (mut fields, mut whole) = self.data_fields(d, &mut info);
        whole &= self.boxes_go_with_pictures(d, &fields).is_ok();
        whole &= !whole || self.pairs_fit(d, &fields, &info.fields).is_ok();
        whole &= self.data_settings(d);
        let setting = |name: &str| d.settings.iter().find(|s| s.name.node == name);
        // Of texts or of pictures: the fields say it.
        let texts = fields.iter().any(|f| matches!(&f.from, Selector::Named(name) if name == "files"));
        let source = match setting("source") {
            Some(s) => {
                self.captions_are_columns(&s.value, &mut fields);
                self.source(&s.value, texts).ok().map(|v| (v, s.value.span))
            }
            None => {
                let e = Diagnostic::error("E0407", d.name.span, format!("data `{}` has no source", d.name.node));
                self.report(e.help("write `source = csv(\"table.csv\")`"));
                None
            }
        };
        let split = match setting("split") {
            Some(s) => self.split(&s.value, &info).ok().map(|v| (v, s.value.span)),
            None => {
                let in_order = fields.iter().any(|f| f.steps.iter().any(|s| matches!(s, FieldStep::Windows { .. })));
                Some((data_split::default_split(source.as_ref().map(|(source, _)| source), in_order), d.name.span))
            }
        };
        if let (Some((source, _)), Some((split, at))) = (&source, &split) {
            whole &= self.text_fits(d, (source, (split, *at)), &fields).is_ok();
        }
        if let Some((Split::Ratio { val, .. } | Split::Official { val, .. } | Split::InOrder { val, .. }, at)) = &split
            && *val == 0.0
        {
            let w = Diagnostic::warning("missing_validation", *at, "no part of the data is kept for validation");
            self.warn(w.help("keep some: `val = 10%`; it tells which epoch was best"));
        }
        if let (Some((source, at)), Some((split, split_at)), true) = (source, split, whole) {
            info.spec = Some(DataSpec {
                name: d.name.node.clone(),
                place: place(d.name.span),
                source,
                source_place: place(at),
                fields,
                split,
                split_place: place(split_at),
            });
        }
        info
    }

    /// The fields, and whether all are sound.
    fn data_fields(&mut self, d: &'a ast::Data, info: &mut DataInfo) -> (Vec<FieldSpec>, bool) {
        let mut fields = vec![];
        let mut whole = true;
        for field in &d.fields {
            for (at, target) in field.targets.iter().enumerate() {
                match self.field(field, (at, target)) {
                    Ok((ty, spec)) => {
                        let span = target.name.span;
                        if fields.iter().any(|f: &FieldSpec| f.name == spec.name) {
                            let _ =
                                self.fail::<()>("E0205", span, format!("the field `{}` is defined twice", spec.name));
                        }
                        let boxes = spec.from == Selector::Boxes;
                        info.fields.push(FieldInfo { name: spec.name.clone(), ty, span, boxes });
                        fields.push(spec);
                    }
                    Err(_) => {
                        whole = false;
                        info.poisoned.extend(field.targets[at..].iter().map(|target| target.name.node.clone()));
                        break;
                    }
                }
            }
        }
        (fields, whole)
    }

    /// E0209 with the nearest name.
    pub fn unknown_setting(&mut self, name: &ast::Ident, of: &str, known: &[&str]) {
        let e = Diagnostic::error("E0209", name.span, format!("`{of}` has no setting `{}`", name.node));
        self.report(match nearest(&name.node, known.iter().copied()) {
            Some(near) => e.help(format!("a setting with a similar name exists: `{near}`")),
            None => e,
        });
    }

    fn field(&mut self, field: &'a ast::Field, (at, target): (usize, &'a ast::Target)) -> Res<(Table, FieldSpec)> {
        let name = &target.name;
        let Some(ty) = &target.ty else {
            let e = Diagnostic::error("E0302", name.span, format!("the field `{}` has no type", name.node));
            return Err(self.report(e.help(format!("write `field {}: [feature] = ...`", name.node))));
        };
        if let Some(found) = self.boxes_field(field, target, ty)? {
            return Ok(found);
        }
        let table = self.full_type(ty, true)?;
        let own = match self.text_value(field, (at, target), &table)? {
            None => self.windows_value(field, (at, target), &table)?,
            found => found,
        };
        let (from, steps) = match own {
            Some(found) => found,
            None if field.targets.len() > 1 => {
                let message = format!("{} names, but the value is one field", field.targets.len());
                let e = Diagnostic::error("E0409", field.value.span, message);
                return Err(self.report(e.help("`characters |> next_token(t)` gives two; else write a field for each")));
            }
            None => self.field_value(&field.value)?,
        };
        self.columns_fit(&table, &from, &steps, field.value.span)?;
        self.picture_fits(&table, &from, &steps, field.value.span)?;
        if let Some(classes) = ignored(&steps) {
            self.hir.ignoring.insert(name.node.clone(), classes);
        }
        let dim = match &table.element {
            Element::Number => None,
            Element::Index { dim, size } => {
                let names = self.dims.get(dim).map(|d| d.names.clone()).unwrap_or_default();
                Some(DimSpec { name: dim.clone(), size: size.known(), names })
            }
        };
        let shape = table
            .axes
            .iter()
            .map(|a| AxisSpec { name: a.name.clone(), size: a.size.known(), most: a.size.variable().map(|v| v.most) })
            .collect();
        let spec = FieldSpec { name: name.node.clone(), place: place(name.span), dim, shape, from, steps };
        Ok((table, spec))
    }

    /// E0511: as many columns as the type has values.
    fn columns_fit(&mut self, table: &Table, from: &Selector, steps: &[FieldStep], span: Span) -> Res<()> {
        let found = match from {
            Selector::Columns(list) => list.len(),
            Selector::Column(_) => 1,
            _ => return Ok(()),
        };
        let Some(wanted) = table.sizes().map(|s| s.iter().product::<usize>()) else { return Ok(()) };
        let other =
            |s: &FieldStep| matches!(s, FieldStep::OneHot { .. } | FieldStep::Text(_) | FieldStep::Windows { .. });
        if wanted == found || steps.iter().any(other) {
            return Ok(());
        }
        let columns = if found == 1 { "1 column gives".to_string() } else { format!("{found} columns give") };
        self.fail("E0511", span, format!("{columns} {found} values, but {table} has {wanted}"))
    }

    /// The name and arguments of `csv("x")` or of a bare `official`.
    pub fn named_call(&mut self, e: &'a Expr, what: &str) -> Res<(ast::Ident, &'a [Arg])> {
        let (callee, args): (&Expr, &'a [Arg]) = match &e.node {
            ExprKind::Call { callee, args } => (callee, args),
            _ => (e, &[]),
        };
        match &callee.node {
            ExprKind::Name(n) => Ok((Spanned { node: n.clone(), span: callee.span }, args)),
            _ => self.fail("E0404", e.span, format!("{what} is needed here")),
        }
    }

    fn source(&mut self, e: &'a Expr, texts: bool) -> Res<Source> {
        let (name, args) = self.named_call(e, "a source of data, such as `csv(\"table.csv\")`,")?;
        let mut c = Call::new(&name, vec![], args, e.span);
        let source = match name.node.as_str() {
            "csv" => self.csv(&mut c, "path", "root")?,
            "captions" => self.csv(&mut c, "table", "images")?,
            "idx" => Source::Idx { path: self.take_text(&mut c, "path")? },
            "cifar10" => Source::Cifar { path: self.take_text(&mut c, "path")?, which: Cifar::Ten },
            "cifar100" => Source::Cifar { path: self.take_text(&mut c, "path")?, which: Cifar::Hundred },
            "folders" if texts => self.documents(&mut c)?,
            "folders" => self.folders(&mut c)?,
            "pairs" => self.pairs(&mut c)?,
            "voc" | "yolo" | "coco" => self.marked(&mut c)?,
            "npy" => Source::Npy { path: self.take_text(&mut c, "path")? },
            "npz" => Source::Npz { path: self.take_text(&mut c, "path")? },
            "synthetic" => self.synthetic(&mut c)?,
            "text" => self.text(&mut c)?,
            "lines" => self.lines(&mut c)?,
            "jsonl" => Source::Jsonl { path: self.take_text(&mut c, "path")?, encoding: self.encoding(&mut c)? },
            later if LATER_SOURCES.contains(&later) => {
                return self.fail("E0199", e.span, format!("this version does not read `{later}` yet"));
            }
            other => {
                let err = Diagnostic::error("E0203", name.span, format!("unknown source of data `{other}`"));
                return Err(self.report(match nearest(other, SOURCES.iter().copied()) {
                    Some(near) => err.help(format!("a source with a similar name exists: `{near}`")),
                    None => err,
                }));
            }
        };
        self.finish(&mut c)?;
        self.leads_out(&source, e.span);
        Ok(source)
    }

    /// `synthetic("ball", count = 3000, seed = 1)`
    fn synthetic(&mut self, c: &mut Call<'a>) -> Res<Source> {
        let name = self.take_text(c, "name")?;
        let (count, at) = self.take_number(c, "count", Some(1000.0))?;
        let count = self.whole_number((Val::Number(count), at), "count", 1)?;
        if count > synthetic::MOST {
            return self.fail("E0315", at, format!("`count` is {count}, at most {}", grouped(synthetic::MOST)));
        }
        let (seed, at) = self.take_number(c, "seed", Some(0.0))?;
        let seed = self.whole_number((Val::Number(seed), at), "seed", 0)? as u64;
        Ok(Source::Synthetic { name, count, seed })
    }

    /// The lint `path_outside_project`.
    fn leads_out(&mut self, source: &Source, span: Span) {
        let paths: Vec<&String> = match source {
            Source::Csv { path, root, .. } => [Some(path), root.as_ref()].into_iter().flatten().collect(),
            Source::Idx { path } | Source::Cifar { path, .. } | Source::Npy { path } | Source::Npz { path } => {
                vec![path]
            }
            Source::Text { path, .. } | Source::Folders { path, .. } => vec![path],
            Source::Pairs { images, masks, .. } => vec![images, masks],
            Source::Voc { path, .. } | Source::Yolo { path, .. } => vec![path],
            Source::Coco { images, json, .. } => vec![images, json],
            other => super::data_lines::paths(other),
        };
        for path in paths.into_iter().filter(|p| p.starts_with('/') || p.split('/').any(|part| part == "..")) {
            let message = format!("`{path}` leads out of the program's folder");
            let d = Diagnostic::warning("path_outside_project", span, message);
            self.warn(d.help("write a path below it and use `--data-root`"));
        }
    }

    pub fn take_text(&mut self, c: &mut Call<'a>, name: &'static str) -> Res<String> {
        match self.take_any(c, name)? {
            Some((Val::Text(t), _)) => Ok(t),
            Some((other, at)) => self.fail("E0402", at, format!("`{name}` is a text, found {}", other.kind())),
            None => self.fail("E0407", c.span, format!("`{}` needs the argument `{name}`", c.name)),
        }
    }
}

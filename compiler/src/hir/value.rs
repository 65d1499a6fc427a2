//! Compile-time values and the types of tables.

use crate::base::Span;
use crate::syntax::ast::{Expr, Unit};
use std::fmt;

/// The size of an axis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Size {
    Known(usize),
    /// A dim that the data has yet to solve, or arithmetic with one: equal only to the same text.
    Unknown(String),
    /// Each example has its own.
    Variable(Variable),
}

impl Size {
    /// The size, where all examples have the same.
    pub fn known(&self) -> Option<usize> {
        match self {
            Size::Known(n) => Some(*n),
            Size::Unknown(_) | Size::Variable(_) => None,
        }
    }

    /// The largest size of any example.
    pub fn most(&self) -> Option<usize> {
        match self {
            Size::Variable(v) => Some(v.of(v.most)),
            other => other.known(),
        }
    }

    pub fn variable(&self) -> Option<&Variable> {
        match self {
            Size::Variable(v) => Some(v),
            Size::Known(_) | Size::Unknown(_) => None,
        }
    }

    /// Can the two be equal once everything is known?
    pub fn agrees(&self, other: &Size) -> bool {
        match (self, other) {
            (Size::Unknown(a), Size::Unknown(b)) => a == b,
            _ => self == other,
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Size::Known(n) => write!(f, "{n}"),
            Size::Unknown(text) => write!(f, "{text}"),
            Size::Variable(v) => write!(f, "{v}"),
        }
    }
}

/// The length of an axis that each example has for itself: that of a dim (`dim t <= 64`), or what layers made of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    pub dim: String,
    /// What the dim allows.
    pub most: usize,
    pub changes: Vec<Change>,
}

/// How a layer changes a length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// `(n + more) / stride + 1`, at least 1.
    Slide {
        more: i64,
        stride: usize,
    },
    Times(usize),
}

impl Variable {
    /// The length of the axis where the dim has `n` elements.
    pub fn of(&self, n: usize) -> usize {
        self.changes.iter().fold(n, |n, change| match *change {
            Change::Slide { more, stride } => ((n as i64 + more).div_euclid(stride as i64) + 1).max(1) as usize,
            Change::Times(by) => n.saturating_mul(by),
        })
    }

    /// The length after one more layer.
    pub fn then(&self, change: Change) -> Size {
        let mut next = self.clone();
        if !matches!(change, Change::Slide { more: -1, stride: 1 } | Change::Times(1)) {
            next.changes.push(change);
        }
        Size::Variable(next)
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "at most {} ({}`{}`)",
            self.of(self.most),
            if self.changes.is_empty() { "" } else { "from " },
            self.dim
        )
    }
}

/// The text of an unknown size, short enough to be built on: long ones become a mark of their own.
pub fn opaque(text: String) -> String {
    if text.len() <= 100 {
        return text;
    }
    let hash =
        text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("size {hash:x}")
}

/// A named axis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Axis {
    pub name: String,
    pub size: Size,
}

impl Axis {
    pub fn new(name: impl Into<String>, size: Size) -> Axis {
        Axis { name: name.into(), size }
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.size {
            Size::Unknown(text) if *text == self.name => write!(f, "{}", self.name),
            Size::Variable(v) => write!(f, "{} <= {}", self.name, v.of(v.most)),
            size => write!(f, "{}: {size}", self.name),
        }
    }
}

/// What the numbers of a table mean.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Element {
    Number,
    /// Indices into a dim (or into an axis, after `argmax`).
    Index {
        dim: String,
        size: Size,
    },
}

/// The type of a table. The batch is not an axis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    pub element: Element,
    pub axes: Vec<Axis>,
    /// Does it depend on a model input?
    pub batched: bool,
}

impl Table {
    pub fn numbers(axes: Vec<Axis>, batched: bool) -> Table {
        Table { element: Element::Number, axes, batched }
    }

    pub fn position(&self, name: &str) -> Option<usize> {
        self.axes.iter().position(|a| a.name == name)
    }

    pub fn axis(&self, name: &str) -> Option<&Axis> {
        self.axes.iter().find(|a| a.name == name)
    }

    pub fn is_index(&self) -> bool {
        self.element != Element::Number
    }

    /// The same table without some axes.
    pub fn without(&self, names: &[String]) -> Table {
        let axes = self.axes.iter().filter(|a| !names.contains(&a.name)).cloned().collect();
        Table { axes, ..self.clone() }
    }

    /// The axes of which each example has its own length.
    pub fn variable(&self) -> impl Iterator<Item = (&Axis, &Variable)> {
        self.axes.iter().filter_map(|a| Some((a, a.size.variable()?)))
    }

    /// Sizes, where all are known.
    pub fn sizes(&self) -> Option<Vec<usize>> {
        self.axes.iter().map(|a| a.size.known()).collect()
    }
}

/// `[h: 28, w: 28]`, as messages show it.
pub fn show_axes(axes: &[Axis]) -> String {
    let inner: Vec<_> = axes.iter().map(Axis::to_string).collect();
    format!("[{}]", inner.join(", "))
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.element {
            Element::Number => write!(f, "{}", show_axes(&self.axes)),
            Element::Index { dim, .. } if self.axes.is_empty() => write!(f, "{dim}"),
            Element::Index { dim, .. } => write!(f, "{dim}{}", show_axes(&self.axes)),
        }
    }
}

/// A layer of the flat program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LayerId(pub u32);

impl LayerId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What an expression stands for while blocks are expanded.
#[derive(Clone, Debug)]
pub enum Val<'a> {
    Number(f64),
    /// A number that is known when the data is: its text.
    Opaque(String),
    Text(String),
    Bool(bool),
    Quantity(f64, Unit),
    Percent(f64),
    List(Vec<Val<'a>>),
    /// Axes by name, as after `over =`.
    Axes(Vec<String>),
    /// A declared dim: an axis and a size.
    Dim(String),
    Table(LayerId),
    /// Several parts, as of `unstack`.
    Parts(Vec<LayerId>),
    /// A field of the boxes of each picture.
    Boxes(String),
    /// A shared layer: the call it makes, and the path of its weights.
    Layer(&'a Expr, String),
    /// The name of a definition that failed; silent.
    Poison,
}

impl Val<'_> {
    /// Number of values, those within lists included.
    pub fn count(&self) -> usize {
        match self {
            Val::List(items) => 1 + items.iter().map(Val::count).sum::<usize>(),
            _ => 1,
        }
    }

    /// For messages that say what was found.
    pub fn kind(&self) -> &'static str {
        match self {
            Val::Number(_) | Val::Opaque(_) => "a number",
            Val::Text(_) => "a text",
            Val::Bool(_) => "a truth value",
            Val::Quantity(..) => "a duration",
            Val::Percent(_) => "a percentage",
            Val::List(_) => "a list",
            Val::Axes(_) => "an axis",
            Val::Dim(_) => "a dimension",
            Val::Table(_) => "a table",
            Val::Parts(_) => "several parts",
            Val::Boxes(_) => "boxes",
            Val::Layer(..) => "a layer",
            Val::Poison => "an error",
        }
    }
}

/// A value and where it was written.
pub type Placed<'a> = (Val<'a>, Span);

/// A number as a size: whole and not negative, within what a machine counts.
pub fn whole(x: f64) -> Option<usize> {
    let r = x.round();
    let near = (x - r).abs() <= 1e-9 * r.abs().max(1.0);
    (x.is_finite() && near && (0.0..9.0e15).contains(&r)).then_some(r as usize)
}

/// `38.4`, `3`, as people write numbers.
pub fn show_number(x: f64) -> String {
    match whole(x) {
        Some(n) => n.to_string(),
        None => {
            let rounded = (x * 1e6).round() / 1e6;
            if rounded == 0.0 || !rounded.is_finite() { format!("{x:e}") } else { format!("{rounded}") }
        }
    }
}

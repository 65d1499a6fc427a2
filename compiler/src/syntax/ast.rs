//! The tree as written: spans everywhere a message can point, nothing interpreted.
//!
//! Rule names are those of `grammar/dl.pest`, which documents the language.

use crate::base::{Span, Spanned};

pub type Ident = Spanned<String>;
pub type Expr = Spanned<ExprKind>;

/// One source file.
#[derive(Clone, Debug, Default)]
pub struct File {
    pub items: Vec<Item>,
}

#[derive(Clone, Debug)]
pub enum Item {
    Import(Import),
    Dim(Dim),
    Const(Const),
    /// `block` and `model`.
    Block(Block),
    Data(Data),
    Train(Train),
    Generate(Generate),
}

impl Item {
    pub fn into_block(self) -> Option<Block> {
        match self {
            Item::Block(block) => Some(block),
            _ => None,
        }
    }
}

/// `import "blocks.dl"`
#[derive(Clone, Debug)]
pub struct Import {
    pub path: Spanned<String>,
    pub span: Span,
}

/// `dim t = 64`, `dim t <= 200`, `dim word`
#[derive(Clone, Debug)]
pub struct Dim {
    pub name: Ident,
    pub size: DimSize,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum DimSize {
    /// A number, or a list of names.
    Equal(Expr),
    AtMost(Expr),
    /// From the data.
    Solved,
}

/// `const width = 16`
#[derive(Clone, Debug)]
pub struct Const {
    pub name: Ident,
    pub value: Expr,
    pub span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlockKind {
    Block,
    Model,
}

/// `block Residual(x: [h, w, c], ch, stride = 1) -> y { ... }`
#[derive(Clone, Debug)]
pub struct Block {
    pub kind: BlockKind,
    pub name: Ident,
    pub formals: Vec<Formal>,
    pub outputs: Vec<Target>,
    pub body: Vec<Stmt>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Formal {
    pub name: Ident,
    pub ty: Option<Type>,
    pub default: Option<Expr>,
}

/// A defined name with its declared type, if any; also an output of a signature.
#[derive(Clone, Debug)]
pub struct Target {
    pub name: Ident,
    pub ty: Option<Type>,
}

#[derive(Clone, Debug)]
pub enum Stmt {
    /// `layer f = dense(64)`
    Layer { name: Ident, value: Expr },
    /// `param p: [t, d] = normal(0.02)`
    Param { name: Ident, ty: Type, init: Expr },
    /// `state m: [..] = 0`
    State { name: Ident, ty: Type, init: Expr },
    /// `predict guess = argmax(...)`
    Predict { name: Ident, value: Expr },
    /// `a, b = expr`; a name may end in `'` (next value of a state).
    Def { targets: Vec<Target>, value: Expr },
}

#[derive(Clone, Debug)]
pub struct Data {
    pub name: Ident,
    pub fields: Vec<Field>,
    pub settings: Vec<Setting>,
    pub span: Span,
}

/// `field x: [feature] = columns(0..4) |> standardize`
#[derive(Clone, Debug)]
pub struct Field {
    pub targets: Vec<Target>,
    pub value: Expr,
    pub span: Span,
}

/// `batch = 64`
#[derive(Clone, Debug)]
pub struct Setting {
    pub name: Ident,
    pub value: Expr,
}

/// `train LeNet on mnist { ... }`
#[derive(Clone, Debug)]
pub struct Train {
    pub model: Ident,
    pub data: Ident,
    pub augments: Vec<Augment>,
    pub fields: Vec<Field>,
    /// `loss { a = ...  b = ... }`
    pub groups: Vec<Group>,
    pub settings: Vec<Setting>,
    pub span: Span,
}

/// `augment image, mask |> random_flip(w)`
#[derive(Clone, Debug)]
pub struct Augment {
    pub names: Vec<Ident>,
    pub stages: Vec<Expr>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Group {
    pub name: Ident,
    pub settings: Vec<Setting>,
}

/// `generate M { tokens <- sample(logits)  limit = 500 }`
#[derive(Clone, Debug)]
pub struct Generate {
    pub model: Ident,
    pub choices: Vec<(Ident, Expr)>,
    pub settings: Vec<Setting>,
    pub span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unit {
    Epochs,
    Steps,
    Minutes,
    Hours,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Infix {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    And,
    Or,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Prefix {
    Neg,
    Not,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    Number(f64),
    /// `20 epochs`
    Quantity(f64, Unit),
    /// `10%` holds 10
    Percent(f64),
    Text(String),
    Bool(bool),
    Name(String),
    List(Vec<Expr>),
    Prefix(Prefix, Box<Expr>),
    Infix(Infix, Box<Expr>, Box<Expr>),
    If {
        condition: Box<Expr>,
        then: Box<Expr>,
        otherwise: Box<Expr>,
    },
    /// `x |> stage |> stage`: the first is a value, the others stages (a name, member, call or repeat).
    Pipe(Box<Expr>, Vec<Expr>),
    /// `repeat 3 { stages }`, `repeat ch in [16, 32] { stages }`; only as a stage.
    Repeat {
        var: Option<Ident>,
        over: Box<Expr>,
        stages: Vec<Expr>,
    },
    Call {
        callee: Box<Expr>,
        args: Vec<Arg>,
    },
    /// `f(h, w -> s)`: the call form of `view`.
    Map {
        callee: Box<Expr>,
        from: Vec<Axis>,
        to: Vec<Axis>,
    },
    /// `x[t: 0]`, `x[h: 1..5]`
    Index {
        base: Box<Expr>,
        axes: Vec<(Ident, Selection)>,
    },
    /// `x.c`, `f.weight`
    Member(Box<Expr>, Ident),
    Scan(Box<Scan>),
}

#[derive(Clone, Debug)]
pub enum Arg {
    Positional(Expr),
    /// `stride = 2`
    Named(Ident, Expr),
    /// `head: 4`
    Axis(Ident, Expr),
    /// `0..4`, `2..`, `..3`
    Range(Range),
}

#[derive(Clone, Debug)]
pub struct Range {
    pub start: Option<Expr>,
    pub end: Option<Expr>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Selection {
    At(Expr),
    Range(Range),
}

/// `scan xt in x over t (reverse = true) { state ... yield h' }`
#[derive(Clone, Debug)]
pub struct Scan {
    pub inputs: Vec<(Ident, Expr)>,
    pub over: Ident,
    pub args: Vec<Arg>,
    pub body: Vec<Stmt>,
    pub yields: Vec<Expr>,
}

/// `[h: 28, w: 28, c: 1]`, `char[t]`, `label`
#[derive(Clone, Debug)]
pub struct Type {
    /// The dim that is indexed; `None` for numbers.
    pub element: Option<Ident>,
    /// `None` where no brackets were written (`label: digit`).
    pub shape: Option<Vec<Axis>>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Axis {
    pub kind: AxisKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum AxisKind {
    /// `..`
    Rest,
    /// `h`, `h: 28`
    Named(Ident, Option<Expr>),
    /// `28` (E0301 outside a view)
    Size(f64),
}

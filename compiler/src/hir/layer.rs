//! The flat program: typed layers in SSA form, blocks expanded.

use super::value::{Element, LayerId, Size, Table};
use crate::base::Span;
use crate::loops::{Binary, Fold, Unary};
use std::collections::{BTreeMap, BTreeSet};

/// One step of the program; operands come before their users.
#[derive(Clone, Debug)]
pub struct Layer {
    pub what: What,
    pub inputs: Vec<LayerId>,
    pub ty: Table,
    /// Path of definitions: `LeNet.logits/conv[1]`.
    pub path: String,
    pub span: Span,
    /// In whose body it was made.
    pub scan: Option<usize>,
}

/// Numbers that the trainer gives at each step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    Step,
    Steps,
    StepsPerEpoch,
}

/// Sliding windows of convolutions and pools.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// The sliding axes, by name, in the order of the operand.
    pub over: Vec<String>,
    pub kernel: Vec<usize>,
    pub stride: Vec<usize>,
    pub dilation: Vec<usize>,
    pub pad: Vec<(usize, usize)>,
    pub groups: usize,
}

/// What a layer does. Names of axes are those of the operands' types.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// A model input or a field of the data.
    Input(String),
    Clock(Clock),
    /// What the caller of a fragment gives (an optimizer's weight, gradient, step, rate).
    Given(usize),
    Weight(usize),
    State(usize),
    Constant(f64),
    Unary(Unary),
    /// Operands have the same axes, or fewer.
    Binary(Binary),
    Select,
    Reduce(Fold),
    ArgMax(String),
    /// The last element of each example along an axis of variable length.
    Last(String),
    /// How many elements each example has along axes of these sizes.
    Count(Vec<Size>),
    /// The same numbers under other names, in the same order.
    Rename,
    /// The axes in the order of the type.
    Permute,
    Reshape,
    Slice {
        axis: String,
        start: usize,
    },
    Concat(String),
    Dot(Vec<String>),
    /// Operand, weight, and bias if there is one.
    Dense,
    Conv(Window),
    ConvTranspose(Window),
    MaxPool(Window),
    AvgPool(Window),
    Upsample {
        over: Vec<String>,
        by: Vec<usize>,
        linear: bool,
    },
    /// Operand, scale, shift; running statistics are states.
    BatchNorm {
        eps: f64,
        momentum: f64,
        mean: usize,
        variance: usize,
    },
    Dropout {
        p: f64,
        name: String,
    },
    Embed,
    OneHot,
    Detach,
    /// The coordinate along an axis of the operand.
    Coord(String),
    /// What of the operand belongs to the present iteration.
    Pick {
        scan: usize,
        axis: String,
    },
    /// A state of a scan; the operand is its first value.
    Carry {
        scan: usize,
        which: usize,
    },
    /// The operand in every iteration.
    Stack {
        scan: usize,
    },
}

impl What {
    /// The scan whose iterations the layer takes apart or puts together.
    pub fn scan(&self) -> Option<usize> {
        match self {
            What::Pick { scan, .. } | What::Carry { scan, .. } | What::Stack { scan } => Some(*scan),
            _ => None,
        }
    }
}

/// A `scan`: its states as they come into an iteration, and as they leave it.
#[derive(Clone, Debug)]
pub struct Recurrence {
    pub length: Size,
    pub reverse: bool,
    /// The next value is `None` until it is defined.
    pub states: Vec<(LayerId, Option<LayerId>)>,
}

/// How a weight begins.
#[derive(Clone, PartialEq, Debug)]
pub enum Start {
    Constant(f64),
    Uniform(f64),
    Normal(f64),
}

/// A weight that is trained.
#[derive(Clone, Debug)]
pub struct Weight {
    pub path: String,
    pub ty: Table,
    pub start: Start,
    pub span: Span,
}

impl Weight {
    pub fn shape(&self) -> Vec<usize> {
        self.ty.sizes().unwrap_or_default()
    }
}

/// A stored table whose next value is computed in training.
#[derive(Clone, Debug)]
pub struct Stored {
    pub path: String,
    pub ty: Table,
    pub start: f64,
    /// `None` for batch-norm statistics, which make their own.
    pub next: Option<LayerId>,
}

/// A result and its name.
#[derive(Clone, Debug)]
pub struct Named {
    pub name: String,
    pub layer: LayerId,
    pub span: Span,
}

/// A prediction that is boxes: `predict seen = boxes(found, where, class, score = 0.4, overlap = 0.5)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Of the prediction.
    pub name: String,
    pub layer: LayerId,
    pub score: f64,
    pub overlap: f64,
    /// The dim of its classes.
    pub dim: String,
}

/// The whole program, elaborated.
#[derive(Clone, Debug, Default)]
pub struct Hir {
    pub model: String,
    pub layers: Vec<Layer>,
    pub weights: Vec<Weight>,
    pub states: Vec<Stored>,
    pub scans: Vec<Recurrence>,
    pub outputs: Vec<Named>,
    pub predicts: Vec<Named>,
    /// Those of the predictions that are boxes.
    pub seen: Vec<Seen>,
    /// One entry without a name (`""`), or one for each part of `loss { }`; a number per example.
    pub losses: Vec<Named>,
    /// Tables that metrics read, by the name of the graph output.
    pub metric_inputs: Vec<Named>,
    pub rate: Option<LayerId>,
    /// The update of each weight, in the order of `weights`.
    pub updates: Vec<Fragment>,
    /// Clip gradients to this global norm.
    pub clip: Option<f64>,
    pub seed: u64,
    /// Parts of paths whose weights and statistics stay as they are.
    pub frozen: Vec<String>,
    /// Fields with points that belong to no class: their index is one too many; and the classes that points lose so.
    pub ignoring: BTreeMap<String, Vec<usize>>,
    /// Fields of classes that training mixes with those of other examples.
    pub mixed: BTreeSet<String>,
}

/// A small program with its own layers: the update of one weight.
#[derive(Clone, Debug, Default)]
pub struct Fragment {
    pub layers: Vec<Layer>,
    pub states: Vec<Stored>,
    pub result: Option<LayerId>,
}

impl Hir {
    /// Whether a weight or statistic stays as it is.
    pub fn is_frozen(&self, path: &str) -> bool {
        self.frozen.iter().any(|part| super::transfer::is_part(path, part))
    }

    pub fn layer(&self, id: LayerId) -> &Layer {
        &self.layers[id.index()]
    }

    /// Number of trained numbers; `None` while a dim is unknown.
    pub fn parameters(&self) -> Option<u64> {
        self.weights.iter().map(|w| w.ty.sizes().map(|s| s.iter().map(|n| *n as u64).product::<u64>())).sum()
    }

    /// The first size that only the data can tell.
    pub fn unknown(&self) -> Option<(&Layer, &str)> {
        self.layers.iter().find_map(|l| {
            let index = match &l.ty.element {
                Element::Index { size, .. } => Some(size),
                Element::Number => None,
            };
            l.ty.axes.iter().map(|a| &a.size).chain(index).find_map(|s| match s {
                Size::Unknown(text) => Some((l, text.as_str())),
                Size::Known(_) | Size::Variable(_) => None,
            })
        })
    }
}

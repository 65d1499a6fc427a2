//! Why a training did not come to its end.

use std::fmt;

use crate::data::error::DataError;

/// By kind, since each has its own exit code.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainError {
    /// Data, model files and options do not fit: the user's to repair.
    Data(Box<DataError>),
    /// Nothing can be written there.
    Io(String),
    /// E0901.
    NotFinite(Box<NotFinite>),
    /// The compiler or the runtime refused: a bug, or too little memory.
    Internal(String),
}

/// E0901: the run diverged.
#[derive(Clone, Debug, PartialEq)]
pub struct NotFinite {
    pub loss: f32,
    /// From 0, as in the step log.
    pub step: usize,
    /// From 1.
    pub epoch: usize,
    /// Of this step, if the graph says it.
    pub lr: Option<f32>,
    /// The loss one step before.
    pub before: Option<f32>,
    /// Of this batch, numbered as in the source.
    pub examples: Vec<u32>,
    /// A weight that is not finite itself, if there is one.
    pub weight: Option<String>,
}

impl From<Box<DataError>> for TrainError {
    fn from(error: Box<DataError>) -> TrainError {
        TrainError::Data(error)
    }
}

impl NotFinite {
    pub const CODE: &'static str = "E0901";

    pub fn message(&self) -> String {
        let became = if self.loss.is_nan() { "not a number" } else { "infinite" };
        format!("the loss became {became} at step {} (epoch {})", self.step, self.epoch)
    }

    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(lr) = self.lr {
            notes.push(format!("the learning rate was {lr:e}"));
        }
        if let Some(before) = self.before {
            notes.push(format!("the step before had the loss {before}"));
        }
        if let Some(weight) = &self.weight {
            notes.push(format!("`{weight}` holds a value that is not finite"));
        }
        let rows: Vec<String> = self.examples.iter().take(8).map(u32::to_string).collect();
        let more = if self.examples.len() > 8 { ", ..." } else { "" };
        notes.push(format!("examples of this batch: {}{more}", rows.join(", ")));
        notes
    }

    pub fn help(&self) -> &'static str {
        "use a smaller learning rate or clip gradients: `adam(lr = 3e-4, clip = 1.0)`"
    }
}

impl fmt::Display for TrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrainError::Data(error) => error.fmt(f),
            TrainError::Io(message) | TrainError::Internal(message) => message.fmt(f),
            TrainError::NotFinite(bad) => {
                write!(f, "error[{}]: {}", NotFinite::CODE, bad.message())?;
                bad.notes().iter().try_for_each(|note| write!(f, "\n   = note: {note}"))?;
                write!(f, "\n   = help: {}", bad.help())
            }
        }
    }
}

impl std::error::Error for TrainError {}

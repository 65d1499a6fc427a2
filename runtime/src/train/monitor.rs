//! Which epoch was the best, and whether to go on.

use super::report::EpochRow;
use super::spec::{Stop, TrainSpec, Unit};
use crate::data::error::DataError;

/// Why a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    /// At its planned length.
    #[default]
    Finished,
    Patience,
    Target,
    /// By the user, after the step was finished and saved.
    Interrupted,
    DryRun,
}

/// Follows one value.
#[derive(Clone, Debug)]
struct Watched {
    on: String,
    larger_is_better: bool,
    best: Option<f64>,
    /// Epochs, steps and seconds at that moment.
    at: [f64; 3],
}

impl Watched {
    fn new(spec: &TrainSpec, on: &str) -> Watched {
        let name = on.strip_prefix("val.").unwrap_or(on);
        let metric = spec.metrics.iter().find(|metric| metric.name == name);
        let larger_is_better = metric.is_some_and(|metric| metric.kind.larger_is_better());
        Watched { on: on.to_string(), larger_is_better, best: None, at: [0.0; 3] }
    }

    /// Whether this is the best value so far.
    fn see(&mut self, value: f64, at: [f64; 3]) -> bool {
        let better = match self.best {
            _ if value.is_nan() => false,
            None => true,
            Some(best) if self.larger_is_better => value > best,
            Some(best) => value < best,
        };
        if better {
            (self.best, self.at) = (Some(value), at);
        }
        better
    }

    fn reached(&self, value: f64, target: f64) -> bool {
        if self.larger_is_better { value >= target } else { value <= target }
    }
}

/// Follows all that a recipe asks for.
pub struct Monitor {
    best: Watched,
    stops: Vec<(Stop, Watched)>,
}

impl Monitor {
    /// The best epoch has the best value that patience waits for, else the least `val.loss`, or `loss`
    /// where nothing is held back for validation.
    pub fn new(spec: &TrainSpec, validates: bool) -> Monitor {
        let patience = spec.stop.iter().find_map(|stop| match stop {
            Stop::Patience { on, .. } => Some(on.as_str()),
            Stop::Target { .. } => None,
        });
        let default = if validates { "val.loss" } else { "loss" };
        let watched = |stop: &Stop| match stop {
            Stop::Patience { on, .. } | Stop::Target { on, .. } => Watched::new(spec, on),
        };
        Monitor {
            best: Watched::new(spec, patience.unwrap_or(default)),
            stops: spec.stop.iter().map(|stop| (stop.clone(), watched(stop))).collect(),
        }
    }

    /// Takes a row; whether it is the best so far, and why to end now.
    pub fn see(&mut self, row: &EpochRow, steps: usize, seconds: f64) -> Result<(bool, Option<Ended>), Box<DataError>> {
        let at = [row.epoch as f64, steps as f64, seconds];
        let value = |on: &str| {
            let found = row.values.iter().find(|(name, _)| name == on);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let known: Vec<String> = row.values.iter().map(|(name, _)| format!("`{name}`")).collect();
                DataError::new("E0602", format!("training cannot wait for `{on}`: it is not measured"))
                    .help(format!("there is {}", known.join(", ")))
            })
        };
        let best = self.best.see(value(&self.best.on)?, at);
        let mut ended = None;
        for (stop, watched) in &mut self.stops {
            let value = value(&watched.on)?;
            watched.see(value, at);
            match stop {
                Stop::Patience { count, unit, .. } => {
                    let which = match unit {
                        Unit::Epochs => 0,
                        Unit::Steps => 1,
                        Unit::Seconds => 2,
                    };
                    if at[which] - watched.at[which] >= *count {
                        ended.get_or_insert(Ended::Patience);
                    }
                }
                Stop::Target { value: target, .. } if watched.reached(value, *target) => {
                    ended.get_or_insert(Ended::Target);
                }
                Stop::Target { .. } => {}
            }
        }
        Ok((best, ended))
    }
}

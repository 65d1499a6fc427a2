//! Time per step, accumulated over runs, on request.

use crate::abi::Executable;

/// Where the time of an executable goes. A run that records into it costs two clock readings per step more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Nanoseconds of each step, in order, with the wait for its slowest thread.
    pub nanoseconds: Vec<u64>,
    /// Nanoseconds of each part of each step in order, added up over threads; empty where the code keeps no time.
    pub parts: Vec<u64>,
    /// Runs recorded.
    pub runs: u64,
}

impl Profile {
    pub fn new(executable: &Executable) -> Profile {
        Profile { nanoseconds: vec![0; executable.steps.len()], ..Profile::default() }
    }

    /// Nanoseconds of all steps together.
    pub fn total(&self) -> u64 {
        self.nanoseconds.iter().sum()
    }

    /// The part of all time that a step takes, 0 to 1.
    pub fn share(&self, step: usize) -> f64 {
        match (self.nanoseconds.get(step), self.total()) {
            (Some(time), total) if total > 0 => *time as f64 / total as f64,
            _ => 0.0,
        }
    }
}

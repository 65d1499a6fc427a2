//! Initial values of state variables.

use crate::loops::expr::random_number;

/// How a state variable begins; random ones are a function of their key alone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Init {
    Zeros,
    Constant(f32),
    /// Uniform in `-limit..limit`.
    Uniform {
        limit: f32,
        key: u64,
    },
    /// Mean 0.
    Normal {
        std: f32,
        key: u64,
    },
}

impl Init {
    /// The first `count` values, row-major.
    pub fn values(&self, count: usize) -> Vec<f32> {
        let mut values = vec![0.0; count];
        self.fill(&mut values);
        values
    }

    /// The first values, row-major, over zeros.
    pub fn fill(&self, values: &mut [f32]) {
        let number = |key, stream, i: usize| f64::from(random_number(key, stream, i as u32));
        match *self {
            // Memory that nobody has touched stays so.
            Init::Zeros => {}
            Init::Constant(value) => values.fill(value),
            Init::Uniform { limit, key } => {
                let value = |i| (f64::from(limit) * (2.0 * number(key, 0, i) - 1.0)) as f32;
                values.iter_mut().enumerate().for_each(|(i, x)| *x = value(i));
            }
            Init::Normal { std, key } => {
                // Box and Muller's transform of two independent streams.
                let value = |i| {
                    let radius = (-2.0 * (1.0 - number(key, 0, i)).ln()).sqrt();
                    let angle = std::f64::consts::TAU * number(key, 1, i);
                    (f64::from(std) * radius * angle.cos()) as f32
                };
                values.iter_mut().enumerate().for_each(|(i, x)| *x = value(i));
            }
        }
    }
}

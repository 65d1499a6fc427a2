//! Field steps with their numbers: what was learned from the training part, applied to any example.

use super::error::{DataError, Result};
use super::spec::FieldStep;

/// An axis of a field, its size known.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub name: String,
    pub size: usize,
}

/// A step whose statistics are known.
#[derive(Clone, Debug, PartialEq)]
pub enum Fitted {
    Scale {
        by: f64,
        shift: f64,
    },
    /// `(x - mean) / spread`
    Standardize {
        over: Vec<String>,
        mean: Vec<f64>,
        spread: Vec<f64>,
    },
    /// To 0..1.
    MinMax {
        low: Vec<f64>,
        high: Vec<f64>,
    },
    Log,
    /// What a missing number becomes.
    Fill {
        values: Vec<f64>,
    },
}

/// Steps in their order, ready to be applied to the elements of one field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chain {
    steps: Vec<Fitted>,
    /// Per step: which statistic belongs to which element; empty where there is one for all.
    of: Vec<Vec<u32>>,
}

/// Reads element `element` of an example of the training part: `values(example, element)`.
pub struct Training<'a> {
    pub examples: &'a [u32],
    pub values: &'a dyn Fn(usize, usize) -> f64,
}

impl Chain {
    pub fn steps(&self) -> &[Fitted] {
        &self.steps
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// One more step, its statistics taken from the training part as the steps before leave it.
    pub fn fit(&mut self, step: &FieldStep, axes: &[Axis], training: &Training<'_>) -> Result<()> {
        let all: Vec<u32> = (0..elements(axes) as u32).collect();
        let fitted = match step {
            FieldStep::Scale { by, shift } => Fitted::Scale { by: *by, shift: *shift },
            FieldStep::Log => Fitted::Log,
            FieldStep::Fill(Some(value)) => Fitted::Fill { values: vec![*value] },
            FieldStep::Fill(None) => {
                let mean = self.moments(&all, training).into_iter().map(|m| m.mean).collect();
                Fitted::Fill { values: mean }
            }
            FieldStep::MinMax => {
                let moments = self.moments(&all, training);
                let low = moments.iter().map(|m| if m.count > 0.0 { m.low } else { 0.0 }).collect();
                let high = moments.iter().map(|m| if m.count > 0.0 { m.high } else { 0.0 }).collect();
                Fitted::MinMax { low, high }
            }
            FieldStep::Standardize { over } => {
                let moments = self.moments(&groups(axes, over), training);
                let spread = |m: &Moments| match m.spread() {
                    spread if spread > 0.0 => spread,
                    // A constant becomes 0, not a division by 0.
                    _ => 1.0,
                };
                Fitted::Standardize {
                    over: over.clone(),
                    mean: moments.iter().map(|m| m.mean).collect(),
                    spread: moments.iter().map(spread).collect(),
                }
            }
            // Done where texts are cut, and where rows are put together.
            FieldStep::Text(_) | FieldStep::Windows { .. } => return Ok(()),
            FieldStep::FillClass(class) => {
                let message = format!("`{class}` is a word, and missing numbers are filled with a number or `mean`");
                return Err(DataError::new("E0502", message));
            }
            // Done where pictures are decoded.
            FieldStep::Picture(_) => return Ok(()),
            FieldStep::OneHot { .. } => {
                return Err(DataError::new("E0502", "`one_hot` is the only step of its field"));
            }
        };
        self.push(fitted, axes);
        Ok(())
    }

    /// One more step that is known, from a model file.
    pub fn push(&mut self, step: Fitted, axes: &[Axis]) {
        let statistics = match &step {
            Fitted::Scale { .. } | Fitted::Log => 1,
            Fitted::Standardize { mean, .. } => mean.len(),
            Fitted::MinMax { low, .. } => low.len(),
            Fitted::Fill { values } => values.len(),
        };
        let over: &[String] = match &step {
            Fitted::Standardize { over, .. } => over,
            _ => &[],
        };
        self.of.push(if statistics > 1 { groups(axes, over) } else { Vec::new() });
        self.steps.push(step);
    }

    /// What element `element` with the value `x` becomes.
    pub fn apply(&self, x: f64, element: usize) -> f64 {
        self.steps.iter().zip(&self.of).fold(x, |x, (step, of)| {
            let of = of.get(element).map_or(0, |group| *group as usize);
            let get = |values: &[f64]| values.get(of).copied().unwrap_or(f64::NAN);
            match step {
                Fitted::Scale { by, shift } => x * by + shift,
                Fitted::Standardize { mean, spread, .. } => (x - get(mean)) / get(spread),
                Fitted::MinMax { low, high } => match get(high) - get(low) {
                    0.0 => x - get(low),
                    range => (x - get(low)) / range,
                },
                Fitted::Log => x.ln(),
                Fitted::Fill { values } if x.is_nan() => get(values),
                Fitted::Fill { .. } => x,
            }
        })
    }

    /// Whether an element's place does not matter, so that bytes can go through a table.
    pub fn is_uniform(&self) -> bool {
        self.of.iter().all(Vec::is_empty)
    }

    /// Whether elements so far from each other share their statistics: those of one channel.
    pub fn repeats(&self, channels: usize) -> bool {
        let same = |of: &Vec<u32>| of.iter().zip(of.iter().skip(channels)).all(|(a, b)| a == b);
        self.of.iter().all(same)
    }

    pub fn has_log(&self) -> bool {
        self.steps.contains(&Fitted::Log)
    }

    /// Statistics per group; missing numbers do not count. Serial and in order: the same bits always.
    fn moments(&self, of: &[u32], training: &Training<'_>) -> Vec<Moments> {
        let groups = of.iter().max().map_or(0, |most| *most as usize + 1);
        let mut moments = vec![Moments::default(); groups];
        let mut each = |visit: &mut dyn FnMut(&mut Moments, f64)| {
            for example in training.examples {
                for (element, group) in of.iter().enumerate() {
                    let x = self.apply((training.values)(*example as usize, element), element);
                    if !x.is_nan() {
                        visit(&mut moments[*group as usize], x);
                    }
                }
            }
        };
        each(&mut |m, x| {
            m.count += 1.0;
            m.sum += x;
            m.low = m.low.min(x);
            m.high = m.high.max(x);
        });
        each(&mut |m, x| {
            m.mean = m.sum / m.count;
            m.squares += (x - m.mean) * (x - m.mean);
        });
        moments
    }
}

#[derive(Clone, Debug)]
struct Moments {
    count: f64,
    sum: f64,
    mean: f64,
    squares: f64,
    low: f64,
    high: f64,
}

impl Default for Moments {
    fn default() -> Moments {
        let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
        Moments { count: 0.0, sum: 0.0, mean: 0.0, squares: 0.0, low, high }
    }
}

impl Moments {
    /// Of the whole population.
    fn spread(&self) -> f64 {
        (self.squares / self.count.max(1.0)).sqrt()
    }
}

/// Numbers of one example.
pub fn elements(axes: &[Axis]) -> usize {
    axes.iter().map(|axis| axis.size).product()
}

/// For every element of an example the number of its statistic, which is shared along `over`.
fn groups(axes: &[Axis], over: &[String]) -> Vec<u32> {
    let mut of = vec![0u32];
    let mut count = 1;
    for axis in axes {
        let shared = over.contains(&axis.name);
        let mut next = Vec::with_capacity(of.len() * axis.size);
        for group in of {
            for at in 0..axis.size as u32 {
                next.push(if shared { group } else { group * axis.size as u32 + at });
            }
        }
        count *= if shared { 1 } else { axis.size };
        of = next;
    }
    debug_assert!(of.iter().all(|group| (*group as usize) < count));
    of
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(sizes: &[(&str, usize)]) -> Vec<Axis> {
        sizes.iter().map(|(name, size)| Axis { name: name.to_string(), size: *size }).collect()
    }

    fn fitted(steps: &[FieldStep], axes: &[Axis], rows: &[&[f64]]) -> Chain {
        let examples: Vec<u32> = (0..rows.len() as u32).collect();
        let values = |example: usize, element: usize| rows[example][element];
        let training = Training { examples: &examples, values: &values };
        let mut chain = Chain::default();
        steps.iter().for_each(|step| chain.fit(step, axes, &training).unwrap());
        chain
    }

    #[test]
    fn standardize_per_element_and_over_axes() {
        let axes = axes(&[("h", 2), ("c", 2)]);
        let rows: [&[f64]; 2] = [&[1.0, 10.0, 3.0, 10.0], &[5.0, 10.0, 7.0, 10.0]];
        let each = fitted(&[FieldStep::Standardize { over: vec![] }], &axes, &rows);
        assert_eq!(each.apply(1.0, 0), -1.0);
        assert_eq!(each.apply(10.0, 1), 0.0);
        let over = fitted(&[FieldStep::Standardize { over: vec!["h".into()] }], &axes, &rows);
        let Fitted::Standardize { mean, spread, .. } = &over.steps()[0] else { panic!() };
        assert_eq!((mean.as_slice(), spread[0]), (&[4.0, 10.0][..], 5f64.sqrt()));
        assert_eq!(over.apply(4.0, 2), 0.0);
    }

    #[test]
    fn steps_follow_each_other() {
        let axes = axes(&[("x", 1)]);
        let rows: [&[f64]; 3] = [&[1.0], &[f64::NAN], &[3.0]];
        let steps = [FieldStep::Fill(None), FieldStep::Scale { by: 2.0, shift: 1.0 }, FieldStep::MinMax];
        let chain = fitted(&steps, &axes, &rows);
        assert_eq!(chain.apply(f64::NAN, 0), 0.5);
        assert_eq!((chain.apply(1.0, 0), chain.apply(3.0, 0)), (0.0, 1.0));
        assert!(chain.is_uniform());
        let log = fitted(&[FieldStep::Log], &axes, &rows);
        assert_eq!(log.apply(std::f64::consts::E, 0), 1.0);
    }

    #[test]
    fn a_constant_does_not_divide_by_zero() {
        let axes = axes(&[("x", 1)]);
        let rows: [&[f64]; 2] = [&[2.0], &[2.0]];
        for step in [FieldStep::MinMax, FieldStep::Standardize { over: vec![] }] {
            assert_eq!(fitted(&[step], &axes, &rows).apply(2.0, 0), 0.0);
        }
    }

    #[test]
    fn statistics_are_shared_along_the_named_axes() {
        let axes = axes(&[("h", 2), ("w", 2), ("c", 3)]);
        let over = |names: &[&str]| groups(&axes, &names.iter().map(|name| name.to_string()).collect::<Vec<_>>());
        assert_eq!(over(&["h", "w"]), [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
        assert_eq!(over(&["h", "w", "c"]), [0; 12]);
        assert_eq!(over(&[]), (0..12).collect::<Vec<_>>());
    }
}

//! The likeliest line among several that are kept side by side.

use super::{Choice, Decoder};

/// A line so far.
#[derive(Clone, Default)]
struct Line {
    symbols: Vec<u32>,
    /// The logarithm of its probability.
    sum: f64,
}

impl Line {
    /// By symbol, the end counted: long lines are not worse for being long.
    fn mean(&self, ended: bool) -> f64 {
        self.sum / (self.symbols.len() + usize::from(ended)).max(1) as f64
    }
}

/// The lines of one example.
struct Beam {
    open: Vec<Line>,
    /// The best that has ended.
    best: Option<(f64, Vec<u32>)>,
    ended: usize,
}

impl Beam {
    fn end(&mut self, line: Line, mean: f64) {
        self.ended += 1;
        if self.best.as_ref().is_none_or(|(best, _)| mean > *best) {
            self.best = Some((mean, line.symbols));
        }
    }

    /// The best continuations of all open lines: those that end are put aside, as many as before go on.
    /// Gives the row that each of them continues, counted within this beam.
    fn grow(&mut self, scores: &[&[f32]], choice: &Choice) -> Vec<usize> {
        let width = choice.width;
        let mut found: Vec<(f64, usize, u32)> = vec![];
        for (row, (line, scores)) in self.open.iter().zip(scores).enumerate() {
            let best = likeliest(scores, 2 * width, choice.never);
            found.extend(best.into_iter().map(|(symbol, log)| (line.sum + log, row, symbol)));
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let before = std::mem::take(&mut self.open);
        let mut parents = vec![];
        for (place, (sum, row, symbol)) in found.into_iter().take(2 * width).enumerate() {
            let mut line = Line { sum, ..before[row].clone() };
            if Some(symbol) == choice.end {
                // What is not among the best of this step ends too early.
                if place < width {
                    let mean = line.mean(true);
                    self.end(line, mean);
                }
                continue;
            }
            line.symbols.push(symbol);
            if parents.len() < width {
                parents.push(row);
                self.open.push(line);
            }
        }
        if self.ended >= width {
            self.open.clear();
        }
        parents
    }
}

/// The best symbols and the logarithms of their probabilities; of equal ones the first.
fn likeliest(scores: &[f32], count: usize, never: Option<u32>) -> Vec<(u32, f64)> {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let norm = f64::from(most) + scores.iter().map(|x| f64::from(x - most).exp()).sum::<f64>().ln();
    let mut order: Vec<u32> = (0..scores.len() as u32).filter(|at| Some(*at) != never).collect();
    let better = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    if order.len() > count {
        order.select_nth_unstable_by(count, better);
        order.truncate(count);
    }
    order.sort_by(better);
    order.into_iter().map(|at| (at, f64::from(scores[at as usize]) - norm)).collect()
}

/// The best line of each example; an example has `choice.width` rows of the decoder.
pub fn search(decoder: &mut Decoder<'_>, choice: &Choice) -> Result<Vec<Vec<u32>>, String> {
    let width = choice.width;
    let first = || Beam { open: vec![Line::default()], best: None, ended: 0 };
    let mut beams: Vec<Beam> = (0..decoder.rows() / width).map(|_| first()).collect();
    for _ in 0..choice.limit {
        let scores = decoder.scores()?;
        let symbols = (scores.len() / decoder.rows().max(1)).max(1);
        let rows: Vec<&[f32]> = scores.chunks(symbols).collect();
        let (mut parents, mut chosen) = (vec![], vec![]);
        for (at, beam) in beams.iter_mut().enumerate() {
            let own = beam.grow(&rows[at * width..(at + 1) * width], choice);
            for row in 0..width {
                // Rows of no open line go on as any other.
                parents.push(at * width + own.get(row).copied().unwrap_or(0));
                chosen.push(beam.open.get(row).and_then(|line| line.symbols.last()).copied().unwrap_or(0));
            }
        }
        if beams.iter().all(|beam| beam.open.is_empty()) {
            break;
        }
        decoder.advance(&parents, &chosen)?;
    }
    let told = |mut beam: Beam| {
        for line in std::mem::take(&mut beam.open) {
            let mean = line.mean(false);
            beam.end(line, mean);
        }
        beam.best.map(|(_, symbols)| symbols).unwrap_or_default()
    };
    Ok(beams.into_iter().map(told).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sure_end_wins_over_a_likely_beginning() {
        // Symbols: 0 ends; 1 is likely at first, and then nothing is; 2 is followed by the end.
        let choice = Choice { width: 2, end: Some(0), ..Choice::default() };
        let mut beam = Beam { open: vec![Line::default()], best: None, ended: 0 };
        let log = |p: [f32; 4]| p.map(f32::ln);
        let first = log([0.01, 0.5, 0.4, 0.09]);
        assert_eq!(beam.grow(&[&first], &choice), [0, 0]);
        let (after_one, after_two) = (log([0.3, 0.3, 0.2, 0.2]), log([0.97, 0.01, 0.01, 0.01]));
        beam.grow(&[&after_one, &after_two], &choice);
        assert_eq!(beam.best.as_ref().unwrap().1, [2]);
        assert!((beam.best.as_ref().unwrap().0 - (0.4f64 * 0.97).ln() / 2.0).abs() < 1e-6);
    }

    #[test]
    fn the_best_few() {
        let best = likeliest(&[1.0, 3.0, 3.0, 2.0], 2, Some(1));
        assert_eq!(best.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(likeliest(&[0.0, 0.0], 9, None), [(0, 0.5f64.ln()), (1, 0.5f64.ln())]);
    }
}

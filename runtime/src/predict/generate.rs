//! What follows a prompt: the window is run again for each symbol.

use crate::data::random::Stream;
use crate::extents::{Extents, dim_of_input, length_input, rounded};
use crate::train::{Compiled, Engine, Mode};

/// How symbols are chosen, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub input: String,
    pub output: String,
    /// 0: always the likeliest.
    pub temperature: f64,
    /// Only among the likeliest.
    pub top: Option<usize>,
    pub limit: usize,
    pub seed: u64,
    /// What is never chosen: the unknown symbol.
    pub never: Option<u32>,
}

/// Tells every symbol as soon as it is chosen; stops early when `tell` says so.
///
/// A window that is not full yet is filled up at its end, which nothing reads that looks back alone.
pub fn generate(
    compiled: &mut dyn Compiled,
    engine: &mut dyn Engine,
    choice: &Choice,
    prompt: &[u32],
    tell: &mut dyn FnMut(u32) -> bool,
) -> Result<(), String> {
    let mut executable = compiled.executable(Mode::Predict, &1.into())?;
    let input = executable.inputs.iter().find(|slot| slot.name == choice.input);
    let length = input.ok_or_else(|| format!("the network has no input `{}`", choice.input))?.count();
    // Along a dim of variable length the window grows with what is known.
    let own = executable.inputs.iter().find_map(|slot| dim_of_input(&slot.name)).map(str::to_string);
    let mut stream = Stream::new("sample", &[choice.seed]);
    let mut known: Vec<f32> = prompt.iter().map(|index| *index as f32).collect();
    for _ in 0..choice.limit {
        let mut window = known[known.len().saturating_sub(length)..].to_vec();
        let last = window.len().saturating_sub(1);
        let mut held = length;
        if let Some(dim) = &own {
            held = rounded(window.len(), length);
            executable = compiled.executable(Mode::Predict, &Extents::new(1, [(dim.clone(), held)]))?;
            engine.write(&executable, &length_input(dim), &[window.len() as f32])?;
        }
        window.resize(held, 0.0);
        engine.write(&executable, &choice.input, &window)?;
        engine.run(&executable)?;
        let all = engine.read(&executable, &choice.output)?;
        let symbols = all.len() / held.max(1);
        let next = pick(all.get(last * symbols..(last + 1) * symbols).unwrap_or_default(), choice, &mut stream);
        if !tell(next) {
            break;
        }
        known.push(next as f32);
    }
    Ok(())
}

/// One symbol by its scores; of equal ones the first.
fn pick(scores: &[f32], choice: &Choice, stream: &mut Stream) -> u32 {
    let mut order: Vec<usize> =
        (0..scores.len()).filter(|at| choice.never.is_none_or(|never| *at != never as usize)).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let first = order.first().copied().unwrap_or(0);
    if choice.temperature <= 0.0 {
        return first as u32;
    }
    order.truncate(choice.top.unwrap_or(order.len()).max(1));
    let most = scores.get(first).copied().map_or(0.0, f64::from);
    let weight = |at: &usize| ((f64::from(scores[*at]) - most) / choice.temperature).exp();
    let mut left = stream.unit() * order.iter().map(weight).sum::<f64>();
    for at in &order {
        left -= weight(at);
        if left < 0.0 {
            return *at as u32;
        }
    }
    order.last().copied().unwrap_or(first) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_drawn_as_often_as_their_scores_say() {
        let choice = |temperature, top| Choice {
            input: String::new(),
            output: String::new(),
            temperature,
            top,
            limit: 1,
            seed: 1,
            never: None,
        };
        let scores = [0.0, (3.0f32).ln(), (4.0f32).ln()];
        let shares = |choice: &Choice| {
            let mut stream = Stream::new("t", &[]);
            let mut counts = [0.0; 3];
            (0..8000).for_each(|_| counts[pick(&scores, choice, &mut stream) as usize] += 1.0 / 8000.0);
            counts
        };
        let near = |found: [f64; 3], wanted: [f64; 3]| {
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 0.02), "{found:?}");
        };
        near(shares(&choice(1.0, None)), [0.125, 0.375, 0.5]);
        near(shares(&choice(0.5, None)), [1.0 / 26.0, 9.0 / 26.0, 16.0 / 26.0]);
        near(shares(&choice(1.0, Some(2))), [0.0, 3.0 / 7.0, 4.0 / 7.0]);
        near(shares(&choice(0.0, None)), [0.0, 0.0, 1.0]);
    }
}

//! What a trained network tells by itself: each symbol that it chooses is fed back, until its end or a limit.

mod beam;
mod choose;
mod decoder;
mod measure;
mod steps;

use crate::data::dataset::Dataset;
use crate::data::random::Stream;
use crate::train::{Compiled, Engine, alike};
use choose::pick;
use decoder::Decoder;

pub use measure::Measure;

/// How symbols are chosen, and for how long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// What grows.
    pub input: String,
    /// The scores of what follows each place of it.
    pub output: String,
    /// The most symbols that the network reads at once.
    pub window: usize,
    /// The dim along which the input grows, where each example has its own length.
    pub along: Option<String>,
    /// 0: always the likeliest.
    pub temperature: f64,
    /// Only among the likeliest.
    pub top: Option<usize>,
    /// Only among the fewest of the likeliest that together are this likely, after `top`.
    pub top_p: Option<f64>,
    /// Lines that are kept side by side for each that is told.
    pub width: usize,
    pub limit: usize,
    pub seed: u64,
    /// What is never chosen: the unknown symbol.
    pub never: Option<u32>,
    /// What ends a line; it is not told.
    pub end: Option<u32>,
}

/// Tells what follows `start`, of the only example of `data`: every symbol as soon as it is chosen, where only one line
/// is kept; stops early when `tell` says so.
pub fn generate(
    (compiled, engine): (&mut dyn Compiled, &mut dyn Engine),
    data: &Dataset,
    choice: &Choice,
    start: &[u32],
    tell: &mut dyn FnMut(u32) -> bool,
) -> Result<(), String> {
    if choice.width > 1 {
        let told = tell_all((compiled, engine), (data, &[0]), choice, (start, 1))?;
        let _ = told.into_iter().flatten().try_for_each(|symbol| tell(symbol).then_some(()));
        return Ok(());
    }
    for batch in alike(data, &[0], 1, choice.along.as_deref()) {
        let mut decoder = Decoder::new((&mut *compiled, &mut *engine), data, batch, choice, start)?;
        follow(&mut decoder, choice, &mut |_, symbol| tell(symbol))?;
    }
    Ok(())
}

/// What the network tells of each of the examples, that many of them at once; all begin with `start`.
pub fn tell_all(
    (compiled, engine): (&mut dyn Compiled, &mut dyn Engine),
    (data, examples): (&Dataset, &[u32]),
    choice: &Choice,
    (start, batch): (&[u32], usize),
) -> Result<Vec<Vec<u32>>, String> {
    let mut all = vec![vec![]; examples.len()];
    let width = choice.width.max(1);
    for mut batch in alike(data, examples, (batch / width).max(1), choice.along.as_deref()) {
        let places: Vec<usize> =
            batch.examples.iter().filter_map(|example| examples.iter().position(|e| e == example)).collect();
        batch.examples = batch.examples.iter().flat_map(|example| vec![*example; width]).collect();
        let mut decoder = Decoder::new((&mut *compiled, &mut *engine), data, batch, choice, start)?;
        let told = match width {
            1 => {
                let mut told = vec![vec![]; places.len()];
                follow(&mut decoder, choice, &mut |row, symbol| {
                    told[row].push(symbol);
                    true
                })?;
                told
            }
            _ => beam::search(&mut decoder, choice)?,
        };
        places.into_iter().zip(told).for_each(|(place, told)| all[place] = told);
    }
    Ok(all)
}

/// Every row by itself.
fn follow(decoder: &mut Decoder<'_>, choice: &Choice, tell: &mut dyn FnMut(usize, u32) -> bool) -> Result<(), String> {
    let rows: Vec<usize> = (0..decoder.rows()).collect();
    let key = |row: &usize| if rows.len() == 1 { vec![choice.seed] } else { vec![choice.seed, *row as u64] };
    let mut streams: Vec<Stream> = rows.iter().map(|row| Stream::new("sample", &key(row))).collect();
    let mut open = vec![true; rows.len()];
    for step in 0..choice.limit {
        let scores = decoder.scores()?;
        let symbols = scores.len() / rows.len().max(1);
        let mut chosen = vec![0; rows.len()];
        for ((row, scores), stream) in rows.iter().zip(scores.chunks(symbols.max(1))).zip(&mut streams) {
            if open[*row] {
                chosen[*row] = pick(scores, choice, stream);
                open[*row] = Some(chosen[*row]) != choice.end && tell(*row, chosen[*row]);
            }
        }
        if !open.contains(&true) || step + 1 == choice.limit {
            break;
        }
        decoder.advance(&rows, &chosen)?;
    }
    Ok(())
}

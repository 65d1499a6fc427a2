//! One symbol by the scores of all.

use super::Choice;
use crate::data::random::Stream;

/// Of equal ones the first.
pub fn pick(scores: &[f32], choice: &Choice, stream: &mut Stream) -> u32 {
    let allowed = |at: &usize| choice.never.is_none_or(|never| *at != never as usize);
    let larger = |best: usize, at: usize| if scores[at].total_cmp(&scores[best]).is_gt() { at } else { best };
    let first = (0..scores.len()).filter(allowed).reduce(larger).unwrap_or(0);
    if choice.temperature <= 0.0 {
        return first as u32;
    }
    let better = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    let mut order: Vec<usize> = (0..scores.len()).filter(allowed).collect();
    if let Some(top) = choice.top.map(|top| top.max(1)).filter(|top| *top < order.len()) {
        order.select_nth_unstable_by(top, better);
        order.truncate(top);
    }
    order.sort_unstable_by(better);
    let most = scores.get(first).copied().map_or(0.0, f64::from);
    let mut weights: Vec<f64> =
        order.iter().map(|at| ((f64::from(scores[*at]) - most) / choice.temperature).exp()).collect();
    if let Some(share) = choice.top_p {
        let enough = share * weights.iter().sum::<f64>();
        let before = weights.iter().scan(0.0, |sum, weight| Some(std::mem::replace(sum, *sum + weight)));
        let kept = before.take_while(|sum| *sum < enough).count().max(1);
        weights.truncate(kept);
        order.truncate(kept);
    }
    let mut left = stream.unit() * weights.iter().sum::<f64>();
    for (at, weight) in order.iter().zip(weights) {
        left -= weight;
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
        let choice = |temperature, top| Choice { temperature, top, ..Choice::default() };
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
        let together = |top_p, top| Choice { top_p: Some(top_p), ..choice(1.0, top) };
        near(shares(&together(0.4, None)), [0.0, 0.0, 1.0]);
        near(shares(&together(0.6, None)), [0.0, 3.0 / 7.0, 4.0 / 7.0]);
        near(shares(&together(1.0, None)), [0.125, 0.375, 0.5]);
        // Of two 4 / 7 is enough.
        near(shares(&together(0.55, Some(2))), [0.0, 0.0, 1.0]);
        let never = Choice { never: Some(2), ..choice(0.0, None) };
        near(shares(&never), [0.0, 1.0, 0.0]);
    }
}

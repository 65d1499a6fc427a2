//! Byte pair encoding on characters: the most frequent pair of neighbours becomes a piece, again and again.
//!
//! A vocabulary in the order in which its pieces were made says all: the earliest piece that two neighbours can make is
//! made first, so nothing else has to be stored.

use std::collections::{BTreeSet, HashMap};

type Pair = (u32, u32);

/// At most `most` pieces: all characters by how often they occur, and then pairs in the order in which they are joined.
pub fn learn(words: Vec<(String, u64)>, most: usize) -> Vec<String> {
    let mut names = characters(&words, most);
    let ids: HashMap<String, u32> = names.iter().cloned().zip(0..).collect();
    let mut ids = ids;
    let mut split: Vec<(Vec<u32>, u64)> = words
        .iter()
        .map(|(word, count)| {
            let mut buffer = [0; 4];
            // What is no piece parts its neighbours.
            (word.chars().map(|c| ids.get(&*c.encode_utf8(&mut buffer)).copied().unwrap_or(u32::MAX)).collect(), *count)
        })
        .collect();
    let mut counts: HashMap<Pair, (i64, BTreeSet<u32>)> = HashMap::new();
    for (at, (word, count)) in split.iter().enumerate() {
        tally(&mut counts, word, *count as i64, at as u32);
    }
    while names.len() < most {
        let name = |pair: &Pair| (&names[pair.0 as usize], &names[pair.1 as usize]);
        // Equally frequent: the first by its text.
        let better = |a: &(Pair, i64), b: &(Pair, i64)| a.1.cmp(&b.1).then_with(|| name(&b.0).cmp(&name(&a.0)));
        let open = counts.iter().map(|(pair, (count, _))| (*pair, *count)).filter(|(_, count)| *count > 1);
        let Some((pair, _)) = open.max_by(better) else { break };
        let joined = format!("{}{}", names[pair.0 as usize], names[pair.1 as usize]);
        let id = *ids.entry(joined.clone()).or_insert(names.len() as u32);
        if id as usize == names.len() {
            names.push(joined);
        }
        let holders = counts.get(&pair).map(|(_, words)| words.clone()).unwrap_or_default();
        for at in holders {
            let (word, count) = &mut split[at as usize];
            tally(&mut counts, word, -(*count as i64), at);
            join(word, pair, id);
            tally(&mut counts, word, *count as i64, at);
        }
        counts.remove(&pair);
    }
    names
}

fn characters(words: &[(String, u64)], most: usize) -> Vec<String> {
    let mut counts: HashMap<char, u64> = HashMap::new();
    words.iter().for_each(|(word, count)| word.chars().for_each(|c| *counts.entry(c).or_default() += count));
    let mut all: Vec<(char, u64)> = counts.into_iter().collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    all.into_iter().take(most).map(|(c, _)| c.to_string()).collect()
}

fn tally(counts: &mut HashMap<Pair, (i64, BTreeSet<u32>)>, word: &[u32], count: i64, at: u32) {
    for pair in word.windows(2).filter(|pair| !pair.contains(&u32::MAX)) {
        let (sum, words) = counts.entry((pair[0], pair[1])).or_default();
        *sum += count;
        if count > 0 {
            words.insert(at);
        }
    }
}

fn join(word: &mut Vec<u32>, pair: Pair, id: u32) {
    let mut kept = 0;
    let mut at = 0;
    while at < word.len() {
        let both = at + 1 < word.len() && (word[at], word[at + 1]) == pair;
        word[kept] = if both { id } else { word[at] };
        kept += 1;
        at += if both { 2 } else { 1 };
    }
    word.truncate(kept);
}

/// The pieces of a word; `None` for a character that is no piece.
pub fn split(word: &str, known: &HashMap<&str, u32>) -> Vec<Option<u32>> {
    // Where each piece begins and ends.
    let mut pieces: Vec<(usize, usize)> = word.char_indices().map(|(at, c)| (at, at + c.len_utf8())).collect();
    loop {
        let rank = |at: usize| known.get(&word[pieces[at].0..pieces[at + 1].1]).copied();
        let best = (0..pieces.len().saturating_sub(1)).filter_map(|at| Some((rank(at)?, at))).min();
        let Some((_, at)) = best else { break };
        pieces[at].1 = pieces[at + 1].1;
        pieces.remove(at + 1);
    }
    pieces.into_iter().map(|(from, to)| known.get(&word[from..to]).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_pairs_are_joined_first() {
        let words = [("low", 5), ("lower", 2), ("newest", 6), ("widest", 3)];
        let words: Vec<(String, u64)> = words.iter().map(|(word, count)| (word.to_string(), *count)).collect();
        let names = learn(words.clone(), 16);
        // Sennrich's example: e s, es t, then l o.
        assert_eq!(names[10..14], ["es", "est", "lo", "low"]);
        assert_eq!(names, learn(words, 16));
        let known: HashMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
        let shown = |word: &str| {
            let pieces = split(word, &known).into_iter();
            pieces.map(|id| id.map_or("?", |id| names[id as usize].as_str())).collect::<Vec<_>>()
        };
        assert_eq!(shown("lowest"), ["low", "est"]);
        assert_eq!(shown("slow!"), ["s", "low", "?"]);
        assert!(shown("").is_empty());
    }
}

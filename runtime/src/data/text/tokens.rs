//! Texts as lines of symbols: characters, words, or pieces of words; from text to indices and back.

use std::collections::HashMap;

use super::subwords;
use crate::data::spec::{DimSpec, FieldStep, TextStep};

/// What stands for a symbol that training never saw.
pub const UNKNOWN: &str = "<unk>";
/// What a line begins after and ends with, where the next symbol is to be told.
pub const END: &str = "<end>";

/// Characters of the longest word: what is longer is cut, so that no line costs more than its length.
const LONGEST: usize = 128;

/// How the text of a field becomes symbols; stored in the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    pub lowercase: bool,
    pub unit: Unit,
    /// The symbols before each place, or those to come; both have one more than the text.
    pub shift: Option<Shift>,
}

/// What a symbol is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    #[default]
    Characters,
    Words,
    /// Pieces of words, by byte pair encoding.
    Subwords,
}

/// Which of the two fields of `next_token`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// The end symbol and the line.
    Before,
    /// The line and the end symbol.
    Ahead,
}

/// Which symbols a vocabulary keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keep {
    pub most: usize,
    pub min_count: usize,
}

impl Text {
    /// What the steps of a field say; `None` without any about text.
    pub fn of(steps: &[FieldStep]) -> Option<(Text, Keep)> {
        let mut text = Text::default();
        let mut keep = Keep { most: usize::MAX, min_count: 1 };
        let mut any = false;
        for step in steps {
            let FieldStep::Text(step) = step else { continue };
            any = true;
            match step {
                TextStep::Lowercase => text.lowercase = true,
                TextStep::Characters => text.unit = Unit::Characters,
                TextStep::Words { keep: most, min_count } => {
                    text.unit = Unit::Words;
                    keep = Keep { most: most.unwrap_or(usize::MAX), min_count: *min_count };
                }
                TextStep::Subwords { keep: most } => {
                    text.unit = Unit::Subwords;
                    keep.most = *most;
                }
                TextStep::NextToken { ahead } => {
                    text.shift = Some(if *ahead { Shift::Ahead } else { Shift::Before });
                }
            }
        }
        any.then_some((text, keep))
    }

    /// In messages: `3 words`.
    pub fn noun(&self) -> &'static str {
        match self.unit {
            Unit::Characters => "character",
            Unit::Words => "word",
            Unit::Subwords => "piece",
        }
    }

    fn lowered(&self, text: &str) -> Option<String> {
        self.lowercase.then(|| text.to_lowercase())
    }

    /// The words or characters of a text, the first `most` of them; of pieces the words that they are made of.
    pub fn each(&self, text: &str, most: usize, visit: &mut dyn FnMut(&str)) {
        let lowered = self.lowered(text);
        let text = lowered.as_deref().unwrap_or(text);
        match self.unit {
            Unit::Characters => {
                let mut buffer = [0; 4];
                text.chars().take(most).for_each(|c| visit(c.encode_utf8(&mut buffer)));
            }
            Unit::Words => words(text).take(most).for_each(visit),
            Unit::Subwords => chunks(text).take(most).for_each(|chunk| visit(&chunk)),
        }
    }
}

/// Runs of letters and digits, with apostrophes and hyphens inside; any other visible character for itself; ends of lines.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() && c != '\n');
        let first = rest.chars().next()?;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut end = first.len_utf8();
        if is_word(first) {
            let mut letters = rest.char_indices().skip(1).take(LONGEST - 1).peekable();
            while let Some((at, c)) = letters.next() {
                let joins = matches!(c, '\'' | '’' | '-') && letters.peek().is_some_and(|(_, next)| is_word(*next));
                if !is_word(c) && !joins && !is_mark(c) {
                    break;
                }
                end = at + c.len_utf8();
            }
        }
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// What changes the letter before it and is no letter: accents that stand apart, signs of Indic and Semitic scripts, joiners.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5bd}' | '\u{5bf}'..='\u{5c7}' | '\u{64b}'..='\u{65f}'
        | '\u{93c}' | '\u{94d}' | '\u{9bc}' | '\u{9cd}' | '\u{a3c}' | '\u{a4d}' | '\u{abc}' | '\u{acd}' | '\u{b3c}' | '\u{b4d}'
        | '\u{bcd}' | '\u{c4d}' | '\u{cbc}' | '\u{ccd}' | '\u{d4d}' | '\u{dca}' | '\u{e47}'..='\u{e4e}' | '\u{ec8}'..='\u{ece}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{200c}' | '\u{200d}' | '\u{20d0}'..='\u{20ff}'
        | '\u{3099}' | '\u{309a}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}')
}

/// Words with the space before them, so that the pieces of a text, one after the other, are the text.
pub fn chunks(text: &str) -> impl Iterator<Item = String> {
    let start = text.as_ptr() as usize;
    let mut end = 0;
    words(text).map(move |word| {
        let at = word.as_ptr() as usize - start;
        let apart = at > end || at == 0;
        end = at + word.len();
        if apart && word != "\n" { format!(" {word}") } else { word.to_string() }
    })
}

/// Symbols counted, in the order of their first occurrence.
#[derive(Default)]
pub struct Counts {
    places: HashMap<String, usize>,
    all: Vec<(String, u64)>,
}

impl Counts {
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn add(&mut self, symbol: &str) {
        match self.places.get(symbol) {
            Some(at) => self.all[*at].1 += 1,
            None => {
                self.places.insert(symbol.to_string(), self.all.len());
                self.all.push((symbol.to_string(), 1));
            }
        }
    }

    /// The names of a dim: the special symbols, and then characters sorted, words by how often they occur.
    pub fn names(mut self, text: &Text, keep: Keep, specials: &[&str]) -> Vec<String> {
        let room = keep.most.saturating_sub(specials.len());
        let mut kept: Vec<String> = match text.unit {
            Unit::Subwords => subwords::learn(self.all, room),
            unit => {
                self.all.retain(|(_, count)| *count >= keep.min_count as u64);
                self.all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                self.all.truncate(room);
                let mut names: Vec<String> = self.all.into_iter().map(|(name, _)| name).collect();
                if unit == Unit::Characters {
                    names.sort();
                }
                names
            }
        };
        kept.retain(|name| !specials.contains(&name.as_str()));
        specials.iter().map(|name| name.to_string()).chain(kept).collect()
    }
}

/// Symbols of a dim, ready to be looked up.
pub struct Vocabulary<'a> {
    known: HashMap<&'a str, u32>,
    unknown: Option<u32>,
    end: Option<u32>,
}

/// One text as indices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoded {
    pub indices: Vec<u32>,
    /// Symbols of the text among them.
    pub own: usize,
    /// Of these, what is not in the vocabulary.
    pub unknown: usize,
    /// Symbols before it was cut.
    pub whole: usize,
}

impl<'a> Vocabulary<'a> {
    pub fn new(dim: &'a DimSpec) -> Vocabulary<'a> {
        let known: HashMap<&str, u32> = dim.names.iter().map(String::as_str).zip(0..).collect();
        let (unknown, end) = (known.get(UNKNOWN).copied(), known.get(END).copied());
        Vocabulary { known, unknown, end }
    }

    pub fn end(&self) -> Option<u32> {
        self.end
    }

    pub fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// Symbols of a text without any shift, and how many of them are unknown; without an unknown symbol those are left out.
    pub fn symbols(&self, text: &Text, from: &str, most: usize) -> (Vec<u32>, usize) {
        let (mut indices, mut unknown) = (Vec::new(), 0);
        text.each(from, most, &mut |symbol| {
            let mut push = |index: Option<u32>| {
                unknown += usize::from(index.is_none());
                indices.extend(index.or(self.unknown));
            };
            match text.unit {
                Unit::Subwords => subwords::split(symbol, &self.known).into_iter().for_each(&mut push),
                _ => push(self.known.get(symbol).copied()),
            }
        });
        indices.truncate(most);
        (indices, unknown)
    }

    /// The field's values for one text, at least one and at most `most`; an empty one is one unknown symbol.
    pub fn encode(&self, text: &Text, from: &str, most: usize) -> Encoded {
        let (mut indices, unknown) = self.symbols(text, from, most.saturating_add(1));
        let own = indices.len().min(most.saturating_sub(usize::from(text.shift == Some(Shift::Before))));
        let unknown = match self.unknown {
            Some(unknown) => indices[..own].iter().filter(|index| **index == unknown).count(),
            None => unknown,
        };
        let end = self.end.unwrap_or(0);
        match text.shift {
            Some(Shift::Before) => indices.insert(0, end),
            Some(Shift::Ahead) if indices.len() <= most => indices.push(end),
            Some(Shift::Ahead) => {}
            None if indices.is_empty() => indices.push(self.unknown.unwrap_or(0)),
            None => {}
        }
        let whole = indices.len();
        indices.truncate(most);
        Encoded { indices, own, unknown, whole }
    }
}

/// How a symbol is written after others: words apart, points and the like close.
pub fn written(text: &Text, symbol: &str, first: bool) -> String {
    let closes = |symbol: &str| matches!(symbol, "." | "," | "!" | "?" | ";" | ":" | ")" | "]" | "\n" | "'" | "%");
    match text.unit {
        Unit::Words if !first && !closes(symbol) => format!(" {symbol}"),
        Unit::Subwords if first => symbol.trim_start().to_string(),
        _ => symbol.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<&str> {
        words(text).collect()
    }

    #[test]
    fn words_of_a_line() {
        assert_eq!(all("Two young, White men."), ["Two", "young", ",", "White", "men", "."]);
        assert_eq!(all("it's a so-so  film -- 'yes'"), ["it's", "a", "so-so", "film", "-", "-", "'", "yes", "'"]);
        assert_eq!(all("ein Mädchen\nläuft"), ["ein", "Mädchen", "\n", "läuft"]);
        assert!(all("  \t ").is_empty());
        assert_eq!(all("cafe\u{301} हिन्दी, ที่"), ["cafe\u{301}", "हिन्दी", ",", "ที่"]);
        assert_eq!(all(&"x".repeat(300)).len(), 3);
        assert_eq!(chunks("a (red) cat").collect::<String>(), " a (red) cat");
    }

    #[test]
    fn vocabularies_keep_the_frequent() {
        let text = Text { unit: Unit::Words, ..Text::default() };
        let mut counts = Counts::default();
        words("b a b c a b d").for_each(|word| counts.add(word));
        let names = counts.names(&text, Keep { most: 4, min_count: 1 }, &[UNKNOWN, END]);
        assert_eq!(names, [UNKNOWN, END, "b", "a"]);
        let dim = DimSpec { name: "w".into(), size: Some(4), names };
        let known = Vocabulary::new(&dim);
        let found = known.encode(&text, "a z b", 9);
        assert_eq!((found.indices, found.unknown), (vec![3, 0, 2], 1));
        assert_eq!(known.encode(&text, "", 9).indices, [0]);
        // What is cut away is not counted.
        let cut = known.encode(&text, "z a z z z", 2);
        assert_eq!((cut.indices, cut.own, cut.unknown), (vec![0, 3], 2, 1));
        let before = Text { shift: Some(Shift::Before), ..text.clone() };
        let ahead = Text { shift: Some(Shift::Ahead), ..text };
        for (line, most, first, second) in
            [("a b", 9, vec![1, 3, 2], vec![3, 2, 1]), ("a b", 2, vec![1, 3], vec![3, 2]), ("", 9, vec![1], vec![1])]
        {
            assert_eq!(
                (known.encode(&before, line, most).indices, known.encode(&ahead, line, most).indices),
                (first, second)
            );
            assert_eq!(known.encode(&before, line, most).whole, known.encode(&ahead, line, most).whole);
        }
    }
}

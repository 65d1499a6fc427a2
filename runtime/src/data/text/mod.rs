//! One text as one long sequence of characters, cut into windows that predict the next one.
//!
//! An example is a window, and its number is the place of its first input: so windows may begin anywhere, and training
//! may shift all of them from epoch to epoch.

pub mod lines;
pub mod ragged;
pub mod subwords;
pub mod tokens;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use crate::data::bytes::{Limits, open};
use crate::data::error::{At, Cell, DataError, Result, counted, grouped, quoted};
use crate::data::spec::{DimSpec, Encoding, Split};
use crate::data::split::{Parts, shares};

/// The windows of a text, by the place of their first input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Windows {
    pub parts: Parts,
    /// By how much an epoch of training may shift its windows at most.
    pub shift: u32,
}

/// Reads and decodes; a byte that is no character is an error with its line and column.
pub fn read(root: &Path, path: &str, encoding: Encoding, limits: Limits) -> Result<String> {
    match read_any(root, path, encoding, limits)? {
        text if text.is_empty() => Err(DataError::new("E0502", format!("`{path}` holds no text")).file(path)),
        text => Ok(text),
    }
}

/// The same of a file that may be empty.
pub fn read_any(root: &Path, path: &str, encoding: Encoding, limits: Limits) -> Result<String> {
    decode(path, open(root, path)?.read_all(limits)?, encoding)
}

/// Bytes as characters, without the mark that some programs put at the beginning.
pub fn decode(path: &str, bytes: Vec<u8>, encoding: Encoding) -> Result<String> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(DataError::new("E0502", format!("`{path}` is UTF-16 text")).file(path).help("save it as UTF-8"));
    }
    let text = match encoding {
        Encoding::Latin1 => bytes.into_iter().map(char::from).collect(),
        Encoding::Utf8 => String::from_utf8(bytes)
            .map_err(|error| not_utf8(path, error.as_bytes(), error.utf8_error().valid_up_to()))?,
    };
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_string(),
        None => text,
    })
}

fn not_utf8(path: &str, bytes: &[u8], at: usize) -> Box<DataError> {
    let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let before = String::from_utf8_lossy(&bytes[start..at]);
    let column = before.chars().count() + 1;
    // The end of what stands before it is enough to find it.
    let skip = column.saturating_sub(60);
    let shown: String = before.chars().skip(skip).collect();
    let after: Vec<u8> = bytes[at + 1..].iter().copied().take_while(|byte| *byte != b'\n').take(40).collect();
    let span = (shown.len(), shown.len() + char::REPLACEMENT_CHARACTER.len_utf8());
    let text = format!("{shown}{}{}", char::REPLACEMENT_CHARACTER, String::from_utf8_lossy(&after).trim_end());
    let byte = bytes.get(at).copied().unwrap_or(0);
    DataError::new("E0502", format!("byte 0x{byte:02x} in column {column} is not UTF-8"))
        .file(path)
        .at(At::Cell(Cell { line, column, text, span }))
        .note(format!("line {}, byte {} of the file", grouped(line), grouped(at)))
        .help("name the encoding, `encoding = \"latin-1\"`, or save the file as UTF-8")
}

/// The distinct characters, sorted: the names of a dim that the text decides.
pub fn vocabulary(text: &str) -> Vec<String> {
    let distinct: BTreeSet<char> = text.chars().collect();
    distinct.into_iter().map(String::from).collect()
}

/// Every character as its index in `dim`; those that are not in it are listed.
pub fn indices(text: &str, path: &str, dim: &DimSpec) -> Result<Vec<u32>> {
    let known: HashMap<&str, u32> = dim.names.iter().map(String::as_str).zip(0..).collect();
    let mut buffer = [0; 4];
    let mut unknown: HashMap<char, usize> = HashMap::new();
    let mut all = Vec::with_capacity(text.len());
    for c in text.chars() {
        match known.get(&*c.encode_utf8(&mut buffer)) {
            Some(index) => all.push(*index),
            None => *unknown.entry(c).or_default() += 1,
        }
    }
    if unknown.is_empty() {
        return Ok(all);
    }
    let count: usize = unknown.values().sum();
    let mut listed: Vec<char> = unknown.into_keys().collect();
    listed.sort_unstable();
    let shown = listed.iter().take(20).map(|c| format!("`{}`", quoted(&c.to_string())));
    let shown = shown.collect::<Vec<_>>().join(" ");
    let message = format!("{} of `{path}` are not in `{}`: {shown}", counted(count, "character"), dim.name);
    Err(DataError::new("E0507", message)
        .file(path)
        .note(format!("`{}` has {}", dim.name, counted(dim.names.len(), "symbol")))
        .help("leave these characters out, or train on a text that has them"))
}

/// Windows of `length` one after the other, all of whose targets lie in one part; the first of a part looks back by one
/// symbol into the part before.
pub fn windows(split: &Split, (symbols, noun): (usize, &str), length: usize) -> Result<Windows> {
    let Split::InOrder { train, val, test } = split else {
        return Err(DataError::new("E0502", "a text is cut in order")
            .help("its parts follow each other: `split = in_order(train = 90%, val = 10%)`"));
    };
    if u32::try_from(symbols).is_err() {
        return Err(DataError::new("E0502", format!("more than 4,294,967,295 {noun}s")));
    }
    let (train_share, val_share) = shares(*train, *val, *test)?;
    let at = |share: f64| ((symbols as f64 * share).round() as usize).min(symbols);
    let (first, second) = (at(train_share), at(train_share + val_share));
    let cut = |share: f64, name: &str, from: usize, to: usize| {
        let start = from.saturating_sub(1);
        let count = to.saturating_sub(start + 1) / length;
        if share > 0.0 && count == 0 {
            let message = format!(
                "the {name} part has {}, and a window takes {}",
                counted(to.saturating_sub(from), noun),
                grouped(length + 1)
            );
            return Err(DataError::new("E0509", message).help("take shorter windows, or a longer text"));
        }
        Ok((0..count).map(|i| (start + i * length) as u32).collect::<Vec<_>>())
    };
    let mut trained = cut(*train, "train", 0, first)?;
    // One window fewer where there are several, so that every epoch has as many, however far they are shifted.
    let room = |count: usize| first.saturating_sub(1 + count * length).min(length - 1);
    if trained.len() > 1 && room(trained.len()) < length - 1 {
        trained.pop();
    }
    let shift = room(trained.len()) as u32;
    let parts =
        Parts { train: trained, val: cut(*val, "val", first, second)?, test: cut(*test, "test", second, symbols)? };
    Ok(Windows { parts, shift })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_order(train: f64, val: f64) -> Split {
        Split::InOrder { train, val, test: 0.0 }
    }

    #[test]
    fn targets_stay_in_their_part() {
        for (characters, length) in [(100, 4), (1000, 7), (64, 8), (40, 1), (410, 16)] {
            let Windows { parts, shift } = windows(&in_order(0.8, 0.2), (characters, "character"), length).unwrap();
            let end = (characters as f64 * 0.8).round() as usize;
            for start in &parts.train {
                assert!(*start as usize + shift as usize + length < end, "{characters} {length}");
            }
            let targets: Vec<usize> = parts.val.iter().map(|start| *start as usize + 1).collect();
            assert_eq!(targets[0], end);
            assert!(targets.iter().all(|first| first + length <= characters));
            assert!(targets.windows(2).all(|pair| pair[1] - pair[0] == length));
        }
        assert_eq!(
            windows(&in_order(0.8, 0.2), (100, "word"), 30).unwrap_err().message,
            "the val part has 20 words, and a window takes 31"
        );
        let ratio = Split::Ratio { train: 1.0, val: 0.0, test: 0.0, stratify: None, group: None, seed: 0 };
        assert_eq!(windows(&ratio, (100, "word"), 4).unwrap_err().code, "E0502");
    }

    #[test]
    fn vocabularies_and_what_is_not_in_them() {
        let names = vocabulary("hällo\n");
        assert_eq!(names, ["\n", "h", "l", "o", "ä"]);
        let dim = DimSpec { name: "char".into(), size: Some(5), names };
        assert_eq!(indices("ho\n", "t", &dim).unwrap(), [1, 3, 0]);
        let error = indices("hi ho, hi", "t", &dim).unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            ("E0507", "5 characters of `t` are not in `char`: ` ` `,` `i`")
        );
    }

    #[test]
    fn encodings() {
        let dir = tempfile::tempdir().unwrap();
        let read = |bytes: &[u8], encoding| {
            std::fs::write(dir.path().join("t"), bytes).unwrap();
            read(dir.path(), "t", encoding, Limits::default())
        };
        assert_eq!(read(b"\xef\xbb\xbfa\xc3\xa4", Encoding::Utf8).unwrap(), "aä");
        assert_eq!(read(b"a\xe4\x85", Encoding::Latin1).unwrap(), "aä\u{85}");
        let error = read(b"one\n\xc3\xa4b\xffc\nd", Encoding::Utf8).unwrap_err();
        let At::Cell(cell) = &error.at else { panic!("a place") };
        assert_eq!((error.code, cell.line, cell.column), ("E0502", 2, 3));
        assert_eq!(&cell.text[cell.span.0..cell.span.1], "\u{fffd}");
        assert_eq!(read(b"", Encoding::Utf8).unwrap_err().code, "E0502");
    }
}

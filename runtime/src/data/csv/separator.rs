//! What stands between the cells of a table: given, or found out from its first lines.

use super::{Dialect, Separator};

/// What is said, or what is found out.
pub fn of(dialect: &Dialect, body: &[u8]) -> std::result::Result<Separator, String> {
    match dialect.separator {
        Some(' ') => Ok(Separator::Spaces),
        Some(c) if c.is_ascii() && !matches!(c, '"' | '\n' | '\r') => Ok(Separator::Byte(c as u8)),
        Some(c) => Err(format!("`{c}` cannot separate cells")),
        None => Ok(match found_separator(body, dialect.decimal) {
            Separator::Spaces if dialect.texts => Separator::Byte(b','),
            found => found,
        }),
    }
}

/// The candidate that cuts most of the first lines into the same number of cells, at least two.
fn found_separator(body: &[u8], decimal: char) -> Separator {
    let lines: Vec<&[u8]> = body
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.iter().all(u8::is_ascii_whitespace))
        .take(50)
        .collect();
    let mut best = (0, Separator::Byte(b','));
    for byte in [b',', b';', b'\t'] {
        if decimal == char::from(byte) {
            continue;
        }
        let counts: Vec<usize> = lines.iter().map(|line| outside_quotes(line, byte)).collect();
        let agree = |n: usize| counts.iter().filter(|count| **count == n).count();
        let most = counts.iter().filter(|n| **n > 0).map(|n| agree(*n)).max().unwrap_or(0);
        if most > best.0 {
            best = (most, Separator::Byte(byte));
        }
    }
    if best.0 > 0 {
        return best.1;
    }
    let words = |line: &&[u8]| line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count() > 1;
    match !lines.is_empty() && lines.iter().all(words) {
        true => Separator::Spaces,
        false => Separator::Byte(b','),
    }
}

fn outside_quotes(line: &[u8], separator: u8) -> usize {
    let (mut quoted, mut count) = (false, 0);
    for byte in line {
        match *byte {
            b'"' => quoted = !quoted,
            byte if byte == separator && !quoted => count += 1,
            _ => {}
        }
    }
    count
}

//! The words of a text, found one after the other without keeping them.
//!
//! Only what comes before and after the grammar uses it: the bracket scan, the places of messages,
//! the ends of spans. It splits every text, however broken, and says what is wrong with a word.
//! It agrees with `grammar/dl.pest` on the words of every program that the grammar accepts.

/// What a word is, or what is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A name or reserved word.
    Word,
    Number,
    Text,
    Open,
    Close,
    /// Punctuation and operators.
    Symbol,
    /// E0105: the line ends before the quote.
    Unended,
    /// E0106
    BadNumber,
    /// E0101: a character or name that the language does not have.
    Foreign,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Nothing but blanks stands before it on its line.
    pub(super) first: bool,
}

impl Token {
    pub(super) fn text<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start..self.end).unwrap_or("")
    }
}

/// Iterates over the tokens of `text` from a byte on.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    stop: usize,
}

/// The reserved words, as in the grammar's `keyword`.
pub(super) const RESERVED: [&str; 28] = [
    "import", "dim", "const", "block", "model", "data", "train", "generate", "field", "augment", "layer", "param",
    "predict", "scan", "over", "state", "yield", "repeat", "in", "on", "if", "then", "else", "and", "or", "not",
    "true", "false",
];

/// The words that begin an item, the first eight reserved words.
pub(super) fn begins_item(word: &str) -> bool {
    RESERVED[..8].contains(&word)
}

pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}

const UNITS: [&str; 8] = ["epochs", "epoch", "steps", "step", "minutes", "minute", "hours", "hour"];
const PAIRS: [&str; 8] = ["|>", "->", "<-", "==", "!=", "<=", ">=", ".."];

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, start: usize, stop: usize) -> Lexer<'a> {
        Lexer { text, at: start, stop }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..self.stop).unwrap_or("")
    }

    /// Skips blanks and comments; says whether a line began.
    fn skip(&mut self) -> bool {
        let mut first = self.at == 0;
        loop {
            match self.rest().chars().next() {
                Some('\n') => first = true,
                Some(' ' | '\t' | '\r') => {}
                Some('#') => {
                    let rest = self.rest();
                    self.at += rest.find('\n').unwrap_or(rest.len());
                    continue;
                }
                _ => return first,
            }
            self.at += 1;
        }
    }

    /// Length in bytes of the longest beginning of `text` whose characters are all `accepted`.
    fn run(text: &str, accepted: impl Fn(char) -> bool) -> usize {
        text.find(|c| !accepted(c)).unwrap_or(text.len())
    }

    fn word(rest: &str) -> (Kind, usize) {
        let length = Self::run(rest, is_word);
        let whole = Self::run(rest, |c| c.is_alphanumeric() || c == '_');
        if whole > length {
            return (Kind::Foreign, whole);
        }
        let reserved = is_reserved(&rest[..length]);
        let prime = usize::from(!reserved && rest[length..].starts_with('\''));
        (Kind::Word, length + prime)
    }

    fn number(rest: &str) -> (Kind, usize) {
        let digits = |from: usize| from + Self::run(&rest[from..], |c| c.is_ascii_digit());
        let mut end = digits(0);
        if rest[end..].starts_with('.') && digits(end + 1) > end + 1 {
            end = digits(end + 1);
        }
        if let Some(power) = rest[end..].strip_prefix(['e', 'E']) {
            let sign = usize::from(power.starts_with(['+', '-']));
            if digits(end + 1 + sign) > end + 1 + sign {
                end = digits(end + 1 + sign);
            }
        }
        let after = &rest[end..];
        let tail = Self::run(after, |c| c.is_alphanumeric() || c == '_');
        let dot = after.starts_with('.') && !after.starts_with("..");
        if dot || (tail > 0 && !UNITS.contains(&&after[..tail])) {
            let more = Self::run(after, |c| c.is_alphanumeric() || c == '_' || c == '.');
            return (Kind::BadNumber, end + more);
        }
        if rest[..end].parse::<f64>().is_ok_and(f64::is_infinite) {
            return (Kind::BadNumber, end);
        }
        (Kind::Number, end + usize::from(after.starts_with('%')))
    }

    fn quoted(rest: &str) -> (Kind, usize) {
        let mut chars = rest.char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => return (Kind::Text, i + 1),
                '\n' => return (Kind::Unended, i),
                '\\' => match chars.next() {
                    Some((i, '\n')) => return (Kind::Unended, i),
                    Some(_) => {}
                    None => break,
                },
                _ => {}
            }
        }
        (Kind::Unended, rest.len())
    }

    fn symbol(rest: &str, first: char) -> (Kind, usize) {
        if PAIRS.iter().any(|p| rest.starts_with(p)) {
            return (Kind::Symbol, 2);
        }
        match first {
            '(' | '[' | '{' => (Kind::Open, 1),
            ')' | ']' | '}' => (Kind::Close, 1),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let more = Self::run(&rest[1..], |c| is_word(c) || c == '.');
                (Kind::BadNumber, 1 + more)
            }
            ',' | ':' | '=' | '.' | '<' | '>' | '+' | '-' | '*' | '/' | '^' => (Kind::Symbol, 1),
            // A text in the quotes of a word processor is one mistake, not two.
            '\u{201c}' | '\u{201e}' => {
                let end = rest.find(['\u{201d}', '"', '\n']).unwrap_or(rest.len());
                let quote = rest[end..].chars().next().filter(|c| *c != '\n');
                (Kind::Foreign, end + quote.map_or(0, char::len_utf8))
            }
            c if c.is_alphabetic() => (Kind::Foreign, Self::run(rest, |c| is_word(c) || c.is_alphanumeric())),
            c => (Kind::Foreign, Self::run(rest, |d| d == c)),
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let first = self.skip();
        let rest = self.rest();
        let (kind, length) = match rest.chars().next()? {
            c if c.is_ascii_alphabetic() || c == '_' => Self::word(rest),
            c if c.is_ascii_digit() => Self::number(rest),
            '"' => Self::quoted(rest),
            c => Self::symbol(rest, c),
        };
        let start = self.at;
        self.at += length;
        Some(Token { kind, start, end: self.at, first })
    }
}

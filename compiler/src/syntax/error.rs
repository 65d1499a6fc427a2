//! The sentences of E0101 to E0107: what a broken text is told.

use super::lexer::{self, Kind, Lexer, Token};
use crate::base::{Diagnostic, SourceId, Span};

/// What the grammar would have accepted at a place, in the user's words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Want {
    Item,
    Statement,
    Value,
    Name,
    Type,
    Axis,
    Layer,
    Text,
    Signature,
    Body,
    Yield,
    /// A fixed word or sign, as written.
    Sign(&'static str),
    /// An expression may go on here: an operator, a call.
    More,
    End,
}

pub(super) fn span(source: SourceId, start: usize, end: usize) -> Span {
    let byte = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span { source, start: byte(start), end: byte(end) }
}

pub(super) fn nothing_to_compile(source: SourceId, text: &str) -> Diagnostic {
    let message = if text.trim_start_matches('\u{feff}').trim().is_empty() {
        "the file is empty: there is nothing to compile"
    } else {
        "the file holds only comments: there is nothing to compile"
    };
    Diagnostic::error("E0101", span(source, 0, 0), message).help(format!("a smallest program is `{SMALLEST}`"))
}

/// A whole program in one line; a test parses it.
pub(super) const SMALLEST: &str = "model Line(x: [c: 1]) -> y: [c: 1] { y = x |> dense(1) }";

pub(super) fn text_too_long(source: SourceId, length: usize, most: usize) -> Diagnostic {
    let message = format!("the text is {length} bytes long; a program has at most {most}");
    Diagnostic::error("E0101", span(source, 0, 0), message).help("keep data in files of their own, read by `source`")
}

pub(super) fn too_many_brackets(here: Span, most: usize) -> Diagnostic {
    Diagnostic::error("E0101", here, format!("more than {most} brackets are open at once"))
        .here("one too many")
        .help("name the inner parts, `part = ...`, and use the names")
}

pub(super) fn too_deep(here: Span, most: u32) -> Diagnostic {
    let message = format!("an expression nests more than {most} levels deep");
    Diagnostic::error("E0101", here, message)
        .here("it ends here")
        .note("every bracket, `if`, operator and call on the way to the innermost word is a level")
        .help("name the inner parts, `part = ...`, and use the names")
}

pub(super) fn unclosed(open: Span, opening: &str) -> Diagnostic {
    Diagnostic::error("E0103", open, format!("`{opening}` is never closed")).here("opened here")
}

pub(super) fn wrong_bracket(open: Span, opening: &str, close: Span, closing: &str) -> Diagnostic {
    Diagnostic::error("E0104", open, format!("`{opening}` is closed by `{closing}`"))
        .here("opened here")
        .label(close, "closed here")
}

pub(super) fn stray_bracket(here: Span, closing: &str) -> Diagnostic {
    Diagnostic::error("E0104", here, format!("`{closing}` closes nothing")).here("no bracket of this kind is open")
}

/// A word that the lexer refused.
pub(super) fn bad_word(text: &str, here: Span, token: Token) -> Diagnostic {
    let word = token.text(text);
    match token.kind {
        Kind::Unended => {
            Diagnostic::error("E0105", here, "a text never ends").here("its line ends before a closing `\"`")
        }
        Kind::BadNumber => bad_number(word, here),
        Kind::Word | Kind::Number | Kind::Text | Kind::Open | Kind::Close | Kind::Symbol | Kind::Foreign => {
            foreign(word, text.get(token.end..).unwrap_or(""), here)
        }
    }
}

fn bad_number(word: &str, here: Span) -> Diagnostic {
    let shown = short(word);
    if word.parse::<f64>().is_ok_and(f64::is_infinite) {
        return Diagnostic::error("E0106", here, format!("`{shown}` is too large for a number"));
    }
    let fault = Diagnostic::error("E0106", here, format!("`{shown}` is not a number"));
    let plain = word.replace('_', "");
    if word.starts_with('.') && format!("0{word}").parse::<f64>().is_ok() {
        return fault.help(format!("write `0{shown}`"));
    }
    if word.ends_with('.') && format!("{word}0").parse::<f64>().is_ok() {
        return fault.help(format!("write `{shown}0`"));
    }
    if word.contains('_') && plain.parse::<f64>().is_ok() {
        return fault.help(format!("write `{}`, without separators", short(&plain)));
    }
    fault.note("numbers look like `64`, `0.1` and `1e-3`, with a unit like `20 epochs` and `80%`")
}

fn foreign(word: &str, after: &str, here: Span) -> Diagnostic {
    if word.chars().all(|c| c.is_alphanumeric() || c == '_') {
        let message = format!("`{}` cannot be a name", short(word));
        return Diagnostic::error("E0101", here, message)
            .note("names are made of the letters a to z and A to Z, digits and `_`");
    }
    let first = word.chars().next().unwrap_or('\0');
    let shown = match first {
        c if c.is_control() || (c.is_whitespace() && c != ' ') || c == '\u{feff}' => {
            format!("U+{:04X}", u32::from(c))
        }
        c => format!("`{c}`"),
    };
    let fault = Diagnostic::error("E0101", here, format!("unexpected character {shown}"));
    match first {
        ';' => fault.help("leave it out: statements need no separator"),
        '|' if after.starts_with('>') => fault.help("the pipe is one `|` and one `>`: `|>`"),
        '|' => fault.help("layers are joined by `|>`; the word `or` joins conditions"),
        '&' => fault.help("the word `and` joins conditions"),
        '!' => fault.help("the word `not` negates a condition"),
        '%' => fault.note("`%` stands only after a number, `80%`, and means a share of the whole"),
        '\'' => fault.help("texts stand in double quotes: `\"text\"`"),
        '\u{201c}' | '\u{201d}' | '\u{201e}' => fault.help("use straight quotes: `\"text\"`"),
        '\u{2212}' | '\u{2013}' | '\u{2014}' => fault.help("use the minus sign of the keyboard, `-`"),
        '\u{a0}' => fault.note("this is a space that does not break lines").help("use a plain space"),
        _ => fault,
    }
}

/// The words around the place where the grammar gave up.
struct Around<'a> {
    text: &'a str,
    /// The last two words that were read, the nearest first.
    before: [Option<Token>; 2],
    found: Option<Token>,
    after: Option<Token>,
}

impl<'a> Around<'a> {
    fn new(text: &'a str, start: usize, end: usize, at: usize) -> Around<'a> {
        let mut around = Around { text, before: [None, None], found: None, after: None };
        for token in Lexer::new(text, start, end) {
            if token.start < at {
                around.before = [Some(token), around.before[0]];
            } else if around.found.is_none() {
                around.found = Some(token);
            } else {
                around.after = Some(token);
                break;
            }
        }
        around
    }

    fn word(&self, token: Option<Token>) -> &'a str {
        token.map_or("", |t| t.text(self.text))
    }
}

/// What the grammar could not read: `at` is where it gave up, inside the piece `start..end`.
pub(super) fn unexpected(
    source: SourceId,
    text: &str,
    (start, end): (usize, usize),
    at: usize,
    wants: &[Want],
) -> Diagnostic {
    let around = Around::new(text, start, end, at);
    let place = |t: Token| span(source, t.start, t.end);
    let (before, found) = (around.word(around.before[0]), around.word(around.found));
    if let Some(token) = around.found.filter(|_| reserved_as_name(&around)) {
        return Diagnostic::error("E0107", place(token), format!("`{found}` is a reserved word, not a name"))
            .help(format!("choose another name, such as `{found}_`"));
    }
    if let Some(token) = around.before[0].filter(|_| before == "|>") {
        return Diagnostic::error("E0102", place(token), "no layer follows `|>`")
            .here("something is missing after this");
    }
    if let Some(fault) = glued(source, &around, wants) {
        return fault;
    }
    if let Some(fault) = dangling(source, &around) {
        return fault;
    }
    // Where something new may begin, the word that does not is to blame; elsewhere the line of the
    // last word that was read lacks something.
    let fresh = wants.contains(&Want::Item) || wants.contains(&Want::Statement);
    let blamed = around.found.filter(|found| fresh || !found.first).or(around.before[0]);
    let mut message = format!("expected {}", phrase(wants));
    if !before.is_empty() && blamed.is_none_or(|b| !b.first || around.before[0] == Some(b)) {
        message += &format!(" after `{}`", short(before));
    }
    if blamed.is_some() && blamed == around.found {
        message += &format!(", found `{}`", short(found));
    }
    let mut fault = Diagnostic::error("E0101", blamed.map_or(span(source, start, start), place), message);
    if blamed != around.found {
        fault = fault.here("something is missing after this");
    }
    match hint(&around) {
        Some(help) => fault.help(help),
        None => fault,
    }
}

/// `y = a +` and on the next line `z = b`: the grammar takes `z` for the missing value.
fn dangling(source: SourceId, around: &Around) -> Option<Diagnostic> {
    let [Some(word), Some(sign)] = around.before else { return None };
    let definition = word.first && word.kind == Kind::Word && around.word(around.found) == "=";
    if !definition || sign.kind != Kind::Symbol {
        return None;
    }
    let here = span(source, sign.start, sign.end);
    let sign = sign.text(around.text);
    Some(
        match sign {
            "|>" => Diagnostic::error("E0102", here, "no layer follows `|>`"),
            _ => Diagnostic::error("E0101", here, format!("expected a value after `{sign}`")),
        }
        .here("something is missing after this"),
    )
}

/// A reserved word stands where the words around it call for a name.
fn reserved_as_name(around: &Around) -> bool {
    let (before, after) = (around.word(around.before[0]), around.word(around.after));
    let declared = matches!(before, "dim" | "const" | "block" | "model" | "data" | "train" | "on")
        || matches!(before, "layer" | "param" | "state" | "predict" | "field" | "generate" | "scan");
    let kind = around.after.map(|t| t.kind);
    let used = matches!(after, "=" | ":" | "," | "." | "|>" | "+" | "-" | "*" | "/" | "^" | "==")
        || matches!(kind, Some(Kind::Close));
    let called = after == "(" && around.after.map(|t| t.start) == around.found.map(|t| t.end);
    let word = around.word(around.found);
    lexer::is_reserved(word)
        && !matches!(word, "true" | "false")
        && (declared || used || (called && !matches!(word, "not" | "if")))
}

/// `x = a b`: the grammar takes `b` for the next definition and misses its `=`.
fn glued(source: SourceId, around: &Around, wants: &[Want]) -> Option<Diagnostic> {
    let [Some(word), Some(value)] = around.before else { return None };
    let ends_value = match value.kind {
        Kind::Word => !lexer::is_reserved(value.text(around.text)),
        Kind::Number | Kind::Text => true,
        Kind::Close => value.text(around.text) != "}",
        Kind::Open | Kind::Symbol | Kind::Unended | Kind::BadNumber | Kind::Foreign => false,
    };
    let starts = word.kind == Kind::Word && !word.first && !lexer::is_reserved(word.text(around.text));
    if !(wants.contains(&Want::Sign("=")) && starts && ends_value) {
        return None;
    }
    let (word_text, value_text) = (short(word.text(around.text)), short(value.text(around.text)));
    let message = format!("`{word_text}` cannot follow `{value_text}`");
    Some(
        Diagnostic::error("E0101", span(source, word.start, word.end), message)
            .here("an operator, `,` or `|>` is missing before this"),
    )
}

/// Habits from other languages.
fn hint(around: &Around) -> Option<&'static str> {
    let found = around.word(around.found);
    match (around.word(around.before[0]), found, around.word(around.after)) {
        ("/", "/", _) | (_, "/", "/") => Some("comments begin with `#`"),
        ("/", "*", _) | (_, "/", "*") => Some("comments begin with `#` and end with the line"),
        ("*", "*", _) => Some("powers are written `x ^ 2`"),
        (":", "=", _) => Some("definitions are written `name = value`"),
        (_, "->", _) => Some("layers are joined by `|>`"),
        (_, "==", _) => Some("definitions are written with one `=`"),
        ("return" | "def" | "fn" | "let" | "class" | "while" | "for", _, _) => {
            Some("everything is a definition, `name = value`; outputs are defined by their names")
        }
        _ => None,
    }
}

/// One phrase for a set of possibilities: the most telling ones, joined by "or".
fn phrase(wants: &[Want]) -> String {
    const WHOLE: [(Want, &str); 6] = [
        (Want::Signature, "the formals, `(x: [h, w, c])`"),
        (Want::Type, "a type such as `[h: 28, w: 28, c: 1]` or `digit`"),
        (Want::Layer, "a layer"),
        (Want::Value, "a value"),
        (Want::Text, "a text in quotes"),
        (Want::Yield, "a definition or `yield`"),
    ];
    if let Some((_, text)) = WHOLE.iter().find(|(want, _)| wants.contains(want)) {
        return (*text).to_owned();
    }
    let has = |want: Want| wants.contains(&want);
    // What may always follow says less than what must come at last.
    let optional = |sign: &str| match sign {
        "(" | "[" | "|>" | "->" => has(Want::More) || has(Want::Name),
        "=" if has(Want::More) => true,
        ":" => wants.len() > 1,
        "," | "{" => has(Want::Sign("=")) && !has(Want::More),
        "=" => false,
        _ => has(Want::Item) || (has(Want::Statement) && sign != "}" && sign.len() > 2),
    };
    let mut words: Vec<String> = vec![];
    for want in wants {
        match want {
            Want::Item if !has(Want::Sign("=")) => words.push("an item such as `dim`, `model` or `train`".to_owned()),
            Want::Statement => words.push("a definition".to_owned()),
            Want::Name if !has(Want::Statement) => words.push("a name".to_owned()),
            Want::Axis => words.push("an axis".to_owned()),
            Want::Body => words.push("`{`".to_owned()),
            Want::Sign(sign) if !optional(sign) => words.push(format!("`{sign}`")),
            Want::End if wants.len() == 1 => words.push("the end of the file".to_owned()),
            Want::Item
            | Want::Name
            | Want::Sign(_)
            | Want::More
            | Want::End
            | Want::Signature
            | Want::Text
            | Want::Type
            | Want::Layer
            | Want::Value
            | Want::Yield => {}
        }
    }
    match words.split_last() {
        None => "an operator or the end of the expression".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// At most 30 characters of a word, so that a message stays one line.
fn short(word: &str) -> String {
    let escaped: String = word
        .chars()
        .take(30)
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect();
    if word.chars().nth(30).is_some() { escaped + "..." } else { escaped }
}

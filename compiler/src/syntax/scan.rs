//! The scan before the grammar: finds the items of a file and what is wrong with its brackets.
//!
//! After it: the pieces cover all words of the text, in order; a sound piece begins with a word
//! that begins items, has matching brackets, only words that the language knows, and expressions
//! that nest at most [`MAX_DEPTH`] deep, so that the parser and all later walks over the tree may
//! recurse. Messages about brackets point at the opening one, since line ends mean nothing to the
//! grammar and it would complain far below the cause.
//!
//! Does not keep words: memory is the brackets that are open, and the pieces.

use super::error;
use super::lexer::{self, Kind, Lexer, Token};
use crate::base::{Diagnostic, SourceId, Span};

/// How deep brackets may nest.
pub(super) const MAX_BRACKETS: usize = 100;
/// How deep an expression may nest in all: every bracket, `if`, `-`, operator, call and member on
/// the way from the outside to the innermost word counts.
pub(super) const MAX_DEPTH: u32 = 250;
/// Messages after which the scan of a file stops reporting.
pub(super) const MAX_FAULTS: usize = 50;

/// A range of the text that is parsed by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether the grammar should see it; otherwise its faults have been reported.
    pub(super) sound: bool,
}

/// An open bracket, or the outside of all, and the nesting found in it.
#[derive(Clone, Copy)]
struct Level {
    open: Option<Token>,
    /// Operators, calls and members since the last `|>` or new segment.
    chain: u32,
    /// `if`, `scan` and `repeat` of this segment; they nest over `|>`.
    ifs: u32,
    /// Deepest bracket since the last `|>`.
    inner: u32,
    /// Deepest stage of this segment.
    stage: u32,
    /// Deepest segment. A segment is what stands between commas or definitions.
    total: u32,
}

impl Level {
    fn new(open: Option<Token>) -> Level {
        Level { open, chain: 0, ifs: 0, inner: 0, stage: 0, total: 0 }
    }

    fn end_stage(&mut self) {
        self.stage = self.stage.max(self.chain + self.inner);
        (self.chain, self.inner) = (0, 0);
    }

    fn end_segment(&mut self) {
        self.end_stage();
        self.total = self.total.max(self.stage + self.ifs);
        (self.ifs, self.stage) = (0, 0);
    }
}

struct Scan<'a> {
    text: &'a str,
    source: SourceId,
    levels: Vec<Level>,
    pieces: Vec<Piece>,
    faults: Vec<Diagnostic>,
    /// The nesting fault of this piece was reported; its brackets are not spoken of any more.
    too_deep: bool,
}

/// Splits a text at its items, from byte `start` on.
pub(super) fn split(text: &str, source: SourceId, start: usize) -> (Vec<Piece>, Vec<Diagnostic>) {
    let mut scan =
        Scan { text, source, levels: vec![Level::new(None)], pieces: vec![], faults: vec![], too_deep: false };
    let mut tokens = Lexer::new(text, start, text.len()).peekable();
    let mut before: Option<Token> = None;
    while let Some(token) = tokens.next() {
        if scan.begins(before, token, tokens.peek()) {
            scan.end_piece();
            scan.pieces.push(Piece { start: token.start, end: token.end, sound: true });
        }
        scan.token(token);
        if scan.faults.len() >= MAX_FAULTS {
            break;
        }
        before = Some(token);
    }
    scan.end_piece();
    (scan.pieces, scan.faults)
}

impl Scan<'_> {
    fn span(&self, token: Token) -> Span {
        error::span(self.source, token.start, token.end)
    }

    /// Whether an item begins here. Inside brackets only a line that could be nothing else does:
    /// then the brackets before it were never closed.
    fn begins(&self, before: Option<Token>, token: Token, after: Option<&Token>) -> bool {
        let word = |t: Token| t.text(self.text);
        if token.kind != Kind::Word || !lexer::begins_item(word(token)) {
            return self.pieces.is_empty();
        }
        let named = before.is_some_and(|b| lexer::begins_item(word(b)) || word(b) == "on");
        if self.levels.len() == 1 {
            return !named || token.first;
        }
        token.first && after.is_some_and(|a| matches!(a.kind, Kind::Word | Kind::Text))
    }

    fn report(&mut self, fault: Diagnostic) {
        if let Some(piece) = self.pieces.last_mut() {
            piece.sound = false;
        }
        if !self.too_deep && self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }

    fn token(&mut self, token: Token) {
        if let Some(piece) = self.pieces.last_mut() {
            piece.end = token.end;
        }
        match token.kind {
            Kind::Word => self.word(token),
            Kind::Symbol => self.symbol(token),
            Kind::Open => self.open(token),
            Kind::Close => self.close(token),
            Kind::Number | Kind::Text => {}
            Kind::Unended | Kind::BadNumber | Kind::Foreign => {
                self.report(error::bad_word(self.text, self.span(token), token));
            }
        }
    }

    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the outermost level is never closed")
    }

    fn word(&mut self, token: Token) {
        let text = self.text;
        let level = self.level();
        match token.text(text) {
            "if" | "scan" | "repeat" => level.ifs += 2,
            "not" => level.chain += 2,
            "and" | "or" => level.chain += 1,
            "layer" | "param" | "predict" | "field" | "augment" | "state" | "yield" => {
                self.end_segment(token);
            }
            _ => {}
        }
    }

    fn symbol(&mut self, token: Token) {
        let text = self.text;
        match token.text(text) {
            "," | "=" | "<-" => self.end_segment(token),
            "|>" => self.level().end_stage(),
            "-" => self.level().chain += 2,
            ":" | "->" | ".." => {}
            _ => self.level().chain += 1,
        }
    }

    fn end_segment(&mut self, token: Token) {
        let level = self.level();
        level.end_segment();
        if level.total > MAX_DEPTH {
            self.deep(token);
        }
    }

    fn deep(&mut self, token: Token) {
        self.report(error::too_deep(self.span(token), MAX_DEPTH));
        self.too_deep = true;
    }

    fn open(&mut self, token: Token) {
        if self.levels.len() > MAX_BRACKETS && !self.too_deep {
            self.report(error::too_many_brackets(self.span(token), MAX_BRACKETS));
            self.too_deep = true;
        }
        if !self.too_deep {
            self.levels.push(Level::new(Some(token)));
        }
    }

    fn close(&mut self, token: Token) {
        if self.too_deep {
            return;
        }
        let closes = |open: Token| match token.text(self.text) {
            ")" => open.text(self.text) == "(",
            "]" => open.text(self.text) == "[",
            _ => open.text(self.text) == "{",
        };
        let matching = self.levels.iter().rposition(|level| level.open.is_some_and(closes));
        let Some(matching) = matching else {
            return self.close_nothing(token);
        };
        while self.levels.len() > matching + 1 {
            self.unclosed();
        }
        self.pop(token);
    }

    /// A closing bracket without an opening one: it either stands for the right one or is too much.
    fn close_nothing(&mut self, token: Token) {
        let here = self.span(token);
        let closing = token.text(self.text);
        let innermost = self.level().open;
        match innermost {
            Some(open) if open.text(self.text) != "{" => {
                let opening = open.text(self.text);
                self.report(error::wrong_bracket(self.span(open), opening, here, closing));
                self.pop(token);
            }
            Some(_) | None => self.report(error::stray_bracket(here, closing)),
        }
    }

    /// Leaves the innermost bracket, which counts in the expression around it.
    fn pop(&mut self, token: Token) {
        self.end_segment(token);
        let inner = self.levels.pop().map_or(0, |level| level.total);
        let level = self.level();
        level.inner = level.inner.max(inner + 1);
        level.chain += 1;
    }

    /// Leaves the innermost bracket, which some outer bracket's end has skipped.
    fn unclosed(&mut self) {
        if let Some(open) = self.levels.pop().and_then(|level| level.open) {
            self.report(error::unclosed(self.span(open), open.text(self.text)));
        }
    }

    fn end_piece(&mut self) {
        let open: Vec<Token> = self.levels.iter().rev().filter_map(|level| level.open).collect();
        if let Some((innermost, others)) = open.split_first() {
            let mut fault = error::unclosed(self.span(*innermost), innermost.text(self.text));
            for other in others.iter().take(3) {
                fault = fault.label(self.span(*other), "not closed either");
            }
            self.report(fault);
        }
        if let Some(end) = self.pieces.last().map(|piece| piece.end) {
            let at = Token { kind: Kind::Symbol, start: end.saturating_sub(1), end, first: false };
            self.end_segment(at);
        }
        self.levels = vec![Level::new(None)];
        self.too_deep = false;
    }
}

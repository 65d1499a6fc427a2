//! Every message of the syntax, the shape of trees, and texts that want to break the parser.

use super::ast::{Arg, Block, Expr, ExprKind, File, Infix, Item, Prefix, Stmt};
use super::error::SMALLEST;
use super::{declared_names, format, parse, print};
use crate::base::{Diagnostic, SourceMap};

fn read(text: &str) -> (File, Vec<Diagnostic>) {
    let mut sources = SourceMap::default();
    let id = sources.add("test.dl", text);
    parse(&sources, id)
}

/// `line:column: code message` of each fault; the place as text in angle brackets.
fn faults(text: &str) -> Vec<String> {
    let mut sources = SourceMap::default();
    let id = sources.add("test.dl", text);
    let show = |fault: &Diagnostic| {
        let (line, column) = sources.line_column(id, fault.primary.span.start);
        let marked = sources.slice(fault.primary.span);
        format!("{line}:{column} {} <{marked}> {}", fault.code, fault.message)
    };
    parse(&sources, id).1.iter().map(show).collect()
}

fn in_model(statements: &str) -> String {
    format!("model M(x: [c: 1]) -> y: [c: 1] {{\n{statements}\n}}\n")
}

#[test]
fn messages_in_a_body() {
    let table = [
        ("y = x |> dense(120 |> relu\n |> dense(3)", "2:15 E0103 <(> `(` is never closed"),
        ("y = [1, 2", "2:5 E0103 <[> `[` is never closed"),
        ("y = f(x]", "2:6 E0104 <(> `(` is closed by `]`"),
        ("y = relu(x))", "2:12 E0104 <)> `)` closes nothing"),
        ("y = \"abc", "2:5 E0105 <\"abc> a text never ends"),
        ("y = \"abc\\", "2:5 E0105 <\"abc\\> a text never ends"),
        ("y = 1.2.3", "2:5 E0106 <1.2.3> `1.2.3` is not a number"),
        ("y = 1_000", "2:5 E0106 <1_000> `1_000` is not a number"),
        ("y = .5", "2:5 E0106 <.5> `.5` is not a number"),
        ("y = 5.", "2:5 E0106 <5.> `5.` is not a number"),
        ("y = 1e999", "2:5 E0106 <1e999> `1e999` is too large for a number"),
        ("y = x |>", "2:7 E0102 <|>> no layer follows `|>`"),
        ("y = x |> |> relu", "2:7 E0102 <|>> no layer follows `|>`"),
        ("y = x |> 3", "2:7 E0102 <|>> no layer follows `|>`"),
        ("y = x |>\nz = 3", "2:7 E0102 <|>> no layer follows `|>`"),
        ("over = 3", "2:1 E0107 <over> `over` is a reserved word, not a name"),
        ("y = x + state", "2:9 E0107 <state> `state` is a reserved word, not a name"),
        ("layer data = dense(3)", "2:7 E0107 <data> `data` is a reserved word, not a name"),
        ("y = f(a, pad = 1, pad = 2)", "2:19 E0108 <pad> `pad` is given twice"),
        ("y =", "2:3 E0101 <=> expected a value after `=`"),
        ("y = 3 +\nz = 4", "2:7 E0101 <+> expected a value after `+`"),
        ("y = a b\nz = 3", "2:7 E0101 <b> `b` cannot follow `a`"),
        ("y = f(a b)", "2:9 E0101 <b> expected `)` or `,` after `a`, found `b`"),
        ("y = [1 2]", "2:8 E0101 <2> expected `,` or `]` after `1`, found `2`"),
        ("y = x[t 0]", "2:9 E0101 <0> expected `:` after `t`, found `0`"),
        ("y = if a then b", "2:15 E0101 <b> expected `else` after `b`"),
        ("y == 3", "2:3 E0101 <==> expected `=` after `y`, found `==`"),
        ("a, = 3", "2:4 E0101 <=> expected a name after `,`, found `=`"),
        ("param p = 3", "2:9 E0101 <=> expected `:` after `p`, found `=`"),
        ("y = view(a + 1 -> s)", "2:10 E0101 <a + 1> before `->` stand axes, and this is none"),
        ("y = view(a ->)", "2:14 E0101 <)> expected an axis after `->`, found `)`"),
        ("y = f(..)", "2:7 E0101 <..> `..` is not a value"),
        ("y = \"a\\q\"", "2:5 E0101 <\"a\\q\"> `\\q` means nothing in a text"),
        ("y = größe", "2:5 E0101 <größe> `größe` cannot be a name"),
        ("y = 3;", "2:6 E0101 <;> unexpected character `;`"),
        ("y = “a b”", "2:5 E0101 <“a b”> unexpected character `“`"),
        ("y = x -> f", "2:7 E0101 <->> expected a definition or `}` after `x`, found `->`"),
        ("y = scan a in x over t { h' = 3 }", "2:33 E0101 <}> expected a definition or `yield` after `3`, found `}`"),
    ];
    for (statements, expected) in table {
        assert_eq!(faults(&in_model(statements)), [expected], "{statements}");
    }
}

#[test]
fn messages_between_items() {
    let table = [
        ("", "1:1 E0101 <> the file is empty: there is nothing to compile"),
        ("\u{feff} \r\n", "1:1 E0101 <> the file is empty: there is nothing to compile"),
        ("# hi\n## ho", "1:1 E0101 <> the file holds only comments: there is nothing to compile"),
        ("foo", "1:1 E0101 <foo> expected an item such as `dim`, `model` or `train`, found `foo`"),
        ("dim", "1:1 E0101 <dim> expected a name after `dim`"),
        ("dim t 3", "1:7 E0101 <3> expected `=` after `t`, found `3`"),
        ("dim data = 3", "1:5 E0107 <data> `data` is a reserved word, not a name"),
        ("dim t = 3\nx = 3", "2:1 E0101 <x> expected an item such as `dim`, `model` or `train`, found `x`"),
        ("import blocks", "1:8 E0101 <blocks> expected a text in quotes after `import`, found `blocks`"),
        ("model M(x) { y = 3 }", "1:12 E0101 <{> expected `->` after `)`, found `{`"),
        ("train M mnist { }", "1:9 E0101 <mnist> expected `on` after `M`, found `mnist`"),
        ("train M on D {\n batch 64\n}", "2:8 E0101 <64> expected `=` after `batch`, found `64`"),
        ("train M on D {\n augment a\n}", "2:10 E0101 <a> expected `,` or `|>` after `a`"),
        ("dim t = 3\0", "1:10 E0101 <\0> unexpected character U+0000"),
        ("}", "1:1 E0104 <}> `}` closes nothing"),
    ];
    for (text, expected) in table {
        assert_eq!(faults(text), [expected], "{text}");
    }
}

#[test]
fn settings_twice_and_without_unit() {
    let text = "train M on D {
  batch = 64  batch = 32
  loss = 3
  loss { a = 3  a = 4 }
  stop = patience(10)
  schedule = steps(at = [3, 4 epochs], by = 0.1, warmup = 200)
}";
    let expected = [
        "2:15 E0108 <batch> `batch` is given twice",
        "4:3 E0108 <loss> `loss` is given twice",
        "4:17 E0108 <a> `a` is given twice",
        "5:19 E0109 <10> the unit of time is missing",
        "6:26 E0109 <3> the unit of time is missing",
        "6:59 E0109 <200> the unit of time is missing",
    ];
    assert_eq!(faults(text), expected);
}

#[test]
fn broken_items_cost_no_others() {
    let text = "model M(x: [h, w) -> y { y = x }
dim good = 3
model N(x) -> y {
  y = f(x

data D {
  source =
}
  dim wrong = = 3
const fine = 4
";
    let expected = [
        "1:12 E0103 <[> `[` is never closed",
        "4:8 E0103 <(> `(` is never closed",
        "7:10 E0101 <=> expected a value after `=`",
        "9:15 E0101 <=> expected a value after `=`, found `=`",
    ];
    assert_eq!(faults(text), expected);
    assert_eq!(format::canonical(&read(text).0), "dim good = 3\nconst fine = 4\n");
    let mut sources = SourceMap::default();
    let id = sources.add("test.dl", text);
    assert_eq!(declared_names(&sources, id), ["M", "good", "N", "D", "wrong", "fine"]);
}

/// The value of `y = ...` in the canonical layout, with all brackets that the tree has.
fn value(text: &str) -> Expr {
    let (file, faults) = read(&format!("block B(x) -> y {{ y = {text} }}"));
    assert!(faults.is_empty(), "{text}: {faults:?}");
    match file.items.into_iter().next() {
        Some(Item::Block(Block { body, .. })) => match body.into_iter().next() {
            Some(Stmt::Def { value, .. }) => value,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn grouped(e: &Expr) -> String {
    match &e.node {
        ExprKind::Prefix(Prefix::Neg, a) => format!("(-{})", grouped(a)),
        ExprKind::Prefix(Prefix::Not, a) => format!("(not {})", grouped(a)),
        ExprKind::Infix(op, a, b) => {
            let sign = match op {
                Infix::Add => "+",
                Infix::Sub => "-",
                Infix::Mul => "*",
                Infix::Pow => "^",
                Infix::Lt => "<",
                Infix::Eq => "==",
                Infix::And => "and",
                Infix::Or => "or",
                other => panic!("{other:?}"),
            };
            format!("({} {sign} {})", grouped(a), grouped(b))
        }
        ExprKind::Name(name) => name.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn precedence() {
    let table = [
        ("a + b * c - d", "((a + (b * c)) - d)"),
        ("-a ^ b ^ c * d", "((-(a ^ (b ^ c))) * d)"),
        ("a ^ -b * c", "((a ^ (-b)) * c)"),
        ("not a == b and c or d", "(((not (a == b)) and c) or d)"),
        ("a * not b + c", "(a * (not (b + c)))"),
        ("(a * not b) + c", "((a * (not b)) + c)"),
        ("a < b == c", "((a < b) == c)"),
        ("a - -b - - -c", "((a - (-b)) - (-(-c)))"),
        ("a<-b", "(a < (-b))"),
    ];
    for (text, expected) in table {
        let first = value(text);
        assert_eq!(grouped(&first), expected, "{text}");
        let again = value(&format::expr(&first, 0));
        assert_eq!(grouped(&again), expected, "{text}");
    }
}

#[test]
fn units_take_no_setting_away() {
    let (file, faults) = read("train M on D { batch = 64 epochs = 100  stop = patience(20epochs) }");
    assert!(faults.is_empty(), "{faults:?}");
    let text = format::canonical(&file);
    assert!(text.contains("batch = 64\n  epochs = 100\n"), "{text}");
    assert!(text.contains("patience(20 epochs)"), "{text}");
}

#[test]
fn spans_end_with_their_last_word() {
    let text = "block B(x) -> y { y = f( a , 1 )   # comment\n  # more\n }  \n";
    let Some(Item::Block(block)) = read(text).0.items.into_iter().next() else { panic!() };
    let slice = |s: crate::base::Span| &text[s.start as usize..s.end as usize];
    assert_eq!(slice(block.span), text.trim_end());
    let [Stmt::Def { value, .. }] = block.body.as_slice() else { panic!() };
    assert_eq!(slice(value.span), "f( a , 1 )");
    let ExprKind::Call { args, .. } = &value.node else { panic!() };
    let [Arg::Positional(a), Arg::Positional(_)] = args.as_slice() else { panic!() };
    assert_eq!(slice(a.span), "a");
}

fn programs() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/language");
    let mut programs: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap()))
        .collect();
    programs.sort();
    assert!(programs.len() >= 16);
    programs.push(("the help for an empty file".to_owned(), SMALLEST.to_owned()));
    programs
}

#[test]
fn the_designs_programs_parse_and_keep_their_layout() {
    for (name, text) in programs() {
        for text in [text.clone(), text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
            let (file, faults) = read(&text);
            assert!(faults.is_empty(), "{name}: {faults:?}");
            let once = format::canonical(&file);
            let (again, faults) = read(&once);
            assert!(faults.is_empty(), "{name}: {faults:?}\n{once}");
            assert_eq!(format::canonical(&again), once, "{name}");
            assert_eq!(print::dump(&again).lines().count(), print::dump(&file).lines().count());
        }
    }
}

/// Reads a hostile text on a small stack. An algorithm that is not linear would not come back.
fn survives(name: &str, text: String) -> usize {
    let read = move || {
        let (file, faults) = read(&text);
        let once = format::canonical(&file);
        print::dump(&file);
        (once, faults)
    };
    let worker = std::thread::Builder::new().stack_size(1 << 20).spawn(read).unwrap();
    let (_, faults) = worker.join().unwrap();
    assert!(faults.len() <= 60, "{name}");
    faults.len()
}

#[test]
fn the_lexer_reserves_what_the_grammar_does() {
    let rules = include_str!("../../../grammar/dl.pest").lines().filter(|l| l.starts_with("kw_"));
    let words: Vec<&str> = rules.map(|line| line.split('"').nth(1).unwrap()).collect();
    assert_eq!(words, super::lexer::RESERVED);
}

#[test]
fn hostile_texts() {
    let deep = |open: &str, close: &str, n: usize| in_model(&format!("y = {}x{}", open.repeat(n), close.repeat(n)));
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("f(", ")"),
        ("x[t: ", "]"),
        ("f(a: ", ")"),
        ("f(k = ", ")"),
        ("x |> f(", ")"),
        ("-", ""),
        ("not ", ""),
        ("2 ^ ", ""),
        ("if a then b else ", ""),
        ("if a then ", " else b"),
        ("if ", " then a else b"),
        ("", ".c"),
        ("", "(1)"),
        ("", " + 1"),
        ("", "[t: 0]"),
        ("a |> repeat 2 { f(", ") }"),
        ("x |> f |> g(", ")"),
        ("scan a in ", " over t { yield a }"),
        ("x[t: 1..", "]"),
        ("f(1..", ")"),
        ("scan a in x over t { z = ", " yield a }"),
        ("(1 + 2 * -", ")"),
    ] {
        for n in [1, 30] {
            assert_eq!(survives(open, deep(open, close, n)), 0, "{n} {open} {close}");
        }
        for n in [62, 80, 99, 120, 240] {
            assert!(survives(open, deep(open, close, n)) <= 1, "{n} {open} {close}");
        }
        survives(open, in_model(&format!("y = {}", open.repeat(10_000))));
        assert_eq!(survives(open, deep(open, close, 10_000)), 1, "{open} {close}");
        assert!(survives(open, open.repeat(10_000)) >= 1);
        assert!(survives(close, close.repeat(10_000)) >= 1 || close.is_empty());
    }
    let mega = 1_000_000;
    survives("zeros", "\0".repeat(mega));
    survives("list", format!("dim a = [{}]", "1,".repeat(mega / 2 - 20)));
    survives("names", "a ".repeat(mega / 2));
    survives("opening", "(".repeat(mega));
    survives("closing", ")]}".repeat(mega / 3));
    survives("mixed", "([{}".repeat(mega / 4));
    survives("dims", "dim ".repeat(mega / 4));
    assert_eq!(survives("items", "dim a\n".repeat(mega / 6)), 0);
    survives("quotes", "\"\n".repeat(mega / 2));
    survives("comment", format!("#{}", " ".repeat(mega)));
    survives("digits", format!("dim a = {}", "1".repeat(mega)));
    survives("accents", "é".repeat(mega / 2));
    survives("long stages", in_model(&format!("y = x{}", " |> f".repeat(mega / 5 - 20))));
    survives("statements", in_model(&"y = x ".repeat(mega / 6 - 20)));
    assert_eq!(survives("10 MB", "model ( } \"é\0\n".repeat(10 * mega / 13)), 1);
}

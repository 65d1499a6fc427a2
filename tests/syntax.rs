//! The syntax as a whole: any text is read without a panic, and the canonical layout is stable.

use dlc_compiler::base::SourceMap;
use dlc_compiler::syntax::{self, ast::File, format, print};
use proptest::prelude::*;

fn read(text: &str) -> (File, Vec<String>) {
    let mut sources = SourceMap::default();
    let id = sources.add("test.dl", text);
    let (file, faults) = syntax::parse(&sources, id);
    for fault in &faults {
        let span = fault.primary.span;
        assert!(span.start <= span.end && span.end as usize <= text.len(), "{fault:?}");
        assert!(text.is_char_boundary(span.start as usize), "{fault:?}");
        assert!(text.is_char_boundary(span.end as usize), "{fault:?}");
        assert!(!fault.message.contains('\n') && fault.message.len() < 300, "{fault:?}");
    }
    (file, faults.into_iter().map(|fault| fault.message).collect())
}

/// What could be read keeps its canonical layout.
fn is_stable(text: &str) {
    let (file, _) = read(text);
    let once = format::canonical(&file);
    if file.items.is_empty() {
        return;
    }
    let (again, faults) = read(&once);
    assert_eq!(faults, [""; 0], "{text}\n---\n{once}");
    assert_eq!(format::canonical(&again), once);
    assert_eq!(print::dump(&again), print::dump(&read(&format::canonical(&again)).0));
}

fn programs() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/language");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut programs: Vec<String> =
        entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    programs.sort();
    programs
}

/// Words of the language and some that are not, in any order.
fn soup() -> impl Strategy<Value = String> {
    const PLAIN: &str = "model block dim const data train generate import field augment layer \
        param predict state scan over in on yield repeat if then else and or not true false \
        x h' 3 0.5 1e-3 80% 1. \"t\" \" ( ) [ ] { } , : = == |> -> <- .. . - + * ^ < é \0 ; |";
    let mut words: Vec<&str> = PLAIN.split(' ').filter(|word| !word.is_empty()).collect();
    words.extend(["20 epochs", "\n", "# c\n", "\u{feff}"]);
    let words = prop::sample::select(words);
    prop::collection::vec(words, 0..60).prop_map(|words| words.join(" "))
}

/// An expression that the grammar accepts, with more brackets than it needs.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "x",
        "y'",
        "3",
        "0.25",
        "1e-30",
        "1e30",
        "7%",
        "1 epoch",
        "20 steps",
        "\"a\\n\\\"b\"",
        "true",
        "x.c",
        "[]",
        "f()",
        "view(a, b: 3 -> ..)",
        "x[t: 0, h: 1..]",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 3, |inner| {
        let infix = prop::sample::select(vec!["+", "-", "*", "/", "^", "<", "==", "and", "or"]);
        prop_oneof![
            (inner.clone(), infix, inner.clone()).prop_map(|(a, sign, b)| format!("({a}) {sign} ({b})")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.clone().prop_map(|a| format!("not ({a})")),
            inner.clone().prop_map(|a| { format!("({a}) |> f(k: {a}) |> repeat q in ({a}) {{ g.h({a}) |> g }}") }),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("if {a} then {b} else {a}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("f({a}, over = {b}, ({b})..({a}))")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[t: {b}].c(({a}).d)")),
            inner.clone().prop_map(|a| format!("[{a}, {a}]")),
            (inner.clone(), inner).prop_map(|(a, b)| {
                let body = format!("state s: d[t] = {a} s', r = {b} yield {a}, u");
                format!("scan u in ({a}), v in ({b}) over t (k = {b}) {{ {body} }}")
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        is_stable(&text);
    }

    #[test]
    fn any_words_are_read(text in soup()) {
        is_stable(&text);
    }

    #[test]
    fn any_expression_keeps_its_layout(value in expression()) {
        let text = format!("block B(x = {value}) -> y {{ y: [h: ({value})] = {value} }}");
        let (file, faults) = read(&text);
        // The nesting limit is the one thing that such a text may break.
        prop_assert!(faults.iter().all(|f| f.contains("levels deep")), "{text}: {faults:?}");
        prop_assume!(faults.is_empty());
        prop_assert_eq!(file.items.len(), 1);
        is_stable(&text);
    }

    #[test]
    fn a_broken_program_is_read(
        program in prop::sample::select(programs()),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..12usize, soup()), 1..4),
    ) {
        let mut bytes = program.into_bytes();
        for (at, length, words) in cuts {
            let at = at.index(bytes.len());
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, words.bytes().take(length));
        }
        is_stable(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn every_beginning_of_a_program_is_read() {
    for program in programs() {
        for end in (0..program.len()).step_by(7).filter(|end| program.is_char_boundary(*end)) {
            read(&program[..end]);
        }
    }
}

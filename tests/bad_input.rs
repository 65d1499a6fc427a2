//! Bad programs and files: a message with an exit code of 1 or 2, never a panic, a hang, or a silent success.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use proptest::prelude::*;

/// Nothing that is only read and refused takes this long, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

fn run(folder: &Path, args: &[&str]) -> (i32, String) {
    let start = Instant::now();
    let done = Command::new(env!("CARGO_BIN_EXE_dlc")).args(args).current_dir(folder).output().expect("dlc runs");
    assert!(start.elapsed() < LIMIT, "{args:?} took {:?}", start.elapsed());
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    (done.status.code().unwrap_or(-1), said)
}

/// The program's exit code and text from `dlc check`.
fn check(program: &[u8]) -> (i32, String) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("p.dl"), program).expect("a program");
    run(folder.path(), &["check", "p.dl"])
}

#[test]
fn hopeless_programs() {
    let nested = |open: &str, close: &str| format!("const x = {}1{}", open.repeat(10_000), close.repeat(10_000));
    let net = |body: &str| format!("model N(x: [c: 4]) -> y: [c: 3] {{\n  y = {body}\n}}\n");
    let programs = [
        String::new(),
        "# nothing".into(),
        nested("(", ")"),
        nested("[", "]"),
        "(".repeat(10_000),
        "}".repeat(10_000),
        format!("const x = {}", "-".repeat(10_000)),
        net(&"relu(".repeat(10_000)),
        net("x |> dense(99999999999999999999999999)"),
        net("x |> dense(1e300)"),
        net("x |> dense(4000000000) |> relu |> dense(4000000000) |> dense(3)"),
        net("x |> repeat 1000000000000 { dense(3) }"),
        net("x |> dense(0)"),
        net("x |> dense(-1)"),
        net("x |> dense(1 / 0)"),
        net("x |> view(c -> a: 0, b)"),
        "block B(x: [c], n) -> y { y = x |> B(n + 1) }\n".to_string() + &net("x |> B(0) |> dense(3)"),
        "block B(x: [c], n) -> y { y = x |> B(n - 1) |> B(n - 1) }\n".to_string() + &net("x |> B(60)"),
        "const a = b\nconst b = a\n".to_string() + &net("x |> dense(a)"),
        "import \"p.dl\"\n".into(),
        "train A on B { }".into(),
        "\u{0}\u{1}\u{2}".into(),
    ];
    for program in programs {
        let (code, said) = check(program.as_bytes());
        let start: String = program.chars().take(60).collect();
        assert_eq!(code, 1, "{start}: {said}");
        assert!(said.contains("error"), "{start}: {said}");
    }
}

#[test]
fn files_that_are_none() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("latin1.dl"), b"# gr\xfc\xdfe\n").expect("a file");
    fs::create_dir(folder.path().join("folder.dl")).expect("a folder");
    assert_eq!(run(folder.path(), &["check", "latin1.dl"]).0, 1);
    assert_eq!(run(folder.path(), &["check", "folder.dl"]).0, 2);
    assert_eq!(run(folder.path(), &["check", "missing.dl"]).0, 2);
}

/// A program that reads `data.csv`, two numbers and a class.
const READS: &str = "dim kind = [\"a\", \"b\"]
data d {
  source = csv(\"data.csv\", header = false)
  field x: [c: 2] = columns(0..2)
  field k: kind = column(2)
  split = ratio(train = 50%, val = 25%, test = 25%)
}
model N(x: [c: 2]) -> z: [kind] { z = x |> dense(kind) }
train N on d { loss = cross_entropy(z, k)  epochs = 1 }
";

/// Trains on a table.
fn train(table: &[u8]) -> (i32, String) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("p.dl"), READS).expect("a program");
    fs::write(folder.path().join("data.csv"), table).expect("a table");
    run(folder.path(), &["run", "p.dl", "--train", "--dry-run", "--quiet"])
}

#[test]
fn tables_with_mistakes() {
    let rows = |bad: &str| format!("1,2,a\n3,4,b\n{bad}5,6,a\n7,8,b\n1,1,a\n2,2,b\n3,3,a\n4,4,b\n");
    let (code, said) = train(rows("").as_bytes());
    assert_eq!(code, 0, "{said}");
    for (bad, wanted) in [("1,2\n", "E0508"), ("1,word,a\n", "E0506"), ("1,2,c\n", "E0507"), ("1,2,a,9\n", "E0508")] {
        let (code, said) = train(rows(bad).as_bytes());
        assert_eq!(code, 1, "{bad}: {said}");
        assert!(said.contains(wanted), "{bad}: {said}");
        assert!(said.contains("data.csv"), "{bad}: {said}");
    }
    for empty in ["", "\n"] {
        assert_eq!(train(empty.as_bytes()).0, 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// A program that works, with a piece cut out and another put in.
    #[test]
    fn damaged_programs(at in 0usize..900, cut in 0usize..40, piece in "[ -~\n]{0,12}") {
        let mut text: Vec<char> = include_str!("../examples/digits.dl").chars().collect();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, piece.chars());
        let (code, said) = check(text.into_iter().collect::<String>().as_bytes());
        prop_assert!([0, 1].contains(&code), "{}: {}", code, said);
    }

    /// A table that works, with some bytes changed.
    #[test]
    fn damaged_tables(at in 0usize..40, bytes in proptest::collection::vec(any::<u8>(), 1..4)) {
        let mut table = b"1,2,a\n3,4,b\n5,6,a\n7,8,b\n1,1,a\n2,2,b\n3,3,a\n4,4,b\n".to_vec();
        table.splice(at..(at + bytes.len()).min(48), bytes.iter().copied());
        let (code, said) = train(&table);
        prop_assert!([0, 1, 3].contains(&code), "{}: {}", code, said);
    }
}

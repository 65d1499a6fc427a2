//! Bad programs and files: a message with an exit code of 1 or 2, never a panic, a hang, or a silent success.

mod program;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use proptest::prelude::*;

/// Nothing that is only read and refused takes this long, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

fn run(folder: &Path, args: &[&str]) -> (i32, String) {
    let start = Instant::now();
    let done = program::dlc(args).current_dir(folder).output().expect("dlc runs");
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
        let (code, said) = train(empty.as_bytes());
        assert!(code == 1 && said.contains("help"), "{said}");
    }
    // Signs that would colour or clear a terminal are not passed on.
    for bad in ["\u{1b}[31m1,2,a\n", "1,2,\u{1b}[2Ja\n"] {
        let (code, said) = train(rows(bad).as_bytes());
        assert!(code == 1 && !said.contains('\u{1b}'), "{said}");
    }
}

/// The same classes with a dim that the data solves, and predictions.
const SOLVES: &str = "dim kind
data d {
  source = csv(\"data.csv\", header = false)
  field x: [c: 2] = columns(0..2)
  field k: kind = column(2)
  split = ratio(train = 50%, val = 25%, test = 25%)
}
model N(x: [c: 2]) -> z: [kind] {
  z = x |> dense(kind)
  predict answer = argmax(z, over = kind)
  predict sure = max(softmax(z, over = kind), over = kind)
}
train N on d { loss = cross_entropy(z, k)  epochs = 1  metrics = [accuracy(z, k), confusion(z, k)] }
";

const ROWS: &str = "1,2,a\n3,4,b\n5,6,a\n7,8,b\n1,1,a\n2,2,b\n3,3,a\n4,4,b\n";

/// A folder with a program `p.dl` and its `data.csv`.
fn folder_with(program: &str, rows: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("p.dl"), program).expect("a program");
    fs::write(folder.path().join("data.csv"), rows).expect("a table");
    folder
}

/// The same, trained: `r/best.dlm`.
fn trained() -> tempfile::TempDir {
    let folder = folder_with(SOLVES, ROWS);
    let (code, said) = run(folder.path(), &["run", "p.dl", "--train", "--quiet", "--out", "r"]);
    assert_eq!(code, 0, "{said}");
    folder
}

/// Runs and compares the exit code and pieces of what is said.
fn says(folder: &Path, args: &[&str], code: i32, pieces: &[&str]) {
    let (got, said) = run(folder, args);
    assert_eq!(got, code, "{args:?}: {said}");
    for piece in pieces {
        assert!(said.contains(piece), "{args:?}: no `{piece}` in {said}");
    }
}

#[test]
fn goals_that_are_not_measured_are_told_before_training() {
    let folder = folder_with(SOLVES, ROWS);
    let train = |goal: &str| run(folder.path(), &["run", "p.dl", "--train", "--out", "r", "--require", goal]);
    for goal in ["acuracy>=0.5", "accuracy>=0.5", "test.confusion>0"] {
        let (code, said) = train(goal);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("does not measure") && said.contains("`test.accuracy`"), "{said}");
        assert!(!folder.path().join("r").exists(), "{goal}: it was trained");
    }
    assert_eq!(train("test.accuracy>=0").0, 0);
    assert_eq!(train("val.loss<=0").0, 3);
}

#[test]
fn dims_of_the_data_and_of_models_cannot_be_set() {
    let folder = trained();
    let args = ["run", "p.dl", "--train", "--out", "other", "--set", "kind=5"];
    says(folder.path(), &args, 1, &["the data decides the size of `kind`", "dim kind = 5"]);
    assert!(!folder.path().join("other").exists());
    says(folder.path(), &["run", "r/best.dlm", "data.csv", "--set", "kind=5"], 2, &["is trained", "train again"]);
}

#[test]
fn one_class_in_training_is_told() {
    let only = ROWS.replace('b', "a");
    let train = ["run", "p.dl", "--train", "--dry-run"];
    let told = ["[one_class]", "only one class of `kind` occurs", "`a`"];
    says(folder_with(SOLVES, &only).path(), &train, 0, &told);
    says(folder_with(READS, &only).path(), &train, 0, &told);
    let in_order = SOLVES.replace("ratio(", "in_order(");
    let sorted = "1,2,a\n3,4,a\n5,6,a\n7,8,a\n1,1,b\n2,2,b\n3,3,b\n4,4,b\n";
    says(folder_with(&in_order, sorted).path(), &train, 0, &["[one_class]", "stratify = k"]);
    let allowed = SOLVES.replace("= column(2)", "= column(2)  # allow(one_class)");
    for (program, rows) in [(SOLVES, ROWS), (&allowed, only.as_str())] {
        let (code, said) = run(folder_with(program, rows).path(), &train);
        assert!(code == 0 && !said.contains("one_class"), "{said}");
    }
    let third = READS.replace("\"b\"]", "\"b\", \"c\"]");
    says(folder_with(&third, ROWS).path(), &train, 0, &["1 of 3 classes of `kind` never occur", "`c`"]);
}

#[test]
fn sealed_models_that_contradict_themselves() {
    use dlc_runtime::checkpoint::{self, Model};
    let folder = trained();
    let path = |name: &str| folder.path().join(name);
    let good = checkpoint::load(&path("r/best.dlm"), Default::default()).expect("a model");
    let refused = |change: &dyn Fn(&mut Model), pieces: &[&str]| {
        let mut model = good.clone();
        change(&mut model);
        checkpoint::save(&model, &path("bad.dlm")).expect("a file");
        says(folder.path(), &["run", "bad.dlm", "data.csv"], 1, pieces);
    };
    let weight = good.tensors.keys().next().expect("a weight").clone();
    let told = ["[E0703]", "bad.dlm", &weight, "train again"];
    refused(&|model| drop(model.tensors.remove(&weight)), &told);
    refused(&|model| model.tensors.values_mut().for_each(|tensor| tensor.shape = vec![tensor.values.len(), 1]), &told);
    refused(&|model| model.dims.iter_mut().for_each(|dim| dim.names.push("c".into())), &["[E0701]"]);
    refused(&|model| model.dims.clear(), &["E0503", "the model file holds"]);
    let inside = ["error", "bad.dlm", "the model file holds a program with mistakes", "train again"];
    refused(&|model| model.source = model.source.replace("c: 2", "c: 3"), &inside);
    refused(&|model| model.source = "model".into(), &inside);
    refused(&|model| model.preprocessing.fields[0].axes[0].size = 5, &["[E0703]", "described as 5"]);
    refused(&|model| model.preprocessing.fields.clear(), &["E0505"]);
}

#[test]
fn answers_that_are_no_numbers_are_told() {
    use dlc_runtime::checkpoint;
    let folder = trained();
    let path = folder.path().join("r/best.dlm");
    let mut model = checkpoint::load(&path, Default::default()).expect("a model");
    model.tensors.values_mut().for_each(|tensor| tensor.values.fill(f32::NAN));
    checkpoint::save(&model, &path).expect("a file");
    let args = ["run", "r/best.dlm", "data.csv", "--json"];
    says(folder.path(), &args, 0, &["warning: 8 of 8 answers", "\"sure\":null"]);
}

#[test]
fn models_that_another_program_wrote_again() {
    let folder = trained();
    let bytes = fs::read(folder.path().join("r/best.dlm")).expect("a model");
    let (length, rest) = bytes.split_at(8);
    let length = u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize;
    let header = String::from_utf8(rest[..length].to_vec()).expect("JSON");
    let at = header.find("\"checksum\":\"").expect("a checksum");
    let end = at + "\"checksum\":\"0000000000000000\",".len();
    let header = header[..at].to_string() + &header[end..];
    let again = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &rest[length..]].concat();
    fs::write(folder.path().join("again.dlm"), again).expect("a file");
    let pieces = ["[E0705]", "has no checksum", "another program", "--init"];
    says(folder.path(), &["run", "again.dlm", "data.csv"], 1, &pieces);
}

#[test]
fn a_first_example_with_a_mistake_is_no_title() {
    let folder = trained();
    let predict = |rows: &str| {
        fs::write(folder.path().join("new.csv"), rows).expect("a table");
        run(folder.path(), &["run", "r/best.dlm", "new.csv"])
    };
    for (first, wanted) in
        [("1e39,2", "1e39"), ("nan,2", "nan"), ("1,0x10", "0x10"), ("1,\"2", "never closed"), ("7", "column")]
    {
        let (code, said) = predict(&format!("{first}\n3,4\n5,6\n"));
        assert!(code == 1 && said.contains(wanted), "{first}: {said}");
    }
    for titles in ["x,y", "c0,c1", "\"width, cm\",height", "# two numbers"] {
        let (code, said) = predict(&format!("{titles}\n3,4\n5,6\n"));
        assert!(code == 0 && said.lines().count() == 3, "{titles}: {said}");
    }
}

#[test]
fn titles_that_are_numbers() {
    let folder = folder_with(&SOLVES.replace("header = false", "header = true"), &format!("0,1,2\n{ROWS}"));
    says(folder.path(), &["run", "p.dl", "--train", "--quiet", "--out", "r"], 0, &[]);
    let (code, said) = run(folder.path(), &["run", "r/best.dlm", "data.csv"]);
    assert!(code == 0 && said.lines().count() == 9, "{said}");
}

#[test]
fn settings_of_tables_are_told_without_data() {
    let with = |more: &str| SOLVES.replace("header = false", &format!("header = false, {more}"));
    let wrong = [
        ("skip = 1e18", "`skip` is 1e18, which is too large"),
        ("skip = 4000000000", "no file has so many lines"),
        ("separator = \"é\"", "it takes several bytes"),
        ("separator = \"7\"", "a part of numbers"),
        ("separator = \"\"", "one character"),
        ("decimal = \",\", separator = \",\"", "the decimal sign"),
    ];
    for (more, wanted) in wrong {
        let (code, said) = check(with(more).as_bytes());
        assert!(code == 1 && said.contains(wanted) && said.contains("p.dl:3:"), "{more}: {said}");
    }
    assert_eq!(check(with("separator = \"|\", skip = 2").as_bytes()).0, 0);
    let passed = folder_with(&with("skip = 100"), ROWS);
    says(passed.path(), &["run", "p.dl", "--train"], 1, &["no rows", "8 lines", "`skip` passes over them"]);
}

#[test]
fn blocks_that_nest_deeply_are_not_said_to_call_themselves() {
    let block = |i| format!("block b{i}(x: [c]) -> y {{ y = x |> b{} }}\n", i + 1);
    let blocks: String = (0..300).map(block).collect();
    let model = "model N(x: [c: 4]) -> y: [c: 3] { y = x |> b0 |> dense(3) }\n";
    let (code, said) = check(format!("{blocks}block b300(x: [c]) -> y {{ y = x |> relu }}\n{model}").as_bytes());
    assert!(code == 1 && said.contains("E0311") && !said.contains("itself"), "{said}");
    let (code, said) = check(format!("block b0(x: [c]) -> y {{ y = x |> b0 }}\n{model}").as_bytes());
    assert!(code == 1 && said.contains("`b0` calls itself"), "{said}");
}

/// A column of texts taken for classes, and a program full of unknown names: each took time by the square.
#[test]
fn many_names_take_no_longer() {
    let rows: String = (0..20_000).map(|i| format!("1,2,c{i}\n")).collect();
    let wide = SOLVES.replace("dense(kind)", "dense(2) |> dense(kind)").replace("epochs = 1", "batch = 2  epochs = 1");
    let folder = folder_with(&wide, &rows);
    says(folder.path(), &["run", "p.dl", "--train", "--dry-run"], 0, &["20,000"]);
    let unknown: String = (0..20_000).map(|i| format!("const c{i} = q{i}\n")).collect();
    let (code, said) = check(unknown.as_bytes());
    assert!(code == 1 && said.contains("E0201"), "{said}");
}

/// What a shell says to a command line.
#[cfg(unix)]
fn shell(folder: &Path, line: &str) -> (i32, String) {
    let line = line.replace("dlc", env!("CARGO_BIN_EXE_dlc"));
    let done = Command::new("bash").args(["-c", &line]).current_dir(folder).output().expect("a shell");
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    (done.status.code().unwrap_or(-1), said)
}

#[test]
#[cfg(unix)]
fn examples_through_pipes() {
    let folder = trained();
    fs::write(folder.path().join("odd.csv"), "\u{feff}c0,c1\r\n1,2\r\n3,4").expect("a table");
    let wanted = shell(folder.path(), "dlc run r/best.dlm odd.csv");
    assert_eq!((wanted.0, wanted.1.lines().count()), (0, 3), "{}", wanted.1);
    for line in
        ["dlc run r/best.dlm - < odd.csv", "cat odd.csv | dlc run r/best.dlm -", "dlc run r/best.dlm <(cat odd.csv)"]
    {
        assert_eq!(shell(folder.path(), line), wanted, "{line}");
    }
    for (input, piece) in
        [("", "has no rows"), ("x,y\\n", "has no rows: its only line holds no number"), ("\\x89PNG\\x00", "not text")]
    {
        let (code, said) = shell(folder.path(), &format!("printf '{input}' | dlc run r/best.dlm -"));
        assert!(code == 1 && said.contains(piece) && said.contains("help"), "{input}: {said}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_system_without_room_is_no_bug() {
    let folder = folder_with(SOLVES, ROWS);
    let (code, said) = shell(folder.path(), "ulimit -v 200000; dlc check p.dl");
    assert!(code == 1 && said.contains("E0315") && said.contains("ulimit"), "{code}: {said}");
}

/// A packed file of 763 MiB in an address space of 880: it is refused before the system refuses more memory.
#[test]
#[cfg(target_os = "linux")]
fn packed_files_do_not_fill_the_memory() {
    let folder = folder_with(&SOLVES.replace("data.csv", "data.csv.gz"), "");
    let pack = shell(folder.path(), "yes 0,0,a | head -c 800000000 | gzip -9 > data.csv.gz");
    assert_eq!(pack.0, 0, "{}", pack.1);
    let (code, said) = shell(folder.path(), "ulimit -v 900000; dlc run p.dl --train --threads 1");
    assert!(code == 1 && said.contains("more than 200 times") && said.contains("gunzip"), "{code}: {said}");
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

//! Texts and series from files to batches, and what may be wrong with them: nothing is lost, and nothing fills the memory.

use std::io::Write;
use std::path::Path;

use dlc_runtime::data::bytes::Limits;
use dlc_runtime::data::dataset::{Dataset, load, load_prepared};
use dlc_runtime::data::error::{At, Result};
use dlc_runtime::data::preprocessing::Preprocessing;
use dlc_runtime::data::spec::*;
use dlc_runtime::data::split::Part;
use dlc_runtime::extents::Extents;
use proptest::prelude::*;

const WORDS: TextStep = TextStep::Words { keep: None, min_count: 1 };

/// A field of at most `most` symbols.
fn symbols(name: &str, from: Selector, dim: &str, most: usize, steps: &[TextStep]) -> FieldSpec {
    let shape = vec![AxisSpec { name: format!("t{most}"), size: None, most: Some(most) }];
    let dim = Some(DimSpec { name: dim.into(), size: None, names: vec![] });
    let steps = steps.iter().cloned().map(FieldStep::Text).collect();
    FieldSpec { name: name.into(), place: (0, 0), dim, shape, from, steps }
}

fn named(name: &str) -> Selector {
    Selector::Named(name.into())
}

fn class(name: &str, from: Selector, names: &[&str]) -> FieldSpec {
    let names = names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let dim = Some(DimSpec { name: "class".into(), size: Some(names.len()), names });
    FieldSpec { name: name.into(), place: (0, 0), dim, shape: vec![], from, steps: vec![] }
}

fn lines(files: &[(&str, &str)]) -> Lines {
    let files = files.iter().map(|(name, path)| (name.to_string(), path.to_string())).collect();
    Lines { files, parts: ["train", "val", "test"].map(|part| Some(part.to_string())), encoding: Encoding::Utf8 }
}

fn spec(source: Source, fields: Vec<FieldSpec>, train: f64) -> DataSpec {
    let split = Split::InOrder { train, val: 0.0, test: 1.0 - train };
    let place = (0, 0);
    DataSpec { name: "d".into(), place, source, source_place: place, fields, split, split_place: place }
}

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// One file of lines, all of it for training.
fn of_lines(bytes: &[u8], most: usize, steps: &[TextStep]) -> Result<Dataset> {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "t", bytes);
    let field = symbols("tokens", named("line"), "word", most, steps);
    load(&spec(Source::Lines(lines(&[("", "t")])), vec![field], 1.0), dir.path(), Limits::default())
}

fn names(data: &Dataset) -> Vec<String> {
    data.fields[0].prepared.dim.clone().unwrap().names
}

/// Values of examples in as many numbers as `extent` says.
fn filled(data: &Dataset, field: &str, examples: &[u32], extent: (&str, usize)) -> Vec<f32> {
    let mut out = Vec::new();
    let extents = Extents::new(examples.len(), [(extent.0.to_string(), extent.1)]);
    data.fill(data.field(field).unwrap(), examples, &extents, &mut out);
    out
}

#[test]
fn each_line_has_its_own_length() {
    let data = of_lines(b"a b\r\nb\n\nb c a b\n", 3, &[WORDS]).unwrap();
    assert_eq!(names(&data), ["<unk>", "b", "a", "c"]);
    assert_eq!((data.count, data.ragged[0].lengths.clone()), (4, vec![2, 1, 1, 3]));
    assert_eq!(filled(&data, "tokens", &[0, 1, 3], ("t3", 3)), [2.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 3.0, 2.0]);
    assert_eq!(filled(&data, "tokens", &[1, 0], ("t3", 2)), [1.0, 0.0, 2.0, 1.0]);
    let told = data.notes.join("\n");
    assert!(
        told.contains("1 of 4 texts of `tokens` are longer than 3")
            && told.contains("1 of 4 texts of `tokens` are empty"),
        "{told}"
    );
}

#[test]
fn the_next_symbol_is_told_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "names.txt", b"ab\nba\nzz\n");
    let next = |ahead| [TextStep::Characters, TextStep::NextToken { ahead }];
    let field = |name: &str, ahead| symbols(name, named("line"), "char", 9, &next(ahead));
    let whole =
        spec(Source::Lines(lines(&[("", "names.txt")])), vec![field("tokens", false), field("next", true)], 0.67);
    let data = load(&whole, dir.path(), Limits::default()).unwrap();
    // `z` is in the test part alone.
    assert_eq!(names(&data), ["<unk>", "<end>", "a", "b"]);
    assert_eq!(filled(&data, "tokens", &[0, 2], ("t9", 3)), [1.0, 2.0, 3.0, 1.0, 0.0, 0.0]);
    assert_eq!(filled(&data, "next", &[0, 2], ("t9", 3)), [2.0, 3.0, 1.0, 0.0, 0.0, 1.0]);
    assert_eq!(data.ragged.len(), 1);
    let stored = Preprocessing::from_json(&data.preprocessing().to_json()).unwrap();
    let again = load_prepared(&whole, &stored, dir.path(), Limits::default()).unwrap();
    assert_eq!(filled(&again, "next", &[0, 1, 2], ("t9", 9)), filled(&data, "next", &[0, 1, 2], ("t9", 9)));
}

#[test]
fn files_are_classes_or_lie_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "neg", b"bad\nworse\n");
    write(dir.path(), "pos", b"good\n");
    let fields = vec![symbols("x", named("line"), "word", 4, &[WORDS]), class("mood", named("file"), &["neg", "pos"])];
    let data = load(
        &spec(Source::Lines(lines(&[("neg", "neg"), ("pos", "pos")])), fields, 1.0),
        dir.path(),
        Limits::default(),
    )
    .unwrap();
    assert_eq!(filled(&data, "mood", &[0, 1, 2], ("", 0)), [0.0, 0.0, 1.0]);

    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all("ein Hund\nzwei Hunde\n".as_bytes()).unwrap();
    write(dir.path(), "train.de", &packer.finish().unwrap());
    write(dir.path(), "train.en", b"a dog\ntwo dogs\n");
    write(dir.path(), "test.de", b"kein Hund\n");
    write(dir.path(), "test.en", b"no dog\n");
    let source = Lines {
        parts: [Some("train".into()), None, Some("test".into())],
        ..lines(&[("de", "{part}.de"), ("en", "{part}.en")])
    };
    let fields = vec![
        symbols("src", named("de"), "german", 4, &[TextStep::Lowercase, WORDS]),
        symbols("to", named("en"), "english", 5, &[WORDS]),
    ];
    let split = Split::Files { val: 0.0, seed: 0 };
    let whole = DataSpec { split, ..spec(Source::Lines(source), fields, 1.0) };
    let data = load(&whole, dir.path(), Limits::default()).unwrap();
    assert_eq!((data.part(Part::Train), data.part(Part::Test)), (&[0, 1][..], &[2][..]));
    assert_eq!(names(&data), ["<unk>", "ein", "hund", "hunde", "zwei"]);
    assert_eq!(filled(&data, "src", &[2], ("t4", 2)), [0.0, 2.0]);

    write(dir.path(), "test.en", b"no dog\nno cat\n");
    let error = load(&whole, dir.path(), Limits::default()).err().unwrap();
    assert!(error.message.contains("`test.en` has 2 lines, and `test.de` has 1"), "{error}");
}

#[test]
fn documents_and_objects() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("r/neg/1.txt", "so bad"), ("r/neg/2.txt", ""), ("r/pos/1.txt", "good\nfilm")] {
        write(dir.path(), name, text.as_bytes());
    }
    let fields = |from: &str, of: Selector| {
        vec![symbols("x", named(from), "word", 4, &[WORDS]), class("mood", of, &["neg", "pos"])]
    };
    let source = Source::Documents { path: "r".into(), lines: lines(&[]) };
    let data = load(&spec(source, fields("files", Selector::Folder), 1.0), dir.path(), Limits::default()).unwrap();
    assert_eq!(filled(&data, "mood", &[0, 1, 2], ("", 0)), [0.0, 0.0, 1.0]);
    assert!(data.notes.iter().any(|note| note.contains("1 of 3 texts")), "{:?}", data.notes);

    write(
        dir.path(),
        "t.jsonl",
        b"{\"text\": \"so bad\", \"mood\": \"neg\"}\n\n{\"mood\": \"pos\", \"text\": \"good\"}\n",
    );
    let column = |name: &str| Selector::Column(ColumnRef::Named(name.into()));
    let objects = |key: &str| {
        let mut fields = fields("text", column("mood"));
        fields[0].from = column(key);
        load(
            &spec(Source::Jsonl { path: "t.jsonl".into(), encoding: Encoding::Utf8 }, fields, 1.0),
            dir.path(),
            Limits::default(),
        )
    };
    assert_eq!(filled(&objects("text").unwrap(), "mood", &[0, 1], ("", 0)), [0.0, 1.0]);
    assert!(objects("words").err().unwrap().message.contains("line 1 has no `words`"));
    for (last, column, message) in [
        ("{\"text\": \"a\",", 13, "line 4 is not a JSON object: EOF while parsing a value"),
        ("[1, 2]", 1, "line 4 is not a JSON object: it is a list"),
        ("{\"text\": [1]}", 1, "line 4 has no text and no number in `text`"),
        ("{}", 1, "line 4 has no `text`"),
    ] {
        let lines =
            ["{\"text\": \"so bad\", \"mood\": \"neg\"}", "", "{\"text\": \"a\", \"mood\": \"pos\"}", last].join("\n");
        write(dir.path(), "t.jsonl", lines.as_bytes());
        let error = objects("text").err().unwrap();
        let At::Cell(cell) = &error.at else { panic!("a place: {error}") };
        assert_eq!((error.message.as_str(), cell.line, cell.column), (message, 4, column));
        assert!(error.help.is_some(), "{error}");
    }
}

/// Where the program names no parts, those of validation and test may not be there.
#[test]
fn parts_that_are_there() {
    let dir = tempfile::tempdir().unwrap();
    for part in ["train", "test"] {
        write(dir.path(), &format!("r/{part}/neg/1.txt"), b"so bad");
        write(dir.path(), &format!("r/{part}/pos/1.txt"), b"good");
        write(dir.path(), &format!("{part}.txt"), b"so bad\ngood\n");
    }
    let whole = |source, from: &str, parts| {
        let source = match source {
            "r/{part}" => Source::Documents { path: "r/{part}".into(), lines: Lines { parts, ..lines(&[]) } },
            path => Source::Lines(Lines { parts, ..lines(&[("", path)]) }),
        };
        let split = Split::Files { val: 0.0, seed: 0 };
        let fields = vec![symbols("x", named(from), "word", 4, &[WORDS])];
        load(&DataSpec { split, ..spec(source, fields, 1.0) }, dir.path(), Limits::default())
    };
    for (source, from) in [("r/{part}", "files"), ("{part}.txt", "line")] {
        let data = whole(source, from, [None, None, None]).unwrap();
        assert_eq!((data.part(Part::Train), data.part(Part::Test)), (&[0, 1][..], &[2, 3][..]));
        let named = ["train", "val", "test"].map(|part| Some(part.to_string()));
        let error = whole(source, from, named).err().unwrap();
        assert!(error.code == "E0501" && error.help.is_some(), "{error}");
    }
}

#[test]
fn lengths_that_should_agree() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a", b"one two\nthree\n");
    write(dir.path(), "b", b"eins zwei\ndrei vier\n");
    let fields = vec![symbols("x", named("a"), "p", 7, &[WORDS]), symbols("y", named("b"), "q", 7, &[WORDS])];
    let error =
        load(&spec(Source::Lines(lines(&[("a", "a"), ("b", "b")])), fields, 1.0), dir.path(), Limits::default())
            .err()
            .unwrap();
    assert_eq!(error.code, "E0511");
    assert!(error.notes[0].contains("example 2: 1 and 2"), "{error}");
}

#[test]
fn texts_that_are_none() {
    let error = of_lines(b"good\nb\xe4d\n", 4, &[WORDS]).err().unwrap();
    assert!(error.message.contains("byte 0xe4 in column 2") && error.notes[0].contains("line 2, byte 6"), "{error}");
    assert_eq!(of_lines(b"", 4, &[WORDS]).err().unwrap().code, "E0502");
    let rare = TextStep::Words { keep: None, min_count: 5 };
    assert_eq!(of_lines(b"one two\n", 4, &[rare]).err().unwrap().code, "E0503");
    let error = of_lines(b"\n \n\t\n", 4, &[WORDS]).err().unwrap();
    assert_eq!((error.code, error.message.as_str()), ("E0503", "all 3 texts of the training part are empty"));
    // A vocabulary of one word is one.
    assert_eq!(names(&of_lines(b"no no no\n", 4, &[WORDS]).unwrap()), ["<unk>", "no"]);
}

#[test]
fn a_line_of_ten_megabytes_costs_no_more() {
    let long = "word ".repeat(2 << 20);
    for steps in [&[WORDS][..], &[TextStep::Characters], &[TextStep::Subwords { keep: 20 }]] {
        let data = of_lines(long.as_bytes(), 50, steps).unwrap();
        assert_eq!(data.ragged[0].lengths, [50]);
    }
    let data = of_lines("x".repeat(10 << 20).as_bytes(), 50, &[TextStep::Subwords { keep: 20 }]).unwrap();
    assert!(data.ragged[0].lengths[0] <= 50);
    let bomb = {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        (0..100).for_each(|_| packer.write_all(&vec![b'a'; 1 << 20]).unwrap());
        packer.finish().unwrap()
    };
    let error = of_lines(&bomb, 50, &[WORDS]).err().unwrap();
    assert!(error.message.contains("more than 200 times"), "{error}");
}

#[test]
fn rows_in_order_are_windows() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..20).map(|i| format!("{i},{}\n", 10 * i)).collect();
    write(dir.path(), "t.csv", rows.as_bytes());
    let source = Source::Csv {
        path: "t.csv".into(),
        header: false,
        skip: 0,
        separator: None,
        missing: vec![],
        decimal: '.',
        root: None,
        encoding: Encoding::Utf8,
    };
    let axis = |name: &str, size| AxisSpec { name: name.into(), size: Some(size), most: None };
    let field = |name: &str, shape, columns: &[usize], length, after| FieldSpec {
        name: name.into(),
        place: (0, 0),
        dim: None,
        shape,
        from: Selector::Columns(columns.iter().map(|at| ColumnRef::At(*at)).collect()),
        steps: vec![FieldStep::MinMax, FieldStep::Windows { length, after }],
    };
    let seen = field("seen", vec![axis("past", 3), axis("v", 2)], &[0, 1], 3, 0);
    let whole = spec(source, vec![seen, field("next", vec![axis("future", 1)], &[0], 1, 3)], 0.5);
    let data = load(&whole, dir.path(), Limits::default()).unwrap();
    assert_eq!((data.part(Part::Train).len(), data.part(Part::Test)), (7, &[7, 8, 9, 10, 11, 12, 13, 14, 15, 16][..]));
    // The training part has the rows 0 to 9.
    let ninths = |values: Vec<f32>| values.iter().map(|x| (x * 9.0).round()).collect::<Vec<_>>();
    assert_eq!(ninths(filled(&data, "seen", &[7], ("", 0))), [7.0, 7.0, 8.0, 8.0, 9.0, 9.0]);
    assert_eq!(ninths(filled(&data, "next", &[7], ("", 0))), [10.0]);
    let stored = Preprocessing::from_json(&data.preprocessing().to_json()).unwrap();
    let again = load_prepared(&whole, &stored, dir.path(), Limits::default()).unwrap();
    assert_eq!(filled(&again, "seen", &[16], ("", 0)), filled(&data, "seen", &[16], ("", 0)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), most in 1usize..9, unit in 0usize..3) {
        let steps = [TextStep::Characters, WORDS, TextStep::Subwords { keep: 12 }];
        match of_lines(&bytes, most, &[TextStep::Lowercase, steps[unit].clone()]) {
            Ok(data) => prop_assert!(data.ragged[0].lengths.iter().all(|length| (1..=most as u32).contains(length))),
            Err(error) => prop_assert!(error.code.starts_with("E05")),
        }
    }
}

//! From a program's words about data to batches.

use super::*;
use crate::data::error::At;
use crate::data::spec::{AxisSpec, ColumnRef, Encoding, Selector, Source};

fn csv(header: bool, skip: usize, missing: &[&str]) -> Source {
    let missing = missing.iter().map(|word| word.to_string()).collect();
    Source::Csv {
        path: "t.csv".into(),
        header,
        skip,
        separator: None,
        missing,
        decimal: '.',
        root: None,
        encoding: Encoding::Utf8,
    }
}

fn field(name: &str, shape: &[(&str, Option<usize>)], from: Selector) -> FieldSpec {
    let axis = |(name, size): &(&str, Option<usize>)| AxisSpec { name: name.to_string(), size: *size, most: None };
    let shape = shape.iter().map(axis).collect();
    FieldSpec { name: name.into(), place: (1, 2), dim: None, shape, from, steps: vec![] }
}

fn label(name: &str, dim: &str, names: &[&str], size: Option<usize>, column: usize) -> FieldSpec {
    let names = names.iter().map(|name| name.to_string()).collect();
    let dim = Some(DimSpec { name: dim.into(), size, names });
    FieldSpec { dim, ..field(name, &[], Selector::Column(ColumnRef::At(column))) }
}

fn at(columns: std::ops::Range<usize>) -> Selector {
    Selector::Columns(columns.map(ColumnRef::At).collect())
}

fn spec(source: Source, fields: Vec<FieldSpec>) -> DataSpec {
    let split = Split::InOrder { train: 0.5, val: 0.0, test: 0.5 };
    let (place, source_place, split_place) = ((0, 1), (3, 4), (5, 6));
    DataSpec { name: "d".into(), place, source, source_place, fields, split, split_place }
}

fn loaded(text: &str, spec: &DataSpec) -> Result<Dataset> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.csv"), text).unwrap();
    load(spec, dir.path(), Limits::default())
}

fn batch(data: &Dataset, field: &str, examples: &[u32]) -> Vec<f32> {
    let width = data.field(field).unwrap().per_example();
    let mut out = vec![9.0; width * examples.len()];
    data.batch(field, examples, &mut out);
    out
}

#[test]
fn statistics_come_from_the_training_part() {
    let mut x = field("x", &[("f", Some(1))], at(0..1));
    x.steps = vec![FieldStep::Standardize { over: vec![] }];
    let kind = label("kind", "k", &["a", "b"], Some(2), 1);
    let data = loaded("1,a\n3,b\n100,0\n-50,1\n", &spec(csv(false, 0, &[]), vec![x, kind])).unwrap();
    assert_eq!(batch(&data, "x", &[0, 1, 2, 3]), [-1.0, 1.0, 98.0, -52.0]);
    assert_eq!(batch(&data, "kind", &[3, 2, 1, 0]), [1.0, 0.0, 1.0, 0.0]);
    assert_eq!(data.part(Part::Test), [2, 3]);
    let table = data.preprocessing().table.unwrap();
    assert_eq!((table.columns, table.skip), (2, 0));
}

#[test]
fn missing_numbers_are_filled_or_reported() {
    let mut x = field("x", &[("f", None)], Selector::ColumnsFrom(0));
    let text = "1,2\n3,\n?,6\n7,8\n";
    let source = || csv(false, 0, &["?"]);
    let error = loaded(text, &spec(source(), vec![x.clone()])).err().unwrap();
    assert_eq!((error.code, error.field), ("E0506", Some((1, 2))));
    let At::Cell(cell) = &error.at else { panic!("{error}") };
    assert_eq!((cell.line, cell.column), (2, 2));
    x.steps = vec![FieldStep::Fill(None)];
    let data = loaded(text, &spec(source(), vec![x])).unwrap();
    assert_eq!(batch(&data, "x", &[1, 2]), [3.0, 2.0, 2.0, 6.0]);
    assert_eq!(fetch_solved(&data), [("f".to_string(), 2, vec![])]);
}

#[test]
fn a_word_among_numbers_is_counted() {
    let x = field("x", &[("f", Some(2))], at(0..2));
    let error = loaded("1,2\n?,4\n5,?\n?,8\n", &spec(csv(false, 0, &[]), vec![x])).err().unwrap();
    assert_eq!((error.code, error.message.as_str()), ("E0506", "`?` is not a number"));
    assert_eq!(error.notes[1], "3 of 8 values in these columns are `?`");
    assert!(error.help.as_ref().unwrap().contains("missing = \"?\""));
    let At::Cell(cell) = &error.at else { panic!("{error}") };
    assert_eq!((cell.line, cell.column), (2, 1));
}

#[test]
fn classes_are_solved_sorted_and_shared() {
    let text = "b,10,x\na,9,y\nb,10.,x\nc,2,x\n";
    let letters = label("l", "letter", &[], None, 0);
    let numbers = label("n", "number", &[], None, 1);
    let mut sex = field("s", &[("sex", None)], Selector::Column(ColumnRef::At(2)));
    sex.steps = vec![FieldStep::OneHot { size: None }];
    let data = loaded(text, &spec(csv(false, 0, &[]), vec![letters, numbers, sex])).unwrap();
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    assert_eq!(
        fetch_solved(&data),
        [
            ("letter".to_string(), 3, names(&["a", "b", "c"])),
            ("number".to_string(), 3, names(&["2", "9", "10"])),
            ("sex".to_string(), 2, names(&["x", "y"])),
        ]
    );
    assert_eq!(batch(&data, "n", &[0, 1, 2, 3]), [2.0, 1.0, 2.0, 0.0]);
    assert_eq!(batch(&data, "s", &[0, 1]), [1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn missing_classes_are_filled() {
    let mut port = label("port", "port", &[], None, 0);
    port.steps = vec![FieldStep::FillClass("S".into())];
    let mut deck = field("deck", &[("deck", None)], Selector::Column(ColumnRef::At(1)));
    deck.steps = vec![FieldStep::FillClass("none".into()), FieldStep::OneHot { size: None }];
    let text = "S,a\n,b\nC,\n?,a\n";
    let data = loaded(text, &spec(csv(false, 0, &["?"]), vec![port, deck])).unwrap();
    assert_eq!(batch(&data, "port", &[0, 1, 2, 3]), [1.0, 1.0, 0.0, 1.0]);
    assert_eq!(batch(&data, "deck", &[1, 2]), [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!(data.preprocessing().field("port").unwrap().fill.as_deref(), Some("S"));
    let mut number = field("x", &[("f", Some(1))], at(0..1));
    number.steps = vec![FieldStep::FillClass("S".into())];
    let error = loaded("1\n\n2\n", &spec(csv(false, 0, &[]), vec![number])).err().unwrap();
    assert_eq!(error.code, "E0502");
}

#[test]
fn equal_titles_are_told_apart_by_number() {
    let x = field("x", &[("f", Some(1))], Selector::Columns(vec![ColumnRef::Named("a".into())]));
    let error = loaded("a,a\n1,2\n3,4\n", &spec(csv(true, 0, &[]), vec![x])).err().unwrap();
    assert_eq!((error.code, error.message.as_str()), ("E0511", "2 columns are called `a`"));
}

#[test]
fn what_does_not_fit_is_said() {
    let check = |text: &str, fields: Vec<FieldSpec>| {
        let error = loaded(text, &spec(csv(false, 0, &[]), fields)).err().unwrap();
        assert!(error.field.is_some());
        (error.code, error.message)
    };
    let three = field("x", &[("f", Some(3))], at(0..2));
    let (code, message) = check("1,2\n3,4\n", vec![three]);
    assert_eq!(code, "E0511");
    assert_eq!(message, "field `x` is [f: 3], but its columns give 2 values for each example");
    let far = field("x", &[("f", Some(1))], at(7..8));
    assert_eq!(check("1,2\n3,4\n", vec![far]).0, "E0511");
    let named = field("x", &[], Selector::Column(ColumnRef::Named("age".into())));
    assert_eq!(check("1,2\n3,4\n", vec![named]).0, "E0511");
    let kind = label("k", "kind", &["a", "b"], Some(2), 1);
    let (code, message) = check("1,a\n3,zebra\n", vec![kind.clone()]);
    assert_eq!((code, message.as_str()), ("E0507", "`zebra` is not a class of `kind`"));
    assert_eq!(check("1,a\n3,\n", vec![kind]).0, "E0507");
    let digit = label("k", "digit", &[], Some(2), 1);
    assert_eq!(check("1,0\n3,2\n", vec![digit]).0, "E0507");
}

#[test]
fn pictures_stay_bytes_and_scale_in_the_batch() {
    let source = Source::Synthetic { name: "x_or_not".into(), count: 40, seed: 1 };
    let mut image = field("p", &[("h", Some(9)), ("w", Some(9)), ("c", Some(1))], Selector::Images);
    image.steps = vec![FieldStep::Scale { by: 0.5, shift: 1.0 }];
    let mark = FieldSpec { from: Selector::Labels, ..label("m", "k", &["not X", "X"], Some(2), 0) };
    let mut spec = spec(source, vec![image, mark]);
    spec.split = Split::Ratio { train: 0.5, val: 0.25, test: 0.25, stratify: Some("m".into()), group: None, seed: 3 };
    let data = load(&spec, Path::new("."), Limits::default()).unwrap();
    let picture = batch(&data, "p", &[0, 1]);
    assert!(picture.iter().all(|x| [1.0, 1.5].contains(x)));
    let train = batch(&data, "m", data.part(Part::Train));
    assert_eq!((train.len(), train.iter().sum::<f32>()), (20, 10.0));
    let FieldSpec { shape, .. } = &mut spec.fields[0];
    shape[0].size = Some(27);
    shape[1].size = Some(3);
    assert_eq!(load(&spec, Path::new("."), Limits::default()).err().unwrap().code, "E0511");
}

#[test]
fn a_model_treats_the_data_as_before() {
    let mut x = field("x", &[("f", Some(1))], at(0..1));
    x.steps = vec![FieldStep::Standardize { over: vec![] }];
    let kind = label("kind", "k", &[], None, 1);
    let spec = spec(csv(false, 0, &[]), vec![x, kind]);
    let data = loaded("1,a\n3,b\n5,a\n7,b\n", &spec).unwrap();
    let preprocessing = data.preprocessing();
    let dir = tempfile::tempdir().unwrap();
    let again = |text: &str| {
        std::fs::write(dir.path().join("t.csv"), text).unwrap();
        load_prepared(&spec, &preprocessing, dir.path(), Limits::default())
    };
    let other = again("11,b\n3,b\n").unwrap();
    assert_eq!(batch(&other, "x", &[0, 1]), [9.0, 1.0]);
    assert_eq!(batch(&other, "kind", &[0, 1]), [1.0, 1.0]);
    assert_eq!(again("11,c\n3,b\n").err().unwrap().code, "E0507");
}

#[test]
fn fields_of_pairs() {
    let mut x = field("x", &[("f", Some(1))], at(0..1));
    x.steps = vec![FieldStep::Scale { by: 10.0, shift: 0.0 }];
    let kind = label("kind", "k", &["a", "b"], Some(2), 1);
    let (of, by) = ("x".to_string(), "kind".to_string());
    let other = field("other", &[("f", Some(1))], Selector::Partner { of, by: by.clone() });
    let same =
        FieldSpec { dim: label("", "verdict", &[], Some(2), 0).dim, ..field("same", &[], Selector::Alike { by }) };
    let text: String = (0..40).map(|at| format!("{at},{}\n", ["a", "b"][at % 3 % 2])).collect();
    let spec = spec(csv(false, 0, &[]), vec![other, x, kind, same]);
    let data = loaded(&text, &spec).unwrap();
    let names: Vec<&str> = data.fields.iter().map(Field::name).collect();
    assert_eq!(names, ["other", "x", "kind", "same"]);
    let class = |example: f32| example as usize % 3 % 2;
    for epoch in 0..5 {
        let shown = |name: &str| {
            let field = data.field(name).unwrap();
            let mut out = vec![9.0; 40];
            field.write_in(epoch, &(0..40).collect::<Vec<u32>>(), &mut out);
            out
        };
        let (others, same) = (shown("other"), shown("same"));
        for (example, (other, same)) in others.iter().zip(&same).enumerate() {
            let other = other / 10.0;
            assert!(other != example as f32 && (other < 20.0) == (example < 20), "of its part");
            assert_eq!(*same == 1.0, class(other) == class(example as f32));
        }
        assert_eq!(shown("x")[7], 70.0);
        if epoch == 0 {
            assert_eq!(batch(&data, "other", &[3, 4]), others[3..5]);
        }
    }
    let prepared = data.preprocessing();
    assert_eq!(prepared.field("other").unwrap().chain, prepared.field("x").unwrap().chain);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.csv"), &text).unwrap();
    let again = load_prepared(&spec, &prepared, dir.path(), Limits::default()).unwrap();
    assert_eq!(batch(&again, "other", &[0, 1, 2]), batch(&data, "other", &[0, 1, 2]));
}

//! Published files, read as they are; passed over with a note where `shared/data` is absent.

use std::path::{Path, PathBuf};

use dlc_runtime::data::bytes::Limits;
use dlc_runtime::data::dataset::{Dataset, fetch_solved, load};
use dlc_runtime::data::spec::*;
use dlc_runtime::data::split::Part;

fn root() -> Option<PathBuf> {
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = folders.find_map(|folder| {
        let data = folder.join("shared/data");
        data.is_dir().then_some(data)
    });
    if found.is_none() {
        eprintln!("skipped: there is no folder shared/data beside the project");
    }
    found
}

fn csv(path: &str, header: bool, skip: usize) -> Source {
    let (path, missing) = (path.to_string(), vec!["?".into(), "NA".into()]);
    Source::Csv { path, header, skip, separator: None, missing, decimal: '.', root: None, encoding: Encoding::Utf8 }
}

fn numbers(from: Selector, shape: &[usize], steps: Vec<FieldStep>) -> FieldSpec {
    let names = ["h", "w", "c"];
    let axis = |(name, size): (&&str, &usize)| AxisSpec { name: name.to_string(), size: Some(*size), most: None };
    let shape = names.iter().zip(shape).map(axis).collect();
    FieldSpec { name: "x".into(), place: (0, 0), dim: None, shape, from, steps }
}

fn columns(range: std::ops::Range<usize>) -> Selector {
    Selector::Columns(range.map(ColumnRef::At).collect())
}

fn classes(from: Selector, names: &[&str], size: Option<usize>) -> FieldSpec {
    let names = names.iter().map(|name| name.to_string()).collect();
    let dim = Some(DimSpec { name: "k".into(), size, names });
    FieldSpec { name: "y".into(), place: (0, 0), dim, shape: vec![], from, steps: vec![] }
}

fn read(root: &Path, source: Source, fields: Vec<FieldSpec>, split: Split) -> Dataset {
    let (name, place) = ("d".into(), (0, 0));
    let spec = DataSpec { name, place, source, source_place: place, fields, split, split_place: place };
    match load(&spec, root, Limits::default()) {
        Ok(data) => data,
        Err(error) => panic!("{error}"),
    }
}

fn stratified() -> Split {
    Split::Ratio { train: 0.7, val: 0.15, test: 0.15, stratify: Some("y".into()), group: None, seed: 0 }
}

fn last(column: usize) -> Selector {
    Selector::Column(ColumnRef::At(column))
}

#[test]
fn tables() {
    let Some(root) = root() else { return };
    let cases = [
        ("tabular/iris.csv", 1, 4, 150, 3),
        ("tabular/breast_cancer.csv", 1, 30, 569, 2),
        ("tabular/wine_data.csv", 1, 13, 178, 3),
        ("tabular/sonar.csv", 0, 60, 208, 2),
        ("tabular/glass.csv", 0, 9, 214, 6),
        ("tabular/wheat-seeds.csv", 0, 7, 210, 3),
        ("tabular/banknote_authentication.csv", 0, 4, 1372, 2),
        ("tabular/pima-indians-diabetes.csv", 0, 8, 768, 2),
        ("digits/digits.csv.gz", 0, 64, 1797, 10),
    ];
    for (path, skip, inputs, rows, kinds) in cases {
        let x = numbers(columns(0..inputs), &[inputs], vec![FieldStep::Standardize { over: vec![] }]);
        let fields = vec![x, classes(last(inputs), &[], None)];
        let data = read(&root, csv(path, false, skip), fields, stratified());
        assert_eq!(data.count, rows, "{path}");
        assert_eq!(fetch_solved(&data)[0].1, kinds, "{path}");
        let parts = Part::ALL.map(|part| data.part(part).len());
        assert_eq!(parts.iter().sum::<usize>(), rows, "{path}");
    }
}

#[test]
fn words_missing_values_and_dots() {
    let Some(root) = root() else { return };
    for (path, rows) in [("tabular/adult-train.csv", 32561), ("tabular/adult-test.csv", 16281)] {
        let age = numbers(columns(0..1), &[1], vec![]);
        let income = classes(last(14), &["<=50K", ">50K"], Some(2));
        let data = read(&root, csv(path, false, 0), vec![age, income], stratified());
        assert_eq!(data.count, rows);
    }
    let fill = vec![FieldStep::Fill(None), FieldStep::MinMax];
    let named = |name: &str| Selector::Column(ColumnRef::Named(name.into()));
    let sizes = ["bill_length_mm", "body_mass_g"].map(|name| ColumnRef::Named(name.into()));
    let x = numbers(Selector::Columns(sizes.to_vec()), &[2], fill);
    let species = classes(named("species"), &[], None);
    let data = read(&root, csv("tabular/penguins.csv", true, 0), vec![x, species], stratified());
    assert_eq!(fetch_solved(&data)[0].2, ["Adelie", "Chinstrap", "Gentoo"]);
    let split = Split::InOrder { train: 0.8, val: 0.0, test: 0.2 };
    let x = numbers(columns(0..3), &[3], vec![]);
    let data = read(&root, csv("tabular/linnerud_exercise.csv", true, 0), vec![x], split.clone());
    assert_eq!(data.count, 20);
    let x = numbers(named("pm2.5"), &[], vec![FieldStep::Fill(Some(0.0))]);
    let data = read(&root, csv("timeseries/pollution.csv", true, 0), vec![x], split);
    assert_eq!(data.count, 43824);
}

#[test]
fn fashion_mnist() {
    let Some(root) = root() else { return };
    let image = numbers(Selector::Images, &[28, 28, 1], vec![FieldStep::Scale { by: 1.0 / 255.0, shift: 0.0 }]);
    let fields = vec![image, classes(Selector::Labels, &[], Some(10))];
    let source = Source::Idx { path: "fashion-mnist".into() };
    let data = read(&root, source, fields, Split::Official { val: 0.1, seed: 0 });
    assert_eq!(Part::ALL.map(|part| data.part(part).len()), [54000, 6000, 10000]);
    let mut labels = vec![0.0; 10000];
    data.batch("y", data.part(Part::Test), &mut labels);
    assert_eq!((labels.iter().sum::<f32>(), labels[0]), (45000.0, 9.0));
    let mut picture = vec![0.0; 784];
    data.batch("x", &[0], &mut picture);
    assert_eq!(picture.iter().copied().fold(0.0, f32::max), 1.0);
}

//! Counting what stands twice, and telling of it.

use super::*;
use crate::data::bytes::Limits;
use crate::data::dataset::load;
use crate::data::spec::{DataSpec, DimSpec, FieldSpec, FieldStep, Source, Split};

fn spec(path: &str) -> DataSpec {
    let field = |name: &str, column: usize, dim: Option<&str>, steps| FieldSpec {
        name: name.into(),
        place: (0, 0),
        dim: dim.map(|name| DimSpec { name: name.into(), size: None, names: vec![] }),
        shape: vec![],
        from: Selector::Column(ColumnRef::At(column)),
        steps,
    };
    DataSpec {
        name: "table".into(),
        place: (0, 0),
        source: Source::Csv {
            path: path.into(),
            header: true,
            skip: 0,
            separator: None,
            missing: vec!["?".into()],
            decimal: '.',
            root: None,
            encoding: crate::data::spec::Encoding::Utf8,
        },
        source_place: (0, 0),
        fields: vec![
            field("x", 0, None, vec![FieldStep::Fill(Some(7.0))]),
            field("kind", 1, Some("kind"), vec![FieldStep::FillClass("a".into())]),
        ],
        split: Split::InOrder { train: 0.5, val: 0.0, test: 0.5 },
        split_place: (0, 0),
    }
}

#[test]
fn a_table_is_counted_part_by_part() {
    let folder = tempfile::tempdir().unwrap();
    // Test: one equal to a row of training, one with another answer, one twice in itself.
    std::fs::write(folder.path().join("t.csv"), "x,kind\n1,a\n3,b\n?,a\n5,\n1,a\n3,a\n8,b\n8,b\n").unwrap();
    let data = load(&spec("t.csv"), folder.path(), Limits::default()).unwrap();
    let looks = look(&data);
    assert_eq!(looks[0].kind, Kind::Numbers(vec!["x".into()]));
    let [train, test] = &looks[0].parts[..] else { panic!("two parts") };
    let range = train.numbers[0];
    assert_eq!((range.count, range.least, range.most, range.mean(), range.spread()), (4, 1.0, 7.0, 4.0, 5f64.sqrt()));
    assert_eq!((train.missing, test.missing), (1, 0));
    let Kind::Classes { dim, names } = &looks[1].kind else { panic!("classes") };
    assert_eq!((dim.as_str(), names.len()), ("kind", 2));
    assert_eq!((&looks[1].parts[0].counts, &looks[1].parts[1].counts), (&vec![3, 1], &vec![2, 2]));
    assert_eq!(looks[1].parts[0].missing, 1);
    let found = doubles(&data, &["x".to_string()]);
    let told: Vec<_> = found.iter().map(|d| (d.first, d.second, d.equal, d.alike, d.pairs.clone())).collect();
    assert_eq!(
        told,
        [(Part::Train, Part::Test, 1, 1, vec![(0, 4), (1, 5)]), (Part::Test, Part::Test, 1, 0, vec![(6, 7)])]
    );
}

//! New tables in all the forms that people make.

use std::io::Cursor;
use std::path::Path;

use super::*;
use crate::data::bytes::Limits;
use crate::data::error::Result as DataResult;
use crate::data::preprocessing::{Prepared, Preprocessing, TableFormat};
use crate::data::spec::{ColumnRef, Selector};
use crate::data::split::Part;
use crate::data::steps::{Axis, Chain, Fitted};

fn field(name: &str, columns: &[usize], dim: Option<DimSpec>) -> Prepared {
    let axes = match dim {
        Some(_) => vec![],
        None => vec![Axis { name: "f".into(), size: columns.len() }],
    };
    let mut chain = Chain::default();
    if dim.is_none() {
        chain.push(Fitted::Scale { by: 10.0, shift: 0.0 }, &axes);
    }
    let from = Selector::Columns(columns.iter().map(|at| ColumnRef::At(*at)).collect());
    let (text, window, picture) = (None, None, vec![]);
    Prepared { name: name.into(), axes, dim, one_hot: None, from, chain, fill: None, text, window, picture }
}

/// Of a table `id,a,kind,b` whose first line was junk.
fn preprocessing(header: bool) -> Preprocessing {
    let dim = DimSpec { name: "kind".into(), size: Some(2), names: vec!["cat".into(), "dog".into()] };
    let titles = ["id", "a", "kind", "b"].map(String::from).to_vec();
    let header = if header { titles } else { vec![] };
    Preprocessing {
        table: Some(TableFormat { columns: 4, header, skip: 1, missing: vec!["?".into()], decimal: '.' }),
        fields: vec![field("x", &[1, 3], None), field("k", &[2], Some(dim))],
    }
}

fn values(preprocessing: &Preprocessing, wanted: &[&str], text: &str) -> DataResult<Vec<f32>> {
    let wanted: Vec<String> = wanted.iter().map(|name| name.to_string()).collect();
    let stream = Format::Stream(Box::new(Cursor::new(text.as_bytes().to_vec())));
    let data = read(preprocessing, &wanted, stream, Limits::default())?;
    let mut out = Vec::new();
    for name in &wanted {
        let mut values = vec![0.0; data.count * data.field(name).unwrap().per_example()];
        data.batch(name, data.part(Part::Test), &mut values);
        out.extend(values);
    }
    Ok(out)
}

#[test]
fn all_columns_or_those_that_are_read() {
    let plain = preprocessing(false);
    let x = |text: &str| values(&plain, &["x"], text);
    assert_eq!(x("7,1,cat,2\n8,3,dog,4\n").unwrap(), [10.0, 20.0, 30.0, 40.0]);
    assert_eq!(x("1,2\n3,4\n").unwrap(), [10.0, 20.0, 30.0, 40.0]);
    assert_eq!(x("1 2").unwrap(), [10.0, 20.0]);
    assert_eq!(x("150,4,what,ever\n7,1,cat,2\n").unwrap(), [10.0, 20.0]);
    assert_eq!(x("counts,names\nid,a,kind,b\n7,1,cat,2\n").unwrap(), [10.0, 20.0]);
    assert_eq!(x("7,oops,9,2\n7,1,cat,2\n").unwrap_err().code, "E0506");
    assert_eq!(x("counts,names\n7,oops,cat,2\n7,1,cat,2\n").unwrap_err().code, "E0508");
    assert_eq!(x("1,2,3\n").unwrap_err().code, "E0902");
    assert_eq!(x("1,two\n3,4\n5,six\n").unwrap_err().code, "E0506");
    assert_eq!(values(&plain, &["x", "k"], "1,dog,2\n").unwrap(), [10.0, 20.0, 1.0]);
    assert_eq!(values(&plain, &["x", "k"], "1,cow,2\n1,dog,2\n1,cow,2\n").unwrap_err().code, "E0507");
    assert_eq!(values(&plain, &["y"], "1,2\n").unwrap_err().code, "E0505");
    assert_eq!(x("1,?\n").unwrap_err().code, "E0506");
    assert_eq!(x("").unwrap_err().code, "E0502");
}

#[test]
fn rows_may_be_long() {
    let plain = preprocessing(false);
    let long = "x".repeat(1 << 17);
    let text = format!("id,a,{long},b\n7,1,{long},2\n8,3,{long},4\n");
    assert_eq!(values(&plain, &["x"], &text).unwrap(), [10.0, 20.0, 30.0, 40.0]);
}

#[test]
fn titles_decide_where_there_are_any() {
    let titled = preprocessing(true);
    let x = |text: &str| values(&titled, &["x"], text);
    assert_eq!(x("b,kind,a\n2,cat,1\n").unwrap(), [10.0, 20.0]);
    assert_eq!(x("a,b\n1,2\n").unwrap(), [10.0, 20.0]);
    assert_eq!(x("1,2\n").unwrap(), [10.0, 20.0]);
}

#[test]
fn arrays_of_examples_or_of_one() {
    let plain = preprocessing(false);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let of = |shape: &str, count: usize| {
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}");
        let length = (header.len() as u16).to_le_bytes();
        let data: Vec<u8> = (1..=count as u8).collect();
        let bytes = [b"\x93NUMPY\x01\x00".to_vec(), length.to_vec(), header.into_bytes(), data].concat();
        std::fs::write(&path, bytes).unwrap();
        read(&plain, &["x".to_string()], Format::File(&path), Limits::default()).map(|data| data.count)
    };
    assert_eq!(of("(3, 2)", 6).unwrap(), 3);
    assert_eq!(of("(2,)", 2).unwrap(), 1);
    assert_eq!(of("(1, 2)", 2).unwrap(), 1);
    assert_eq!(of("(3,)", 3).unwrap_err().code, "E0902");
    assert!(of("(0, 2)", 0).unwrap_err().message.contains("no examples"));
    assert_eq!(of("(2, 3)", 6).unwrap_err().code, "E0902");
    let none = read(&plain, &["x".to_string()], Format::File(Path::new("none.csv")), Limits::default());
    assert_eq!(none.err().unwrap().code, "E0501");
}

#[test]
fn titles_of_answers() {
    let dim = |name: &str, size, names: &[&str]| DimSpec {
        name: name.into(),
        size: Some(size),
        names: names.iter().map(|name| name.to_string()).collect(),
    };
    let of = |axes| columns(&OutputSpec { name: "y".into(), axes, variable: vec![], dim: None, found: None });
    assert_eq!(of(vec![]), ["y"]);
    assert_eq!(of(vec![dim("k", 2, &["cat", "dog"])]), ["y.cat", "y.dog"]);
    assert_eq!(of(vec![dim("h", 1, &[]), dim("w", 2, &[])]), ["y[0,0]", "y[0,1]"]);
    let answer = OutputSpec {
        name: "y".into(),
        axes: vec![],
        variable: vec![],
        dim: Some(dim("k", 2, &["cat", "dog"])),
        found: None,
    };
    assert_eq!(cell(&answer, 1.0), Cell::Text("dog".into()));
    assert_eq!(cell(&answer, 5.0), Cell::Number(5.0));
}

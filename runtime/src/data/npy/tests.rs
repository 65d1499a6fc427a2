//! Arrays as NumPy writes them, and as it never would.

use std::io::Write;

use super::*;
use crate::data::bytes::from_reader;

pub fn npy(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut out = b"\x93NUMPY".to_vec();
    out.extend([version, 0]);
    match version {
        1 => out.extend((header.len() as u16).to_le_bytes()),
        _ => out.extend((header.len() as u32).to_le_bytes()),
    }
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

fn parse(bytes: Vec<u8>) -> Result<Array> {
    let length = bytes.len() as u64;
    read(from_reader("x.npy", std::io::Cursor::new(bytes), length)?, Limits::default())
}

#[test]
fn versions_orders_and_kinds() {
    let f4: Vec<u8> = [1f32, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n";
    for version in 1..=3 {
        let array = parse(npy(version, header, &f4)).unwrap();
        assert_eq!(array.shape, [2, 3]);
        assert_eq!(array.numbers, Numbers::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    }
    let fortran = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}";
    let array = parse(npy(1, fortran, &f4)).unwrap();
    assert_eq!(array.numbers, Numbers::F32(vec![1.0, 3.0, 5.0, 2.0, 4.0, 6.0]));
    let big = "{\"descr\": \">i2\", \"fortran_order\": False, \"shape\": (1,)}";
    assert_eq!(parse(npy(1, big, &[1, 0])).unwrap().numbers, Numbers::F32(vec![256.0]));
    let scalar = "{'descr': '|u1', 'fortran_order': False, 'shape': ()}";
    assert!(parse(npy(1, scalar, &[9])).unwrap().shape.is_empty());
}

#[test]
fn what_is_refused() {
    let with = |descr: &str, shape: &str| {
        npy(1, &format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"), &[0; 8])
    };
    let cases = [
        with("'|O'", "(1,)"),
        with("[('a', '<f4')]", "(1,)"),
        with("'<U3'", "(1,)"),
        with("'<f8'", "(2,)"),
        with("'<f4'", "(1,)"),
        with("'<f8'", "(4611686018427387904, 4)"),
        with("'<f8'", "(1099511627776,)"),
        with("'<f8'", "(-1,)"),
        npy(1, "{}", &[]),
        npy(9, "{}", &[]),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(),
        b"\x93NUMPY\x01".to_vec(),
        vec![],
    ];
    for bytes in cases {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(parse(bytes).unwrap_err().code, "E0502", "{text}");
    }
}

#[test]
fn archives_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut zip = zip::ZipWriter::new(File::create(dir.path().join("a.npz")).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for (name, value) in [("y.npy", 2), ("x.npy", 1), ("note.txt", 3)] {
        zip.start_file(name, options).unwrap();
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}";
        zip.write_all(&npy(1, header, &[value])).unwrap();
    }
    zip.finish().unwrap();
    let mut archive = Archive::open(dir.path(), "a.npz").unwrap();
    assert_eq!(archive.names(), ["x", "y"]);
    assert_eq!(archive.read("y", Limits::default()).unwrap().numbers, Numbers::U8(vec![2]));
    let error = archive.read("z", Limits::default()).unwrap_err();
    assert_eq!(error.help.as_deref(), Some("it holds `x`, `y`"));
    let bytes = std::fs::read(dir.path().join("a.npz")).unwrap();
    std::fs::write(dir.path().join("cut.npz"), &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(Archive::open(dir.path(), "cut.npz").err().unwrap().code, "E0502");
}

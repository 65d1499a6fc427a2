//! Files made to do harm: damaged, lying, or random. Every one is an answer or an error, never a panic.

use std::cell::Cell;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::rc::Rc;

use dlc_runtime::checkpoint::{self, Model, Tensor};
use dlc_runtime::data::bytes::{Limits, from_reader};
use dlc_runtime::data::csv::{Dialect, Table};
use dlc_runtime::data::dataset::load;
use dlc_runtime::data::preprocessing::Preprocessing;
use dlc_runtime::data::spec::*;
use dlc_runtime::data::{idx, npy};
use proptest::prelude::*;

const LIMITS: Limits = Limits { bytes: 1 << 20, pictures: 1 << 20, cache: None };

/// Overwrites, cuts and repeats.
fn damaged(mut bytes: Vec<u8>, damage: &[(u16, u8, u8)]) -> Vec<u8> {
    for (at, value, kind) in damage {
        let at = usize::from(*at) % bytes.len().max(1);
        match kind % 5 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), *value),
            2 => bytes.extend_from_within(at.min(bytes.len())..),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= value),
        }
        bytes.truncate(1 << 16);
    }
    bytes
}

fn damage() -> impl Strategy<Value = Vec<(u16, u8, u8)>> {
    prop::collection::vec(any::<(u16, u8, u8)>(), 0..8)
}

fn spec(source: Source, classes: Option<usize>, one_hot: bool) -> DataSpec {
    let place = (0, 0);
    let column = |at| Selector::Column(ColumnRef::At(at));
    let steps = match one_hot {
        true => vec![FieldStep::OneHot { size: None }],
        false => vec![FieldStep::Fill(None), FieldStep::Standardize { over: vec![] }, FieldStep::Log],
    };
    let shape = vec![AxisSpec { name: "f".into(), size: None, most: None }];
    let x = FieldSpec { name: "x".into(), place, dim: None, shape, from: column(0), steps };
    let dim = Some(DimSpec { name: "k".into(), size: classes, names: vec![] });
    let y = FieldSpec { name: "y".into(), place, dim, shape: vec![], from: column(1), steps: vec![] };
    let split = Split::Ratio { train: 0.5, val: 0.25, test: 0.25, stratify: Some("y".into()), group: None, seed: 0 };
    DataSpec { name: "d".into(), place, source, source_place: place, fields: vec![x, y], split, split_place: place }
}

const TABLE: &str = "a;b\n1;x\n\"2\";y\n?;x\n4.5e3;\"y\"\n5;x\n6;y\n7;x\n8;y\n";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn tables(
        damage in damage(), skip in 0usize..3, header: bool, one_hot: bool,
        classes in prop::option::of(0usize..4), separator in prop::option::of(prop::char::any()),
    ) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("t.csv"), damaged(TABLE.into(), &damage)).unwrap();
        let missing = vec!["?".to_string()];
        let source = Source::Csv { path: "t.csv".into(), header, skip, separator, missing, decimal: '.', root: None, encoding: Encoding::Utf8 };
        if let Err(error) = load(&spec(source, classes, one_hot), dir.path(), LIMITS) {
            let shown = error.to_string();
            prop_assert!(!shown.is_empty() && error.code.starts_with("E05"));
        }
    }

    #[test]
    fn random_text(text in "[\\PC\n\"',;\t0-9]{0,200}", row in 0usize..9, column in 0usize..9) {
        let dialect = Dialect { header: false, skip: 0, separator: None, missing: vec![], decimal: ',', texts: false };
        if let Ok(table) = Table::from_text("t".into(), text.into_bytes(), dialect) {
            let _ = format!("{:?}", table.place(row, column));
        }
    }

    #[test]
    fn idx_files(damage in damage()) {
        let good = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2][..], &[7; 8]].concat();
        let bytes = damaged(good, &damage);
        let length = bytes.len() as u64;
        if let Ok(input) = from_reader("x", Cursor::new(bytes), length) {
            let _ = idx::read(input, LIMITS);
        }
    }

    #[test]
    fn npy_files(damage in damage()) {
        let header = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }";
        let good = [b"\x93NUMPY\x01\x00\x3a\x00", header.as_bytes(), &[1; 24]].concat();
        let bytes = damaged(good, &damage);
        let length = bytes.len() as u64;
        if let Ok(input) = from_reader("x", Cursor::new(bytes), length) {
            let _ = npy::read(input, LIMITS);
        }
    }

    #[test]
    fn npz_files(damage in damage()) {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file("a.npy", options).unwrap();
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}";
        zip.write_all(&[b"\x93NUMPY\x01\x00\x37\x00", header.as_bytes(), &[1; 2]].concat()).unwrap();
        let bytes = damaged(zip.finish().unwrap().into_inner(), &damage);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.npz"), bytes).unwrap();
        if let Ok(mut archive) = npy::Archive::open(dir.path(), "a.npz") {
            for name in archive.names() {
                let _ = archive.read(&name, LIMITS);
            }
        }
        let _ = checkpoint::load_weights(Path::new("nowhere.npz"), LIMITS);
    }

    #[test]
    fn model_files(damage in damage()) {
        let tensor = Tensor { shape: vec![3], values: vec![1.0; 3] };
        let model = Model { tensors: [("w".to_string(), tensor)].into(), ..Model::default() };
        let good = checkpoint::bytes(&model);
        let bytes = damaged(good.clone(), &damage);
        match checkpoint::parse("m.dlm", &bytes) {
            Ok(read) => prop_assert!(bytes == good && read == model),
            Err(error) => prop_assert!(["E0701", "E0702", "E0705"].contains(&error.code)),
        }
    }

    #[test]
    fn random_metadata(text in "[\\[\\]{}:,\"a-z0-9.\\-]{0,120}") {
        if let Ok(value) = serde_json::from_str(&text) {
            let _ = Preprocessing::from_json(&value);
        }
        let bytes = [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
        let _ = checkpoint::parse("m.dlm", &bytes);
    }
}

/// Says how much was read of it.
struct Counted(Cursor<Vec<u8>>, Rc<Cell<usize>>);

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(out)?;
        self.1.set(self.1.get() + read);
        Ok(read)
    }
}

/// `start`, then `mib` MiB of `text`, packed.
fn bomb(start: &[u8], text: &[u8; 4], mib: usize) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(start).unwrap();
    let piece = text.repeat(1 << 18);
    (0..mib).for_each(|_| packer.write_all(&piece).unwrap());
    packer.finish().unwrap()
}

fn idx_header(sizes: [u32; 3]) -> Vec<u8> {
    let sizes = sizes.iter().flat_map(|size| size.to_be_bytes());
    [0, 0, 8, 3].into_iter().chain(sizes).collect()
}

/// What is said about packed bytes, and how many of them were read.
fn refused(
    packed: &[u8],
    length: u64,
    read: impl Fn(dlc_runtime::data::bytes::Input<'_>) -> String,
) -> (String, usize) {
    let count = Rc::new(Cell::new(0));
    let reader = Counted(Cursor::new(packed.to_vec()), count.clone());
    let said = read(from_reader("x", reader, length).unwrap());
    (said, count.get())
}

fn as_idx(input: dlc_runtime::data::bytes::Input<'_>) -> String {
    idx::read(input, Limits::default()).map_or_else(|error| error.to_string(), |_| "read".into())
}

fn as_table(input: dlc_runtime::data::bytes::Input<'_>) -> String {
    let dialect = Dialect { header: false, skip: 0, separator: None, missing: vec![], decimal: '.', texts: false };
    Table::read(input, (dialect, Encoding::Utf8), Limits::default())
        .map_or_else(|error| error.to_string(), |_| "read".into())
}

#[test]
fn a_table_that_grows_without_measure_is_refused_on_the_way() {
    let packed = bomb(b"", b"0,0\n", 200);
    for length in [packed.len() as u64, u64::MAX] {
        let (said, read) = refused(&packed, length, as_table);
        assert!(said.contains("more than 200 times") && said.contains("gunzip"), "{said}");
        assert!(read < packed.len() / 2, "{read} of {} packed bytes were read", packed.len());
    }
}

#[test]
fn a_small_table_may_pack_as_well_as_it_likes() {
    let packed = bomb(b"", b"0,0\n", 2);
    assert_eq!(refused(&packed, packed.len() as u64, as_table).0, "read");
}

#[test]
fn pictures_that_grow_without_measure_are_refused_unread() {
    let packed = bomb(&idx_header([100 << 10, 32, 32]), &[0; 4], 100);
    let (said, read) = refused(&packed, packed.len() as u64, as_idx);
    assert!(said.contains("more than 200 times"), "{said}");
    assert!(read <= 1 << 14, "{read} packed bytes were read");
    let (said, read) = refused(&packed, u64::MAX, as_idx);
    assert!(said.contains("more than 200 times"), "{said}");
    assert!(read < packed.len(), "{read} packed bytes were read");
}

#[test]
fn headers_that_promise_too_much_are_told_by_the_files_length() {
    let plain = [idx_header([4_000_000, 28, 28]), vec![7; 10]].concat();
    let (said, _) = refused(&plain, plain.len() as u64, as_idx);
    assert!(said.contains("need 3136000000 bytes, 10 are there"), "{said}");
    let packed = bomb(&idx_header([60_000, 28, 28]), &[0; 4], 0);
    let (said, _) = refused(&packed, packed.len() as u64, as_idx);
    assert!(said.contains("cut short") && said.contains("hold at most"), "{said}");
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,)}";
    let plain = [b"\x93NUMPY\x01\x00\x43\x00", header.as_bytes(), &[1; 16]].concat();
    let length = plain.len() as u64;
    let said = npy::read(from_reader("x", Cursor::new(plain), length).unwrap(), Limits::default()).unwrap_err();
    assert!(said.to_string().contains("need 8796093022208 bytes, 16 are there"), "{said}");
}

#[test]
fn a_file_that_changes_while_it_is_read() {
    let header = idx_header([2, 2, 2]);
    let length = header.len() as u64 + 8;
    for (held, wanted) in [(5, "8 bytes, 5 are there"), (8, "read"), (12, "is longer than")] {
        let bytes = [&header[..], &vec![7; held]].concat();
        let (said, _) = refused(&bytes, length, as_idx);
        assert!(said.contains(wanted), "{held}: {said}");
    }
}

#[test]
fn pictures_and_labels_are_counted_before_either_is_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    let images = bomb(&idx_header([32 << 10, 32, 32]), &[0; 4], 32);
    // Cut: whoever unpacks it complains about that.
    write("train-images-idx3-ubyte.gz", &images[..images.len() / 2]);
    write("train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 2, 1, 0]);
    let error = idx::read_folder(dir.path(), ".", Limits::default()).unwrap_err();
    assert!(error.message.contains("holds 32,768 pictures, but"), "{error}");
}

fn npz_of_zeros(mib: usize) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("a.npy", zip::write::SimpleFileOptions::default()).unwrap();
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({:>10},)}}", mib << 20);
    zip.write_all(&[b"\x93NUMPY\x01\x00", &[header.len() as u8, 0][..], header.as_bytes()].concat()).unwrap();
    (0..mib).for_each(|_| zip.write_all(&vec![0; 1 << 20]).unwrap());
    zip.finish().unwrap().into_inner()
}

#[test]
fn an_archive_that_grows_without_measure_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.npz"), npz_of_zeros(100)).unwrap();
    let mut archive = npy::Archive::open(dir.path(), "a.npz").unwrap();
    let error = archive.read("a", Limits::default()).unwrap_err();
    assert!(error.message.contains("more than 200 times"), "{error}");
    assert!(error.help.is_some_and(|help| help.contains("numpy.savez")));
}

#[test]
fn entries_that_share_their_bytes_are_refused() {
    let mut bytes = npz_of_zeros(1);
    let end = bytes.len() - 22;
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (size, start) = (word(&bytes, end + 12), word(&bytes, end + 16) as usize);
    let mut tail = bytes.split_off(end);
    let mut again = bytes[start..].to_vec();
    again[46] = b'b';
    bytes.extend(again);
    tail[8..12].copy_from_slice(&[2, 0, 2, 0]);
    tail[12..16].copy_from_slice(&(2 * size).to_le_bytes());
    bytes.extend(tail);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.npz"), bytes).unwrap();
    let error = npy::Archive::open(dir.path(), "a.npz").err().expect("an error");
    assert!(error.message.contains("entries claim"), "{error}");
}

#[test]
fn a_lying_zip_entry_costs_no_more_than_the_limit() {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("a.npy", zip::write::SimpleFileOptions::default()).unwrap();
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (67108864,)}";
    let start = [b"\x93NUMPY\x01\x00\x3e\x00", header.as_bytes()].concat();
    zip.write_all(&start).unwrap();
    zip.write_all(&vec![0; 1 << 26]).unwrap();
    let bytes = zip.finish().unwrap().into_inner();
    assert!(bytes.len() < 1 << 20);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.npz"), bytes).unwrap();
    let mut archive = npy::Archive::open(dir.path(), "a.npz").unwrap();
    let error = archive.read("a", LIMITS).unwrap_err();
    assert_eq!(error.code, "E0502", "{error}");
}

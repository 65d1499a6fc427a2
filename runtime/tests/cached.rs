//! Decoded pictures: the same from files, from the cache, and from a cache larger than the memory.

mod tar;

use std::fs::File;
use std::path::Path;

use dlc_runtime::data::bytes::Limits;
use dlc_runtime::data::dataset::{Dataset, load};
use dlc_runtime::data::pictures::Cache;
use dlc_runtime::data::spec::{AxisSpec, DataSpec, FieldSpec, FieldStep, Selector, Source, Split};
use tar::tar;

const SIDE: usize = 64;
const COUNT: usize = 300;

/// A picture that needs no packing: `P5`, size, points.
fn picture(dir: &Path, at: usize, add: usize) {
    let mut bytes = format!("P5\n{SIDE} {SIDE}\n255\n").into_bytes();
    bytes.extend((0..SIDE * SIDE).map(|point| ((point * (at + 1) + add) % 251) as u8));
    std::fs::write(dir.join(format!("pictures/{at}.pgm")), bytes).unwrap();
}

fn read(dir: &Path, limits: Limits) -> Result<Dataset, String> {
    read_fields(dir, "pictures", limits, &["image"])
}

fn read_fields(dir: &Path, path: &str, limits: Limits, names: &[&str]) -> Result<Dataset, String> {
    let axes = [("h", SIDE), ("w", SIDE), ("c", 1)];
    let shape = axes.map(|(name, size)| AxisSpec { name: name.into(), size: Some(size), most: None });
    let place = (0, 0);
    let field = |name: &&str| FieldSpec {
        name: name.to_string(),
        place,
        dim: None,
        shape: shape.clone().into(),
        from: Selector::Images,
        steps: vec![FieldStep::Standardize { over: vec!["h".into(), "w".into()] }],
    };
    let spec = DataSpec {
        name: "d".into(),
        place,
        source: Source::Folders { path: path.into(), skip_broken: false },
        source_place: place,
        fields: names.iter().map(field).collect(),
        split: Split::InOrder { train: 1.0, val: 0.0, test: 0.0 },
        split_place: place,
    };
    load(&spec, dir, limits).map_err(|error| error.message.clone())
}

fn all(data: &Dataset) -> Vec<f32> {
    all_of(data, "image")
}

fn all_of(data: &Dataset, field: &str) -> Vec<f32> {
    let mut out = vec![0.0; COUNT * SIDE * SIDE];
    data.batch(field, &(0..COUNT as u32).collect::<Vec<_>>(), &mut out);
    assert!(data.whole().is_ok());
    out
}

#[test]
fn the_same_from_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::create_dir(dir.join("pictures")).unwrap();
    (0..COUNT).for_each(|at| picture(dir, at, 0));
    let folder: &'static str = Box::leak(dir.join(".dlc/cache").to_str().unwrap().to_string().into_boxed_str());
    let kept = |verify| Limits { cache: Some(Cache { folder, verify }), ..Limits::default() };
    let plain = all(&read(dir, Limits::default()).unwrap());
    assert!(!Path::new(folder).exists());
    assert!(all(&read(dir, kept(false)).unwrap()) == plain);
    let files = || std::fs::read_dir(folder).unwrap().count();
    assert_eq!(files(), 1);
    // Another picture that looks the same from outside is taken for the old one, unless it is looked at.
    let path = dir.join("pictures/7.pgm");
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    picture(dir, 7, 1);
    File::options().append(true).open(&path).unwrap().set_modified(time).unwrap();
    assert!(all(&read(dir, kept(false)).unwrap()) == plain);
    let small = Limits { pictures: 1 << 20, ..kept(false) };
    assert!(all(&read(dir, small).unwrap()) == plain, "read example by example");
    let changed = all(&read(dir, Limits::default()).unwrap());
    assert!(changed != plain);
    assert!(all(&read(dir, kept(true)).unwrap()) == changed);
    assert!(all(&read(dir, kept(false)).unwrap()) == changed);
    // A later time is another file; one that is damaged is made anew.
    picture(dir, 7, 2);
    let again = all(&read(dir, small).unwrap());
    assert!(again != changed && files() == 2);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() - 9]).unwrap();
    }
    assert!(all(&read(dir, small).unwrap()) == again);
    // Nowhere to go with them.
    let error = read(dir, Limits { cache: None, ..small }).err().unwrap();
    assert!(error.contains("1 MiB are left of the memory"), "{error}");
}

#[test]
fn the_limit_is_one_for_all_fields() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::create_dir(dir.join("pictures")).unwrap();
    (0..COUNT).for_each(|at| picture(dir, at, 0));
    let folder: &'static str = Box::leak(dir.join(".dlc/cache").to_str().unwrap().to_string().into_boxed_str());
    // Room for one of them and a half.
    let tight = Limits { pictures: (COUNT * SIDE * SIDE * 3 / 2) as u64, ..Limits::default() };
    assert!(read(dir, tight).is_ok());
    let error = read_fields(dir, "pictures", tight, &["image", "again"]).err().unwrap();
    assert!(error.contains("take 1 MiB, 0 MiB are left of the memory for those of all fields"), "{error}");
    let kept = Limits { cache: Some(Cache { folder, verify: false }), ..tight };
    let plain = all(&read(dir, Limits::default()).unwrap());
    for _ in 0..2 {
        let data = read_fields(dir, "pictures", kept, &["image", "again"]).unwrap();
        assert!(all(&data) == plain && all_of(&data, "again") == plain);
    }
}

/// All pictures as they are in an archive.
fn archive(dir: &Path, folder: &str) -> Vec<u8> {
    let of = |at: usize| (format!("{folder}/{at}.pgm"), std::fs::read(dir.join(format!("pictures/{at}.pgm"))).unwrap());
    let files: Vec<(String, Vec<u8>)> = (0..COUNT).map(of).collect();
    tar(&files.iter().map(|(name, bytes)| (&name[..], &bytes[..])).collect::<Vec<_>>())
}

#[test]
fn what_is_decoded_is_not_unpacked_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::create_dir(dir.join("pictures")).unwrap();
    (0..COUNT).for_each(|at| picture(dir, at, 0));
    let path = dir.join("p.tar");
    std::fs::write(&path, archive(dir, "cat")).unwrap();
    let folder: &'static str = Box::leak(dir.join(".dlc/cache").to_str().unwrap().to_string().into_boxed_str());
    let read = |verify| {
        let limits = Limits { cache: Some(Cache { folder, verify }), ..Limits::default() };
        read_fields(dir, "p.tar", limits, &["image"]).map(|data| all(&data))
    };
    let whole = read(false).unwrap();
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 2, "pictures and names");
    // Other bytes, and nothing to see from outside: nobody looks into it.
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    let disguised = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        File::options().append(true).open(&path).unwrap().set_modified(time).unwrap();
    };
    let size = std::fs::metadata(&path).unwrap().len() as usize;
    disguised(&vec![7; size]);
    assert!(read(false).unwrap() == whole);
    let error = read(true).err().unwrap();
    assert!(error.contains("no archive of files"), "{error}");
    // Of other names than it had.
    disguised(&archive(dir, "dog"));
    let error = read(true).err().unwrap();
    assert!(error.contains("other files than it did"), "{error}");
    // Damaged, or gone: unpacked again.
    disguised(&archive(dir, "cat"));
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }
    assert!(read(false).unwrap() == whole);
    assert!(read(true).unwrap() == whole);
    // A later archive is another one.
    (0..COUNT).for_each(|at| picture(dir, at, 1));
    std::fs::write(&path, archive(dir, "cat")).unwrap();
    assert!(read(false).unwrap() != whole);
}

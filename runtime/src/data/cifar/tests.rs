//! Small files laid out as the real ones, and some that lie.

#[path = "../../../tests/tar/mod.rs"]
mod tar;

use std::io::Write;
use std::path::Path;

use super::*;
use crate::data::dataset::{Dataset, load};
use crate::data::spec::{AxisSpec, DimSpec, Source, Split};
use crate::data::split::Part;
use tar::tar;

/// One record: labels, and planes of three plain colours with one point that is none of them.
fn record(labels: &[u8], colour: [u8; 3]) -> Vec<u8> {
    let mut out = labels.to_vec();
    for x in colour {
        out.extend([x; POINTS]);
    }
    // Row 1, column 2 of the green plane.
    out[labels.len() + POINTS + SIDE + 2] = 255;
    out
}

fn ten() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = (0..5u8)
        .map(|at| {
            let name = TEN.train[usize::from(at)].to_string();
            (name, [record(&[2 * at], [at, 50, 60]), record(&[2 * at + 1], [at, 70, 80])].concat())
        })
        .collect();
    files.push((TEN.test.into(), record(&[3], [9, 8, 7])));
    let names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    files.push(("batches.meta.txt".into(), names.into()));
    files
}

fn written(dir: &Path, files: &[(String, Vec<u8>)]) {
    files.iter().for_each(|(name, bytes)| std::fs::write(dir.join(name), bytes).unwrap());
}

/// An archive as it is distributed.
fn packed(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let names: Vec<String> = files.iter().map(|(name, _)| format!("{}/{name}", TEN.folder)).collect();
    let entries: Vec<(&str, &[u8])> =
        names.iter().zip(files).map(|(name, (_, bytes))| (&name[..], &bytes[..])).collect();
    let mut packer = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
    packer.write_all(&tar(&entries)).unwrap();
    packer.finish().unwrap()
}

fn spec(path: &str, which: Cifar, dim: (Option<usize>, &[&str]), split: Split) -> DataSpec {
    let field =
        |name: &str, from, dim, shape| FieldSpec { name: name.into(), place: (0, 0), dim, shape, from, steps: vec![] };
    let (size, names) = dim;
    let dim = |name: &str, size, names: &[&str]| {
        Some(DimSpec { name: name.into(), size, names: names.iter().map(|name| name.to_string()).collect() })
    };
    let axes = [("h", 32), ("w", 32), ("c", 3)];
    let axes = axes.map(|(name, size)| AxisSpec { name: name.into(), size: Some(size), most: None }).into();
    let mut fields = vec![
        field("image", Selector::Images, None, axes),
        field("label", Selector::Labels, dim("object", size, names), vec![]),
    ];
    if which == Cifar::Hundred {
        fields.push(field("kind", Selector::Named(COARSE.into()), dim("kind", None, &[]), vec![]));
    }
    let source = Source::Cifar { path: path.into(), which };
    DataSpec { name: "d".into(), place: (0, 0), source, source_place: (0, 0), fields, split, split_place: (0, 0) }
}

fn official() -> Split {
    Split::Official { val: 0.0, seed: 0 }
}

fn loaded(dir: &Path, path: &str, dim: (Option<usize>, &[&str])) -> Result<Dataset> {
    load(&spec(path, Cifar::Ten, dim, official()), dir, Limits::default())
}

fn values(data: &Dataset, field: &str, example: u32) -> Vec<f32> {
    let field = data.field(field).unwrap();
    let mut out = vec![0.0; field.per_example()];
    field.write(&[example], &mut out);
    out
}

fn assert_ten(data: &Dataset) {
    assert_eq!(data.part(Part::Train), (0..10).collect::<Vec<u32>>());
    assert_eq!(data.part(Part::Test), [10]);
    let image = values(data, "image", 6);
    assert_eq!(image[..3], [3.0, 50.0, 60.0]);
    assert_eq!(image[3 * (SIDE + 2)..][..3], [3.0, 255.0, 60.0], "row 1, column 2");
    assert_eq!(image.iter().filter(|x| **x == 255.0).count(), 1);
    assert_eq!(values(data, "image", 10)[..3], [9.0, 8.0, 7.0]);
}

#[test]
fn a_folder_and_its_archive_say_the_same() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &ten());
    std::fs::write(dir.path().join("c.tar.gz"), packed(&ten())).unwrap();
    for path in [".", "c.tar.gz"] {
        let data = loaded(dir.path(), path, (None, &[])).unwrap();
        assert_ten(&data);
        // Solved: by the alphabet, which is the order of the file here.
        assert_eq!(values(&data, "label", 10), [3.0]);
        assert_eq!(data.field("label").unwrap().prepared.dim.as_ref().unwrap().names[3], "cat");
    }
    let below = dir.path().join("data").join(TEN.folder);
    std::fs::create_dir_all(&below).unwrap();
    written(&below, &ten());
    assert_ten(&loaded(dir.path(), "data", (None, &[])).unwrap());
}

#[test]
fn classes_go_by_their_names_and_by_numbers_without() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &ten());
    let label = |dim: (Option<usize>, &[&str])| loaded(dir.path(), ".", dim).map(|data| values(&data, "label", 10)[0]);
    assert_eq!(label((Some(10), &[])).unwrap(), 3.0);
    let turned = ["truck", "ship", "horse", "frog", "dog", "deer", "cat", "bird", "automobile", "airplane"];
    assert_eq!(label((Some(10), &turned)).unwrap(), 6.0);
    assert_eq!(label((Some(2), &["cat", "dog"])).unwrap_err().code, "E0507");
    assert_eq!(label((Some(9), &[])).unwrap_err().code, "E0507");
    std::fs::remove_file(dir.path().join("batches.meta.txt")).unwrap();
    assert_eq!(label((None, &[])).unwrap(), 3.0);
}

#[test]
fn parts_go_by_files_too() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &ten());
    for split in [Split::Files { val: 0.2, seed: 1 }, Split::Official { val: 0.2, seed: 1 }] {
        let data = load(&spec(".", Cifar::Ten, (None, &[]), split), dir.path(), Limits::default()).unwrap();
        assert_eq!([Part::Train, Part::Val, Part::Test].map(|part| data.part(part).len()), [8, 2, 1]);
    }
}

#[test]
fn a_hundred_classes_in_twenty() {
    let dir = tempfile::tempdir().unwrap();
    let names = |what: &str, count: usize| (0..count).map(|at| format!("{what}{at:02}\n")).collect::<String>();
    let train: Vec<u8> = (0..200u8).flat_map(|at| record(&[at % 20, at % 100], [at, 1, 2])).collect();
    let files = [
        ("train.bin".to_string(), train),
        ("test.bin".to_string(), record(&[19, 42], [5, 6, 7])),
        ("coarse_label_names.txt".to_string(), names("coarse", 20).into_bytes()),
        ("fine_label_names.txt".to_string(), names("fine", 100).into_bytes()),
    ];
    written(dir.path(), &files);
    let spec = spec(".", Cifar::Hundred, (None, &[]), official());
    let data = load(&spec, dir.path(), Limits::default()).unwrap();
    assert_eq!((data.part(Part::Train).len(), data.part(Part::Test)), (200, &[200][..]));
    assert_eq!((values(&data, "label", 200), values(&data, "kind", 200)), (vec![42.0], vec![19.0]));
    assert_eq!(values(&data, "image", 200)[..3], [5.0, 6.0, 7.0]);
    let dim = |field: &str| data.field(field).unwrap().prepared.dim.clone().unwrap();
    assert_eq!((&*dim("label").names[42], &*dim("kind").names[19]), ("fine42", "coarse19"));
}

#[test]
fn files_that_lie_are_told_by_name() {
    let refused = |change: &dyn Fn(&mut Vec<(String, Vec<u8>)>)| {
        let dir = tempfile::tempdir().unwrap();
        let mut files = ten();
        change(&mut files);
        written(dir.path(), &files);
        loaded(dir.path(), ".", (None, &[])).err().unwrap()
    };
    let short = refused(&|files| files[1].1.truncate(4000));
    assert_eq!((short.code, short.file.as_deref(), &short.at), ("E0502", Some("./data_batch_2.bin"), &At::Byte(3073)));
    assert!(short.message.contains("cut short"), "{short}");
    let empty = refused(&|files| files[5].1.clear());
    assert_eq!((empty.code, empty.file.as_deref()), ("E0502", Some("./test_batch.bin")));
    let label = refused(&|files| files[2].1[3073] = 10);
    assert!(label.message.contains("picture 2 of `./data_batch_3.bin` has the label 10"), "{label}");
    assert_eq!(label.at, At::Byte(3073));
    let missing = refused(&|files| drop(files.remove(4)));
    assert_eq!(missing.code, "E0501");
    assert!(missing.message.contains("data_batch_5.bin"), "{missing}");
    let python = refused(&|files| files.iter_mut().for_each(|file| file.0 = file.0.replace(".bin", "")));
    assert!(python.help.as_ref().unwrap().contains("for Python"), "{python}");
    let names = refused(&|files| files[6].1 = "cat\ndog\n".into());
    assert!(names.message.contains("2 names, and there are 10 classes"), "{names}");
}

#[test]
fn archives_that_lie_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let code = |bytes: &[u8]| {
        std::fs::write(dir.path().join("c.tar.gz"), bytes).unwrap();
        loaded(dir.path(), "c.tar.gz", (None, &[])).err().unwrap()
    };
    let whole = packed(&ten());
    assert_eq!(code(&whole[..whole.len() / 2]).code, "E0502");
    assert_eq!(code(b"no archive").code, "E0502");
    assert_eq!(code(&packed(&ten()[1..])).code, "E0501");
    let bomb = code(&packed(&[("data_batch_1.bin".into(), vec![0; 80 << 20])]));
    assert!(bomb.message.contains("unpacks to more than"), "{bomb}");
    let beside = code(&packed(&[("readme.html".into(), vec![0; 80 << 20])]));
    assert!(beside.message.contains("unpacks to more than"), "{beside}");
    assert_eq!(loaded(dir.path(), "none", (None, &[])).err().unwrap().code, "E0501");
}

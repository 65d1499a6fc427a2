//! Boxes out of files that are as they should be, and out of others.

use super::*;
use crate::data::spec::{AxisSpec, DimSpec, PictureStep, Source, Split};
use std::fs;
use std::path::Path;

const OBJECT: &str = "<object><name>cat &amp; dog</name><part><name>ear</name></part><difficult>1</difficult>\
    <bndbox><xmin>3</xmin><ymin>1</ymin><xmax>8</xmax><ymax>5</ymax></bndbox></object>";

fn annotation(objects: &str) -> String {
    format!("<?xml version=\"1.0\"?>\n<annotation><!-- seen --><filename>a.png</filename>{objects}</annotation>")
}

#[test]
fn voc_counts_points_from_one() {
    let marks = voc::parse(annotation(OBJECT).as_bytes()).unwrap();
    assert_eq!(marks, [Mark { class: "cat & dog".into(), corners: [2.0, 0.0, 8.0, 5.0], ignored: true }]);
    assert_eq!(voc::parse(annotation("").as_bytes()).unwrap(), []);
}

#[test]
fn other_xml_is_refused_with_the_reason() {
    let nested = "<a>".repeat(100_000);
    let cases = [
        (String::new(), "the file has no `annotation`"),
        ("<other></other>".into(), "the file has no `annotation`"),
        ("<annotation><object>".into(), "the file ends within `object`"),
        ("<annotation></object>".into(), "this is no XML"),
        (annotation(&nested), "elements lie within elements, more than 32 deep"),
        (nested, "elements lie within elements, more than 32 deep"),
        (annotation("<object></object>"), "object 1 has no `name`"),
        (annotation(&OBJECT.replace("ymax", "zmax")), "object 1 has no `ymax`"),
        (annotation(&OBJECT.replace(">8<", ">eight<")), "`xmax` is `eight`, and a number is needed"),
        (annotation(&OBJECT.replace(">8<", ">NaN<")), "`xmax` is `NaN`, and a number is needed"),
    ];
    for (text, message) in cases {
        let error = voc::parse(text.as_bytes()).unwrap_err();
        assert!(error.message.contains(message), "{error}");
    }
}

#[test]
fn yolo_lines_are_shares() {
    let names = ["cat".to_string(), "dog".to_string()];
    let marks = yolo::parse("1 0.5 0.25 0.5 0.5\n\n", &names).unwrap();
    assert_eq!(marks, [Mark { class: "dog".into(), corners: [0.25, 0.0, 0.75, 0.5], ignored: false }]);
    assert_eq!(yolo::parse("7 0.5 0.25 0.5 0.5", &[]).unwrap()[0].class, "7");
    let cases = [
        ("1 0.5 0.25 0.5", "line 1: 4 cells"),
        ("1 0.5 0.25 0.5 0.5 0.1 0.1", "line 1: 7 cells"),
        ("0 1 1 1 1\n1 a 0.25 0.5 0.5", "line 2: `a` is not a number"),
        ("1 0.5 inf 0.5 0.5", "`inf` is not a number"),
        ("cat 0.5 0.25 0.5 0.5", "`cat` is not the number of a class"),
        ("2 0.5 0.25 0.5 0.5", "class 2 has no name: there are 2"),
    ];
    for (text, message) in cases {
        let error = yolo::parse(text, &names).unwrap_err();
        assert!(error.message.contains(message), "{error}");
    }
}

#[test]
fn names_of_yolo() {
    let read = |text: &str| yolo::of_yaml(text).map(|names| names.join(" "));
    assert_eq!(read("nc: 2\nnames: ['cat', \"dog\"] # two\n"), Some("cat dog".into()));
    assert_eq!(read("names: [cat,\n  dog]\n"), Some("cat dog".into()));
    assert_eq!(read("path: x\nnames:\n  0: cat\n  1: dog\nnc: 2\n"), Some("cat dog".into()));
    assert_eq!(read("names:\n- cat\n- dog\n"), Some("cat dog".into()));
    assert_eq!(read("names: [cat,"), None);
    assert_eq!(read("nc: 2"), None);
}

const JSON: &str = r#"{"info": {"x": [1]}, "images": [{"id": 7, "file_name": "b.jpg"}, {"id": 3, "file_name": "a.jpg"}],
    "annotations": [{"image_id": 3, "category_id": 90, "bbox": [1, 2, 3, 4], "iscrowd": 1, "segmentation": [[1, 2]]}],
    "categories": [{"id": 90, "name": "cat"}]}"#;

#[test]
fn coco_has_gaps_and_crowds() {
    let all = coco::parse(JSON.as_bytes()).unwrap();
    assert_eq!(all[0], ("b.jpg".into(), vec![]));
    assert_eq!(all[1].1, [Mark { class: "cat".into(), corners: [1.0, 2.0, 4.0, 6.0], ignored: true }]);
}

#[test]
fn other_json_is_refused_with_the_reason() {
    let cases = [
        ("[1, 2]".to_string(), "not what COCO's JSON looks like"),
        (JSON.replace("\"bbox\"", "\"box\""), "missing field `bbox`"),
        (JSON.replace("\"file_name\"", "\"name\""), "missing field `file_name`"),
        (JSON.replace("\"categories\"", "\"classes\""), "missing field `categories`"),
        (JSON.replace("[1, 2, 3, 4]", "[1, 2, 3]"), "invalid length 3"),
        (JSON.replace("\"image_id\": 3", "\"image_id\": 4"), "annotation 1 is about the image 4"),
        (JSON.replace("\"category_id\": 90", "\"category_id\": 4"), "annotation 1 is of the category 4"),
        (JSON.replace("\"id\": 7", "\"id\": 3"), "two images have the id 3"),
        (JSON.replace("[1, 2, 3, 4]", &"[".repeat(100_000)), "not what COCO's JSON looks like"),
        ("[".repeat(100_000), "not what COCO's JSON looks like"),
        (JSON.get(..200).unwrap_or_default().to_string(), "EOF"),
    ];
    for (text, message) in cases {
        let error = coco::parse(text.as_bytes()).unwrap_err();
        assert!(error.message.contains(message), "{error}");
    }
    // What nobody reads may be as deep as it likes.
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(coco::parse(JSON.replace("[[1, 2]]", &deep).as_bytes()).is_ok());
}

/// Two pictures of 20 x 10 points, `a` in training and `b` in the test part.
fn folder(xml: [&str; 2]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |file: &str, bytes: &[u8]| {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let mut png = Vec::new();
    let picture = image::RgbImage::new(20, 10);
    picture.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    for (name, xml) in ["a", "b"].iter().zip(xml) {
        write(&format!("set/JPEGImages/{name}.png"), &png);
        write(&format!("set/Annotations/{name}.xml"), annotation(xml).as_bytes());
    }
    write("set/ImageSets/Main/train.txt", b"a\n");
    write("set/ImageSets/Main/test.txt", b"b 1\n");
    dir
}

fn spec(names: &[&str]) -> DataSpec {
    let dim = DimSpec {
        name: "kind".into(),
        size: Some(names.len()).filter(|n| *n > 0),
        names: names.iter().map(|name| name.to_string()).collect(),
    };
    let axis = |name: &str, size| AxisSpec { name: name.into(), size: Some(size), most: None };
    let field =
        |name: &str, from, steps| FieldSpec { name: name.into(), place: (0, 0), dim: None, shape: vec![], from, steps };
    let letterbox = || vec![crate::data::spec::FieldStep::Picture(PictureStep::Letterbox { h: 8, w: 8 })];
    let grid = Grid { of: "objects".into(), told: Told::What, rows: 2, columns: 2, reach: 0.0 };
    let mut image = field("image", Selector::Images, letterbox());
    image.shape = vec![axis("h", 8), axis("w", 8), axis("c", 3)];
    let mut objects = field("objects", Selector::Boxes, letterbox());
    objects.dim = Some(dim.clone());
    let mut what = field("what", Selector::Grid(grid), vec![]);
    (what.dim, what.shape) = (Some(dim), vec![axis("gy", 2), axis("gx", 2)]);
    DataSpec {
        name: "set".into(),
        place: (0, 0),
        source: Source::Voc { path: "set".into(), skip_broken: false },
        source_place: (0, 0),
        fields: vec![image, objects, what],
        split: Split::Files { val: 0.0, seed: 0 },
        split_place: (0, 0),
    }
}

fn load(root: &Path, names: &[&str]) -> Result<crate::data::dataset::Dataset> {
    crate::data::dataset::load(&spec(names), root, Limits::default())
}

fn object(name: &str, corners: [i32; 4]) -> String {
    let [a, b, c, d] = corners;
    format!(
        "<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
    )
}

#[test]
fn boxes_go_where_their_picture_goes() {
    let both = object("dog", [1, 1, 10, 10]) + &object("cat", [11, 1, 20, 5]);
    let dir = folder([&both, ""]);
    let data = load(dir.path(), &[]).unwrap();
    let boxes = data.field("objects").unwrap();
    let dim = boxes.prepared.dim.clone().unwrap();
    assert_eq!((dim.names, dim.size), (vec!["cat".to_string(), "dog".to_string()], Some(2)));
    let objects = boxes.objects().unwrap();
    // 10 x 20 becomes 4 x 8, two rows below the top.
    assert_eq!(objects.of(0)[0].corners, [0.0, 2.0, 4.0, 6.0]);
    assert_eq!(objects.of(0)[1].corners, [4.0, 2.0, 8.0, 4.0]);
    assert_eq!((objects.of(1), objects.size(1)), (&[][..], [8.0, 8.0]));
    assert_eq!((data.parts.train.len(), data.parts.val.len(), data.parts.test.len()), (1, 0, 1));
    let mut out = [9.0; 4];
    data.batch("what", &[0], &mut out);
    assert_eq!(out, [0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn boxes_that_are_none_are_told_with_their_file() {
    let odd =
        [[5, 5, 5, 9], [30, 1, 40, 9], [15, 5, 25, 9], [1, 1, 20, 10]].map(|corners| object("cat", corners)).concat();
    let dir = folder([&odd, ""]);
    let data = load(dir.path(), &["cat"]).unwrap();
    assert_eq!(data.field("objects").unwrap().objects().unwrap().of(0).len(), 2);
    assert_eq!(
        data.notes,
        [
            "note: left out 1 box of no area: `set/Annotations/a.xml`",
            "note: left out 1 box outside of the picture: `set/Annotations/a.xml`",
            "note: cut off 1 box that reaches out of the picture: `set/Annotations/a.xml`",
        ]
    );
}

#[test]
fn mistakes_name_the_file() {
    let dir = folder([&object("cat", [1, 1, 5, 5]), &object("cow", [1, 1, 5, 5])]);
    let error = load(dir.path(), &["cat", "dog"]).err().unwrap();
    assert_eq!((error.code, error.file.as_deref()), ("E0507", Some("set/Annotations/b.xml")));
    assert_eq!(error.message, "`cow` is not a class of `kind`");
    fs::remove_file(dir.path().join("set/Annotations/b.xml")).unwrap();
    let error = load(dir.path(), &["cat"]).err().unwrap();
    assert_eq!((error.code, error.file.as_deref()), ("E0501", Some("set/Annotations/b.xml")));
    fs::write(dir.path().join("set/Annotations/b.xml"), "<annotation>").unwrap();
    let error = load(dir.path(), &["cat"]).err().unwrap();
    assert_eq!((error.code, error.file.as_deref()), ("E0502", Some("set/Annotations/b.xml")));
    fs::write(dir.path().join("set/ImageSets/Main/test.txt"), "c").unwrap();
    let error = load(dir.path(), &["cat"]).err().unwrap();
    assert_eq!((error.code, error.file.as_deref()), ("E0501", Some("set/ImageSets/Main/test.txt")));
}

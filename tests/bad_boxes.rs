//! Bad boxes given to the program itself, in the three forms that people have: what is left out is told, what cannot be
//! meant is refused by the name of its file.

mod program;
mod refused;

use std::fs;
use std::path::Path;

use refused::{done, png, refused, write};

const TRAIN: &[&str] = &["run", "p.dl", "--train", "--quiet", "--out", "r"];

const BOXES: &str = r#"dim gy = 2
dim gx = 2
dim side = ["x", "y", "w", "h"]
dim kind = ["cat", "dog"]
data d {
  source = SOURCE
  field image: [h: 16, w: 16, c: 3] = images |> resize(h: 16, w: 16) |> scale(1 / 255)
  field objects: boxes = boxes |> resize(h: 16, w: 16)
  split = ratio(train = 50%, val = 25%, test = 25%)
}
model N(image: [h: 16, w: 16, c: 3]) -> (found: [gy, gx], where: [gy, gx, side], class: [gy, gx, kind]) {
  f = image |> conv(4, 3) |> max_pool(8) |> view(h -> gy) |> view(w -> gx)
  found = f |> dense(1) |> squeeze(c)
  where = f |> dense(side)
  class = f |> dense(kind)
  predict seen = boxes(found, where, class, score = 0.01, overlap = 0.9)
}
train N on d {
  field has: [gy, gx], place: [gy, gx, side], what: kind[gy, gx] = objects |> to_grid(gy, gx)
  loss {
    found = bce(found, has)
    where = mse(where, place, weight = has)
    class = cross_entropy(class, what, weight = has)
  }
  epochs = 1
  metrics = [mean_ap(seen, objects)]
}
"#;

/// A folder with the program and eight pictures at `pictures`, without anything that says what is in them.
fn boxes(source: &str, pictures: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "p.dl", BOXES.replace("SOURCE", source));
    (0..8).for_each(|at| write(dir.path(), &format!("{pictures}/{at}.png"), png(32, 24)));
    dir
}

/// Trains on what a file says: good, told on the way, or refused.
fn judge(folder: &Path, file: &str, text: &str, wanted: Result<&str, (&str, &str)>) {
    write(folder, file, text);
    let args = ["run", "p.dl", "--train", "--dry-run"];
    match wanted {
        Ok(piece) => drop(done(folder, &args, &[piece])),
        Err((code, piece)) => refused(folder, &args, code, &[file, piece]),
    }
}

#[test]
fn boxes_of_voc() {
    let dir = boxes("voc(\"set\")", "set/JPEGImages");
    let object = |name: &str, [a, b, c, d]: [&str; 4]| {
        format!(
            "<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        )
    };
    let note = |objects: &str| format!("<annotation><filename>3.png</filename>{objects}</annotation>");
    let good = note(&object("cat", ["3", "3", "20", "20"]));
    (0..8).for_each(|at| write(dir.path(), &format!("set/Annotations/{at}.xml"), &good));
    let deep = "<a>".repeat(100_000) + &"</a>".repeat(100_000);
    let cases = [
        (good.clone(), Ok("")),
        (note(""), Ok("")),
        (
            note(&object("cat", ["40", "3", "60", "20"])),
            Ok("left out 1 box outside of the picture: `set/Annotations/3.xml`"),
        ),
        (
            note(&object("cat", ["-9", "3", "20", "20"])),
            Ok("cut off 1 box that reaches out of the picture: `set/Annotations/3.xml`"),
        ),
        (note(&object("cat", ["20", "3", "3", "20"])), Ok("left out 1 box of no area: `set/Annotations/3.xml`")),
        (note(&object("cat", ["7", "7", "7", "7"])), Ok("left out 1 box of no area")),
        (note(&object("cow", ["3", "3", "20", "20"])), Err(("E0507", "`cow` is not a class of `kind`"))),
        (note(&object("", ["3", "3", "20", "20"])), Err(("E0502", "no `name`"))),
        (note(&object("cat", ["3", "3", "", "20"])), Err(("E0506", "`xmax`"))),
        (note(&object("cat", ["3", "3", "1e999", "20"])), Err(("E0506", "`xmax`"))),
        (note("<object><name>cat</name></object>"), Err(("E0502", "no `xmin`"))),
        (note(&deep), Err(("E0502", "32 deep"))),
        (deep, Err(("E0502", "32 deep"))),
        (good[..good.len() - 20].to_string(), Err(("E0502", "XML"))),
        (good[..good.len() - "</annotation>".len()].to_string(), Err(("E0502", "ends within `annotation`"))),
        ("<a/>".into(), Err(("E0502", "no `annotation`"))),
        ("\u{0}\u{1}<<<".into(), Err(("E0502", "not text"))),
        ("<<<".into(), Err(("E0502", "XML"))),
    ];
    for (text, wanted) in cases {
        judge(dir.path(), "set/Annotations/3.xml", &text, wanted);
    }
    fs::remove_file(dir.path().join("set/Annotations/3.xml")).expect("removed");
    refused(dir.path(), TRAIN, "E0501", &["set/Annotations/3.xml"]);
}

#[test]
fn boxes_of_yolo() {
    let dir = boxes("yolo(\"set\")", "set/images");
    write(dir.path(), "set/classes.txt", "cat\ndog\n");
    (0..8).for_each(|at| write(dir.path(), &format!("set/labels/{at}.txt"), "0 0.5 0.5 0.5 0.5\n1 0.3 0.3 0.2 0.2\n"));
    let cases = [
        ("", Ok("")),
        ("0 0.5 0.5 0.5 0.5", Ok("")),
        ("0 7 7 0.5 0.5", Ok("left out 1 box outside of the picture: `set/labels/3.txt`")),
        ("0 0.5 0.5 0 0.5", Ok("left out 1 box of no area: `set/labels/3.txt`")),
        ("0 0.5 0.5 -0.5 0.5", Ok("left out 1 box of no area: `set/labels/3.txt`")),
        ("0 0.5 0.5 1.5 0.5", Ok("cut off 1 box")),
        ("9 0.5 0.5 0.5 0.5", Err(("E0507", "class 9 has no name"))),
        ("-1 0.5 0.5 0.5 0.5", Err(("E0507", "`-1`"))),
        ("cat 0.5 0.5 0.5 0.5", Err(("E0507", "`cat`"))),
        ("0 0.5 0.5", Err(("E0502", "3 cells"))),
        ("0 0.5 NaN 0.5 0.5", Err(("E0506", "`NaN`"))),
        ("99999999999999999999999 0.5 0.5 0.5 0.5", Err(("E0507", "is not the number of a class"))),
    ];
    for (text, wanted) in cases {
        judge(dir.path(), "set/labels/3.txt", text, wanted);
    }
}

#[test]
fn boxes_of_coco() {
    let dir = boxes("coco(images = \"pictures\", json = \"set.json\")", "pictures");
    let images: Vec<String> = (0..8).map(|at| format!("{{\"id\": {at}, \"file_name\": \"{at}.png\"}}")).collect();
    let json = |boxes: &str| {
        let good: Vec<String> =
            (4..8).map(|at| format!("{{\"image_id\": {at}, \"category_id\": 1, \"bbox\": [2, 2, 9, 9]}}")).collect();
        format!(
            "{{\"images\": [{}], \"annotations\": [{}{boxes}], \"categories\": [{{\"id\": 1, \"name\": \"cat\"}}, {{\"id\": 2, \"name\": \"cow\"}}]}}",
            images.join(", "),
            good.join(", "),
        )
    };
    let one = |category: usize, place: &str| {
        json(&format!(", {{\"image_id\": 3, \"category_id\": {category}, \"bbox\": {place}}}"))
    };
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let cases = [
        (one(1, "[1, 1, 9, 9]"), Ok("")),
        (one(1, "[40, 1, 9, 9]"), Ok("left out 1 box outside of the picture: `set.json`")),
        (one(1, "[1, 1, 0, 9]"), Ok("left out 1 box of no area: `set.json`")),
        (one(1, "[1, 1, 900, 9]"), Ok("cut off 1 box that reaches out of the picture: `set.json`")),
        (one(2, "[1, 1, 9, 9]"), Err(("E0507", "`cow` is not a class of `kind`"))),
        (one(7, "[1, 1, 9, 9]"), Err(("E0507", "category 7"))),
        (one(1, "[1, 1, 1e999, 9]"), Err(("E0502", "number out of range"))),
        (one(1, "[1, 1, 9]"), Err(("E0502", "invalid length 3"))),
        (one(1, &deep), Err(("E0502", "COCO"))),
        (json("").replace("\"annotations\"", "\"notes\""), Err(("E0502", "missing field `annotations`"))),
        (json("").replace("\"file_name\"", "\"name\""), Err(("E0502", "missing field `file_name`"))),
        (json("").replace("\"id\": 3", "\"id\": 4"), Err(("E0502", "two images have the id 4"))),
        (json(", {\"image_id\": 99, \"category_id\": 1, \"bbox\": [1, 1, 9, 9]}"), Err(("E0502", "image 99"))),
        (deep, Err(("E0502", "COCO"))),
        ("{\"images\": [".into(), Err(("E0502", "EOF"))),
        (String::new(), Err(("E0502", "EOF"))),
    ];
    for (text, wanted) in cases {
        judge(dir.path(), "set.json", &text, wanted);
    }
    write(dir.path(), "set.json", json("").replace("\"3.png\"", "\"33.png\""));
    refused(dir.path(), TRAIN, "E0501", &["pictures/33.png"]);
    // What nobody reads may be as deep as it likes.
    let strange = json("").replacen(
        "{\"images\"",
        &format!("{{\"info\": {}{}, \"images\"", "[".repeat(100_000), "]".repeat(100_000)),
        1,
    );
    judge(dir.path(), "set.json", &strange, Ok(""));
}

//! `dlc data`: what is said of data of every kind, and what is drawn of it.

mod program;

use std::fs;
use std::path::Path;
use std::process::Output;

fn dlc(args: &[&str]) -> Output {
    program::dlc(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("dlc runs")
}

fn out(done: &Output) -> String {
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn json(args: &[&str]) -> serde_json::Value {
    let done = dlc(&[&["data", "--json"], args].concat());
    serde_json::from_str(out(&done).trim()).expect("one object")
}

#[test]
fn classes_and_numbers_are_counted() {
    let seen = json(&["examples/digits.dl"]);
    assert_eq!(seen["examples"], 1797);
    let parts = ["train", "val", "test"].map(|part| seen["parts"][part].as_u64().expect("a count"));
    assert_eq!(parts.iter().sum::<u64>(), 1797);
    let [image, label] = &seen["fields"].as_array().expect("fields")[..] else { panic!("{seen}") };
    let numbers = &image["parts"]["train"]["numbers"][0];
    assert_eq!((&numbers["least"], &numbers["most"]), (&0.0.into(), &1.0.into()));
    assert_eq!(numbers["count"], parts[0] * 64);
    for (part, count) in ["train", "val", "test"].iter().zip(parts) {
        let classes = label["parts"][part]["classes"].as_array().expect("classes");
        assert_eq!((classes.len(), classes.iter().map(|c| c["count"].as_u64().unwrap()).sum::<u64>()), (10, count));
    }
    let text = out(&dlc(&["data", "examples/digits.dl", "--field", "label", "--head", "3"]));
    assert!(text.contains("10 classes of `digit`") && !text.contains("image"), "{text}");
}

#[test]
fn equal_examples_of_two_parts_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let row = |x: usize, kind: &str| format!("{x},{kind}\n");
    let mut rows: String = (0..8).map(|x| row(x, "a")).collect();
    rows += &(row(3, "a") + &row(4, "b") + &row(9, "") + &row(10, "b"));
    fs::write(folder.path().join("t.csv"), rows).expect("a table");
    let program = "dim kind = [\"a\", \"b\"]\ndata t {\n  source = csv(\"t.csv\", header = false)\n  field x: [c: 1] = columns(0..1)\n  \
                   field label: kind = column(1) |> fill(\"a\")\n  split = in_order(train = 70%, val = 0%, test = 30%)\n}\n\
                   model M(x: [c: 1]) -> y: [kind] {\n  y = x |> dense(kind)\n}\ntrain M on t {\n  loss = cross_entropy(y, label)\n}\n";
    let file = folder.path().join("t.dl");
    fs::write(&file, program).expect("a program");
    let seen = json(&[file.to_str().expect("a path")]);
    let found = &seen["duplicates"][0];
    assert_eq!((&found["first"], &found["second"]), (&"train".into(), &"test".into()), "{seen}");
    assert_eq!((&found["equal"], &found["equal_inputs_only"]), (&1.into(), &1.into()), "{seen}");
    assert_eq!(found["pairs"], serde_json::json!([[3, 8], [4, 9]]), "{seen}");
    assert_eq!(seen["fields"][1]["parts"]["test"]["missing"], 1, "{seen}");
}

#[test]
fn boxes_and_masks_are_counted_and_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let sheet = folder.path().join("sheet.png");
    let sheet = sheet.to_str().expect("a path");
    let seen = json(&["examples/shapes.dl", "--sheet", sheet, "--head", "4"]);
    let fields = seen["fields"].as_array().expect("fields");
    let kinds: Vec<&str> = fields.iter().filter_map(|field| field["kind"].as_str()).collect();
    assert_eq!(kinds, ["numbers", "boxes", "classes"]);
    let boxes = &fields[1]["parts"]["train"];
    let counted: u64 = boxes["classes"].as_array().expect("classes").iter().map(|c| c["count"].as_u64().unwrap()).sum();
    let mean = boxes["per_picture"]["mean"].as_f64().expect("a mean");
    assert_eq!(counted, (mean * seen["parts"]["train"].as_f64().unwrap()).round() as u64);
    assert_eq!(seen["head"].as_array().map(Vec::len), Some(4));
    assert_eq!(&fs::read(sheet).expect("a sheet")[..4], b"\x89PNG");
}

#[test]
fn the_same_seed_draws_the_same_sheet() {
    let folder = tempfile::tempdir().expect("a folder");
    let drawn = |name: &str, seed: &str| {
        let path = folder.path().join(name);
        out(&dlc(&["data", "examples/digits.dl", "--seed", seed, "--sheet", path.to_str().expect("a path")]));
        fs::read(path).expect("a sheet")
    };
    let first = drawn("a.png", "1");
    assert!(first == drawn("b.png", "1") && first != drawn("c.png", "2"));
}

#[test]
fn wrong_wishes_are_told() {
    let code = |args: &[&str]| dlc(&[&["data"], args].concat()).status.code();
    assert_eq!(code(&["examples/digits.dl", "letters"]), Some(2));
    assert_eq!(code(&["examples/digits.dl", "digits", "--field", "no"]), Some(2));
    assert_eq!(code(&["examples/digits.dl", "--sheet", "sheet.jpg"]), Some(2));
    assert_eq!(code(&["examples/iris.dl", "--data-root", "no/such/folder"]), Some(1));
    assert_eq!(code(&["no_such.dl"]), Some(2));
    assert!(!Path::new("sheet.jpg").exists());
}

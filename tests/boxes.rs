//! Programs that find objects in pictures: trained, asked about a picture, and told what is wrong with their data.

mod program;

use std::fs;
use std::path::Path;
use std::process::Output;

const SHAPES: &str = r#"
dim gy = 2
dim gx = 4
dim side = ["x", "y", "w", "h"]
dim kind
dim area = 4

data drawn {
  source = synthetic("shapes", count = 48, seed = 1)
  field image: [h: 16, w: 32, c: 3] = images |> scale(1 / 255)
  field objects: boxes = boxes
  field mask: area[h: 16, w: 32] = masks
  split = ratio(train = 50%, val = 25%, test = 25%)
}

model Shapes(image: [h: 16, w: 32, c: 3])
    -> (found: [gy, gx], where: [gy, gx, side], class: [gy, gx, kind], points: [h: 16, w: 32, area]) {
  near = image |> conv(8, 3) |> relu
  f = near |> max_pool(8) |> dense(16) |> relu |> view(h -> gy) |> view(w -> gx)
  found = f |> dense(1) |> squeeze(c)
  where = f |> dense(side)
  class = f |> dense(kind)
  points = near |> dense(area)
  predict seen = boxes(found, where, class, score = 0.01, overlap = 0.9)
}

train Shapes on drawn {
  augment image, objects, mask |> random_flip(w) |> random_zoom(0.2) |> random_rotate(10)
  field has: [gy, gx], place: [gy, gx, side], what: kind[gy, gx] = objects |> to_grid(gy, gx, reach = 1)
  loss {
    found = bce(found, has)
    where = giou(where, place, weight = has) + iou(where, place, weight = has)
    class = cross_entropy(class, what, weight = has)
    points = cross_entropy(points, mask)
  }
  batch = 8
  epochs = 2
  metrics = [mean_ap(seen, objects), mean_ap(seen, objects, iou = 0.5, rule = voc)]
}
"#;

fn dlc(folder: &Path, args: &[&str]) -> Output {
    program::dlc(args).current_dir(folder).output().expect("dlc runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[test]
fn shapes_are_learned_and_found() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("p.dl"), SHAPES).expect("written");
    for threads in ["1", "2"] {
        let done = dlc(folder.path(), &["run", "p.dl", "--train", "--threads", threads, "--out", threads]);
        assert!(done.status.success(), "{}", said(&done));
    }
    let model = |run: &str| fs::read(folder.path().join(run).join("best.dlm")).expect("a model");
    assert!(model("1") == model("2"), "the bits depend on the number of threads");

    // A picture of another size: boxes lie in it as it is.
    let header = b"P6\n32 16\n255\n".to_vec();
    let points = (0..16 * 32).flat_map(|at| if at % 32 < 12 { [250, 20, 20] } else { [10, 10, 10] });
    fs::write(folder.path().join("x.ppm"), header.into_iter().chain(points).collect::<Vec<u8>>()).expect("written");
    let asked = dlc(folder.path(), &["run", "1/best.dlm", "x.ppm", "--json"]);
    assert!(asked.status.success(), "{}", said(&asked));
    let line: serde_json::Value = serde_json::from_slice(&asked.stdout).expect("JSON");
    let seen = line["seen"].as_array().expect("boxes");
    assert!(!seen.is_empty(), "{line}");
    for found in seen {
        let corners: Vec<f64> = found["box"].as_array().expect("a box").iter().filter_map(|x| x.as_f64()).collect();
        let [left, top, right, bottom] = corners[..] else { panic!("{found}") };
        assert!(
            0.0 <= left && left < right && right <= 32.0 && 0.0 <= top && top < bottom && bottom <= 16.0,
            "{found}"
        );
        assert!(["circle", "square", "triangle"].contains(&found["class"].as_str().expect("a class")), "{found}");
    }
    let scored = dlc(folder.path(), &["run", "1/best.dlm", "--eval", "-o", "results"]);
    assert!(scored.status.success() && said(&scored).contains("mean_ap"), "{}", said(&scored));
    // Boxes are scored by class; what they were taken for is no question.
    let results = folder.path().join("results");
    let read = |file: &str| fs::read_to_string(results.join(file)).expect("a file");
    let objects: serde_json::Value = serde_json::from_str(&read("objects.json")).expect("JSON");
    let names: Vec<&str> =
        objects.as_array().expect("classes").iter().filter_map(|one| one["class"].as_str()).collect();
    assert_eq!(names, ["circle", "square", "triangle"]);
    assert!(
        objects.as_array().is_some_and(|all| all.iter().all(|one| one["average_precision"].is_number())),
        "{objects}"
    );
    assert!(read("objects.txt").starts_with("class") && read("worst.csv").lines().count() == 13);
    assert!(image::open(results.join("worst.png")).is_ok() && !results.join("confusion.png").exists());
}

/// The program on files, without masks.
fn of_files() -> String {
    let program = SHAPES.replace("synthetic(\"shapes\", count = 48, seed = 1)", "yolo(\"set\")");
    let program = program.replace("  field mask: area[h: 16, w: 32] = masks\n", "");
    program.replace(", mask |>", " |>").replace("    points = cross_entropy(points, mask)\n", "")
}

/// Four grey pictures, each with an object in its middle.
fn pictures(folder: &Path) {
    fs::create_dir_all(folder.join("set/images")).expect("a folder");
    fs::create_dir_all(folder.join("set/labels")).expect("a folder");
    let picture = [b"P6\n32 16\n255\n".to_vec(), vec![7; 3 * 16 * 32]].concat();
    for name in ["a", "b", "c", "d"] {
        fs::write(folder.join(format!("set/images/{name}.ppm")), &picture).expect("written");
        fs::write(folder.join(format!("set/labels/{name}.txt")), "0 0.5 0.5 0.5 0.5\n").expect("written");
    }
}

/// A camera that was held otherwise writes how the picture is to be turned. It is told and drawn as it is seen then.
#[test]
fn turned_pictures_are_told_as_they_are_seen() {
    use image::imageops::{flip_horizontal, rotate90, rotate180, rotate270};
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let program = of_files().replace("images |>", "images |> letterbox(h: 16, w: 32) |>");
    fs::write(folder.join("p.dl"), program.replace("= boxes\n", "= boxes |> letterbox(h: 16, w: 32)\n"))
        .expect("written");
    pictures(folder);
    let done = dlc(folder, &["run", "p.dl", "--train", "--quiet", "--out", "r"]);
    assert!(done.status.success(), "{}", said(&done));
    // Higher than wide as it is seen; the network's pictures are wider than high. Soft edges, which JPEG keeps.
    let seen = image::RgbImage::from_fn(64, 96, |x, y| {
        let [dx, dy] = [f64::from(x) - 20.0, f64::from(y) - 30.0];
        let light = (220.0 * (-(dx * dx + dy * dy) / 300.0).exp()) as u8;
        image::Rgb([light, (x / 2) as u8, (y / 2) as u8])
    });
    let ask = |file: &str| -> Vec<(String, f64, Vec<f64>)> {
        let asked = dlc(folder, &["run", "r/best.dlm", file, "--json", "-o", "out.png"]);
        assert!(asked.status.success(), "{file}: {}", said(&asked));
        let line: serde_json::Value = serde_json::from_slice(&asked.stdout).expect("JSON");
        let number = |x: &serde_json::Value| x.as_f64().expect("a number");
        let one = |found: &serde_json::Value| {
            let corners = found["box"].as_array().expect("a box").iter().map(number).collect();
            (found["class"].as_str().expect("a class").to_string(), number(&found["score"]), corners)
        };
        line["seen"].as_array().expect("boxes").iter().map(one).collect()
    };
    seen.save(folder.join("plain.png")).expect("written");
    let wanted = ask("plain.png");
    let drawn = image::open(folder.join("out.png")).expect("a picture").to_rgb8();
    assert!(!wanted.is_empty());
    for orientation in 1..=8u8 {
        // What the camera has, so that the turn brings it back.
        let mirrored = flip_horizontal(&seen);
        let held = match orientation {
            1 => seen.clone(),
            2 => mirrored,
            3 => rotate180(&seen),
            4 => rotate180(&mirrored),
            5 => rotate270(&mirrored),
            6 => rotate270(&seen),
            7 => rotate90(&mirrored),
            _ => rotate90(&seen),
        };
        let mut jpeg = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 100);
        held.write_with_encoder(encoder).expect("a picture");
        let exif = [
            &b"\xff\xe1\x00\x22Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"[..],
            &[orientation],
            &[0; 6],
        ]
        .concat();
        jpeg.splice(2..2, exif);
        let file = format!("{orientation}.jpg");
        fs::write(folder.join(&file), jpeg).expect("written");
        let found = ask(&file);
        assert_eq!(found.len(), wanted.len(), "{file}");
        for (class, score, corners) in &wanted {
            let near = |other: &(String, f64, Vec<f64>)| {
                other.0 == *class
                    && (other.1 - score).abs() < 0.02
                    && other.2.iter().zip(corners).all(|(a, b)| (a - b).abs() < 1.5)
            };
            assert!(found.iter().any(near), "{file}: {class} {score} {corners:?} is not among {found:?}");
        }
        let picture = image::open(folder.join("out.png")).expect("a picture").to_rgb8();
        assert_eq!(picture.dimensions(), drawn.dimensions(), "{file}");
        let far: u64 = picture.as_raw().iter().zip(drawn.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b) > 60)).sum();
        assert!(far * 50 < drawn.as_raw().len() as u64, "{file}: {far} of {} points differ", drawn.as_raw().len());
    }
}

#[test]
fn the_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("p.dl"), of_files()).expect("written");
    pictures(folder.path());
    let cases = [
        ("0 0.5 0.5 0.5 0.5\n", 0, ""),
        ("0 0.5 0.5 0 0.5\n", 0, "left out 1 box of no area: `set/labels/c.txt`"),
        ("0 7 7 0.5 0.5\n", 0, "left out 1 box outside of the picture: `set/labels/c.txt`"),
        ("0 0.5 0.5\n", 1, "set/labels/c.txt"),
        ("cat 0.5 0.5 0.5 0.5\n", 1, "set/labels/c.txt"),
    ];
    for (text, code, message) in cases {
        fs::write(folder.path().join("set/labels/c.txt"), text).expect("written");
        let done = dlc(folder.path(), &["run", "p.dl", "--train", "--dry-run"]);
        assert_eq!(done.status.code(), Some(code), "{text}{}", said(&done));
        assert!(said(&done).contains(message), "{text}{}", said(&done));
    }
}

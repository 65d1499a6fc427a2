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
    let scored = dlc(folder.path(), &["run", "1/best.dlm", "--eval"]);
    assert!(scored.status.success() && said(&scored).contains("mean_ap"), "{}", said(&scored));
}

#[test]
fn the_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = "yolo(\"set\")";
    let program = SHAPES.replace("synthetic(\"shapes\", count = 48, seed = 1)", source);
    let program = program.replace("  field mask: area[h: 16, w: 32] = masks\n", "");
    let program = program.replace(", mask |>", " |>").replace("    points = cross_entropy(points, mask)\n", "");
    fs::write(folder.path().join("p.dl"), program).expect("written");
    fs::create_dir_all(folder.path().join("set/images")).expect("a folder");
    fs::create_dir_all(folder.path().join("set/labels")).expect("a folder");
    let picture = [b"P6\n32 16\n255\n".to_vec(), vec![7; 3 * 16 * 32]].concat();
    for name in ["a", "b", "c", "d"] {
        fs::write(folder.path().join(format!("set/images/{name}.ppm")), &picture).expect("written");
        fs::write(folder.path().join(format!("set/labels/{name}.txt")), "0 0.5 0.5 0.5 0.5\n").expect("written");
    }
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

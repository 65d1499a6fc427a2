//! Bad pictures and masks given to the program itself: a message that names the file and a way out, nothing half-written, and
//! never more memory than is right.

mod program;
mod refused;

use std::fs;
use std::io::Cursor;

use image::ImageFormat;
use refused::{done, picture, png, refused, run, write};

fn mask(w: u32, h: u32, value: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let points = image::GrayImage::from_fn(w, h, |x, _| image::Luma([if 2 * x < w { 0 } else { value }]));
    points.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("a mask");
    bytes
}

/// The sum that PNG has of each piece.
fn crc(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

/// A header that promises 30,000 x 30,000 points, and little more.
fn bomb() -> Vec<u8> {
    let mut bytes = png(2, 2);
    bytes[16..24].copy_from_slice(&[30_000u32.to_be_bytes(), 30_000u32.to_be_bytes()].concat());
    let sum = crc(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn cut_jpeg() -> Vec<u8> {
    let whole = picture(64, 64, ImageFormat::Jpeg);
    whole[..whole.len() / 2].to_vec()
}

const PAIRS: &str = r#"dim area = 2
data d {
  source = pairs(images = "images", masks = "masks")
  field image: [h: 16, w: 16, c: 3] = images |> resize(h: 16, w: 16) |> scale(1 / 255)
  field mask: area[h: 16, w: 16] = masks |> resize(h: 16, w: 16, by = "nearest")
  split = ratio(train = 50%, val = 25%, test = 25%)
}
model N(image: [h: 16, w: 16, c: 3]) -> scores: [h: 16, w: 16, area] {
  scores = image |> conv(area, 3)
  predict areas = argmax(scores, over = area)
}
train N on d { loss = cross_entropy(scores, mask)  epochs = 1  metrics = [iou(scores, mask)] }
"#;

const TRAIN: &[&str] = &["run", "p.dl", "--train", "--quiet", "--out", "r"];

/// Eight pictures with their masks.
fn pairs() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "p.dl", PAIRS);
    for at in 0..8 {
        write(dir.path(), &format!("images/{at}.png"), png(32, 24));
        write(dir.path(), &format!("masks/{at}.png"), mask(32, 24, 1));
    }
    dir
}

#[test]
fn pictures_and_masks_that_are_none() {
    let dir = pairs();
    let folder = dir.path();
    done(folder, TRAIN, &[]);
    fs::remove_dir_all(folder.join("r")).expect("removed");
    let jpeg = "images/3.jpg";
    let (image, own) = ("images/3.png", "masks/3.png");
    let cases: Vec<(&str, Vec<u8>, &str, &[&str])> = vec![
        (jpeg, cut_jpeg(), "E0510", &["cut short"]),
        (image, bomb(), "E0510", &["30,000 x 30,000"]),
        (image, b"no picture at all".to_vec(), "E0510", &["no picture"]),
        (image, vec![], "E0510", &["empty"]),
        (image, png(32, 24)[..90].to_vec(), "E0510", &["cut short"]),
        (own, mask(24, 32, 1), "E0511", &["32 x 24", "24 x 32", "images/3.png"]),
        (own, mask(1, 1, 1), "E0511", &["1 x 1", "24 x 32", "images/3.png"]),
        (own, mask(32, 24, 2), "E0507", &["class 2"]),
        (own, png(32, 24), "E0510", &["colours"]),
        (own, bomb(), "E0510", &["30,000 x 30,000"]),
        (own, picture(32, 24, ImageFormat::Jpeg), "E0510", &["JPEG"]),
    ];
    for (file, bytes, code, pieces) in cases {
        // What stood there before lies beside it.
        let stem = file.trim_end_matches(".jpg").trim_end_matches(".png");
        let good = format!("{stem}.png");
        let before = fs::read(folder.join(&good)).expect("a file");
        fs::remove_file(folder.join(&good)).expect("removed");
        write(folder, file, bytes);
        let pieces = &[pieces, &[file]].concat();
        refused(folder, TRAIN, code, pieces);
        refused(folder, &["data", "p.dl"], code, pieces);
        assert!(!folder.join("r").exists(), "{file}: something was written");
        done(folder, &["check", "p.dl"], &[]);
        fs::remove_file(folder.join(file)).expect("removed");
        write(folder, &good, before);
    }
    // One point is a picture, and a mask of half the size fits as well.
    write(folder, image, png(1, 1));
    write(folder, own, mask(1, 1, 0));
    write(folder, "masks/4.png", mask(16, 12, 1));
    done(folder, TRAIN, &[]);
}

#[test]
fn broken_pictures_are_left_out_on_request_alone() {
    let dir = pairs();
    write(dir.path(), "images/3.png", &png(32, 24)[..90]);
    write(dir.path(), "images/5.png", bomb());
    refused(dir.path(), TRAIN, "E0510", &["images/3.png", "1 more", "images/5.png", "skip_broken"]);
    write(dir.path(), "p.dl", PAIRS.replace("\"masks\")", "\"masks\", skip_broken = true)"));
    write(dir.path(), "masks/6.png", mask(24, 32, 1));
    done(
        dir.path(),
        &["run", "p.dl", "--train", "--out", "r"],
        &["note: left out `images/3.png`", "left out `images/5.png`", "left out `masks/6.png`"],
    );
    done(
        dir.path(),
        &["run", "p.dl", "--train", "--quiet", "--out", "q"],
        &["warning: left out `images/3.png`", "(and 2 more)"],
    );
}

#[test]
fn predictions_for_bad_pictures_write_nothing() {
    let dir = pairs();
    let folder = dir.path();
    done(folder, TRAIN, &[]);
    let ask = |file: &str| {
        let args = ["run", "r/best.dlm", file, "-o", "out.png"].map(str::to_string);
        args.to_vec()
    };
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("cut.jpg", cut_jpeg(), "cut short"),
        ("bomb.png", bomb(), "30,000 x 30,000"),
        ("none.png", b"\x89PNG\r\n\x1a\n".to_vec(), "cut short"),
        ("empty.jpg", vec![], "empty"),
    ];
    for (file, bytes, piece) in cases {
        write(folder, file, bytes);
        let args = ask(file);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        refused(folder, &args, "E0510", &[file, piece]);
        // A good one before it changes nothing.
        refused(folder, &["run", "r/best.dlm", "images/0.png", file, "-o", "out.png"], "E0510", &[file]);
        assert!(!folder.join("out.png").exists(), "{file}: something was written");
    }
    let missing = run(folder, &["run", "r/best.dlm", "missing.png", "-o", "out.png"]);
    assert!(missing.code == 2 && missing.err.contains("missing.png"), "{}", missing.err);
    assert!(!folder.join("out.png").exists());
    write(folder, "one.png", png(1, 1));
    done(folder, &["run", "r/best.dlm", "one.png", "-o", "out.png"], &[]);
    assert!(image::open(folder.join("out.png")).is_ok());
    // The picture is there as a whole or not at all.
    fs::remove_file(folder.join("out.png")).expect("removed");
    let nowhere = run(folder, &["run", "r/best.dlm", "one.png", "-o", "no/such/out.png"]);
    assert!(nowhere.code == 2 && nowhere.err.contains("no/such/out.png"), "{}", nowhere.err);
    let left: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|file| file.expect("a file").file_name().to_string_lossy().into())
        .collect();
    assert!(left.iter().all(|name| !name.contains("out")), "{left:?}");
}

#[test]
fn pictures_in_folders() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path();
    let program = "dim kind\ndata d {\n  source = folders(\"set\")\n  field image: [h: 8, w: 8, c: 3] = images |> resize(h: 8, w: 8) |> scale(1 / 255)\n  \
                   field label: kind = folder\n  split = ratio(train = 50%, val = 25%, test = 25%)\n}\nmodel N(image: [h: 8, w: 8, c: 3]) -> z: [kind] {\n  \
                   z = image |> flatten |> dense(kind)\n}\ntrain N on d { loss = cross_entropy(z, label)  epochs = 1 }\n";
    write(folder, "p.dl", program);
    for (kind, at) in (0..4).flat_map(|at| ["a", "b"].map(|kind| (kind, at))) {
        write(folder, &format!("set/{kind}/{at}.png"), png(12, 9));
    }
    done(folder, TRAIN, &[]);
    write(folder, "set/a/cut.jpg", cut_jpeg());
    refused(folder, TRAIN, "E0510", &["set/a/cut.jpg", "cut short"]);
    fs::remove_file(folder.join("set/a/cut.jpg")).expect("removed");
    write(folder, "set/b/bomb.png", bomb());
    refused(folder, TRAIN, "E0510", &["set/b/bomb.png", "30,000 x 30,000"]);
    fs::remove_file(folder.join("set/b/bomb.png")).expect("removed");
    write(folder, "set/loose.png", png(2, 2));
    refused(folder, TRAIN, "E0502", &["set/loose.png"]);
}

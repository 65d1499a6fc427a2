//! `dlc run MODEL.dlm PICTURE --show LAYER -o maps.png`: what is drawn of a layer, and what is said where there is none.

mod program;

use std::fs;
use std::path::Path;
use std::process::Output;

use image::RgbImage;

/// Its first filter is the picture moved to the left, its second the difference of neighbours.
const PROGRAM: &str = r#"dim kind = ["dark", "light"]
data d {
  source = folders("set")
  field image: [h: 8, w: 8, c: 1] = images |> gray |> resize(h: 8, w: 8) |> scale(1 / 255)
  field label: kind = folder
  split = ratio(train = 50%, val = 25%, test = 25%)
}
block Twice(x: [h, w, c]) -> y { y = x |> repeat 2 { conv(3, 3) |> relu } }
model N(image: [h: 8, w: 8, c: 1]) -> z: [kind] {
  z = image |> conv(2, 3) |> batch_norm |> relu |> Twice |> max_pool(2) |> flatten |> dense(kind)
  predict answer = argmax(z, over = kind)
}
train N on d {
  loss = cross_entropy(z, label)
  optimizer = sgd(lr = 1e-30)
  epochs = 1
}
"#;

fn dlc(folder: &Path, args: &[&str]) -> Output {
    program::dlc(args).current_dir(folder).output().expect("dlc runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// A model whose first filters are known: it starts from them, and its steps are none.
fn trained() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path();
    fs::write(folder.join("p.dl"), PROGRAM).expect("a program");
    for (kind, light) in [("dark", 20), ("light", 200)] {
        fs::create_dir_all(folder.join("set").join(kind)).expect("a folder");
        for at in 0..4u8 {
            let picture = image::GrayImage::from_fn(8, 8, |x, y| image::Luma([light + at + (x + y) as u8]));
            picture.save(folder.join(format!("set/{kind}/{at}.png"))).expect("written");
        }
    }
    // Half black, half white.
    image::GrayImage::from_fn(8, 8, |x, _| image::Luma([if x < 4 { 0 } else { 255 }]))
        .save(folder.join("x.png"))
        .expect("written");
    let values: Vec<f32> = (0..9)
        .flat_map(|at| [f32::from(u8::from(at == 5)), [0.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0][at]])
        .collect();
    npz(&folder.join("first.npz"), "N.z/conv[0].weight", &[3, 3, 1, 2], &values);
    let done = dlc(folder, &["run", "p.dl", "--train", "--quiet", "--out", "r", "--init", "first.npz"]);
    assert!(done.status.success(), "{}", said(&done));
    dir
}

/// One array in an archive without compression.
fn npz(path: &Path, name: &str, shape: &[usize], values: &[f32]) {
    let header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}",
        shape.iter().map(|n| format!("{n},")).collect::<String>()
    );
    let padded = format!("{header:<117}\n");
    let mut array = b"\x93NUMPY\x01\x00".to_vec();
    array.extend((padded.len() as u16).to_le_bytes());
    array.extend(padded.as_bytes());
    array.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    let file = format!("{name}.npy");
    let sum = crc(&array);
    let about = |extra: &[u8]| {
        let size = (array.len() as u32).to_le_bytes();
        [
            &[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &sum.to_le_bytes(),
            &size,
            &size,
            &(file.len() as u16).to_le_bytes(),
            &[0, 0],
            extra,
            file.as_bytes(),
        ]
        .concat()
    };
    let mut bytes = [b"PK\x03\x04".to_vec(), about(&[]), array.clone()].concat();
    let start = bytes.len() as u32;
    let central = [b"PK\x01\x02\x14\x00".to_vec(), about(&[0; 14])].concat();
    let end =
        [&[0, 0, 0, 0, 1, 0, 1, 0][..], &(central.len() as u32).to_le_bytes(), &start.to_le_bytes(), &[0, 0]].concat();
    bytes.extend([central, b"PK\x05\x06".to_vec(), end].concat());
    fs::write(path, bytes).expect("written");
}

fn crc(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

fn shown(folder: &Path, args: &[&str]) -> (RgbImage, String) {
    let done = dlc(folder, &[&["run", "r/best.dlm"], args, &["-o", "maps.png"]].concat());
    assert!(done.status.success(), "{args:?}: {}", said(&done));
    (image::open(folder.join("maps.png")).expect("a picture").to_rgb8(), said(&done))
}

/// The greys of a row of cells of `wide` points, from a point on.
fn greys(picture: &RgbImage, (x, y): (u32, u32), wide: u32, count: u32) -> Vec<u8> {
    (0..count).map(|at| picture.get_pixel(x + at * wide + wide / 2, y).0[0]).collect()
}

#[test]
fn filters_and_maps_are_what_they_are() {
    let dir = trained();
    let (filters, text) = shown(dir.path(), &["--show", "conv[0]"]);
    assert!(text.contains("N.z/conv[0]  [h: 8, w: 8, c: 2]  weights 3 x 3 x 1 x 2"), "{text}");
    // Below two headings; points of 16 x 16, the middle row.
    let row = 27 + 5 + 27 + 24;
    assert_eq!(greys(&filters, (8, row), 16, 3), [128, 128, 255]);
    assert_eq!(greys(&filters, (8 + 48 + 8, row), 16, 3), [0, 255, 128]);

    let (both, _) = shown(dir.path(), &["x.png", "--show", "conv[0]"]);
    assert!(both.height() > filters.height() + 100, "{} and {}", both.height(), filters.height());
    // The maps are the last: a legend of 19 points, five between, a gap, two lines and four points below maps of 96.
    let bottom = both.height() - 19 - 5 - 8 - 2 * 15 - 4;
    let maps = [8, 8 + 96 + 8].map(|x| greys(&both, (x, bottom - 48), 12, 8));
    // What is to the right of each point, and black beyond the edge; and where a point is lighter than the one to its left.
    assert_eq!(maps[0], [0, 0, 0, 255, 255, 255, 255, 0]);
    assert_eq!(maps[1], [0, 0, 0, 0, 255, 0, 0, 0]);
}

#[test]
fn any_layer_can_be_shown() {
    let dir = trained();
    let folder = dir.path();
    for (layer, piece) in [
        ("N.z/relu[0]", "[h: 8, w: 8, c: 2]"),
        ("batch_norm[0]", "[h: 8, w: 8, c: 2]"),
        ("Twice[0]", "[h: 8, w: 8, c: 3]"),
        ("Twice[0]/conv[1]", "weights 3 x 3 x 3 x 3"),
        ("max_pool[0]", "[h: 4, w: 4, c: 3]"),
        ("dense[0]", "[kind: 2]  weights 48 x 2"),
        ("z", "[kind: 2]"),
    ] {
        let (_, text) = shown(folder, &["x.png", "--show", layer]);
        assert!(text.contains(piece), "{layer}: {text}");
    }
    // What a layer shows does not change what is predicted.
    let asked = dlc(folder, &["run", "r/best.dlm", "x.png"]);
    assert!(asked.status.success(), "{}", said(&asked));
    let (_, text) = shown(folder, &["x.png", "--show", "conv[1]"]);
    assert!(text.contains("N.z/Twice[0]/conv[1]"), "{text}");
}

#[test]
fn layers_that_are_none() {
    let dir = trained();
    let folder = dir.path();
    let fails = |args: &[&str], code: i32, pieces: &[&str]| {
        let done = dlc(folder, &[&["run", "r/best.dlm"], args].concat());
        assert_eq!(done.status.code(), Some(code), "{args:?}: {}", said(&done));
        for piece in pieces {
            assert!(said(&done).contains(piece), "{args:?}: no `{piece}` in {}", said(&done));
        }
        assert!(!folder.join("no.png").exists(), "{args:?}");
    };
    let listed = [
        "has no layer `conv[9]`",
        " z/conv[0]\n",
        " z/batch_norm[0]\n",
        " z/relu[0]\n",
        " z/Twice[0]/conv[1]\n",
        " z/dense[0]",
    ];
    fails(&["x.png", "--show", "conv[9]", "-o", "no.png"], 2, &listed);
    fails(&["x.png", "--show", "", "-o", "no.png"], 2, &["has no layer ``"]);
    fails(&["x.png", "--show", "relu[0]/max[0]", "-o", "no/such/no.png"], 2, &["no/such/no.png"]);
    fails(&["--show", "relu[0]", "-o", "no.png"], 2, &["`N.z/relu[0]` has no filters", "name a picture"]);
    fails(&["x.png", "--show", "conv[0]"], 2, &["required", "-o <FILE>"]);
    fails(&["x.png", "--show", "conv[0]", "-o", "no.jpg"], 2, &["PNG"]);
    fails(&["x.png", "set/dark/0.png", "--show", "conv[0]", "-o", "no.png"], 2, &["one file at a time"]);
    fails(&["missing.png", "--show", "conv[0]", "-o", "no.png"], 2, &["missing.png"]);
    fs::write(folder.join("bad.png"), b"\x89PNG").expect("written");
    fails(&["bad.png", "--show", "conv[0]", "-o", "no.png"], 1, &["E0510", "bad.png"]);
    fails(&["--eval", "--show", "conv[0]", "-o", "no.png"], 2, &["--eval"]);
}

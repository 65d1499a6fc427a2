//! Tables whose cells name pictures: pairs of them, and pictures with what is said of them.

mod program;

use std::fs;
use std::path::Path;
use std::process::Output;

fn dlc(folder: &Path, args: &[&str]) -> Output {
    program::dlc(args).current_dir(folder).output().expect("dlc runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// `dark.pgm` and `light.pgm`, eight by eight points.
fn pictures(folder: &Path) {
    for (name, level) in [("dark", 10), ("light", 240)] {
        let picture = [b"P5\n8 8\n255\n".to_vec(), vec![level; 64]].concat();
        fs::write(folder.join(format!("{name}.pgm")), picture).expect("written");
    }
}

const PAIRS: &str = r#"
dim same = ["different", "same"]

data two {
  source = pairs(table = "pairs.csv", root = "drawn")
  field left:  [h: 8, w: 8, c: 1] = image("a") |> scale(1 / 255)
  field right: [h: 8, w: 8, c: 1] = image("b") |> scale(1 / 255)
  field verdict: same = column("same")
  split = ratio(train = 60%, val = 20%, test = 20%, group = column("writer"))
}

block Tower(x: [h, w, c]) -> y { y = x |> flatten |> dense(4) }

model Compare(left: [h: 8, w: 8, c: 1], right: [h: 8, w: 8, c: 1]) -> logits: [same] {
  layer tower = Tower()
  logits = abs(tower(left) - tower(right)) |> dense(same)
}

train Compare on two {
  loss = cross_entropy(logits, verdict)
  optimizer = adam(lr = 0.02)
  batch = 8
  epochs = 30
  metrics = [accuracy(logits, verdict)]
}
"#;

#[test]
fn pairs_come_from_a_table() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("drawn")).expect("made");
    pictures(&folder.path().join("drawn"));
    let mut table = "a,b,same,writer\n".to_string();
    for i in 0..40 {
        let (a, b) = (["dark", "light"][i % 2], ["dark", "light"][i / 2 % 2]);
        table += &format!("{a}.pgm,{b}.pgm,{},{}\n", if a == b { "same" } else { "different" }, i / 4);
    }
    fs::write(folder.path().join("pairs.csv"), table).expect("written");
    fs::write(folder.path().join("p.dl"), PAIRS).expect("written");
    let done = dlc(folder.path(), &["run", "p.dl", "--train", "--out", "1", "--require", "test.accuracy>=1"]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
}

const CAPTIONS: &str = r#"
dim t <= 4
dim word

data told {
  source = captions(images = "drawn", table = "captions.csv")
  field image: [h: 8, w: 8, c: 1] = images |> scale(1 / 255)
  field tokens: word[t], next: word[t] = captions |> lowercase |> words |> next_token
  split = ratio(train = 60%, val = 20%, test = 20%)
}

model Caption(image: [h: 8, w: 8, c: 1], tokens: word[t]) -> logits: [t, word] {
  seen = image |> flatten |> dense(8) |> relu
  read = tokens |> embed(8)
  told = scan w in read over t {
    state h: [c: 8] = tanh(dense(seen, 8))
    h' = tanh(dense(concat(w, h, over = c), 8))
    yield h'
  }
  logits = told |> dense(word)
}

train Caption on told {
  loss = cross_entropy(logits, next)
  optimizer = adam(lr = 0.02)
  batch = 8
  epochs = 40
  metrics = [perplexity(logits, next), exact(tokens)]
}

generate Caption {
  tokens <- greedy(logits)
  limit = 4
}
"#;

#[test]
fn captions_come_from_a_table() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("drawn")).expect("made");
    pictures(&folder.path().join("drawn"));
    let mut table = "image,caption\n".to_string();
    for i in 0..40 {
        table += ["dark.pgm,\"Night, no moon\"\n", "light.pgm,a bright day\n"][i % 2];
    }
    fs::write(folder.path().join("captions.csv"), &table).expect("written");
    fs::write(folder.path().join("p.dl"), CAPTIONS).expect("written");
    let done = dlc(folder.path(), &["run", "p.dl", "--train", "--out", "1", "--require", "test.exact>=1"]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));

    fs::write(folder.path().join("captions.csv"), table + "lost.pgm,nothing\n").expect("written");
    let done = dlc(folder.path(), &["run", "p.dl", "--train", "--out", "2"]);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains("lost.pgm"), "{}", said(&done));
}

const AREAS: &str = r#"
dim area = ["dark", "light"]

data areas {
  source = pairs(images = "i", masks = "m")
  field image: [h: 4, w: 4, c: 1] = images |> scale(1 / 255)
  field mask: area[h: 4, w: 4] = masks |> ignore(9)
  split = in_order(train = 80%, test = 20%)
}

model Areas(image: [h: 4, w: 4, c: 1]) -> scores: [h: 4, w: 4, area] { scores = image |> conv(area, 1) }

train Areas on areas {
  augment image, mask |> random_flip(w)
  loss {
    pixels  = cross_entropy(scores, mask)
    overlap = dice(scores, mask)
  }
  optimizer = adam(lr = 0.1)
  batch = 4
  epochs = 30
  metrics = [accuracy(scores, mask), iou(scores, mask)]
}
"#;

/// A quarter of the points is white and of no class, which is nothing that a network could learn.
#[test]
fn what_is_ignored_counts_for_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: String, points: Vec<u8>| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, [b"P5\n4 4\n255\n".to_vec(), points].concat()).expect("written");
    };
    for i in 0..20usize {
        let class = |at: usize| if at % 4 == i % 4 { 9 } else { ((at + i / 4) % 2) as u8 };
        write(format!("m/{i:02}.pgm"), (0..16).map(class).collect());
        write(format!("i/{i:02}.pgm"), (0..16).map(|at| [30, 200, 255][usize::from(class(at).min(2))]).collect());
    }
    fs::write(folder.path().join("a.dl"), AREAS).expect("written");
    let require = ["--require", "test.accuracy>=1", "--require", "test.iou>=1"];
    let done = dlc(folder.path(), &[["run", "a.dl", "--train", "--out", "1"].as_slice(), &require].concat());
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let embedded = AREAS.replace("loss {", "loss {\n    told = mean(embed(mask, 2), over = [h, w, embed])");
    fs::write(folder.path().join("e.dl"), embedded).expect("written");
    let done = dlc(folder.path(), &["check", "e.dl"]);
    assert!(said(&done).contains("`embed` needs a class at every point"), "{}", said(&done));
}

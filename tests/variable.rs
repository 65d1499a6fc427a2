//! Texts of any length, from training to prediction: what a run makes of them does not depend on what is beside them.

mod program;

use std::fs;
use std::path::Path;

const PROGRAM: &str = r#"
dim t <= 12
dim word
dim mood = ["dark", "light"]

data lines {
  source = lines(dark = "dark.txt", light = "light.txt")
  field tokens: word[t] = line |> words
  field feels: mood = file
  split = ratio(train = 60%, val = 20%, test = 20%, stratify = feels)
}

model Net(tokens: word[t]) -> (logits: [mood], each: [t, mood]) {
  x = tokens |> embed(8)
  y = concat(x |> gru(6), x |> gru(6, reverse = true), over = c)
  each = y |> dense(mood)
  logits = (each |> last(over = t)) + (each |> max(over = t))
  predict answer = argmax(logits, over = mood)
  predict best = argmax(each, over = mood)
}

train Net on lines {
  loss      = cross_entropy(logits, feels)
  optimizer = adam(lr = 0.02)
  batch     = 8
  epochs    = 6
  metrics   = [accuracy(logits, feels)]
}
"#;

fn dlc(folder: &Path, words: &[&str]) -> (String, String) {
    let done = program::dlc(words).current_dir(folder).output().expect("dlc runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{words:?}: {}", text(&done.stderr));
    (text(&done.stdout), text(&done.stderr))
}

/// Lines of 1 to 11 words; dark and light ones share some.
fn write(folder: &Path) {
    for (name, own) in [("dark", "night"), ("light", "day")] {
        let line = |i: usize| -> String {
            let words = (0..1 + i * 7 % 11).map(|k| match (i * 5 + k * 3) % 4 {
                0 => own.to_string(),
                other => format!("w{}", (i + other) % 6),
            });
            words.chain([own.to_string()]).collect::<Vec<_>>().join(" ")
        };
        let text: String = (0..40).map(|i| line(i) + "\n").collect();
        fs::write(folder.join(format!("{name}.txt")), text).expect("a file");
    }
    fs::write(folder.join("net.dl"), PROGRAM).expect("a file");
}

#[test]
fn any_threads_and_any_company() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write(folder);
    for threads in ["1", "3"] {
        let words =
            ["run", "net.dl", "--train", "--threads", threads, "--out", threads, "--require", "test.accuracy>=0.9"];
        dlc(folder, &words);
    }
    let bytes = |run: &str| fs::read(folder.join(run).join("best.dlm")).expect("a model");
    assert_eq!(bytes("1"), bytes("3"));
    dlc(folder, &["run", "1/best.dlm", "--eval", "--data-root", "."]);
    // One by one, and all together.
    let lines = ["night", "w1 day w2 w3 w1 w2 day", "w2 night w1", "day w5 w4 w3 w2 w1 w1 w1 w1 w1"];
    fs::write(folder.join("all.txt"), lines.join("\n")).expect("a file");
    let (all, _) = dlc(folder, &["run", "1/best.dlm", "all.txt", "--format", "csv"]);
    let rows: Vec<&str> = all.lines().skip(1).collect();
    assert_eq!(rows.len(), lines.len(), "{all}");
    for (line, row) in lines.iter().zip(rows) {
        fs::write(folder.join("one.txt"), line).expect("a file");
        let (one, _) = dlc(folder, &["run", "1/best.dlm", "one.txt", "--format", "csv"]);
        let alone = one.lines().nth(1).expect("a row");
        assert_eq!(row.trim_end_matches(','), alone, "{line}");
        assert_eq!(alone.split(',').count(), 1 + line.split(' ').count(), "{line}: {alone}");
    }
}

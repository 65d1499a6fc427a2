//! Programs that read lines and series: trained, asked about new texts, and told what is wrong with them.

mod program;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

const MOODS: &str = r#"
dim t <= 8
dim word
dim mood = ["neg", "pos"]

data reviews {
  source = lines(neg = "neg.txt", pos = "pos.txt", encoding = "latin-1")
  field tokens: word[t] = line |> lowercase |> words
  field feels: mood = file
  split = ratio(train = 80%, val = 20%, stratify = feels)
}

model Mood(tokens: word[t]) -> logits: [mood] {
  logits = tokens |> embed(8) |> mean(over = t) |> dense(mood)
  predict answer = argmax(logits, over = mood)
}

train Mood on reviews {
  loss = cross_entropy(logits, feels)
  optimizer = adam(lr = 0.05)
  batch = 8
  epochs = 10
  metrics = [accuracy(logits, feels)]
}
"#;

const SERIES: &str = r#"
dim past = 4

data rows {
  source = csv("rows.csv")
  field seen: [past, v: 1], coming: [after: 1] = columns("y") |> scale(1 / 10) |> windows(past, 1)
  split = in_order(train = 60%, val = 20%, test = 20%)
}

model Next(seen: [past, v: 1]) -> guess: [after: 1] {
  guess = dense(seen |> view(past, v -> c), after: 1)
  predict forecast = 10 * guess
}

train Next on rows {
  loss = mse(guess, coming)
  optimizer = adam(lr = 0.02)
  batch = 8
  epochs = 200
  metrics = [mae(guess, coming)]
}
"#;

fn dlc(folder: &Path, args: &[&str], input: &str) -> Output {
    let mut command = program::dlc(args);
    command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("dlc runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    child.wait_with_output().expect("dlc ends")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

fn folder(program: &str, files: &[(&str, String)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("p.dl"), program).expect("written");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn trained(program: &str, files: &[(&str, String)]) -> (tempfile::TempDir, Output) {
    let folder = folder(program, files);
    let done = dlc(folder.path(), &["run", "p.dl", "--train", "--out", "run"], "");
    (folder, done)
}

#[test]
fn lines_of_text_are_classes() {
    let files =
        [("neg.txt", "a bad film\nso dull and bad\n".repeat(20)), ("pos.txt", "a fine film\nso good\n".repeat(20))];
    let (folder, done) = trained(MOODS, &files);
    assert!(done.status.success(), "{}", said(&done));
    let ask = |text: &str| dlc(folder.path(), &["run", "run/best.dlm", "-", "--format", "csv"], text);
    let answer = ask("A fine film\nbad\ngood zebra\n");
    assert!(answer.status.success(), "{}", said(&answer));
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "answer\npos\nneg\npos\n");
    assert!(said(&answer).contains("1 of 6 words of `tokens` are not in `word`"), "{}", said(&answer));
    assert_eq!(ask("").status.code(), Some(1));
}

/// A model of a column of objects or of a table reads such again.
#[test]
fn texts_of_objects_and_of_tables() {
    let rows: Vec<(&str, &str)> = [("a bad film, so dull", "neg"), ("a fine, good film", "pos")].repeat(20);
    let objects = rows.iter().map(|(text, mood)| format!("{{\"text\": \"{text}\", \"mood\": \"{mood}\"}}\n"));
    let table = rows.iter().map(|(text, mood)| format!("{mood},\"{text}\"\n"));
    let files = [
        ("t.jsonl", objects.collect::<String>()),
        ("t.csv", "mood,text\n".to_string() + &table.collect::<String>()),
        ("new.jsonl", "{\"text\": \"a fine film\"}\n{\"text\": \"so dull\"}\n".to_string()),
        ("new.csv", "text\n\"a fine film\"\n\"so, dull\"\n".to_string()),
    ];
    for (source, new) in [("jsonl(\"t.jsonl\")", "new.jsonl"), ("csv(\"t.csv\")", "new.csv")] {
        let program = MOODS
            .replace("lines(neg = \"neg.txt\", pos = \"pos.txt\", encoding = \"latin-1\")", source)
            .replace("line |>", "column(\"text\") |>")
            .replace("= file", "= column(\"mood\")");
        let (folder, done) = trained(&program, &files);
        assert!(done.status.success(), "{source}: {}", said(&done));
        let answer = dlc(folder.path(), &["run", "run/best.dlm", new, "--format", "csv"], "");
        assert_eq!(String::from_utf8_lossy(&answer.stdout), "answer\npos\nneg\n", "{source}: {}", said(&answer));
    }
}

#[test]
fn windows_of_rows_are_forecast() {
    let rows = |count: usize| "y\n".to_string() + &(0..count).map(|i| format!("{}\n", i % 4)).collect::<String>();
    let (folder, done) = trained(SERIES, &[("rows.csv", rows(100)), ("new.csv", rows(7)), ("short.csv", rows(3))]);
    assert!(done.status.success(), "{}", said(&done));
    let ask = |file: &str| dlc(folder.path(), &["run", "run/best.dlm", file, "--format", "csv"], "");
    let answer = ask("new.csv");
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let found: Vec<f64> = text.lines().skip(1).map(|line| line.parse().expect("a number")).collect();
    assert!(
        found.len() == 4 && found.iter().zip(0..).all(|(x, i)| (x - f64::from(i % 4)).abs() < 0.5),
        "{}",
        said(&answer)
    );
    let short = ask("short.csv");
    assert!(said(&short).contains("3 rows") && short.status.code() == Some(1), "{}", said(&short));
}

#[test]
fn drawn_data_has_the_sizes_of_its_fields() {
    for (source, first, second) in [
        ("ball", "frames: [t: 3, h: 5, w: 9, c: 2] = frames", "y: [at: 2] = place"),
        ("adding", "frames: [t: 7, v: 2] = pairs", "y: [] = total"),
        ("pass", "frames: [v: 3] = numbers", "y: [] = passed"),
    ] {
        let wide = if second.contains("at") { "dense(at: 2)" } else { "dense(1) |> squeeze(c)" };
        let ty = first.split_once(": ").and_then(|(_, ty)| ty.split_once(" =")).map_or("", |(ty, _)| ty);
        let out = if second.contains("at") { "[at: 2]" } else { "[]" };
        let program = format!(
            "data d {{\n  source = synthetic(\"{source}\", count = 40)\n  field {first}\n  field {second}\n  \
             split = ratio(train = 50%, val = 50%)\n}}\n\
             model N(frames: {ty}) -> z: {out} {{ z = frames |> flatten |> {wide} }}\n\
             train N on d {{ loss = mse(z, y)  epochs = 1 }}\n"
        );
        let (_folder, done) = trained(&program, &[]);
        assert!(done.status.success(), "{program}{}", said(&done));
    }
}

const SCENES: &str = r#"
dim t <= 12
dim word

data scenes {
  source = synthetic("scenes", count = 100, seed = 1)
  field image: [h: 24, w: 30, c: 3] = images |> scale(1 / 255)
  field tokens: word[t], next: word[t] = captions |> words |> next_token
  split = official(val = 10%)
}

model Caption(image: [h: 24, w: 30, c: 3], tokens: word[t]) -> logits: [t, word] {
  seen = image |> conv(4, 3, stride = 4) |> flatten |> dense(8)
  logits = (tokens |> embed(8)) + seen |> gru(8) |> dense(word)
}

train Caption on scenes {
  loss = cross_entropy(logits, next)
  epochs = 1
  metrics = [exact(tokens), exact(tokens, new = true)]
}

generate Caption {
  tokens <- greedy(logits)
  limit = 12
}
"#;

#[test]
fn scenes_are_drawn_and_told() {
    let (folder, done) = trained(SCENES, &[]);
    assert!(done.status.success(), "{}", said(&done));
    let record = fs::read_to_string(folder.path().join("run/run.json")).expect("a record");
    assert!(record.contains("\"test.exact\"") && record.contains("\"test.exact_new\""), "{record}");

    for (wrong, place, part) in [
        ("c: 3]", "c: 1]", "[h, w, c: 3]"),
        ("captions |>", "line |>", "it has `images` and `captions`"),
        ("count = 100", "count = 3", "lies between 5 and 1,000,000"),
        ("new = true", "new = 1", "`new` is true or false"),
        ("new = true", "old = true", "write `exact(tokens)`"),
    ] {
        let (_folder, done) = trained(&SCENES.replace(wrong, place), &[]);
        assert!(!done.status.success() && said(&done).contains(part), "{part}: {}", said(&done));
    }
}

const NAMES: &str = r#"
dim t <= 8
dim char

data names {
  source = lines("names.txt")
  field tokens: char[t], next: char[t] = line |> characters |> next_token
  split = ratio(train = 80%, val = 20%)
}

model Names(tokens: char[t]) -> logits: [t, char] {
  logits = tokens |> embed(8) |> gru(8) |> dense(char)
}

train Names on names { loss = cross_entropy(logits, next)  epochs = 1 }

generate Names {
  tokens <- greedy(logits)
  limit = 6
}
"#;

/// A line of a prompt may hold what no name has: it is counted, kept, and read as unknown.
#[test]
fn prompts_hold_unknown_characters() {
    let (folder, done) = trained(NAMES, &[("names.txt", "anna\nhanna\n\nhana\n".repeat(10))]);
    assert!(done.status.success(), "{}", said(&done));
    let ask = |prompt: &str| dlc(folder.path(), &["run", "run/best.dlm", "--prompt", prompt, "--limit", "3"], "");
    for (prompt, unknown) in [("an", ""), ("aZ€漢n", "3 of 5 characters"), ("漢", "1 of 1 character"), ("", "")] {
        let answer = ask(prompt);
        let told = String::from_utf8_lossy(&answer.stdout).into_owned();
        assert!(answer.status.success() && told.starts_with(prompt), "{}", said(&answer));
        let note = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(note.contains(unknown) && note.contains("unknown") != unknown.is_empty(), "{prompt}: {note}");
    }
}

#[test]
fn what_is_wrong_with_lines_is_said() {
    let program = MOODS.replace(", encoding = \"latin-1\"", "");
    let folder = folder(&program, &[("pos.txt", "good\n".into())]);
    fs::write(folder.path().join("neg.txt"), b"bad\nd\xe9j\xe0 vu\n").expect("written");
    let done = dlc(folder.path(), &["run", "p.dl", "--train"], "");
    assert_eq!(done.status.code(), Some(1));
    for part in ["byte 0xe9 in column 2 is not UTF-8", "line 2", "neg.txt", "latin-1"] {
        assert!(said(&done).contains(part), "{part}: {}", said(&done));
    }
}

/// What a table says in another encoding is told, and read where the program names it; so are new examples.
#[test]
fn texts_of_a_table_are_utf8_or_latin1() {
    let rows: String = (0..20).map(|_| "mood,text\n".replace("mood,text", "neg,bad") + "pos,good\n").collect();
    let table = [b"mood,text\n".as_slice(), rows.as_bytes(), b"pos,\"tr\xe8s, bien\"\n"].concat();
    let plain = MOODS
        .replace("lines(neg = \"neg.txt\", pos = \"pos.txt\", encoding = \"latin-1\")", "csv(\"t.csv\")")
        .replace("line |>", "column(\"text\") |>")
        .replace("= file", "= column(\"mood\")");
    let named = plain.replace("csv(\"t.csv\")", "csv(\"t.csv\", encoding = \"latin-1\")");
    let folder = folder(&named, &[("plain.dl", plain)]);
    fs::write(folder.path().join("t.csv"), table).expect("written");
    let done = dlc(folder.path(), &["run", "plain.dl", "--train"], "");
    assert_eq!(done.status.code(), Some(1));
    for part in ["byte 0xe8 in row 41 is not UTF-8", "t.csv:42", "encoding = \"latin-1\""] {
        assert!(said(&done).contains(part), "{part}: {}", said(&done));
    }
    let done = dlc(folder.path(), &["run", "p.dl", "--train", "--out", "run"], "");
    assert!(done.status.success(), "{}", said(&done));
    fs::write(folder.path().join("new.csv"), b"text\ntr\xe8s bad\n").expect("written");
    let asked = dlc(folder.path(), &["run", "run/best.dlm", "new.csv"], "");
    assert!(said(&asked).contains("is not UTF-8") && said(&asked).contains("iconv"), "{}", said(&asked));
    let asked = dlc(folder.path(), &["run", "run/best.dlm", "-", "--format", "csv"], "text\ntr\u{e8}s bien\nbad\n");
    assert_eq!(String::from_utf8_lossy(&asked.stdout), "answer\npos\nneg\n", "{}", said(&asked));
}

/// Spaces stand between words of a text, and separate no cells.
#[test]
fn a_column_of_texts_is_no_table_of_words() {
    let program =
        NAMES.replace("lines(\"names.txt\")", "csv(\"t.csv\", header = false)").replace("line |>", "column(0) |>");
    let (_folder, done) = trained(&program, &[("t.csv", "anna and otto\nbob\nthe cat\n".repeat(10))]);
    assert!(done.status.success(), "{}", said(&done));
    let (_folder, done) = trained(&program, &[("t.csv", "anna, otto\nbob\n".repeat(10))]);
    assert!(said(&done).contains("E0508") && said(&done).contains("`lines(\"texts.txt\")`"), "{}", said(&done));
}

/// Where files were examples, a file is one: its lines are no examples.
#[test]
fn a_document_is_one_example() {
    let program = MOODS
        .replace("lines(neg = \"neg.txt\", pos = \"pos.txt\", encoding = \"latin-1\")", "folders(\"r\")")
        .replace("= file", "= folder")
        .replace("line |>", "files |>");
    let folder = folder(&program, &[]);
    for (mood, text) in [("neg", "a bad\nfilm\n"), ("pos", "a good\nfilm\n")] {
        fs::create_dir_all(folder.path().join("r").join(mood)).expect("a folder");
        (0..20).for_each(|i| fs::write(folder.path().join(format!("r/{mood}/{i}.txt")), text).expect("written"));
    }
    let done = dlc(folder.path(), &["run", "p.dl", "--train", "--out", "run"], "");
    assert!(done.status.success(), "{}", said(&done));
    let asked = dlc(folder.path(), &["run", "run/best.dlm", "r/neg/1.txt", "r/pos/1.txt", "--format", "csv"], "");
    assert_eq!(String::from_utf8_lossy(&asked.stdout), "answer\nneg\npos\n", "{}", said(&asked));
    assert!(said(&asked).contains("2 lines of `r/neg/1.txt` are one text"), "{}", said(&asked));
    let asked = dlc(folder.path(), &["run", "run/best.dlm", "-", "--format", "csv"], "a good film");
    assert_eq!(String::from_utf8_lossy(&asked.stdout), "answer\npos\n", "{}", said(&asked));
}

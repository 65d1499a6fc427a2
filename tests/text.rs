//! Programs that read a text: trained on, scored again from the model file, and told what is wrong with it.

mod program;

use std::fs;
use std::path::Path;
use std::process::Output;

const PROGRAM: &str = r#"
dim t = 8
dim char

data corpus {
  source = text("input.txt")
  field tokens: char[t], next: char[t] = characters |> next_token(t)
  split = in_order(train = 80%, val = 10%, test = 10%)
}

model Net(tokens: char[t]) -> logits: [t, char] {
  logits = tokens |> embed(16) |> positional |> transformer(heads = 2, causal = true) |> dense(char)
}

train Net on corpus {
  loss = cross_entropy(logits, next)
  optimizer = adam(lr = 0.01)
  batch = 16
  epochs = 6
  metrics = [perplexity(logits, next), accuracy(logits, next)]
}

generate Net {
  tokens <- sample(logits, temperature = 0.5, top = 5)
  limit = 30
}
"#;

fn dlc(folder: &Path, args: &[&str]) -> Output {
    program::dlc(args).current_dir(folder).output().expect("dlc runs")
}

fn with(text: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("net.dl"), PROGRAM).expect("written");
    fs::write(folder.path().join("input.txt"), text).expect("written");
    folder
}

fn trained(text: &[u8]) -> (tempfile::TempDir, Output) {
    let folder = with(text);
    let done = dlc(folder.path(), &["run", "net.dl", "--train", "--out", "run"]);
    (folder, done)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[test]
fn a_text_is_learned_and_scored_again() {
    let (folder, done) = trained("tick täck tock\n".repeat(120).as_bytes());
    assert!(done.status.success(), "{}", said(&done));
    let score = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = text.lines().rfind(|line| line.starts_with("test")).expect("a score").to_string();
        last.split_whitespace().last().and_then(|number| number.parse::<f64>().ok()).expect("a number")
    };
    assert!(score(&done) < 1.6, "{}", said(&done));
    let again = dlc(folder.path(), &["run", "run/best.dlm", "--eval", "--data-root", "."]);
    assert!(again.status.success(), "{}", said(&again));
    assert_eq!(score(&done), score(&again));
}

#[test]
fn what_is_wrong_with_a_text_is_said() {
    for (text, code, part) in [
        (&b"one two\nthr\xffe"[..], "E0502", "byte 0xff in column 4 is not UTF-8"),
        (b"", "E0502", "holds no text"),
        (b"short", "E0509", "the train part has 4 characters, and a window takes 9"),
    ] {
        let (_, done) = trained(text);
        assert_eq!(done.status.code(), Some(1), "{}", said(&done));
        assert!(said(&done).contains(code) && said(&done).contains(part), "{}", said(&done));
    }
}

#[test]
fn unknown_characters_are_listed() {
    let (folder, done) = trained("to be or not ".repeat(120).as_bytes());
    assert!(done.status.success(), "{}", said(&done));
    fs::write(folder.path().join("input.txt"), "to be or not, question? ".repeat(60)).expect("written");
    let scored = dlc(folder.path(), &["run", "run/best.dlm", "--eval", "--data-root", "."]);
    assert_eq!(scored.status.code(), Some(1));
    assert!(said(&scored).contains("are not in `char`: `,` `?` `i` `q` `s` `u`"), "{}", said(&scored));
}

/// No place reads a later one: what is causal answers alike, whatever comes after.
#[test]
fn causal_attention_reads_nothing_later() {
    let folder = with("abcdefgh ".repeat(60).as_bytes());
    let done = dlc(folder.path(), &["run", "net.dl", "--train", "--epochs", "1", "--out", "run"]);
    assert!(done.status.success(), "{}", said(&done));
    let answer = |row: &str| {
        fs::write(folder.path().join("x.csv"), row).expect("written");
        let done = dlc(folder.path(), &["run", "run/best.dlm", "x.csv", "--format", "csv"]);
        assert!(done.status.success(), "{}", said(&done));
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        text.lines().nth(1).expect("a row").split(',').map(str::to_string).collect::<Vec<_>>()
    };
    let (a, b) = (answer("a,b,c,d,e,f,g,h\n"), answer("a,b,c,d,h,h,a,b\n"));
    let each = a.len() / 8;
    assert_eq!(a[..4 * each], b[..4 * each]);
    assert_ne!(a[4 * each..5 * each], b[4 * each..5 * each]);
}

/// From the model file alone: the same text for the same seed, learned from what was read, of the length that was asked for.
#[test]
fn text_is_generated() {
    let (folder, done) = trained("tick tack tock\n".repeat(120).as_bytes());
    assert!(done.status.success(), "{}", said(&done));
    fs::remove_file(folder.path().join("input.txt")).expect("removed");
    let generate = |more: &[&str]| dlc(folder.path(), &[&["run", "run/best.dlm"], more].concat());
    let text = |more: &[&str]| {
        let done = generate(more);
        assert!(done.status.success(), "{}", said(&done));
        String::from_utf8(done.stdout).expect("text")
    };
    let first = text(&["--prompt", "tick t"]);
    assert_eq!(first.chars().count(), 6 + 30 + 1, "{first:?}");
    assert!(first.starts_with("tick t"), "{first:?}");
    assert_eq!(first, text(&["--prompt", "tick t", "--threads", "1"]));
    assert_eq!(text(&["--generate", "--limit", "12"]).chars().count(), 12 + 1);
    let object = text(&["--prompt", "tick t", "--format", "json"]);
    assert!(object.starts_with('{') && object.contains("\"text\":\"tick t"), "{object}");
    for (more, part) in [
        (["--prompt", "t", "--format", "csv"], "no table"),
        (["--prompt", "t", "-o", "t.txt"], "standard output"),
        (["--prompt", "t", "net.dl", "-q"], "leave one of them out"),
    ] {
        let refused = generate(&more);
        assert!(refused.status.code() == Some(2) && said(&refused).contains(part), "{}", said(&refused));
    }
    let unknown = generate(&["--prompt", "no way"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said(&unknown).contains("3 characters of `--prompt` are not in `char`: `n` `w` `y`"), "{}", said(&unknown));
}

/// Of a text of words the parts are counted in words; of characters in characters.
#[test]
fn symbols_are_called_what_they_are() {
    let folder = with(b"one two three\n");
    let words = PROGRAM.replace("characters |>", "words |>");
    fs::write(folder.path().join("net.dl"), words).expect("written");
    let done = dlc(folder.path(), &["run", "net.dl", "--train"]);
    assert!(said(&done).contains("the train part has 3 words, and a window takes 9"), "{}", said(&done));
    fs::write(folder.path().join("input.txt"), b"\xff\xfeo\0n\0e\0").expect("written");
    let done = dlc(folder.path(), &["run", "net.dl", "--train"]);
    assert!(said(&done).contains("UTF-16") && !said(&done).contains("latin-1"), "{}", said(&done));
}

/// The seed of the program, and before it that of the command line; few enough of the likeliest are the likeliest.
#[test]
fn what_is_sampled_follows_its_seed() {
    let folder = with("tick tack tock\n".repeat(120).as_bytes());
    let text = |rule: &str, more: &[&str]| {
        let program = PROGRAM.replace("sample(logits, temperature = 0.5, top = 5)", rule);
        fs::write(folder.path().join("net.dl"), program).expect("written");
        let train = dlc(folder.path(), &["run", "net.dl", "--train", "--epochs", "1", "--out", "run"]);
        assert!(train.status.success(), "{}", said(&train));
        let done = dlc(folder.path(), &[&["run", "run/best.dlm", "--prompt", "ti"], more].concat());
        assert!(done.status.success(), "{}", said(&done));
        String::from_utf8(done.stdout).expect("text")
    };
    let [seven, eight] = ["7", "8"].map(|seed| text("sample(logits)", &["--seed", seed]));
    assert_ne!(seven, eight);
    assert_eq!(text("sample(logits, seed = 7)", &[]), seven);
    assert_eq!(text("sample(logits, seed = 7)", &["--seed", "8"]), eight);
    assert_eq!(text("sample(logits, top_p = 0.0001)", &[]), text("greedy(logits)", &[]));
}

/// From the file alone: each symbol is the likeliest of those that a prediction of its window gives, which is computed anew. Where
/// the window of 8 is full, its last half begins the next.
#[test]
fn what_is_kept_tells_what_a_prediction_does() {
    const SYMBOLS: &str = "-acikot";
    for (layers, prompt, limit) in [
        ("positional |> transformer(heads = 2, causal = true)", "t", 40),
        ("positional |> transformer(heads = 2, causal = true)", "tick-tack-tock", 20),
        ("gru(16)", "t", 7),
        // No place is told without those after it: nothing is kept.
        ("positional |> attention(2)", "t", 20),
    ] {
        let folder = with("tick-tack-tock-".repeat(60).as_bytes());
        let program = PROGRAM.replace("positional |> transformer(heads = 2, causal = true)", layers);
        let program = program.replace("sample(logits, temperature = 0.5, top = 5)", "greedy(logits)");
        fs::write(folder.path().join("net.dl"), program).expect("written");
        let done = dlc(folder.path(), &["run", "net.dl", "--train", "--epochs", "3", "--out", "run"]);
        assert!(done.status.success(), "{}", said(&done));
        let text = |threads: &str| {
            let limit = limit.to_string();
            let done = dlc(
                folder.path(),
                &["run", "run/best.dlm", "--prompt", prompt, "--limit", &limit, "--threads", threads],
            );
            assert!(done.status.success(), "{}", said(&done));
            String::from_utf8(done.stdout).expect("text").trim_end().to_string()
        };
        let told = text("1");
        assert_eq!(told, text("3"));
        let told: Vec<char> = told.chars().collect();
        assert_eq!(told.len(), prompt.len() + limit);
        let mut from = prompt.len().saturating_sub(8);
        let (mut rows, mut lasts) = (String::new(), vec![]);
        for end in prompt.len()..told.len() {
            if end - from > 8 {
                from = end - 4;
            }
            let window = told[from..end].iter().chain(std::iter::repeat(&'-')).take(8);
            rows += &(window.map(char::to_string).collect::<Vec<_>>().join(",") + "\n");
            lasts.push(end - from - 1);
        }
        fs::write(folder.path().join("x.csv"), rows).expect("written");
        let done = dlc(folder.path(), &["run", "run/best.dlm", "x.csv", "--format", "csv"]);
        assert!(done.status.success(), "{}", said(&done));
        let scores = String::from_utf8_lossy(&done.stdout).into_owned();
        for ((row, last), symbol) in scores.lines().skip(1).zip(lasts).zip(&told[prompt.len()..]) {
            let row: Vec<f64> = row.split(',').map(|score| score.parse().expect("a number")).collect();
            let scores = &row[last * SYMBOLS.len()..][..SYMBOLS.len()];
            let likeliest = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).expect("some");
            assert_eq!(SYMBOLS.chars().nth(likeliest), Some(*symbol), "{layers} from {prompt}: {told:?}");
        }
    }
}

/// How fast it is told, in one object or beside the text.
#[test]
fn speed_is_told() {
    let (folder, done) = trained("tick tack tock\n".repeat(120).as_bytes());
    assert!(done.status.success(), "{}", said(&done));
    let ask = |more: &[&str]| {
        let done = dlc(folder.path(), &[&["run", "run/best.dlm", "--prompt", "tick", "--limit", "9"], more].concat());
        assert!(done.status.success(), "{}", said(&done));
        (String::from_utf8_lossy(&done.stdout).into_owned(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (text, beside) = ask(&[]);
    assert!(beside.starts_with("9 characters, ") && beside.trim_end().ends_with(" a second"), "{beside}");
    assert_eq!(ask(&["--quiet"]), (text.clone(), String::new()));
    let (object, beside) = ask(&["--json"]);
    let object: serde_json::Value = serde_json::from_str(&object).expect("an object");
    assert_eq!(object["text"].as_str(), text.strip_suffix('\n'));
    assert!(
        object["symbols"] == 9 && object["per_second"].as_f64().is_some_and(|rate| rate > 0.0) && beside.is_empty()
    );
    let measured = dlc(folder.path(), &["bench", "run/best.dlm", "--generate", "--steps", "3", "--json"]);
    assert!(String::from_utf8_lossy(&measured.stdout).contains("\"mode\":\"generate\""), "{}", said(&measured));
}

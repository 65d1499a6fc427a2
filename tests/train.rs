//! Training from the command line: the same bits with any number of threads, closed model files, goals, given weights.

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

fn dlc(args: &[&str]) -> Output {
    program::dlc(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("dlc runs")
}

/// Trains the digits for an epoch into a folder of its own.
fn digits(more: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    let out = run.to_str().expect("a path");
    let base = ["run", "examples/digits.dl", "--train", "--epochs", "1", "--quiet", "--out", out];
    let done = dlc(&[&base[..], more].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    (folder, run)
}

fn model(run: &Path) -> Vec<u8> {
    fs::read(run.join("best.dlm")).expect("a model")
}

#[test]
fn threads_and_repetition_change_no_bit() {
    let (_one, run) = digits(&["--threads", "1"]);
    let first = model(&run);
    for threads in ["1", "2", "3"] {
        let (_other, run) = digits(&["--threads", threads]);
        assert!(model(&run) == first, "{threads} threads");
    }
}

/// On every instruction set that this processor has: the same bits with any number of threads, and with sums of products as
/// they stand nearly the numbers of the others.
#[test]
fn every_instruction_set_learns_the_same() {
    let loss = |run: &Path| {
        let text = fs::read_to_string(run.join("run.json")).expect("a record");
        let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        record["metrics"]["test.loss"].as_f64().expect("a loss")
    };
    let (_native, run) = digits(&["--numerics", "strict"]);
    let native = loss(&run);
    for isa in dlc_runtime::micro::Isa::available() {
        let (_one, one) = digits(&["--cpu", isa.name(), "--threads", "1"]);
        let (_many, many) = digits(&["--cpu", isa.name(), "--threads", "3"]);
        assert!(model(&one) == model(&many), "{}: 1 and 3 threads", isa.name());
        let (_strict, strict) = digits(&["--cpu", isa.name(), "--numerics", "strict"]);
        let found = loss(&strict);
        assert!((found - native).abs() < 1e-4 * native.abs(), "{}: {found} against {native}", isa.name());
        let file = one.join("best.dlm");
        let done = dlc(&["run", file.to_str().expect("a path"), "examples/data/digits.csv.gz", "--cpu", isa.name()]);
        assert!(done.status.success(), "{}: {}", isa.name(), String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn another_seed_is_another_model() {
    let (_one, run) = digits(&[]);
    let (_two, other) = digits(&["--seed", "7"]);
    assert!(model(&run) != model(&other));
}

#[test]
fn fusion_changes_the_speed_and_not_the_result() {
    let (_one, run) = digits(&[]);
    let (_two, apart) = digits(&["--no-fuse"]);
    let loss = |run: &Path| {
        let text = fs::read_to_string(run.join("run.json")).expect("a record");
        let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        record["metrics"]["test.loss"].as_f64().expect("a loss")
    };
    let (fused, separate) = (loss(&run), loss(&apart));
    assert!((fused - separate).abs() < 1e-3 * fused.abs(), "{fused} against {separate}");
}

#[test]
fn a_model_file_is_closed() {
    let (_folder, run) = digits(&[]);
    let source = fs::read_to_string(run.join("model.dl")).expect("the program");
    for block in ["block relu(", "block cross_entropy(", "block adam(", "block cosine("] {
        assert!(source.contains(block), "{block}");
    }
    // The same file under other names of the standard library: nothing outside is looked up.
    let check = dlc(&["check", run.join("model.dl").to_str().expect("a path")]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}

#[test]
fn steps_are_logged_and_weights_are_given() {
    let (folder, run) = digits(&[]);
    let log = folder.path().join("losses.csv");
    let order = folder.path().join("order.txt");
    fs::write(&order, (0..64).map(|i| format!("{i}\n")).collect::<String>()).expect("an order");
    let (log, order) = (log.to_str().expect("a path"), order.to_str().expect("a path"));
    let out = folder.path().join("again");
    let out = out.to_str().expect("a path");
    let base = ["run", "examples/digits.dl", "--train", "--epochs", "1", "--quiet", "--out", out];
    let wrong = dlc(&[&base[..], &["--init", "no_such.npz"]].concat());
    assert_eq!(wrong.status.code(), Some(2), "{}", String::from_utf8_lossy(&wrong.stderr));
    let set = ["--set", "digit=11"];
    let other = dlc(&[&["run", "examples/digits.dl", "--train", "--dry-run", "--quiet"][..], &set].concat());
    assert!(other.status.success(), "{}", String::from_utf8_lossy(&other.stderr));
    let done = dlc(&[&base[..], &["--log-steps", log, "--order", order]].concat());
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    // Of the 64 rows some may lie outside the training part: told, or trained on.
    assert!([Some(0), Some(1)].contains(&done.status.code()), "{said}");
    assert!(run.join("results.csv").is_file());
}

/// A layer that only a prediction reads is in the model all the same, as it began.
#[test]
fn what_no_loss_reaches_is_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("two.dl");
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits.dl")).expect("the example");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let text = text.replace("\"data/", &format!("\"{}/", data.display()));
    let (head, tail) = text.split_once("  predict number").expect("a prediction");
    fs::write(&program, format!("{head}  second = image |> flatten |> batch_norm |> dense(digit)\n  predict other = argmax(second, over = digit)\n  predict number{tail}")).expect("written");
    let (program, run) = (program.to_str().expect("a path"), folder.path().join("run"));
    let out = run.to_str().expect("a path");
    let done = dlc(&["run", program, "--train", "--epochs", "1", "--quiet", "--out", out]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let file = run.join("best.dlm");
    let done = dlc(&["run", file.to_str().expect("a path"), "examples/data/digits.csv.gz"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What is frozen begins as another model ended, and stays so bit for bit; the rest learns.
#[test]
fn frozen_weights_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits.dl")).expect("the example");
    let text = text.replace("\"data/", &format!("\"{}/", data.display()));
    let base = folder.path().join("base");
    let train = |name: &str, text: &str, run: &Path| {
        let program = folder.path().join(name);
        fs::write(&program, text).expect("written");
        let (program, out) = (program.to_str().expect("a path"), run.to_str().expect("a path"));
        let done = dlc(&["run", program, "--train", "--epochs", "1", "--quiet", "--out", out]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    train("base.dl", &text, &base);
    let frozen = text.replace(
        "train Digits on digits {",
        "train Digits on digits {\n  start = \"base/best.dlm\"\n  freeze = [\"conv[0]\"]",
    );
    let after = folder.path().join("after");
    train("after.dl", &frozen, &after);
    let load = |run: &Path| {
        dlc_runtime::checkpoint::load(&run.join("best.dlm"), dlc_runtime::data::bytes::Limits::default())
            .expect("a model")
    };
    let (before, after) = (load(&base), load(&after));
    let same = |path: &str| before.tensors[path].values == after.tensors[path].values;
    assert!(same("Digits.logits/conv[0].weight") && same("Digits.logits/conv[0].bias"));
    assert!(!same("Digits.logits/conv[1].weight"));
}

/// Pictures and their labels are mixed with others: the same bits with any number of threads, and what is learned works.
#[test]
fn mixed_examples_are_the_same_with_any_threads() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits.dl")).expect("the example");
    let text = text.replace("\"data/", &format!("\"{}/", data.display()));
    let line =
        "train Digits on digits {\n  augment image |> random_shift(h: 1, w: 1)\n  augment image, label |> mixup(0.4)";
    let program = folder.path().join("mixed.dl");
    fs::write(&program, text.replace("train Digits on digits {", line)).expect("written");
    let run = |threads: &str| {
        let out = folder.path().join(threads);
        let (program, out) = (program.to_str().expect("a path"), out.to_str().expect("a path"));
        let done = dlc(&["run", program, "--train", "--epochs", "4", "--quiet", "--out", out, "--threads", threads]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let record = fs::read_to_string(Path::new(out).join("run.json")).expect("a record");
        let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
        (model(Path::new(out)), record["metrics"]["test.accuracy"].as_f64().expect("an accuracy"))
    };
    let (one, accuracy) = run("1");
    assert!(accuracy > 0.9, "{accuracy}");
    assert!(one == run("3").0);
}

/// Two pictures through the same layers, each with a partner of its part: the same bits with any number of threads, and pairs
/// of a file are compared, one picture after the other in a line.
#[test]
fn pairs_are_drawn_and_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |threads: &str, more: &[&str]| {
        let out = folder.path().join(threads);
        let out = out.to_str().expect("a path");
        let base = ["run", "examples/siamese.dl", "--train", "--quiet", "--out", out, "--threads", threads];
        let done = dlc(&[&base[..], more].concat());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        model(Path::new(out))
    };
    let one = run("1", &["--epochs", "6"]);
    assert!(one == run("3", &["--epochs", "6"]));
    // Two columns of the first digits: each with itself, then with the next one.
    let text = dlc_runtime::data::bytes::open(Path::new(env!("CARGO_MANIFEST_DIR")), "examples/data/digits.csv.gz")
        .and_then(|mut input| input.read_all(dlc_runtime::data::bytes::Limits::default()))
        .expect("the digits");
    let text = String::from_utf8(text).expect("a text");
    let points = |line: &str| line.split(',').take(64).collect::<Vec<_>>().join(",");
    let digits: Vec<String> = text.lines().take(10).map(points).collect();
    let itself = digits.iter().map(|digit| format!("{digit},{digit}\n"));
    let next = digits.windows(2).map(|two| format!("{},{}\n", two[0], two[1]));
    let pairs = folder.path().join("pairs.csv");
    fs::write(&pairs, itself.chain(next).collect::<String>()).expect("written");
    let file = folder.path().join("1/best.dlm");
    let paths = [&file, &pairs].map(|path| path.to_str().expect("a path"));
    let done = dlc(&["run", paths[0], paths[1]]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let seen: Vec<&str> = said.lines().skip(1).filter_map(|line| line.rsplit(',').next()).collect();
    // The digits are 0, 1, 2 and so on.
    assert_eq!(seen.len(), 19, "{said}");
    assert!(seen[..10].iter().all(|verdict| *verdict == "same"), "{said}");
    assert!(seen[10..].iter().filter(|verdict| **verdict == "different").count() >= 7, "{said}");
}

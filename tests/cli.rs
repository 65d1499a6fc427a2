//! Commands, exit codes and streams: what scripts and people may rely on.

mod program;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use tempfile::TempDir;

const GOOD: &str = "model Net(x: [c: 4]) -> y: [c: 3] {\n  y = x |> dense(3)\n}\n";
const BAD: &str = "model Net(x: [c: 4]) -> y: [c: 3] {\n  y = x |> desne(3)\n}\n";

fn dlc_in(folder: &Path, args: &[&str]) -> Output {
    program::dlc(args).current_dir(folder).output().expect("dlc runs")
}

fn dlc(args: &[&str]) -> Output {
    dlc_in(Path::new(env!("CARGO_MANIFEST_DIR")), args)
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with one program, `net.dl`.
fn with(program: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("net.dl"), program).expect("a program");
    folder
}

#[test]
fn help_and_version_are_results() {
    for args in [&["help"][..], &["--help"], &["version"], &["--version"], &["help", "run"], &["bench", "--help"]] {
        let done = dlc(args);
        assert_eq!(code(&done), 0, "{args:?}");
        assert!(!out(&done).is_empty() && err(&done).is_empty(), "{args:?}");
    }
    for verb in ["build", "check", "run", "train", "bench", "explain", "show", "completions", "version"] {
        assert!(out(&dlc(&["help"])).contains(verb), "{verb}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let wrong: [&[&str]; 7] = [
        &["brew", "coffee"],
        &["check"],
        &["check", "no_such_file.dl"],
        &["check", "examples"],
        &["check", "examples/digits.dl", "--format", "baroque"],
        &["explain", "E9999"],
        &["show", "no_such_layer"],
    ];
    for args in wrong {
        let done = dlc(args);
        assert_eq!(code(&done), 2, "{args:?}: {}", err(&done));
        assert!(!err(&done).is_empty() && out(&done).is_empty(), "{args:?}");
    }
}

#[test]
fn mistakes_are_exit_code_1_and_good_programs_0() {
    let good = with(GOOD);
    assert_eq!(code(&dlc_in(good.path(), &["check", "net.dl"])), 0);
    let bad = with(BAD);
    for args in [&["check", "net.dl"][..], &["build", "net.dl"], &["run", "net.dl", "--train"], &["train", "net.dl"]] {
        let done = dlc_in(bad.path(), args);
        assert_eq!(code(&done), 1, "{args:?}: {}", err(&done));
        assert!(err(&done).contains("E0203"), "{args:?}: {}", err(&done));
    }
}

#[test]
fn empty_programs_are_told() {
    for program in ["", "\n\n", "# only a comment\n"] {
        let folder = with(program);
        let done = dlc_in(folder.path(), &["check", "net.dl"]);
        assert_eq!(code(&done), 1, "{program:?}: {}", err(&done));
    }
}

#[test]
fn messages_in_three_forms() {
    let folder = with(BAD);
    let human = dlc_in(folder.path(), &["check", "net.dl"]);
    assert!(err(&human).contains("net.dl:2:12") && err(&human).contains("error[E0203]"), "{}", err(&human));
    let short = dlc_in(folder.path(), &["check", "--format", "short", "net.dl"]);
    assert!(out(&short).starts_with("net.dl:2:12: error[E0203]: "), "{}", out(&short));
    let json = dlc_in(folder.path(), &["check", "--format", "json", "net.dl"]);
    let object: serde_json::Value = serde_json::from_str(out(&json).trim()).expect("one object");
    assert_eq!(object["code"], "E0203");
    assert_eq!(object["place"]["line"], 2);
    assert_eq!(object["place"]["column"], 12);
}

#[test]
fn colour_only_where_asked() {
    let folder = with(BAD);
    let plain = dlc_in(folder.path(), &["check", "net.dl"]);
    assert!(!err(&plain).contains('\x1b'));
    let coloured = dlc_in(folder.path(), &["check", "--color", "always", "net.dl"]);
    assert!(err(&coloured).contains('\x1b'));
}

#[test]
fn lints_are_denied_and_allowed() {
    let folder = with("dim unused = 3\nmodel Net(x: [c: 4]) -> y: [c: 3] {\n  y = x |> dense(3)\n}\n");
    let check = |args: &[&str]| code(&dlc_in(folder.path(), &[&["check", "net.dl"], args].concat()));
    assert_eq!(check(&[]), 0);
    assert_eq!(check(&["-D", "unused_dim"]), 1);
    assert_eq!(check(&["--warnings-as-errors"]), 1);
    assert_eq!(check(&["--warnings-as-errors", "-A", "unused_dim"]), 0);
    assert_eq!(check(&["-D", "no_such_lint"]), 2);
}

#[test]
fn settings_from_the_command_line() {
    let folder = with("const width = 3\nmodel Net(x: [c: 4]) -> y: [c: 3] {\n  y = x |> dense(width)\n}\n");
    assert_eq!(code(&dlc_in(folder.path(), &["check", "net.dl", "--set", "width=3"])), 0);
    assert_eq!(code(&dlc_in(folder.path(), &["check", "net.dl", "--set", "width=5"])), 1);
    assert_eq!(code(&dlc_in(folder.path(), &["check", "net.dl", "--set", "nonsense"])), 2);
}

#[test]
fn articles_are_printed() {
    let done = dlc(&["explain", "e0304"]);
    assert_eq!(code(&done), 0);
    assert!(out(&done).starts_with("# E0304: "));
    assert!(out(&dlc(&["explain"])).contains("softmax_before_loss"));
}

#[test]
fn the_standard_library_is_shown() {
    assert!(out(&dlc(&["show", "softmax"])).contains("block softmax"));
    assert!(out(&dlc(&["show", "adam"])).contains("b2 = 0.999"));
    assert!(out(&dlc(&["show", "conv"])).contains("stride"));
    assert!(out(&dlc(&["show", "--defaults"])).contains("batch"));
    assert!(out(&dlc(&["show"])).contains("layer_norm"));
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(out(&dlc(&["completions", shell])).contains("dlc"), "{shell}");
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child =
        program::dlc(&["explain", "E0304"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("dlc runs");
    drop(child.stdout.take());
    let done = child.wait_with_output().expect("it ends");
    assert_ne!(code(&done), 101, "{}", err(&done));
}

#[test]
fn a_closed_standard_error_is_no_error() {
    for args in [&["check", "examples/iris.dl"][..], &["check", "examples/no_such.dl"]] {
        let wanted = code(&dlc(args));
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = program::dlc(args);
        let done = command.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(writer).status();
        assert_eq!(done.expect("dlc runs").code(), Some(wanted), "{args:?}");
    }
}

#[test]
fn every_example_checks_clean() {
    let found = |folder| fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let programs =
        found("examples").chain(found("examples/bench")).filter(|path| path.extension().is_some_and(|e| e == "dl"));
    let programs: Vec<_> = programs.collect();
    assert!(programs.len() >= 13, "{programs:?}");
    for program in &programs {
        let done = dlc(&["check", "--warnings-as-errors", program.to_str().expect("a path")]);
        assert_eq!(code(&done), 0, "{program:?}: {}", err(&done));
    }
}

/// The networks of the benchmarks have the weights and multiply-adds that are known of them from elsewhere.
#[test]
fn the_benchmarks_have_their_sizes() {
    let known = [
        ("mlp", 535_818, 535_040),
        ("lenet", 3_274_634, 13_883_904),
        ("vgg", 2_196_810, 153_815_552),
        ("resnet20", 272_474, 40_813_184),
        ("unet", 118_290, 115_146_752),
        ("mobilenet_v2", 3_504_872, 300_774_272),
        ("resnet50", 25_557_032, 4_089_184_256_u64),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("model.dlm");
    for (name, weights, multiply_adds) in known {
        let program = format!("examples/bench/{name}.dl");
        let done = dlc(&["build", &program, "--json", "-o", output.to_str().expect("a path")]);
        assert_eq!(code(&done), 0, "{name}: {}", err(&done));
        let sizes: serde_json::Value = serde_json::from_str(out(&done).trim()).expect("one object");
        assert_eq!((&sizes["weights"], &sizes["multiply_adds"]), (&weights.into(), &multiply_adds.into()), "{name}");
    }
}

#[test]
fn digits_train_predict_and_score() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    let run = run.to_str().expect("a path");
    let trained = dlc(&["run", "examples/digits.dl", "--train", "--epochs", "2", "--out", run]);
    assert_eq!(code(&trained), 0, "{}", err(&trained));
    let last = out(&trained).lines().last().expect("a line").to_string();
    assert!(last.starts_with("test  accuracy 0."), "{last}");
    assert_eq!(err(&trained).lines().filter(|l| l.trim_start().starts_with("1/2 ")).count(), 1, "{}", err(&trained));
    for file in ["best.dlm", "last.dlm", "results.csv", "run.json", "model.dl"] {
        assert!(Path::new(run).join(file).is_file(), "{file}");
    }
    let model = format!("{run}/best.dlm");
    let input = folder.path().join("one.csv");
    fs::write(&input, format!("{}\n", ["0"; 64].join(","))).expect("an input");
    let predicted = dlc(&["run", &model, input.to_str().expect("a path"), "--format", "json"]);
    assert_eq!(code(&predicted), 0, "{}", err(&predicted));
    let object: serde_json::Value = serde_json::from_str(out(&predicted).trim()).expect("one object");
    assert!(object.get("number").is_some(), "{object}");
    let scored = dlc(&["run", &model, "examples/data/digits.csv.gz", "--eval"]);
    assert_eq!(code(&scored), 0, "{}", err(&scored));
}

#[test]
fn predictions_from_standard_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    let run = run.to_str().expect("a path");
    let trained = dlc(&["run", "examples/digits.dl", "--train", "--epochs", "1", "--quiet", "--out", run]);
    assert_eq!(code(&trained), 0, "{}", err(&trained));
    let mut child = program::dlc(&["run", &format!("{run}/last.dlm"), "-", "--format", "csv"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("dlc runs");
    let row = format!("{}\n", ["1"; 64].join(","));
    child.stdin.take().expect("a pipe").write_all(row.repeat(3).as_bytes()).expect("it reads");
    let done = child.wait_with_output().expect("it ends");
    assert_eq!(code(&done), 0, "{}", err(&done));
    assert_eq!(out(&done).lines().count(), 4, "{}", out(&done));
}

#[test]
fn a_missed_goal_is_exit_code_3() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    let run = run.to_str().expect("a path");
    let args = ["run", "examples/digits.dl", "--train", "--dry-run", "--require", "test.accuracy>=1.01", "--out", run];
    let done = dlc(&args);
    assert_eq!(code(&done), 3, "{}", err(&done));
    assert!(err(&done).contains("E0903"), "{}", err(&done));
}

#[test]
fn missing_files_named_by_a_program_are_its_mistakes() {
    let done = dlc(&["run", "examples/iris.dl", "--train", "--data-root", "no/such/folder"]);
    assert_eq!(code(&done), 1, "{}", err(&done));
    assert!(err(&done).contains("E0501"), "{}", err(&done));
}

#[test]
fn broken_model_files_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("broken.dlm");
    for bytes in [&b""[..], b"not a model", &u64::MAX.to_le_bytes(), &[255; 64]] {
        fs::write(&path, bytes).expect("a file");
        let done = dlc(&["run", path.to_str().expect("a path"), "examples/data/digits.csv.gz"]);
        assert!([1, 2].contains(&code(&done)), "{bytes:?}: {}", err(&done));
        assert!(err(&done).contains("error"), "{bytes:?}: {}", err(&done));
    }
    assert_eq!(code(&dlc(&["run", "no_such.dlm", "examples/data/digits.csv.gz"])), 2);
}

#[test]
fn a_bench_of_every_kernel() {
    let done = dlc(&["bench", "examples/digits.dl", "--train", "--steps", "2", "--kernels", "--json"]);
    assert_eq!(code(&done), 0, "{}", err(&done));
    let object: serde_json::Value = serde_json::from_str(out(&done).trim()).expect("one object");
    assert!(object["bandwidth_gbyte_s"].as_f64().is_some_and(|most| most > 0.0), "{object}");
    let kernels = object["kernels"].as_array().expect("a list");
    assert!(!kernels.is_empty());
    for kernel in kernels {
        for field in ["ms", "flop", "bytes", "tasks", "peak_percent", "bandwidth_percent", "least_ms"] {
            assert!(kernel[field].is_number(), "{field}: {kernel}");
        }
        // The parts take together about as long as the whole, and do all of its arithmetic.
        let parts = kernel["parts"].as_array().expect("a list");
        let sum = |field: &str| parts.iter().filter_map(|part| part[field].as_f64()).sum::<f64>();
        assert_eq!(Some(sum("flop")), kernel["flop"].as_f64(), "{kernel}");
        assert!(Some(sum("ms")) <= kernel["ms"].as_f64().map(|ms| 1.05 * ms + 1e-3), "{kernel}");
        let models = parts.iter().all(|part| part["flop"] == 0 || part["model_percent"].as_f64() > Some(0.0));
        assert!(models || kernel["algorithm"].as_str().is_some_and(|name| name.contains("filter")), "{kernel}");
    }
    assert!(kernels.iter().any(|kernel| kernel["parts"].as_array().is_some_and(|parts| parts.len() > 1)));
    let done = dlc(&["bench", "examples/digits.dl", "--steps", "2", "--kernels"]);
    assert!(out(&done).contains("% model") && out(&done).contains("% other"), "{}", out(&done));
    assert!(out(&done).contains("% band") && out(&done).contains("least ms"), "{}", out(&done));
}

#[test]
fn a_bench_of_one_step() {
    let done = dlc(&["bench", "examples/digits.dl", "--train", "--steps", "1", "--json"]);
    assert_eq!(code(&done), 0, "{}", err(&done));
    let object: serde_json::Value = serde_json::from_str(out(&done).trim()).expect("one object");
    for field in [
        "median_ms",
        "min_ms",
        "max_ms",
        "first_step_s",
        "peak_rss_mb",
        "gflop",
        "gflop_s",
        "samples_s",
        "loss_first",
        "loss_last",
    ] {
        assert!(object[field].is_number(), "{field}: {object}");
    }
}

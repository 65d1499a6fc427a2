//! Wrong programs: each line marked `#~ CODE` raises that code, no other line raises anything, and the text is a snapshot.

mod program;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Output;

fn dlc(folder: &Path, args: &[&str]) -> Output {
    program::dlc(args).current_dir(folder).output().expect("dlc runs")
}

/// `(line, code)` of every mark.
fn marks(source: &str) -> BTreeSet<(usize, String)> {
    let mut found = BTreeSet::new();
    for (i, line) in source.lines().enumerate() {
        for code in line.split("#~").nth(1).unwrap_or("").split_whitespace() {
            found.insert((i + 1, code.to_string()));
        }
    }
    found
}

/// `(line, code)` of every message of `--format short` about the file itself.
fn messages(short: &str, name: &str) -> BTreeSet<(usize, String)> {
    let message = |line: &str| {
        let mut parts = line.strip_prefix(name)?.strip_prefix(':')?.splitn(2, ':');
        let number = parts.next()?.parse().ok()?;
        Some((number, line.split_once('[')?.1.split(']').next()?.to_string()))
    };
    short.lines().filter_map(message).collect()
}

#[test]
fn every_mark_is_met() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut failures = vec![];
    insta::glob!("ui/*.dl", |path| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let source = fs::read_to_string(path).expect("a program");
        let short = dlc(&folder, &["check", "--format", "short", &name]);
        let (wanted, got) = (marks(&source), messages(&String::from_utf8_lossy(&short.stdout), &name));
        if wanted != got {
            failures.push(format!("{name}: marked {wanted:?}, raised {got:?}"));
        }
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn messages_read_well() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    insta::glob!("ui/*.dl", |path| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let source = fs::read_to_string(path).expect("a program");
        let human = dlc(&folder, &["check", "--color", "never", &name]);
        let code = human.status.code().expect("an exit code");
        let said = String::from_utf8_lossy(&human.stderr);
        let shown = format!("----- source\n{source}\n----- messages\n{said}\n----- exit code {code}");
        insta::with_settings!({ snapshot_path => "snapshots/ui", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!("message", shown);
        });
    });
}

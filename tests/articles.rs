//! The articles of `dlc explain`: the wrong example raises its code, the right one checks clean.

mod program;

use std::fs;
use std::path::{Path, PathBuf};

const HEADINGS: [&str; 4] = ["## What it says", "## Why", "## Wrong", "## Right"];

/// One article, cut into what the tests need.
struct Article {
    code: String,
    /// The wrong example, where `dlc check` alone can find the mistake.
    wrong: Option<String>,
    right: Option<String>,
}

fn articles() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("grammar/messages");
    let entries = fs::read_dir(folder).expect("the articles").flatten().map(|e| e.path());
    let mut paths: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "md")).collect();
    paths.sort();
    paths.into_iter().map(|p| (p.clone(), fs::read_to_string(&p).expect("an article"))).collect()
}

/// The first block of `dl` after a heading and before the next.
fn example(text: &str, heading: &str) -> Option<String> {
    let start = text.find(heading)? + heading.len();
    let rest = &text[start..];
    let section = rest.find("\n## ").map_or(rest, |end| &rest[..end]);
    let block = section.split("```dl\n").nth(1)?;
    Some(block.split("```").next()?.to_string())
}

fn read(path: &Path, text: &str) -> Article {
    let code = path.file_stem().expect("a name").to_string_lossy().into_owned();
    Article { code, wrong: example(text, HEADINGS[2]), right: example(text, HEADINGS[3]) }
}

/// What `dlc check --format short` says about a program.
fn check(program: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("program.dl"), program).expect("a program");
    let done = program::dlc(&["check", "--format", "short", "program.dl"])
        .current_dir(folder.path())
        .output()
        .expect("dlc runs");
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

#[test]
fn articles_have_one_form() {
    for (path, text) in articles() {
        let code = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(text.starts_with(&format!("# {code}: ")), "{code}: the first line names it");
        let places: Vec<Option<usize>> = HEADINGS.iter().map(|h| text.find(h)).collect();
        assert!(places.iter().all(Option::is_some), "{code}: {HEADINGS:?}");
        assert!(places.is_sorted(), "{code}: headings in order");
    }
}

#[test]
fn wrong_examples_raise_their_code() {
    let mut failures = vec![];
    for (path, text) in articles() {
        let article = read(&path, &text);
        let Some(wrong) = article.wrong else { continue };
        let said = check(&wrong);
        let codes: Vec<&str> = said.lines().filter_map(|l| l.split_once('[')?.1.split(']').next()).collect();
        if codes != [article.code.as_str()] {
            failures.push(format!("{}:\n{}", article.code, indented(&said)));
        }
    }
    assert!(failures.is_empty(), "wrong examples say something else:\n{}", failures.join("\n"));
}

#[test]
fn right_examples_check_clean() {
    let mut failures = vec![];
    for (path, text) in articles() {
        let article = read(&path, &text);
        let Some(right) = article.right else { continue };
        let said = check(&right);
        if !said.is_empty() {
            failures.push(format!("{}:\n{}", article.code, indented(&said)));
        }
    }
    assert!(failures.is_empty(), "right examples are not clean:\n{}", failures.join("\n"));
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

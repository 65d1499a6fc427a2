//! The house rules that matter, as tests: what the sources may import, contain and leave out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each floor of the compiler may use itself and those before it.
const FLOORS: &[&str] =
    &["base", "syntax", "loops", "ops", "graph", "hir", "passes", "schedule", "plan", "codegen", "driver"];

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 60;

/// Where `unsafe` may be written.
const UNSAFE: &[&str] = &[
    "compiler/src/codegen/jit.rs",
    "runtime/src/arena.rs",
    "runtime/src/pool.rs",
    "runtime/src/pool/",
    "runtime/src/session.rs",
    "runtime/src/session/",
    "runtime/src/micro.rs",
    "runtime/src/micro/",
];

/// A crate that belongs to one place.
const CRATES: &[(&str, &str)] = &[
    ("petgraph", "compiler/src/graph"),
    ("cranelift", "compiler/src/codegen"),
    ("pest", "compiler/src/syntax"),
    ("miette", "cli/report"),
    ("clap", "cli/"),
    ("indicatif", "cli/progress"),
];

/// One source file of ours.
struct Source {
    /// From the top folder, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// The text before the unit tests, which stand last.
    fn shipped(&self) -> &str {
        let beside = ["/tests/", "/benches/"].iter().any(|folder| self.path.contains(folder));
        if beside || self.path.starts_with("tests/") || self.path.ends_with("tests.rs") {
            return "";
        }
        self.text.find("#[cfg(test)]").map_or(&self.text, |at| &self.text[..at])
    }

    /// Lines of shipped code without comments and literals, numbered from 1.
    fn code(&self) -> Vec<(usize, String)> {
        self.shipped().lines().enumerate().map(|(i, line)| (i + 1, without_text(line))).collect()
    }
}

/// A line without its comment and the contents of its string literals.
fn without_text(line: &str) -> String {
    let mut kept = String::new();
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => {
                chars.next();
            }
            '\'' if !quoted && chars.peek() == Some(&'"') => {
                chars.next();
            }
            '"' => quoted = !quoted,
            '/' if !quoted && chars.peek() == Some(&'/') => break,
            _ if quoted => {}
            _ => kept.push(c),
        }
    }
    kept
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files_below(&path, ending, found);
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let mut paths = vec![];
    for folder in ["cli", "compiler", "runtime", "tests", "grammar"] {
        files_below(&root().join(folder), "rs", &mut paths);
    }
    let read = |path: PathBuf| Source {
        path: path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/"),
        text: fs::read_to_string(&path).expect("a source file"),
    };
    paths.into_iter().map(read).collect()
}

/// Fails with every finding at once.
fn none(what: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{what}:\n  {}", findings.join("\n  "));
}

#[test]
fn floors_import_downward_only() {
    let mut findings = vec![];
    for source in sources() {
        let Some(rest) = source.path.strip_prefix("compiler/src/") else { continue };
        let own = rest.split(['/', '.']).next().unwrap_or("");
        let Some(floor) = FLOORS.iter().position(|f| *f == own) else { continue };
        for (number, line) in source.code() {
            for upper in &FLOORS[floor + 1..] {
                if line.contains(&format!("crate::{upper}")) {
                    findings.push(format!("{}:{number}: uses {upper}, a floor above", source.path));
                }
            }
        }
    }
    none("imports that climb", findings);
}

#[test]
fn the_lower_storey_of_the_runtime_stands_alone() {
    let mut findings = vec![];
    for source in sources() {
        let Some(rest) = source.path.strip_prefix("runtime/src/") else { continue };
        let own = rest.split(['/', '.']).next().unwrap_or("");
        if !["abi", "arena", "extents", "init", "micro", "pool", "profile", "verify"].contains(&own) {
            continue;
        }
        for (number, line) in source.code() {
            for upper in ["checkpoint", "data", "draw", "metrics", "predict", "session", "train"] {
                if line.contains(&format!("crate::{upper}")) {
                    findings.push(format!("{}:{number}: uses {upper}, the upper storey", source.path));
                }
            }
            for foreign in ["csv::", "flate2::", "safetensors::", "serde_json::", "tempfile::", "zip::"] {
                if line.contains(foreign) {
                    findings.push(format!("{}:{number}: uses {foreign} below", source.path));
                }
            }
        }
    }
    none("the lower storey climbs", findings);
}

#[test]
fn every_file_says_what_it_is() {
    let silent = sources().into_iter().filter(|s| !s.text.starts_with("//!"));
    none("files without `//!`", silent.map(|s| s.path).collect());
}

#[test]
fn files_are_short() {
    let long = sources().into_iter().filter(|s| s.text.lines().count() > LONGEST_FILE);
    none("files over 400 lines", long.map(|s| format!("{} ({})", s.path, s.text.lines().count())).collect());
}

#[test]
fn functions_are_short() {
    let mut findings = vec![];
    for source in sources() {
        let lines: Vec<&str> = source.shipped().lines().collect();
        for (i, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let starts =
                ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "const fn ", "pub const fn ", "unsafe fn "];
            if !starts.iter().any(|s| line.trim_start().starts_with(s)) {
                continue;
            }
            let close = format!("{}}}", " ".repeat(indent));
            let length = lines[i..].iter().take_while(|l| !l.trim_end().eq(&close)).count() + 1;
            let body = &lines[i..(i + length).min(lines.len())];
            if length > LONGEST_FUNCTION
                && !dispatches(body)
                && lines[i..].iter().any(|l| l.trim_end() == close)
                && !one_line(line)
            {
                findings.push(format!("{}:{} ({length} lines)", source.path, i + 1));
            }
        }
    }
    none("functions over 60 lines", findings);
}

/// Whether all that a function does is one `match`, begun in its first lines and ended by its last.
fn dispatches(body: &[&str]) -> bool {
    let begins = body.iter().take(4).any(|line| line.trim_start().starts_with("match "));
    begins && body.len() > 2 && body[body.len() - 2].trim() == "}"
}

/// A declaration or a body on the line of its name.
fn one_line(line: &str) -> bool {
    line.trim_end().ends_with([';', '}'])
}

#[test]
fn nothing_is_left_undone() {
    let mut findings = vec![];
    for source in sources() {
        for (number, line) in source.code() {
            for word in [".unwrap()", "todo!", "unimplemented!", "dbg!("] {
                if line.contains(word) {
                    findings.push(format!("{}:{number}: {word}", source.path));
                }
            }
            let prints = (line.contains("println!") || line.contains("print!(")) && !source.path.starts_with("cli/");
            if prints {
                findings.push(format!("{}:{number}: prints outside cli/", source.path));
            }
        }
    }
    none("not in shipped code", findings);
}

#[test]
fn unsafe_is_where_it_belongs() {
    let mut findings = vec![];
    for source in sources() {
        if UNSAFE.iter().any(|place| source.path.starts_with(place)) {
            continue;
        }
        for (number, line) in source.code() {
            let says_so = line.contains("unsafe_code")
                || line.contains("unsafe extern \"\" fn(")
                || line.contains("unsafe extern fn(");
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            // A function pointer's type is a fact, not a use.
            let is_type = line.contains("type ") || line.contains("unsafe extern ");
            if words.clone().any(|w| w == "unsafe") && !says_so && !is_type {
                findings.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    none("unsafe outside its files", findings);
}

#[test]
fn foreign_crates_stay_in_one_place() {
    let mut findings = vec![];
    for source in sources().iter().filter(|s| !s.path.starts_with("tests/")) {
        for (number, line) in source.code() {
            for (name, home) in CRATES {
                let named = line.contains(&format!("{name}::")) || line.contains(&format!("{name}_"));
                if named && !source.path.starts_with(home) && !(*name == "clap" && source.path.starts_with("cli")) {
                    findings.push(format!("{}:{number}: names {name}", source.path));
                }
            }
        }
    }
    none("crates outside their place", findings);
}

/// Files of a folder, without ending.
fn names_in(folder: &str, ending: &str) -> BTreeSet<String> {
    let mut paths = vec![];
    files_below(&root().join(folder), ending, &mut paths);
    paths.iter().filter_map(|p| p.file_stem()).map(|stem| stem.to_string_lossy().into_owned()).collect()
}

/// The literals of one `articles!` list in `cli/articles.rs`, as written.
fn listed(list: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("cli/articles.rs")).expect("the list of articles");
    let start = text.find(&format!("pub const {list}:")).expect("the list");
    let end = start + text[start..].find(");").expect("its end");
    text[start..end].split('"').skip(1).step_by(2).map(str::to_string).collect()
}

#[test]
fn articles_are_listed_and_sorted() {
    let (errors, lints) = (listed("ERRORS"), listed("LINTS"));
    assert!(errors.is_sorted(), "errors in order of code");
    assert!(lints.is_sorted(), "lints in order of name");
    let all: BTreeSet<String> = errors.into_iter().chain(lints).collect();
    assert_eq!(all, names_in("grammar/messages", "md"), "cli/articles.rs against grammar/messages/");
}

/// Every code that shipped code can raise: a string literal `E0304`.
fn raised() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for source in sources().iter().filter(|s| s.path != "cli/articles.rs") {
        let code =
            |word: &&str| word.len() == 5 && word.starts_with('E') && word[1..].bytes().all(|b| b.is_ascii_digit());
        for line in source.shipped().lines().filter(|l| !l.trim_start().starts_with("//")) {
            codes.extend(line.split('"').skip(1).step_by(2).filter(code).map(str::to_string));
        }
    }
    codes
}

#[test]
fn every_code_that_is_raised_has_an_article() {
    let articles: BTreeSet<String> = listed("ERRORS").into_iter().collect();
    none("raised without an article", raised().difference(&articles).cloned().collect());
    none("an article on what is never raised", articles.difference(&raised()).cloned().collect());
}

#[test]
fn every_code_has_a_program_that_raises_it() {
    let programs: BTreeSet<String> =
        names_in("tests/ui", "dl").iter().map(|name| name.split('_').next().unwrap_or(name).to_string()).collect();
    let lint_programs = names_in("tests/ui", "dl");
    // Errors of data, training and model files need files: tests/cli.rs and the tests of runtime/ raise them.
    let textual = |code: &String| ["E01", "E02", "E03", "E04"].iter().any(|range| code.starts_with(range));
    let missing = listed("ERRORS").into_iter().filter(textual).filter(|code| !programs.contains(code));
    none("codes without tests/ui/CODE_*.dl", missing.collect());
    // This one too is told when the data was read: tests/bad_input.rs.
    let of_data = ["one_class"];
    let textual = |name: &String| !of_data.contains(&name.as_str());
    let missing = listed("LINTS").into_iter().filter(textual).filter(|name| !lint_programs.contains(name));
    none("lints without tests/ui/LINT.dl", missing.collect());
}

/// The module files of a folder of `compiler/src`.
fn modules(folder: &str) -> BTreeSet<String> {
    let path = root().join("compiler/src").join(folder);
    let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path());
    let files = entries.filter(|p| p.is_file() && p.extension().is_some_and(|e| e == "rs"));
    let stems = files.filter_map(|p| p.file_stem().map(|s| s.to_string_lossy().into_owned()));
    stems.filter(|stem| stem != "mod" && stem != "tests").collect()
}

#[test]
fn ops_and_passes_are_listed() {
    for folder in ["ops", "passes"] {
        let text = fs::read_to_string(root().join("compiler/src").join(folder).join("mod.rs")).expect("its table");
        let declared = |name: &String| text.contains(&format!("mod {name};"));
        none(
            &format!("{folder}/ files that mod.rs does not declare"),
            modules(folder).into_iter().filter(|n| !declared(n)).collect(),
        );
    }
}

#[test]
fn sources_are_formatted() {
    let check =
        std::process::Command::new("cargo").args(["fmt", "--all", "--", "--check"]).current_dir(root()).output();
    match check {
        Ok(done) if done.status.success() => {}
        Ok(done) if !done.stdout.is_empty() => {
            panic!("run `cargo fmt --all`:\n{}", String::from_utf8_lossy(&done.stdout))
        }
        _ => eprintln!("rustfmt is not installed: formatting is not checked"),
    }
}

#[test]
fn examples_name_their_data_in_the_first_line() {
    let mut found = vec![];
    files_below(&root().join("examples"), "dl", &mut found);
    let mut findings = vec![];
    for path in found.into_iter().filter(|path| !path.to_string_lossy().contains("/bench/")) {
        let text = fs::read_to_string(&path).expect("a program");
        let source = text.lines().find_map(|line| line.trim().strip_prefix("source = ")).unwrap_or("synthetic");
        let here = source.starts_with("synthetic") || source.contains("\"data/");
        if !here && !text.lines().next().is_some_and(|first| first.contains("--data-root")) {
            findings.push(path.display().to_string());
        }
    }
    none("examples whose first line does not say what to fetch", findings);
}

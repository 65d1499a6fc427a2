//! The editor packages of `grammar/editors/` are what their one source says, and it is right.
//!
//! `snippets.toml` and the reserved words of `dl.pest` generate the files with snippets and
//! highlighting; the rest of the packages is written by hand. A stale file fails the test, which
//! writes the fresh one beside it as `NAME.new`.

use dlc_compiler::driver::Sources;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

mod editors {
    pub mod highlight;
    pub mod snippet;
}
use editors::highlight::Words;
use editors::snippet::Snippet;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("grammar/editors")
}

fn source() -> toml::Table {
    std::fs::read_to_string(folder().join("snippets.toml")).unwrap().parse().unwrap()
}

fn words() -> Words {
    let grammar = folder().parent().unwrap().join("dl.pest");
    Words::new(&std::fs::read_to_string(grammar).unwrap(), &source())
}

/// All generated files by path below `grammar/editors/`.
fn generated() -> BTreeMap<String, String> {
    let snippets = Snippet::all(&source());
    let words = words();
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap() + "\n";
    let vscode: serde_json::Map<String, Value> = snippets.iter().map(|s| (s.description.clone(), s.vscode())).collect();
    let mut files = BTreeMap::from([
        ("vscode/snippets/dl.json".to_owned(), pretty(&json!(vscode))),
        ("vscode/syntaxes/dl.tmLanguage.json".to_owned(), pretty(&words.textmate())),
        ("vim/syntax/dl.vim".to_owned(), words.vim()),
        ("vim/snippets/dl.snippets".to_owned(), snippets.iter().map(Snippet::snipmate).collect()),
        ("sublime/dl.sublime-syntax".to_owned(), words.sublime()),
    ]);
    for snippet in &snippets {
        files.insert(format!("sublime/{}.sublime-snippet", snippet.prefix), snippet.sublime());
    }
    files
}

#[test]
fn generated_files_are_fresh() {
    let mut stale = vec![];
    for (name, fresh) in generated() {
        let path = folder().join(&name);
        if std::fs::read_to_string(&path).ok().as_deref() != Some(&fresh) {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(folder().join(format!("{name}.new")), fresh).unwrap();
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "stale in grammar/editors, move `NAME.new` over `NAME` for each of {stale:#?}");
    let known = generated();
    for entry in std::fs::read_dir(folder().join("sublime")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let owned = !name.ends_with(".sublime-snippet");
        assert!(owned || known.contains_key(&format!("sublime/{name}")), "{name} has no source");
    }
}

#[test]
fn every_reserved_word_is_highlighted_everywhere() {
    let words = words();
    assert_eq!(words.all().len(), 28);
    for name in ["vscode/syntaxes/dl.tmLanguage.json", "vim/syntax/dl.vim", "sublime/dl.sublime-syntax"] {
        let text = std::fs::read_to_string(folder().join(name)).unwrap();
        let shown: Vec<&str> = text.split(|c: char| !c.is_ascii_lowercase()).collect();
        for word in words.all() {
            assert!(shown.contains(&word), "{word} in {name}");
        }
    }
}

/// The file that the snippet for `import` names.
struct Blocks;

impl Sources for Blocks {
    fn read(&self, _: &str) -> Result<String, String> {
        Ok("block Twice(x: [..]) -> y: [..] { y = 2 * x }\n".to_owned())
    }
}

/// What every expanded snippet must pass: all that `dlc check` looks at.
fn check_program(name: &str, text: &str) {
    if let Err(failed) = dlc_compiler::driver::check(&format!("{name}.dl"), text, &Blocks, &[]) {
        let told: Vec<String> = failed.diagnostics.iter().map(|d| format!("{}: {}", d.code, d.message)).collect();
        panic!("{name}: {}\n{text}", told.join("\n"));
    }
}

#[test]
fn snippets_with_their_defaults_are_right() {
    let snippets = Snippet::all(&source());
    assert!(snippets.len() >= 12);
    for snippet in snippets {
        check_program(&snippet.prefix, &snippet.around.replace('@', &snippet.expanded()));
    }
}

#[test]
fn the_packages_point_at_their_files() {
    let read =
        |name: &str| -> Value { serde_json::from_str(&std::fs::read_to_string(folder().join(name)).unwrap()).unwrap() };
    read("vscode/language-configuration.json");
    read("sublime/dlc.sublime-build");
    let package = read("vscode/package.json");
    let contributes = &package["contributes"];
    let paths = [
        &contributes["languages"][0]["configuration"],
        &contributes["grammars"][0]["path"],
        &contributes["snippets"][0]["path"],
    ];
    for path in paths {
        assert!(folder().join("vscode").join(path.as_str().unwrap()).is_file(), "{path}");
    }
    assert_eq!(contributes["grammars"][0]["scopeName"], read(TEXTMATE)["scopeName"]);
}

const TEXTMATE: &str = "vscode/syntaxes/dl.tmLanguage.json";

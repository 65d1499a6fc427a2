//! Highlighting, for each editor from the same patterns.

use serde_json::{Value, json};

const NUMBER: &str = r"\b[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?%?";
const UNITS: [&str; 8] = ["epochs", "epoch", "steps", "step", "minutes", "minute", "hours", "hour"];
const OPERATORS: &str = r"\|>|->|<-|\.\.|[=!<>]=|[-+*/^=<>]";

/// The reserved words by how they look.
pub struct Words {
    starters: Vec<String>,
    connectives: Vec<String>,
    constants: Vec<String>,
}

impl Words {
    /// All `kw_` rules of the grammar; the source says which are not starters.
    pub fn new(grammar: &str, source: &toml::Table) -> Words {
        let listed = |key: &str| -> Vec<String> {
            let words = source[key].as_array().unwrap().iter();
            words.map(|word| word.as_str().unwrap().to_owned()).collect()
        };
        let (connectives, constants) = (listed("connectives"), listed("constants"));
        let rules = grammar.lines().filter(|line| line.starts_with("kw_"));
        let all: Vec<String> = rules.map(|line| line.split('"').nth(1).unwrap().to_owned()).collect();
        for word in connectives.iter().chain(&constants) {
            assert!(all.contains(word), "{word} is not reserved");
        }
        let other = |word: &String| !connectives.contains(word) && !constants.contains(word);
        Words { starters: all.into_iter().filter(other).collect(), connectives, constants }
    }

    pub fn all(&self) -> Vec<&str> {
        let words = self.starters.iter().chain(&self.connectives).chain(&self.constants);
        words.map(String::as_str).collect()
    }

    fn one_of<S: AsRef<str>>(words: &[S]) -> String {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        format!(r"\b({})\b(?!\s*=[^=])", words.join("|"))
    }

    /// Patterns and TextMate scopes, in the order in which they are tried.
    fn patterns(&self) -> Vec<(String, &'static str)> {
        vec![
            (r"##.*$".to_owned(), "comment.line.documentation.dl"),
            (r"#.*$".to_owned(), "comment.line.number-sign.dl"),
            (r#""(\\.|[^"\\])*""#.to_owned(), "string.quoted.double.dl"),
            (r"\b[A-Za-z_][A-Za-z0-9_]*(?=\s*=[^=])".to_owned(), "variable.other.definition.dl"),
            (r"\b[A-Za-z_][A-Za-z0-9_]*'".to_owned(), "variable.other.next.dl"),
            (NUMBER.to_owned(), "constant.numeric.dl"),
            (Self::one_of(&UNITS), "keyword.other.unit.dl"),
            (Self::one_of(&self.starters), "keyword.declaration.dl"),
            (Self::one_of(&self.connectives), "keyword.control.dl"),
            (Self::one_of(&self.constants), "constant.language.dl"),
            (r"\b[A-Z][A-Za-z0-9_]*".to_owned(), "entity.name.type.dl"),
            (r"(?<=\|>)\s*[a-z_][A-Za-z0-9_]*".to_owned(), "support.function.dl"),
            (r"\b[a-z_][A-Za-z0-9_]*(?=\()".to_owned(), "support.function.dl"),
            (OPERATORS.to_owned(), "keyword.operator.dl"),
        ]
    }

    pub fn textmate(&self) -> Value {
        let rule = |(pattern, scope): &(String, &str)| json!({ "match": pattern, "name": scope });
        json!({
            "name": "dlc",
            "scopeName": "source.dl",
            "fileTypes": ["dl"],
            "patterns": self.patterns().iter().map(rule).collect::<Vec<_>>(),
        })
    }

    pub fn sublime(&self) -> String {
        let mut out = String::from(
            "%YAML 1.2\n---\nname: dlc\nfile_extensions: [dl]\nscope: source.dl\n\
             contexts:\n  main:\n",
        );
        for (pattern, scope) in self.patterns() {
            let quoted = pattern.replace('\'', "''");
            out += &format!("    - match: '{quoted}'\n      scope: {scope}\n");
        }
        out
    }

    pub fn vim(&self) -> String {
        let mut out = String::from("\" Highlighting of the dlc model language.\n");
        out += "if exists('b:current_syntax')\n  finish\nendif\n\n";
        let lists = [
            ("dlStarter", &self.starters, "Statement"),
            ("dlConnective", &self.connectives, "Conditional"),
            ("dlConstant", &self.constants, "Boolean"),
        ];
        for (group, words, _) in lists {
            out += &format!("syntax keyword {group} {}\n", words.join(" "));
        }
        out += &format!("syntax keyword dlUnit {}\n", UNITS.join(" "));
        out += concat!(
            r#"syntax match dlNumber '\<\d\+\(\.\d\+\)\?\([eE][+-]\?\d\+\)\?%\?'"#,
            "\n",
            r#"syntax match dlType '\<\u\w*'"#,
            "\n",
            r#"syntax match dlCall '\<\l\w*\ze('"#,
            "\n",
            r#"syntax match dlStage '|>\s*\zs\l\w*' contains=dlStarter,dlConnective"#,
            "\n",
            r#"syntax match dlOperator '|>\|->\|<-\|\.\.\|[-+*/^=<>]'"#,
            "\n",
            r#"syntax region dlText start='"' skip='\\.' end='"' oneline"#,
            "\n",
            r#"syntax match dlComment '#.*$'"#,
            "\n",
            r#"syntax match dlDocumentation '##.*$'"#,
            "\n\n",
        );
        for (group, _, look) in lists {
            out += &format!("highlight default link {group} {look}\n");
        }
        for (group, look) in [
            ("dlUnit", "Type"),
            ("dlNumber", "Number"),
            ("dlType", "Type"),
            ("dlCall", "Function"),
            ("dlStage", "Function"),
            ("dlOperator", "Operator"),
            ("dlText", "String"),
            ("dlComment", "Comment"),
            ("dlDocumentation", "SpecialComment"),
        ] {
            out += &format!("highlight default link {group} {look}\n");
        }
        out + "\nlet b:current_syntax = 'dl'\n"
    }
}

//! Snippets, and how each editor writes them.

use serde_json::{Value, json};

pub struct Snippet {
    pub prefix: String,
    pub description: String,
    /// A program with `@` where the snippet goes.
    pub around: String,
    body: String,
}

impl Snippet {
    pub fn all(source: &toml::Table) -> Vec<Snippet> {
        let snippets = source["snippet"].as_array().unwrap();
        let text = |of: &toml::Value, key: &str| of[key].as_str().unwrap().to_owned();
        let one = |of: &toml::Value| Snippet {
            prefix: text(of, "prefix"),
            description: text(of, "description"),
            around: text(of, "around"),
            body: text(of, "body"),
        };
        snippets.iter().map(one).collect()
    }

    /// The body with the default in every place.
    pub fn expanded(&self) -> String {
        let mut out = String::new();
        let mut defaults = std::collections::BTreeMap::new();
        let mut rest = self.body.as_str();
        while let Some((before, place)) = rest.split_once('$') {
            out += before;
            let (number, default, after) = match place.strip_prefix('{') {
                Some(inner) => {
                    let (number, inner) = inner.split_once(':').unwrap();
                    let (default, after) = inner.split_once('}').unwrap();
                    defaults.insert(number, default);
                    (number, default, after)
                }
                None => (&place[..1], defaults[&place[..1]], &place[1..]),
            };
            assert!(number.parse::<u8>().is_ok(), "{}: ${number}", self.prefix);
            out += default;
            rest = after;
        }
        out + rest
    }

    fn lines(&self) -> std::str::Lines<'_> {
        self.body.lines()
    }

    pub fn vscode(&self) -> Value {
        let body: Vec<&str> = self.lines().collect();
        json!({ "prefix": self.prefix, "description": self.description, "body": body })
    }

    /// The form of SnipMate, which most Vim plug-ins read; its bodies stand behind tabs.
    pub fn snipmate(&self) -> String {
        let body: String = self.lines().map(|line| format!("\t{line}\n")).collect();
        format!("snippet {} {}\n{body}", self.prefix, self.description)
    }

    pub fn sublime(&self) -> String {
        let body = self.body.trim_end();
        assert!(!body.contains("]]>"));
        format!(
            "<snippet>\n  <content><![CDATA[{body}]]></content>\n  \
             <tabTrigger>{}</tabTrigger>\n  <scope>source.dl</scope>\n  \
             <description>{}</description>\n</snippet>\n",
            self.prefix, self.description
        )
    }
}

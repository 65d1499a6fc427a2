//! `dlc explain CODE`: the article on a message.

use crate::articles::{self, ERRORS, LINTS};
use crate::output;
use crate::trouble::{Message, Trouble};

pub fn run(code: Option<&str>) -> Result<(), Trouble> {
    let Some(code) = code else {
        output::write(&list());
        return Ok(());
    };
    match articles::find(code) {
        Some(article) => output::write(article),
        None => {
            let message = Message::new(format!("no article on `{code}`"));
            return Err(Trouble::Usage(message.help("`dlc explain` lists them")));
        }
    }
    Ok(())
}

fn list() -> String {
    let line = |(code, article): &(&str, &str)| format!("{code:<24}{}\n", articles::title(article));
    ERRORS.iter().map(line).collect::<String>() + "\n" + &LINTS.iter().map(line).collect::<String>()
}

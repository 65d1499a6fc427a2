//! `dlc show NAME`: the source and the defaults of what the language offers.

use crate::engine;
use crate::output;
use crate::trouble::{Message, Trouble};

pub fn run(name: Option<&str>, defaults: bool) -> Result<(), Trouble> {
    match (name, defaults) {
        (_, true) => output::write(&engine::defaults()),
        (None, false) => {
            for (name, about) in engine::shown() {
                output::line(&format!("{name:<24}{about}"));
            }
        }
        (Some(name), false) => match engine::show(name) {
            Some(text) => output::write(&text),
            None => {
                let message = Message::new(format!("nothing in the language is called `{name}`"));
                return Err(Trouble::Usage(message.help(
                    "`dlc show` lists the names, and `dlc show --defaults` prints sources, steps and settings",
                )));
            }
        },
    }
    Ok(())
}

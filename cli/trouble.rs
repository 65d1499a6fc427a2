//! Why a command did not do what it was asked for, and the exit code that says so.

use dlc_compiler::base::Failed;

/// Everything that ends a command early.
#[derive(Debug)]
pub enum Trouble {
    /// The program or its data has errors, or a lint was denied.
    Program(Failed),
    /// A data or model file has errors, and no program says where it is read.
    Data(Message),
    /// Wrong usage, an unreadable file, a bad configuration.
    Usage(Message),
    /// It ran but missed its goal; the message has a code.
    Goal(Message),
    /// Interrupted, after saving.
    Interrupted(String),
}

/// A message that has no place in a source text.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub code: Option<&'static str>,
    pub text: String,
    pub notes: Vec<String>,
    pub help: Option<String>,
}

impl Message {
    pub fn new(text: impl Into<String>) -> Message {
        Message { text: text.into(), ..Message::default() }
    }

    pub fn help(mut self, text: impl Into<String>) -> Message {
        self.help = Some(text.into());
        self
    }
}

impl Trouble {
    pub fn usage(text: impl Into<String>) -> Trouble {
        Trouble::Usage(Message::new(text))
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Trouble::Program(_) | Trouble::Data(_) => 1,
            Trouble::Usage(_) => 2,
            Trouble::Goal(_) => 3,
            Trouble::Interrupted(_) => 130,
        }
    }
}

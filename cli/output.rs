//! Standard output, where results go, and standard error, where everything else goes.

use std::io::{ErrorKind, Write, stderr, stdout};

/// Writes a result. A reader that went away (`| head`) wants no more; a full disk is told.
pub fn write(text: &str) {
    let mut out = stdout().lock();
    let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) else { return };
    if error.kind() != ErrorKind::BrokenPipe {
        say(&format!("error: cannot write to standard output: {error}\n"));
        std::process::exit(2);
    }
    std::process::exit(0);
}

/// Writes a result and a line end.
pub fn line(text: &str) {
    write(&format!("{text}\n"));
}

/// Writes to standard error. Whoever closed it (`2>&1 | head`) does not want to know, and a training goes on.
pub fn say(text: &str) {
    let _ = stderr().write_all(text.as_bytes());
}

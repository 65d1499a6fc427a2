//! Standard output: where results go.

use std::io::{ErrorKind, Write, stdout};

/// Writes a result. A reader that went away (`| head`) wants no more; a full disk is told.
pub fn write(text: &str) {
    let mut out = stdout().lock();
    let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) else { return };
    if error.kind() != ErrorKind::BrokenPipe {
        eprintln!("error: cannot write to standard output: {error}");
        std::process::exit(2);
    }
    std::process::exit(0);
}

/// Writes a result and a line end.
pub fn line(text: &str) {
    write(&format!("{text}\n"));
}

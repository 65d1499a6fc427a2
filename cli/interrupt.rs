//! Ctrl-C: the first asks the training to finish its step and save, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Exit code of an interrupted command.
const INTERRUPTED: i32 = 130;

/// Starts listening; the flag turns true at the first Ctrl-C.
pub fn listen() -> &'static AtomicBool {
    let listening = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        eprintln!("\ninterrupted: finishing the step and saving (once more to stop at once)");
    });
    if listening.is_err() {
        eprintln!("note: Ctrl-C cannot be caught here and will not save");
    }
    &ASKED
}

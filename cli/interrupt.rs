//! Ctrl-C: the first asks the training to finish its step and save, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::output;

static ASKED: AtomicBool = AtomicBool::new(false);

/// Exit code of an interrupted command.
const INTERRUPTED: i32 = 130;

/// Starts listening; the flag turns true at the first Ctrl-C.
pub fn listen() -> &'static AtomicBool {
    let listening = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        output::say("\ninterrupted: finishing the step and saving (once more to stop at once)\n");
    });
    if listening.is_err() {
        output::say("note: Ctrl-C cannot be caught here and will not save\n");
    }
    &ASKED
}

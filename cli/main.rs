//! The command line: reads arguments, calls one command, turns what came out into text and an exit code.
//!
//! Results go to standard output, everything else to standard error.

mod against;
mod args;
mod articles;
mod commands;
mod engine;
mod interrupt;
mod number;
mod output;
mod progress;
mod report;
mod style;
mod trouble;

use std::panic;
use std::process::ExitCode;

use args::{Arguments, Verb};
use clap::Parser;
use style::Style;
use trouble::Trouble;

/// Exit code of an error in dlc itself.
const BUG: u8 = 101;

fn main() -> ExitCode {
    panic::set_hook(Box::new(|info| output::say(&bug_report(info))));
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // A closed pipe is the reader's business.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let style = Style::new(arguments.color);
    match panic::catch_unwind(|| dispatch(arguments.verb, &style)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(trouble)) => ExitCode::from(trouble.exit_code()),
        Err(_) => ExitCode::from(BUG),
    }
}

/// One call per verb. What went wrong has been reported when this returns.
fn dispatch(verb: Verb, style: &Style) -> Result<(), Trouble> {
    let format = verb.message_format();
    let done = match verb {
        Verb::Build(args) => commands::build::run(&args, style),
        Verb::Check(args) => commands::check::run(&args, style),
        Verb::Data(args) => commands::data::run(&args),
        Verb::Run(args) if args.train => commands::train::run(&args, style),
        Verb::Run(args) => commands::predict::run(&args, style),
        Verb::Train(args) => commands::train::run(&args, style),
        Verb::Bench(args) => commands::bench::run(&args, style),
        Verb::Explain { code } => commands::explain::run(code.as_deref()),
        Verb::Show { name, defaults } => commands::show::run(name.as_deref(), defaults),
        Verb::Completions { shell } => commands::completions::run(shell),
        Verb::Version => commands::version::run(),
    };
    if let Err(trouble) = &done {
        report::trouble(trouble, format, style);
    }
    done
}

/// What a person who met a bug of ours needs: what happened, that it is not their fault, where to send it.
fn bug_report(info: &panic::PanicHookInfo<'_>) -> String {
    let what = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
    format!(
        "error: this is a bug in dlc, not in your program or data\n\
         \x20 {what}{place}\n\
         \x20 = note: dlc {}, {} {}\n\
         \x20 = help: please report these lines with the smallest .dl file that shows it\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
    )
}

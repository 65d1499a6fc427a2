//! `dlc check FILE`: every mistake that can be found without data.

use std::path::Path;
use std::time::{Duration, SystemTime};

use dlc_compiler::base::{Failed, Severity};

use crate::args::{CheckArgs, Format};
use crate::style::Style;
use crate::trouble::Trouble;
use crate::{engine, output, report};

/// How often `--watch` looks.
const PERIOD: Duration = Duration::from_millis(200);

pub fn run(args: &CheckArgs, style: &Style) -> Result<(), Trouble> {
    if args.watch { watch(args, style) } else { once(args, style) }
}

fn once(args: &CheckArgs, style: &Style) -> Result<(), Trouble> {
    let warnings = apply_lints(args, engine::check(&args.file, &args.program.sets)?);
    if report::count(&warnings, Severity::Error) > 0 {
        return Err(Trouble::Program(warnings));
    }
    report::diagnostics(&warnings, args.format, style);
    if args.format == Format::Human && warnings.diagnostics.is_empty() {
        output::say(&format!("{}: no mistakes found\n", args.file.display()));
    }
    Ok(())
}

/// Silences allowed lints and makes denied ones errors.
fn apply_lints(args: &CheckArgs, mut found: Failed) -> Failed {
    found.diagnostics.retain(|d| !args.allow.iter().any(|a| a == d.code));
    for diagnostic in &mut found.diagnostics {
        if args.warnings_as_errors || args.deny.iter().any(|name| name == diagnostic.code) {
            diagnostic.severity = Severity::Error;
        }
    }
    found
}

/// Checks at every change of a program in the file's folder, until interrupted.
fn watch(args: &CheckArgs, style: &Style) -> Result<(), Trouble> {
    let mut seen = None;
    loop {
        let now = newest_change(&args.file);
        if now != seen || seen.is_none() {
            seen = now;
            if let Err(trouble) = once(args, style) {
                report::trouble(&trouble, args.format, style);
            }
            output::say(&format!("watching {} (Ctrl-C ends)\n", args.file.display()));
        }
        std::thread::sleep(PERIOD);
        if seen.is_none() && newest_change(&args.file).is_none() {
            return Err(Trouble::usage(format!("cannot read {}", args.file.display())));
        }
    }
}

/// The latest time at which the file or a program beside it, which it may import, was written.
fn newest_change(file: &Path) -> Option<SystemTime> {
    let modified = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    let own = modified(file)?;
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let programs = beside.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "dl"));
    programs.filter_map(|path| modified(&path)).chain([own]).max()
}

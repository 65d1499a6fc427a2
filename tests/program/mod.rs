//! How tests call the program. `TEST_CPU=avx2 cargo test` (or `portable`) runs them all on another instruction set than the
//! best of this machine; `dlc` itself knows no such variable.

use std::process::Command;

/// Verbs that compile.
const COMPILING: &[&str] = &["build", "run", "train", "bench"];

/// `dlc` with these arguments.
pub fn dlc<T: AsRef<str>>(args: &[T]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlc"));
    let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
    let (verb, rest) = args.split_at(args.len().min(1));
    command.args(verb);
    if verb.iter().any(|verb| COMPILING.contains(verb)) && !rest.contains(&"--cpu") {
        command.args(std::env::var("TEST_CPU").ok().iter().flat_map(|cpu| ["--cpu", cpu]));
    }
    command.args(rest);
    command
}

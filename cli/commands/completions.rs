//! `dlc completions SHELL`: the completion script.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Arguments;
use crate::trouble::Trouble;

pub fn run(shell: Shell) -> Result<(), Trouble> {
    clap_complete::generate(shell, &mut Arguments::command(), "dlc", &mut std::io::stdout());
    Ok(())
}

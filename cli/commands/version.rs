//! `dlc version`: the version and what this machine offers.

use crate::output;
use crate::trouble::Trouble;

pub fn run() -> Result<(), Trouble> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    output::line(&format!("dlc {}", env!("CARGO_PKG_VERSION")));
    output::line(&format!("{} {}, {cores} cores", std::env::consts::ARCH, std::env::consts::OS));
    Ok(())
}

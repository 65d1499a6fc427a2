//! `dlc version`: the version and what this machine offers.

use dlc_runtime::micro::Isa;

use crate::output;
use crate::trouble::Trouble;

pub fn run() -> Result<(), Trouble> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    output::line(&format!("dlc {}", env!("CARGO_PKG_VERSION")));
    let sets: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    output::line(&format!("{arch} {os}, {cores} cores, code for {}", sets.join(", ")));
    Ok(())
}

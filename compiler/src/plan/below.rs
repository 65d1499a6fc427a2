//! Plans below a limit of memory: how many tables have to be given up.

use super::{Plan, run};
use crate::loops::nest::Program;
use crate::schedule::Thrift;

/// How many ways to give up tables are looked at, from few tables to all that can be made again.
const PARTS: usize = 8;

/// The program and plan that give up the fewest tables to stay below `limit` bytes, or those that need least. `whole` is the
/// program that gives up none.
pub fn below(limit: u64, thrift: &Thrift, whole: (Program, Plan)) -> (Program, Plan) {
    let made = |given_up: usize| {
        let program = thrift.program(given_up);
        let plan = run(&program);
        (program, plan)
    };
    let fits = |plan: &Plan| plan.bytes() as u64 <= limit;
    // More tables given up are longer chains made again, so that the last few may need more: the least first.
    let mut best = (0, whole);
    let parts = PARTS.min(thrift.most());
    for part in 1..=parts {
        let given_up = thrift.most() * part / parts;
        let found = made(given_up);
        if found.1.bytes() < best.1.1.bytes() {
            best = (given_up, found);
        }
        if fits(&best.1.1) {
            break;
        }
    }
    if !fits(&best.1.1) || parts == 0 {
        return best.1;
    }
    let mut low = best.0 - (thrift.most() / parts).min(best.0);
    while low + 1 < best.0 {
        let middle = (low + best.0) / 2;
        let found = made(middle);
        if fits(&found.1) {
            best = (middle, found);
        } else {
            low = middle;
        }
    }
    best.1
}

//! Checks a plan from the program alone: no two buffers that are alive together share a byte.
//!
//! - every offset is a multiple of a cache line and every buffer ends inside its home;
//! - two buffers of the arena overlap only if no step lies in the lifetimes of both;
//! - two scratch buffers of one step overlap only if no statement lies in the lifetimes of both;
//! - state never overlaps.

use super::{Life, Plan, lives, root, scratch_lives, size};
use crate::base::Buffer;
use crate::loops::nest::Program;

/// `Err` says which two buffers clash, or what lies outside.
pub fn verify(program: &Program, plan: &Plan) -> Result<(), String> {
    let state: Vec<_> = program.state.iter().map(|(_, b)| (*b, Life { first: 0, last: 0 })).collect();
    disjoint(program, plan, &state, plan.state_bytes)?;
    disjoint(program, plan, &lives(program), plan.arena_bytes)?;
    for step in &program.steps {
        disjoint(program, plan, &scratch_lives(program, step), plan.scratch_bytes)?;
    }
    Ok(())
}

fn disjoint(program: &Program, plan: &Plan, lives: &[(Buffer, Life)], bytes: usize) -> Result<(), String> {
    let range = |b: Buffer| {
        let start = plan.offsets[root(program, b).index()];
        (start, start + size(program, b))
    };
    let mut sorted: Vec<_> = lives.to_vec();
    sorted.sort_by_key(|(b, _)| range(*b));
    for (i, (a, life)) in sorted.iter().enumerate() {
        let (start, end) = range(*a);
        if end > bytes || start % 64 != 0 {
            return Err(format!("{a} at {start}..{end} does not lie in {bytes} bytes"));
        }
        for (b, other) in &sorted[i + 1..] {
            let (next, _) = range(*b);
            if next >= end {
                break;
            }
            if life.first <= other.last && other.first <= life.last && a != b {
                return Err(format!("{a} and {b} overlap while both are alive"));
            }
        }
    }
    Ok(())
}

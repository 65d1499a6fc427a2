//! What must hold of every executable; a breach is a bug of the compiler that made it.
//!
//! - Every slot starts on a cache line and lies inside its memory.
//! - No two slots of the state overlap, and no two inputs do.
//! - Names are unique among inputs, among outputs and among state.
//! - An index has at least one value to take.
//! - What a clock counts lies in the scratch.

use crate::abi::{Executable, Slot};
use crate::arena::ALIGNMENT;
use crate::pool::clock;

/// Checks all of it.
pub fn verify(executable: &Executable) -> Result<(), String> {
    slots("input", &executable.inputs, executable.arena_bytes)?;
    slots("output", &executable.outputs, executable.arena_bytes)?;
    slots("state", &executable.state, executable.state_bytes)?;
    disjoint("input", &executable.inputs)?;
    disjoint("state", &executable.state)?;
    clock(executable)
}

/// The words of the clock lie in the scratch.
fn clock(executable: &Executable) -> Result<(), String> {
    let parts = 1 + executable.steps.iter().map(|step| step.parts.len()).sum::<usize>();
    match executable.clock {
        Some(at) if !at.is_multiple_of(8) || at.saturating_add(clock::bytes(parts)) > executable.scratch_bytes => {
            Err(format!("verify: a clock of {parts} parts at {at} lies outside its {} bytes", executable.scratch_bytes))
        }
        Some(_) | None => Ok(()),
    }
}

/// Bytes of a slot, if that is a number at all.
pub(crate) fn bytes(slot: &Slot) -> Option<usize> {
    let count = slot.shape.iter().try_fold(1usize, |count, extent| count.checked_mul(*extent));
    count?.checked_mul(size_of::<f32>())
}

fn slots(kind: &str, slots: &[Slot], memory: usize) -> Result<(), String> {
    let mut names: Vec<&str> = slots.iter().map(|slot| slot.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("verify: {kind} `{}` exists twice", twice[0]));
    }
    for slot in slots {
        let end = bytes(slot).and_then(|bytes| bytes.checked_add(slot.offset));
        if end.is_none_or(|end| end > memory) {
            return Err(format!("verify: {kind} {slot:?} lies outside its {memory} bytes"));
        }
        if !slot.offset.is_multiple_of(ALIGNMENT) {
            return Err(format!("verify: {kind} {slot:?} does not start on a cache line"));
        }
        if slot.index_extent == Some(0) {
            return Err(format!("verify: {kind} {slot:?} is an index with no values"));
        }
    }
    Ok(())
}

/// For slots that are known to lie inside their memory.
fn disjoint(kind: &str, slots: &[Slot]) -> Result<(), String> {
    let mut order: Vec<&Slot> = slots.iter().filter(|slot| slot.count() > 0).collect();
    order.sort_by_key(|slot| slot.offset);
    match order.windows(2).find(|pair| pair[0].offset + pair[0].count() * 4 > pair[1].offset) {
        Some(pair) => Err(format!("verify: {kind} {:?} and {:?} overlap", pair[0], pair[1])),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Identity;

    fn slot(name: &str, offset: usize, shape: &[usize]) -> Slot {
        Slot { name: name.into(), offset, shape: shape.into(), index_extent: None }
    }

    fn executable(inputs: Vec<Slot>, state: Vec<Slot>) -> Executable {
        Executable {
            code: Box::new(()),
            identity: Identity::fresh(),
            prepared: 0,
            steps: Vec::new(),
            state_bytes: 256,
            arena_bytes: 256,
            scratch_bytes: 0,
            inputs,
            outputs: Vec::new(),
            state,
            batch: 1,
            clock: None,
        }
    }

    #[test]
    fn every_breach_is_found() {
        let verdict = |inputs, state| verify(&executable(inputs, state)).err().unwrap_or_default();
        let x = || slot("x", 0, &[16]);
        assert_eq!(verdict(vec![x(), slot("y", 64, &[])], vec![x()]), "");
        assert!(verdict(vec![x(), slot("x", 64, &[])], vec![]).contains("twice"));
        assert!(verdict(vec![slot("x", 4, &[])], vec![]).contains("cache line"));
        assert!(verdict(vec![], vec![slot("w", 192, &[17])]).contains("outside"));
        assert!(verdict(vec![], vec![slot("w", 0, &[usize::MAX, 2])]).contains("outside"));
        assert!(verdict(vec![], vec![slot("w", usize::MAX - 63, &[16])]).contains("outside"));
        assert!(verdict(vec![slot("y", 64, &[1]), slot("x", 0, &[17])], vec![]).contains("overlap"));
        let empty = Slot { index_extent: Some(0), ..x() };
        assert!(verdict(vec![empty], vec![]).contains("no values"));
    }
}

//! Memory and threads that executables run on.
//!
//! One session holds the state of one network, which all its executables (training, evaluation, the last smaller
//! batch) share by offset, and one arena, which they use in turn. Growing either keeps the state and drops the arena.
//!
//! What the arena holds at the beginning of a run is unspecified but for the inputs of that executable, which stay as
//! written until another executable runs or the arena grows; outputs are valid until the next run.

use crate::abi::{Executable, Identity, Slot};
use crate::arena::Arena;
use crate::pool::{Memory, Pool, clock};
use crate::profile::Profile;
use crate::verify::verify;

/// Who has run so often will go on for long: then large memories settle.
const SETTLE_AFTER: usize = 50;

/// Where a network lives.
pub struct Session {
    pool: Pool,
    state: Arena,
    arena: Arena,
    /// One per thread.
    scratch: Vec<Arena>,
    /// All state known, in order of offset.
    slots: Vec<Slot>,
    /// Runs since memory was last made, up to [`SETTLE_AFTER`].
    runs: usize,
    /// The executable whose first steps have run on the present state, and whose arena nothing else has touched since.
    prepared: Option<Identity>,
}

impl Session {
    /// Memory, zero so far, and threads for an executable; others of the same network may follow.
    pub fn new(threads: usize, executable: &Executable) -> Result<Session, String> {
        let empty = || Arena::new(0).map_err(|error| error.to_string());
        let pool = Pool::new(threads)?;
        let scratch = (0..pool.threads()).map(|_| empty()).collect::<Result<_, _>>()?;
        let mut session =
            Session { pool, state: empty()?, arena: empty()?, scratch, slots: Vec::new(), runs: 0, prepared: None };
        session.admit(executable)?;
        Ok(session)
    }

    /// Verifies an executable, checks that its state agrees with what is known, and makes room for it.
    ///
    /// Everything else does this by itself for one that needs more room than there is; to do it before is to have the
    /// names of all state from the beginning.
    pub fn admit(&mut self, executable: &Executable) -> Result<(), String> {
        verify(executable)?;
        self.runs = 0;
        let merged = merge(&self.slots, &executable.state)?;
        let error = |error: crate::arena::OutOfMemory| error.to_string();
        if executable.state_bytes > self.state.len() {
            self.state = self.state.grown(executable.state_bytes).map_err(error)?;
        }
        if executable.arena_bytes > self.arena.len() {
            // The old one goes first, so that the two never exist together.
            self.prepared = None;
            self.arena = Arena::new(0).map_err(error)?;
            self.arena = Arena::new(executable.arena_bytes).map_err(error)?;
        }
        for scratch in &mut self.scratch {
            if executable.scratch_bytes > scratch.len() {
                *scratch = Arena::new(executable.scratch_bytes).map_err(error)?;
            }
        }
        self.slots = merged;
        Ok(())
    }

    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Bytes held: state, arena and scratch.
    pub fn bytes(&self) -> usize {
        self.state.len() + self.arena.len() + self.scratch.iter().map(Arena::len).sum::<usize>()
    }

    /// Runs all steps once.
    pub fn run(&mut self, executable: &Executable) -> Result<(), String> {
        self.execute(executable, None)
    }

    /// The same, recording the time of each step.
    pub fn run_profiled(&mut self, executable: &Executable, profile: &mut Profile) -> Result<(), String> {
        self.fit(executable)?;
        self.clock(executable, |words| words.fill(0.0));
        self.execute(executable, Some(profile))?;
        let mut parts = std::mem::take(&mut profile.parts);
        self.clock(executable, |words| {
            let times = words.chunks_exact(2).map(|w| u64::from(w[0].to_bits()) | u64::from(w[1].to_bits()) << 32);
            let times: Vec<u64> = times.skip(clock::HEAD + 1).collect();
            parts.resize(times.len(), 0);
            parts.iter_mut().zip(times).for_each(|(sum, time)| *sum += time);
        });
        profile.parts = parts;
        Ok(())
    }

    /// The words of every thread's clock, each in two halves.
    fn clock(&mut self, executable: &Executable, mut f: impl FnMut(&mut [f32])) {
        let Some(at) = executable.clock else { return };
        let parts = executable.steps.iter().map(|step| step.parts.len()).sum::<usize>();
        let halves = clock::bytes(1 + parts) / size_of::<f32>();
        self.scratch.iter_mut().filter_map(|scratch| scratch.floats_mut(at, halves)).for_each(&mut f);
    }

    fn execute(&mut self, executable: &Executable, profile: Option<&mut Profile>) -> Result<(), String> {
        self.fit(executable)?;
        // Threads are few; the list is made on the stack for the usual number of them.
        let mut few = [std::ptr::null_mut(); 16];
        let many: Vec<*mut u8>;
        let scratch = match few.get_mut(..self.scratch.len()) {
            Some(few) => {
                for (pointer, scratch) in few.iter_mut().zip(&mut self.scratch) {
                    *pointer = scratch.base();
                }
                &*few
            }
            None => {
                many = self.scratch.iter_mut().map(Arena::base).collect();
                &many
            }
        };
        let done = if self.prepared == Some(executable.identity) { executable.prepared } else { 0 };
        self.prepared = Some(executable.identity);
        let memory = Memory { state: self.state.base(), arena: self.arena.base(), scratch };
        // SAFETY: the memories have at least the sizes that the executable asks for and are ours alone; there is one
        // scratch area per thread; the compiler vouches for its code within these sizes.
        unsafe { self.pool.run(&executable.steps, done, memory, profile) };
        self.count_run();
        Ok(())
    }

    /// Fills an input. For an index, every value must be a whole number in its range.
    pub fn write_input(&mut self, executable: &Executable, name: &str, values: &[f32]) -> Result<(), String> {
        let slot = find(&executable.inputs, "input", name)?;
        if let Some(extent) = slot.index_extent {
            check_indices(name, extent, values)?;
        }
        self.fit(executable)?;
        self.prepared = self.prepared.filter(|identity| *identity == executable.identity);
        copy_in(&mut self.arena, slot, values)
    }

    /// The values of an input, to be changed in place; they are what was written if no other executable ran since.
    pub fn input_mut(&mut self, executable: &Executable, name: &str) -> Result<&mut [f32], String> {
        let slot = find(&executable.inputs, "input", name)?;
        if slot.index_extent.is_some() {
            return Err(format!("`{name}` holds indices, which are written as a whole"));
        }
        self.fit(executable)?;
        let outside = || format!("`{name}` lies outside its memory");
        self.arena.floats_mut(slot.offset, slot.count()).ok_or_else(outside)
    }

    /// The values of an output of the last run.
    pub fn read_output(&self, executable: &Executable, name: &str) -> Result<Vec<f32>, String> {
        self.output(executable, name).map(<[f32]>::to_vec)
    }

    /// The same, in place.
    pub fn output(&self, executable: &Executable, name: &str) -> Result<&[f32], String> {
        view(&self.arena, find(&executable.outputs, "output", name)?)
    }

    /// The names of all state, in order of offset.
    pub fn state_names(&self) -> Vec<String> {
        self.slots.iter().map(|slot| slot.name.clone()).collect()
    }

    /// All state: names, shapes, offsets.
    pub fn state_slots(&self) -> &[Slot] {
        &self.slots
    }

    pub fn get_state(&self, name: &str) -> Result<Vec<f32>, String> {
        self.state(name).map(<[f32]>::to_vec)
    }

    /// The same, in place.
    pub fn state(&self, name: &str) -> Result<&[f32], String> {
        view(&self.state, find(&self.slots, "state", name)?)
    }

    /// The same, to be changed in place; all zero in a new session.
    pub fn state_mut(&mut self, name: &str) -> Result<&mut [f32], String> {
        self.prepared = None;
        let slot = find(&self.slots, "state", name)?;
        let outside = || format!("`{name}` lies outside its memory");
        self.state.floats_mut(slot.offset, slot.count()).ok_or_else(outside)
    }

    pub fn set_state(&mut self, name: &str, values: &[f32]) -> Result<(), String> {
        self.prepared = None;
        copy_in(&mut self.state, find(&self.slots, "state", name)?, values)
    }

    /// To be called where many runs will follow; after many runs it comes by itself. All memory should have been used.
    pub fn settle(&mut self) {
        [&mut self.state, &mut self.arena].into_iter().chain(&mut self.scratch).for_each(Arena::settle);
        self.runs = SETTLE_AFTER;
    }

    #[inline]
    fn count_run(&mut self) {
        if self.runs < SETTLE_AFTER {
            self.runs += 1;
            if self.runs == SETTLE_AFTER {
                self.settle();
            }
        }
    }

    #[inline]
    fn fit(&mut self, executable: &Executable) -> Result<(), String> {
        let scratch = self.scratch.first().map_or(0, Arena::len);
        if executable.state_bytes > self.state.len()
            || executable.arena_bytes > self.arena.len()
            || executable.scratch_bytes > scratch
        {
            self.admit(executable)?;
        }
        Ok(())
    }
}

fn find<'a>(slots: &'a [Slot], kind: &str, name: &str) -> Result<&'a Slot, String> {
    slots.iter().find(|slot| slot.name == name).ok_or_else(|| {
        let names: Vec<&str> = slots.iter().map(|slot| slot.name.as_str()).collect();
        format!("there is no {kind} `{name}`; there are: {}", names.join(", "))
    })
}

fn view<'a>(memory: &'a Arena, slot: &Slot) -> Result<&'a [f32], String> {
    memory
        .floats(slot.offset, slot.count())
        .ok_or_else(|| format!("`{}` is not in memory: its executable was never run", slot.name))
}

fn copy_in(memory: &mut Arena, slot: &Slot, values: &[f32]) -> Result<(), String> {
    if values.len() != slot.count() {
        return Err(format!(
            "`{}` has {} values of shape {:?}, but {} were given",
            slot.name,
            slot.count(),
            slot.shape,
            values.len()
        ));
    }
    memory
        .floats_mut(slot.offset, values.len())
        .ok_or_else(|| format!("`{}` lies outside its memory", slot.name))?
        .copy_from_slice(values);
    Ok(())
}

fn check_indices(name: &str, extent: usize, values: &[f32]) -> Result<(), String> {
    // A NaN is in no range.
    let valid = |value: f32| (0.0..extent as f32).contains(&value) && value.fract() == 0.0;
    match values.iter().position(|value| !valid(*value)) {
        None => Ok(()),
        Some(at) => Err(format!(
            "value {at} of `{name}` is {}, but must be a whole number from 0 to {}",
            values[at],
            extent - 1
        )),
    }
}

/// All slots of both, in order of offset; those of one name must be the same, others must not overlap.
fn merge(known: &[Slot], more: &[Slot]) -> Result<Vec<Slot>, String> {
    let mut merged: Vec<Slot> = known.to_vec();
    for slot in more {
        match known.iter().find(|other| other.name == slot.name) {
            Some(same) if same == slot => {}
            Some(other) => return Err(format!("state {slot:?} was {other:?} before")),
            None => merged.push(slot.clone()),
        }
    }
    merged.sort_by_key(|slot| slot.offset);
    let overlap = |pair: &&[Slot]| pair[0].offset + 4 * pair[0].count() > pair[1].offset;
    match merged.windows(2).find(overlap) {
        Some(pair) => Err(format!("state {:?} and {:?} overlap", pair[0], pair[1])),
        None => Ok(merged),
    }
}

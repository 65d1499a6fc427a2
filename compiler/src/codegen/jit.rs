//! The Cranelift module: symbols, memory, and the only `unsafe` of the compiler.

use super::alike::Alike;
use super::calls::{Callee, callees_of};
use super::free::Free;
use super::function::{Clock, Lowerer, Places};
use super::vector::Calls;
use crate::base::Buffer;
use crate::loops::nest::{Program, Step};
use crate::plan::{self, Plan};
use cranelift_codegen::Context;
use cranelift_codegen::ir::{
    AbiParam, ExtFuncData, ExternalName, FuncRef, Function, InstBuilder, MemFlagsData, Signature, UserExternalName,
    UserFuncName, types,
};
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{ArenaMemoryProvider, JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module, ModuleReloc};
use dlc_runtime::abi::{Executable, Identity, Slot, StepFn};
use dlc_runtime::micro::{Isa, Tiles};
use dlc_runtime::pool::clock;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

/// An executable and, where asked for, the listings of its functions.
pub struct Compiled {
    pub executable: Executable,
    pub clif: String,
    pub asm: String,
}

/// What code generation depends on besides the program.
#[derive(Clone, Copy)]
pub struct Options {
    pub isa: Isa,
    /// Collect `clif` and `asm` listings.
    pub listings: bool,
    /// Run Cranelift's own verifier.
    pub verify: bool,
    /// Keep time of every part of every step, for the kernel table.
    pub clock: bool,
}

/// Keeps code in memory for as long as the executable lives.
struct Code(Option<JITModule>);

// SAFETY: after `finalize_definitions` the module is only kept for its memory; nothing calls into it.
#[allow(unsafe_code)]
unsafe impl Send for Code {}
// SAFETY: as above: no method is called through a shared reference.
#[allow(unsafe_code)]
unsafe impl Sync for Code {}

impl Drop for Code {
    fn drop(&mut self) {
        if let Some(module) = self.0.take() {
            // SAFETY: the executable that holds the function pointers is dropped with this value.
            #[allow(unsafe_code)]
            unsafe {
                module.free_memory();
            }
        }
    }
}

fn target_isa(options: &Options) -> OwnedTargetIsa {
    let mut flags = settings::builder();
    let verifier = if options.verify { "true" } else { "false" };
    for (name, value) in
        [("opt_level", "speed"), ("enable_verifier", verifier), ("unwind_info", "false"), ("is_pic", "false")]
    {
        flags.set(name, value).expect("a flag of this Cranelift");
    }
    let host = target_lexicon::Triple::host();
    let mut builder = cranelift_codegen::isa::lookup(host).expect("the host's instruction set is supported");
    if options.isa != Isa::Portable && cfg!(target_arch = "x86_64") {
        for name in ["has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_popcnt", "has_avx", "has_avx2", "has_fma"]
        {
            builder.enable(name).expect("a flag of this Cranelift");
        }
    }
    builder.finish(settings::Flags::new(flags)).expect("consistent flags")
}

/// The name and the address of a microkernel.
fn symbol(callee: Callee, tiles: &Tiles) -> (String, *const u8) {
    match callee {
        Callee::Tile(rows, vectors) => {
            let tile = tiles.get(rows, vectors).expect("the scheduler asks for tiles that exist");
            (format!("tile_{rows}x{vectors}"), tile as *const u8)
        }
        Callee::Transpose => ("transpose".into(), tiles.pack_transpose as *const u8),
        Callee::Filter => ("filter".into(), tiles.filter as *const u8),
        Callee::Clock => ("clock".into(), clock::clock as *const u8),
        Callee::Vectors(_) => panic!("bug in codegen: loops over vectors are not the runtime's"),
        Callee::Transform(matrix) => (format!("transform_{}", matrix.name()), tiles.transform(matrix) as *const u8),
    }
}

fn signature(module: &JITModule, parameters: &[types::Type]) -> Signature {
    let mut signature = module.make_signature();
    signature.params.extend(parameters.iter().map(|t| AbiParam::new(*t)));
    signature
}

/// Addresses that are kept free for the code of one program, which has some thousandths of it.
const CODE_ADDRESSES: usize = 1 << 30;

/// Machine code of one step, not yet in executable memory.
struct Compiling {
    bytes: Vec<u8>,
    alignment: u64,
    relocs: Vec<ModuleReloc>,
    clif: String,
    asm: String,
}

/// Loops over vectors, where the processor has them and functions take their argument in `rdi`.
fn vectors(program: &Program, roots: &[Buffer], alike: &Alike, options: &Options) -> Calls {
    let steps = alike.own().map(|i| &program.steps[i]);
    match options.isa {
        Isa::Avx512 if cfg!(all(target_arch = "x86_64", unix)) => Calls::find(program, roots, steps, 16),
        Isa::Avx2 if cfg!(all(target_arch = "x86_64", unix)) => Calls::find(program, roots, steps, 8),
        _ => Calls::default(),
    }
}

/// An empty module that knows what its functions will call. They lie side by side instead of each in pages of its own, where the
/// system gives addresses without memory.
fn module(isa: &OwnedTargetIsa, called: &BTreeSet<Callee>, tiles: &Tiles) -> JITModule {
    let mut builder = JITBuilder::with_isa(isa.clone(), cranelift_module::default_libcall_names());
    if cfg!(unix)
        && let Ok(memory) = ArenaMemoryProvider::new_with_size(CODE_ADDRESSES)
    {
        builder.memory_provider(Box::new(memory));
    }
    for callee in called {
        let (name, address) = symbol(*callee, tiles);
        builder.symbol(name, address);
    }
    JITModule::new(builder)
}

/// Compiles every step of `program` for this machine.
pub fn compile(program: &Program, plan: &Plan, options: &Options) -> Compiled {
    let isa = target_isa(options);
    let tiles = options.isa.tiles();
    let mut used = BTreeSet::new();
    program.steps.iter().for_each(|s| callees_of(&s.body, &mut used));
    used.extend(options.clock.then_some(Callee::Clock));
    let mut module = module(&isa, &used, tiles);
    let call = signature(&module, &[types::I64]);
    let mut import = |name: &str| module.declare_function(name, Linkage::Import, &call).expect("a fresh name");
    let mut imports: BTreeMap<Callee, FuncId> =
        used.iter().map(|callee| (*callee, import(&symbol(*callee, tiles).0))).collect();
    let roots: Vec<Buffer> = (0..program.buffers.len()).map(|i| plan::root(program, Buffer(i as u32))).collect();
    let alike = Alike::find(program, &roots);
    let calls = vectors(program, &roots, &alike, options);
    for (i, bytes) in calls.codes.iter().enumerate() {
        let id = module.declare_function(&format!("vectors{i}"), Linkage::Local, &call).expect("a fresh name");
        module.define_function_bytes(id, 64, bytes, &[]).expect("bug in codegen: a function is defined once");
        imports.insert(Callee::Vectors(i), id);
    }
    let step_signature = signature(&module, &[types::I64; 6]);
    let ids: BTreeMap<usize, FuncId> = alike
        .own()
        .map(|i| {
            (i, module.declare_function(&format!("step{i}"), Linkage::Local, &step_signature).expect("a fresh name"))
        })
        .collect();
    let clock = options.clock.then(|| plan.scratch_bytes.next_multiple_of(64));
    let (calls, imports, isa, call, step) = (&calls, &imports, &isa, &call, &step_signature);
    let job = Job { program, plan, options, calls, imports, isa, call, step, clock, alike: &alike, roots: &roots };
    let functions = job.all(&ids);
    let (mut clif, mut asm) = (String::new(), String::new());
    for (i, f) in &functions {
        module
            .define_function_bytes(ids[i], f.alignment, &f.bytes, &f.relocs)
            .expect("bug in codegen: a function is defined once");
        let steps = (0..program.steps.len()).filter(|k| alike.first[*k] == *i);
        let labels: String = steps.map(|k| format!("; {}\n", program.steps[k].label)).collect();
        clif.push_str(&format!("{labels}{}\n", f.clif));
        asm.push_str(&format!("{labels}{}\n", f.asm));
    }
    module.finalize_definitions().expect("memory for the machine code");
    let function = |i: usize| module.get_finalized_function(ids[&alike.first[i]]);
    let steps = (0..program.steps.len()).map(|i| finished(program, &program.steps[i], function(i), job.places(i)));
    let steps = steps.collect();
    let mut executable = executable(program, plan, steps, Box::new(Code(Some(module))));
    if let Some(at) = job.clock {
        executable.clock = Some(at);
        executable.scratch_bytes = at + clock::bytes(parts_before(program, program.steps.len()));
    }
    Compiled { executable, clif, asm }
}

/// A step with its function.
fn finished(program: &Program, step: &Step, pointer: *const u8, places: Vec<u64>) -> dlc_runtime::abi::Step {
    // SAFETY: the function was compiled with the signature of `StepFn` for the host's calling convention.
    #[allow(unsafe_code)]
    let run = unsafe { std::mem::transmute::<*const u8, StepFn>(pointer) };
    let (reads, writes) = step.buffers();
    let bytes = |b: &Buffer| {
        let ty = &program.buffers[b.index()];
        if ty.home == crate::loops::Home::Scratch { 0 } else { 4 * ty.shape.iter().product::<usize>() as u64 }
    };
    dlc_runtime::abi::Step {
        run,
        places,
        tasks: step.tasks as u64,
        rounds: step.rounds().map_or(1, |f| f.extent as u64),
        label: step.label.clone(),
        parts: step.parts.clone(),
        bytes: reads.iter().chain(&writes).map(bytes).sum(),
    }
}

fn executable(
    program: &Program,
    plan: &Plan,
    steps: Vec<dlc_runtime::abi::Step>,
    code: Box<dyn std::any::Any + Send + Sync>,
) -> Executable {
    let slot = |name: &str, b: Buffer, index_extent: Option<usize>| Slot {
        name: name.to_string(),
        offset: plan.offsets[b.index()],
        shape: program.buffers[b.index()].shape.clone(),
        index_extent,
    };
    Executable {
        code,
        identity: Identity::fresh(),
        steps,
        prepared: program.prepared,
        state_bytes: plan.state_bytes,
        arena_bytes: plan.arena_bytes,
        scratch_bytes: plan.scratch_bytes,
        inputs: program.inputs.iter().map(|(n, b, e)| slot(n, *b, *e)).collect(),
        outputs: program.outputs.iter().map(|(n, b)| slot(n, *b, None)).collect(),
        state: program.state.iter().map(|(n, b)| slot(n, *b, None)).collect(),
        batch: program.batch,
        clock: None,
    }
}

/// The number of the first part of a step: 0 is no part.
fn parts_before(program: &Program, step: usize) -> usize {
    1 + program.steps[..step].iter().map(|s| s.parts.len()).sum::<usize>()
}

/// What every function of one module shares while it is compiled.
struct Job<'a> {
    program: &'a Program,
    plan: &'a Plan,
    options: &'a Options,
    calls: &'a Calls,
    /// What the functions may call, in a fixed order.
    imports: &'a BTreeMap<Callee, FuncId>,
    isa: &'a OwnedTargetIsa,
    call: &'a Signature,
    step: &'a Signature,
    /// Where the words of the clock begin in the scratch.
    clock: Option<usize>,
    alike: &'a Alike,
    /// The buffer whose memory each buffer is.
    roots: &'a [Buffer],
}

impl Job<'_> {
    /// What a step tells its function: where the memories lie, then the number of its first part. Nothing where the
    /// function is its own.
    fn places(&self, index: usize) -> Vec<u64> {
        if !self.alike.is_shared(index) {
            return vec![];
        }
        let offsets = self.alike.memories[index].iter().map(|b| self.plan.offsets[b.index()]);
        let first = self.clock.map(|_| parts_before(self.program, index));
        offsets.chain(first).map(|n| n as u64).collect()
    }

    /// All functions, on two threads: compilation of one function knows nothing of another.
    fn all(&self, ids: &BTreeMap<usize, FuncId>) -> Vec<(usize, Compiling)> {
        let order: Vec<(usize, FuncId)> = ids.iter().map(|(i, id)| (*i, *id)).collect();
        let next = AtomicUsize::new(0);
        let worker = || {
            let mut done = vec![];
            let mut builder = FunctionBuilderContext::new();
            loop {
                let Some((i, id)) = order.get(next.fetch_add(1, Ordering::Relaxed)) else { return done };
                done.push((*i, self.one(&mut builder, *id, *i)));
            }
        };
        let mut all = std::thread::scope(|scope| {
            let other = scope.spawn(worker);
            let mut all = worker();
            match other.join() {
                Ok(more) => all.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
            all
        });
        all.sort_by_key(|(i, _)| *i);
        all
    }

    fn one(&self, builder: &mut FunctionBuilderContext, id: FuncId, index: usize) -> Compiling {
        let step = &self.program.steps[index];
        let mut context =
            Context::for_function(Function::with_name_signature(UserFuncName::user(0, id.as_u32()), self.step.clone()));
        let callees = self.callees(&mut context.func, step);
        let mut b = FunctionBuilder::new(&mut context.func, builder);
        let entry = b.create_block();
        b.append_block_params_for_function_params(entry);
        b.switch_to_block(entry);
        b.seal_block(entry);
        let p = b.block_params(entry).to_vec();
        let memories = &self.alike.memories[index];
        let shared = self.alike.is_shared(index);
        let first = self.clock.map(|_| match shared {
            true => b.ins().load(types::I64, MemFlagsData::trusted(), p[5], 8 * memories.len() as i32),
            false => b.ins().iconst(types::I64, parts_before(self.program, index) as i64),
        });
        let places = match shared {
            true => Places::Told(p[5], memories.iter().enumerate().map(|(k, b)| (*b, k)).collect()),
            false => Places::Known(&self.plan.offsets),
        };
        let mut lowerer = Lowerer {
            b,
            program: self.program,
            places,
            callees,
            calls: self.calls,
            has_fma: self.options.isa != Isa::Portable,
            homes: [p[0], p[1], p[2]],
            vars: vec![],
            vector: None,
            scopes: vec![],
            free: Free::new(self.roots),
            clock: self.clock.zip(first).map(|(at, first)| Clock { at, first }),
        };
        lowerer.step(step, p[3], p[4]);
        lowerer.b.finalize(self.isa.frontend_config());
        self.finish(context, id, step)
    }

    /// References to what a step calls.
    fn callees(&self, func: &mut Function, step: &Step) -> HashMap<Callee, FuncRef> {
        let signature = func.import_signature(self.call.clone());
        let mut refer = |id: FuncId| {
            let name = func.declare_imported_user_function(UserExternalName { namespace: 0, index: id.as_u32() });
            func.import_function(ExtFuncData {
                name: ExternalName::user(name),
                signature,
                colocated: false,
                patchable: false,
            })
        };
        let mut used = BTreeSet::new();
        callees_of(&step.body, &mut used);
        let mut vectors = vec![];
        self.calls.used(&step.body, &mut vectors);
        used.extend(vectors.into_iter().map(Callee::Vectors));
        used.extend(self.clock.map(|_| Callee::Clock));
        used.into_iter().map(|callee| (callee, refer(self.imports[&callee]))).collect()
    }

    fn finish(&self, mut context: Context, id: FuncId, step: &Step) -> Compiling {
        let (mut clif, mut asm) = (String::new(), String::new());
        if self.options.listings {
            clif = context.func.display().to_string();
            context.set_disasm(true);
        }
        let result = context.compile(&**self.isa, &mut Default::default());
        if let Err(e) = result {
            panic!("bug in codegen: {}: {:?}\n{}", step.label, e.inner, e.func.display());
        }
        let code = context.compiled_code().expect("just compiled");
        if self.options.listings {
            asm = code.vcode.clone().unwrap_or_default();
        }
        let relocs = code.buffer.relocs().iter().map(|r| ModuleReloc::from_mach_reloc(r, &context.func, id)).collect();
        let alignment = code.buffer.alignment as u64;
        Compiling { bytes: code.code_buffer().to_vec(), alignment, relocs, clif, asm }
    }
}

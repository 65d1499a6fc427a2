//! Every stage of LeNet between text and machine code, as snapshots with the processor pinned.

mod program;

use std::path::Path;

/// Stages whose text is short enough to be read as a whole.
const WHOLE: &[&str] = &["ast", "hir", "graph", "grad", "opt", "kernels", "nests", "plan", "dot"];

/// Stages of which the beginning is kept.
const LONG: &[&str] = &["clif", "asm"];

const KEPT_LINES: usize = 200;

fn emit(stage: &str) -> String {
    let done = program::dlc(&["build", "examples/lenet.dl", "--cpu", "portable", "--threads", "1", "--emit", stage])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .expect("dlc runs");
    assert!(done.status.success(), "{stage}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("text")
}

#[test]
fn stages_of_lenet() {
    for stage in WHOLE {
        let text = emit(stage);
        // Of the graphs between passes, the last.
        snapshot(stage, text.rsplit("# after ").next().unwrap_or(&text));
    }
}

#[test]
fn machine_stages_of_lenet() {
    if !cfg!(target_arch = "x86_64") {
        eprintln!("the snapshots of machine code are those of x86-64: not compared here");
        return;
    }
    for stage in LONG {
        let text: String = emit(stage).lines().take(KEPT_LINES).map(|line| format!("{line}\n")).collect();
        snapshot(stage, &text);
    }
}

/// Elements of a batch of what the second convolution gives, before it is pooled; the first gives more.
const BEFORE_POOL: usize = 64 * 14 * 14 * 64;

/// Shapes of the buffers in the arena: `  b32 arena 0..64 f32[64, 14, 14, 32] steps ...`.
fn arena_shapes(plan: &str) -> Vec<Vec<usize>> {
    let shape = |line: &str| {
        let inner = line.contains(" arena ").then(|| line.split_once('[')?.1.split_once(']')).flatten()?.0;
        inner.split(", ").map(|n| n.parse().ok()).collect()
    };
    plan.lines().filter_map(shape).collect()
}

#[test]
fn what_is_pooled_is_never_stored() {
    let largest = |plan: &str| {
        let batched = arena_shapes(plan).into_iter().filter(|shape| shape.first() == Some(&64));
        batched.map(|shape| shape.iter().product::<usize>()).max().expect("buffers of a batch")
    };
    assert!(largest(&emit("plan")) < BEFORE_POOL);
    let apart = program::dlc(&["build", "examples/lenet.dl", "--no-fuse", "--emit", "plan"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .expect("dlc runs");
    assert!(largest(&String::from_utf8_lossy(&apart.stdout)) >= 2 * BEFORE_POOL, "without fusion both are stored");
}

#[test]
fn stages_are_the_same_every_time() {
    for stage in ["hir", "grad", "nests", "plan", "clif", "asm"] {
        assert_eq!(emit(stage), emit(stage), "{stage}");
    }
}

fn snapshot(stage: &str, text: &str) {
    insta::with_settings!({ snapshot_path => "snapshots/emit", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(format!("lenet.{stage}"), text);
    });
}

//! Every stage of LeNet between text and machine code, as snapshots with the processor pinned.

use std::path::Path;
use std::process::Command;

/// Stages whose text is short enough to be read as a whole.
const WHOLE: &[&str] = &["ast", "hir", "graph", "grad", "opt", "kernels", "nests", "plan", "dot"];

/// Stages of which the beginning is kept.
const LONG: &[&str] = &["clif", "asm"];

const KEPT_LINES: usize = 200;

fn emit(stage: &str) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_dlc"))
        .args(["build", "examples/lenet.dl", "--cpu", "avx2", "--threads", "1", "--emit", stage])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .expect("dlc runs");
    assert!(done.status.success(), "{stage}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("text")
}

#[test]
fn stages_of_lenet() {
    for stage in WHOLE {
        snapshot(stage, &emit(stage));
    }
}

#[test]
fn machine_stages_of_lenet() {
    for stage in LONG {
        let text: String = emit(stage).lines().take(KEPT_LINES).map(|line| format!("{line}\n")).collect();
        snapshot(stage, &text);
    }
}

#[test]
fn stages_are_the_same_every_time() {
    for stage in ["hir", "grad", "nests", "plan"] {
        assert_eq!(emit(stage), emit(stage), "{stage}");
    }
}

fn snapshot(stage: &str, text: &str) {
    insta::with_settings!({ snapshot_path => "snapshots/emit", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(format!("lenet.{stage}"), text);
    });
}

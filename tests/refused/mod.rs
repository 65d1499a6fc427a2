//! Runs of the program on files that do harm: what is said, with which exit code, and how much memory it takes.

use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use image::{ImageFormat, RgbImage};
use serde_json::Value;

use crate::program;

/// Nothing that is only read and refused takes this long, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// MiB that nothing here may take: all pictures are small, or refused unread.
const MEMORY: u64 = 400;

/// What a run came to.
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs `dlc` and watches its memory.
pub fn run(folder: &Path, args: &[&str]) -> Done {
    let mut command: Command = program::dlc(args);
    let mut child =
        command.current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("dlc runs");
    let status = format!("/proc/{}/status", child.id());
    let (mut out, mut err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let read = |from: &mut dyn Read| {
        let mut text = Vec::new();
        from.read_to_end(&mut text).expect("read");
        String::from_utf8_lossy(&text).into_owned()
    };
    let start = Instant::now();
    let (out, err, peak, code) = std::thread::scope(|scope| {
        let out = scope.spawn(move || read(&mut out));
        let err = scope.spawn(move || read(&mut err));
        let mut peak = 0;
        let code = loop {
            // Where the system says so; elsewhere nothing is known.
            let text = fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
            peak = peak.max(line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0));
            if let Some(status) = child.try_wait().expect("a status") {
                break status.code().unwrap_or(-1);
            }
            assert!(start.elapsed() < LIMIT, "{args:?} takes long");
            std::thread::sleep(Duration::from_millis(1));
        };
        (out.join().expect("text"), err.join().expect("text"), peak >> 10, code)
    });
    assert!(peak < MEMORY, "{args:?} took {peak} MiB");
    assert!(!err.contains("panicked"), "{args:?}: {err}");
    Done { code, out, err }
}

/// Refused: one message, which has this code, names the file, holds these words and says what to do.
pub fn refused(folder: &Path, args: &[&str], code: &str, pieces: &[&str]) {
    let done = run(folder, &[args, &["--json"]].concat());
    assert_eq!(done.code, 1, "{args:?}: {}", done.err);
    let lines = done.out.lines().chain(done.err.lines()).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let errors: Vec<Value> = lines.filter(|line| line["severity"] == "error").collect();
    let [error] = &errors[..] else { panic!("{args:?}: one message is wanted: {}{}", done.out, done.err) };
    assert_eq!(error["code"], code, "{args:?}: {error}");
    let text = error.to_string();
    for piece in pieces {
        assert!(text.contains(piece), "{args:?}: no `{piece}` in {text}");
    }
    assert!(error["help"].as_str().is_some_and(|help| !help.is_empty()), "{args:?}: no help in {error}");
}

/// Done, with these words on the way.
pub fn done(folder: &Path, args: &[&str], pieces: &[&str]) -> String {
    let done = run(folder, args);
    assert_eq!(done.code, 0, "{args:?}: {}", done.err);
    for piece in pieces {
        assert!(done.err.contains(piece), "{args:?}: no `{piece}` in {}", done.err);
    }
    done.out
}

pub fn picture(w: u32, h: u32, format: ImageFormat) -> Vec<u8> {
    let points = RgbImage::from_fn(w, h, |x, y| image::Rgb([(x * 37) as u8, (y * 59) as u8, (x * y) as u8]));
    let mut bytes = Vec::new();
    points.write_to(&mut Cursor::new(&mut bytes), format).expect("a picture");
    bytes
}

pub fn png(w: u32, h: u32) -> Vec<u8> {
    picture(w, h, ImageFormat::Png)
}

pub fn write(folder: &Path, file: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, bytes).expect("written");
}

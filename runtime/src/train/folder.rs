//! The folder of a run: `runs/<Model>-<n>`, with its tables and its record.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::TrainError;
use super::report::{EpochRow, Table};

/// A folder that exists, and what was written into it.
pub struct Folder {
    pub path: PathBuf,
    pub files: Vec<String>,
    results: Option<BufWriter<fs::File>>,
}

fn cannot(path: &Path, error: &std::io::Error) -> TrainError {
    TrainError::Io(format!("`{}` cannot be written: {error}", path.display()))
}

impl Folder {
    /// `out` itself, or the first free `runs/<Model>-<n>` below `base`.
    pub fn create(out: Option<&Path>, base: &Path, model: &str) -> Result<Folder, TrainError> {
        if let Some(out) = out {
            if out.exists() && !out.is_dir() {
                return Err(TrainError::Io(format!("`{}` is a file, and a folder is needed", out.display())));
            }
            fs::create_dir_all(out).map_err(|error| cannot(out, &error))?;
            return Ok(Folder::at(out.to_path_buf()));
        }
        let runs = base.join("runs");
        fs::create_dir_all(&runs).map_err(|error| cannot(&runs, &error))?;
        for n in 1..u32::MAX {
            let path = runs.join(format!("{model}-{n}"));
            // Only one of two runs that start together can make the folder.
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Folder::at(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(cannot(&path, &error)),
            }
        }
        Err(TrainError::Io(format!("`{}` has no room for another run", runs.display())))
    }

    fn at(path: PathBuf) -> Folder {
        Folder { path, files: Vec::new(), results: None }
    }

    /// The path of a file in it, which is listed from now on.
    pub fn file(&mut self, name: &str) -> PathBuf {
        if !self.files.iter().any(|file| file == name) {
            self.files.push(name.to_string());
        }
        self.path.join(name)
    }

    pub fn write(&mut self, name: &str, text: &str) -> Result<(), TrainError> {
        let path = self.file(name);
        fs::write(&path, text).map_err(|error| cannot(&path, &error))
    }

    /// One line of `results.csv`; the first brings the titles.
    pub fn result(&mut self, row: &EpochRow) -> Result<(), TrainError> {
        let path = self.file("results.csv");
        let fail = |error: std::io::Error| cannot(&path, &error);
        let out = match &mut self.results {
            Some(out) => out,
            None => {
                let mut out = BufWriter::new(fs::File::create(&path).map_err(fail)?);
                let titles: String = row.values.iter().map(|(name, _)| format!(",{name}")).collect();
                writeln!(out, "epoch{titles},lr,examples,seconds").map_err(fail)?;
                self.results.insert(out)
            }
        };
        let values: String = row.values.iter().map(|(_, value)| format!(",{value}")).collect();
        let lr = row.lr.map_or(String::new(), |lr| (lr as f32).to_string());
        let (epoch, examples, seconds) = (row.epoch, row.examples, row.seconds);
        writeln!(out, "{epoch}{values},{lr},{examples},{seconds:.3}").map_err(fail)?;
        out.flush().map_err(fail)
    }

    /// `confusion.csv`: rows are what it is, columns what it was taken for.
    pub fn table(&mut self, table: &Table) -> Result<(), TrainError> {
        let short = table.name.rsplit('.').next().unwrap_or(&table.name);
        let name = format!("{}.csv", short.replace(|c: char| !c.is_alphanumeric(), "_"));
        let quoted = |class: usize| match table.classes.get(class) {
            Some(name) if name.contains([',', '"', '\n']) => format!("\"{}\"", name.replace('"', "\"\"")),
            Some(name) => name.clone(),
            None => class.to_string(),
        };
        let classes = 0..table.counts.classes;
        let mut text = String::from("is");
        classes.clone().for_each(|class| text += &format!(",{}", quoted(class)));
        for is in classes.clone() {
            text += &format!("\n{}", quoted(is));
            classes.clone().for_each(|taken| text += &format!(",{}", table.counts.get(is, taken)));
        }
        self.write(&name, &(text + "\n"))
    }

    pub fn record(&mut self, record: &Value) -> Result<(), TrainError> {
        self.write("run.json", &format!("{record:#}\n"))
    }
}

/// The loss of every step, with all its digits.
pub struct StepLog {
    path: PathBuf,
    out: BufWriter<fs::File>,
}

impl StepLog {
    pub fn create(path: &Path) -> Result<StepLog, TrainError> {
        let file = fs::File::create(path).map_err(|error| cannot(path, &error))?;
        let mut log = StepLog { path: path.to_path_buf(), out: BufWriter::new(file) };
        log.line("step,loss")?;
        Ok(log)
    }

    fn line(&mut self, line: &str) -> Result<(), TrainError> {
        writeln!(self.out, "{line}").map_err(|error| cannot(&self.path, &error))
    }

    pub fn step(&mut self, step: usize, loss: f32) -> Result<(), TrainError> {
        self.line(&format!("{step},{loss}"))
    }

    pub fn finish(mut self) -> Result<(), TrainError> {
        self.out.flush().map_err(|error| cannot(&self.path, &error))
    }
}

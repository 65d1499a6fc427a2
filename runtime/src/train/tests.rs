//! The loop around a network that is computed by hand: a linear classifier with softmax.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::abi::{Executable, Identity, Slot};
use crate::checkpoint::{Tensor, load};
use crate::data::bytes::Limits;
use crate::data::dataset::{self, Dataset};
use crate::data::spec::*;
use crate::data::split::Part;
use crate::extents::Extents;
use crate::metrics::{MetricKind, MetricSpec};

struct Linear;

fn slot(name: &str, shape: &[usize]) -> Slot {
    Slot { name: name.into(), offset: 0, shape: shape.to_vec(), index_extent: None }
}

impl Compiled for Linear {
    fn executable(&mut self, mode: Mode, extents: &Extents) -> Result<Arc<Executable>, String> {
        let batch = extents.batch;
        let mut inputs = vec![slot("x", &[batch, 2]), slot("y", &[batch])];
        let mut state = vec![slot("L.weight", &[2, 2]), slot("L.bias", &[2])];
        if mode == Mode::Train {
            inputs.push(slot("step", &[]));
            state.push(slot("L.seen", &[]));
        }
        Ok(Arc::new(Executable {
            code: Box::new(()),
            identity: Identity::fresh(),
            prepared: 0,
            steps: vec![],
            state_bytes: 0,
            arena_bytes: 0,
            scratch_bytes: 0,
            inputs,
            outputs: vec![slot("loss", &[]), slot("logits", &[batch, 2]), slot("lr", &[])],
            state,
            batch,
            clock: None,
        }))
    }
}

/// Memory by name.
struct Machine {
    values: BTreeMap<String, Vec<f32>>,
    lr: f32,
    interrupt_at: Option<(f32, Arc<AtomicBool>)>,
}

impl Machine {
    fn get(&self, name: &str) -> Vec<f32> {
        self.values.get(name).cloned().unwrap_or_else(|| vec![0.0; 4])
    }
}

impl Engine for Machine {
    fn admit(&mut self, _: &Executable) -> Result<(), String> {
        Ok(())
    }

    fn write(&mut self, executable: &Executable, name: &str, values: &[f32]) -> Result<(), String> {
        let slot = executable.inputs.iter().find(|slot| slot.name == name).unwrap();
        assert_eq!(slot.count(), values.len());
        self.values.insert(name.into(), values.to_vec());
        Ok(())
    }

    fn input(&mut self, _: &Executable, name: &str) -> Result<&mut [f32], String> {
        self.values.get_mut(name).map(Vec::as_mut_slice).ok_or_else(|| format!("no {name}"))
    }

    fn run(&mut self, executable: &Executable) -> Result<(), String> {
        let trains = executable.inputs.len() == 3;
        let (x, y) = (self.get("x"), self.get("y"));
        let (mut w, mut b) = (self.get("L.weight"), self.get("L.bias"));
        let (mut logits, mut loss) = (vec![], 0.0);
        let (mut dw, mut db) = ([0.0; 4], [0.0; 2]);
        for (x, y) in x.chunks(2).zip(&y) {
            let z: Vec<f32> = (0..2).map(|k| x[0] * w[k] + x[1] * w[2 + k] + b[k]).collect();
            let sum: f32 = z.iter().map(|z| z.exp()).sum();
            loss += (sum.ln() - z[*y as usize]) / executable.batch as f32;
            for k in 0..2 {
                let d = (z[k].exp() / sum - f32::from(*y as usize == k)) / executable.batch as f32;
                db[k] += d;
                dw[k] += d * x[0];
                dw[2 + k] += d * x[1];
            }
            logits.extend(z);
        }
        if trains {
            w.iter_mut().zip(dw).for_each(|(w, d)| *w -= self.lr * d);
            b.iter_mut().zip(db).for_each(|(b, d)| *b -= self.lr * d);
            self.values.insert("L.weight".into(), w);
            self.values.insert("L.bias".into(), b);
            let seen = self.get("L.seen")[0] + executable.batch as f32;
            self.values.insert("L.seen".into(), vec![seen]);
            if let Some((step, flag)) = &self.interrupt_at
                && self.get("step")[0] == *step
            {
                flag.store(true, Ordering::Relaxed);
            }
        }
        self.values.insert("loss".into(), vec![loss]);
        self.values.insert("logits".into(), logits);
        self.values.insert("lr".into(), vec![self.lr]);
        Ok(())
    }

    fn read(&self, _: &Executable, name: &str) -> Result<&[f32], String> {
        self.values.get(name).map(Vec::as_slice).ok_or_else(|| name.to_string())
    }

    fn state(&self, name: &str) -> Result<&[f32], String> {
        self.values.get(name).map(Vec::as_slice).ok_or_else(|| name.to_string())
    }

    fn set_state(&mut self, name: &str, values: &[f32]) -> Result<(), String> {
        self.values.insert(name.into(), values.to_vec());
        Ok(())
    }
}

fn data(folder: &Path) -> Dataset {
    let mut text = String::new();
    for i in 0..100 {
        let (a, b) = (f64::from(i % 10), f64::from(i / 10));
        text += &format!("{a},{b},{}\n", if a + 2.0 * b > 13.0 { "big" } else { "small" });
    }
    std::fs::write(folder.join("t.csv"), text).unwrap();
    let missing = vec![];
    let source = Source::Csv {
        path: "t.csv".into(),
        header: false,
        skip: 0,
        separator: None,
        missing,
        decimal: '.',
        root: None,
        encoding: Encoding::Utf8,
    };
    let axis = AxisSpec { name: "f".into(), size: Some(2), most: None };
    let dim = DimSpec { name: "size".into(), size: Some(2), names: vec!["small".into(), "big".into()] };
    let place = (0, 0);
    let x = FieldSpec {
        name: "x".into(),
        place,
        dim: None,
        shape: vec![axis],
        from: Selector::Columns(vec![ColumnRef::At(0), ColumnRef::At(1)]),
        steps: vec![FieldStep::Standardize { over: vec![] }],
    };
    let y = FieldSpec {
        name: "y".into(),
        place,
        dim: Some(dim),
        shape: vec![],
        from: Selector::Column(ColumnRef::At(2)),
        steps: vec![],
    };
    let split = Split::Ratio { train: 0.7, val: 0.15, test: 0.15, stratify: Some("y".into()), group: None, seed: 1 };
    let spec = DataSpec {
        name: "points".into(),
        place,
        source,
        source_place: place,
        fields: vec![x, y],
        split,
        split_place: place,
    };
    dataset::load(&spec, folder, Limits::default()).unwrap()
}

fn recipe() -> TrainSpec {
    let metric = |name: &str, kind| MetricSpec {
        name: name.into(),
        kind,
        scores: "logits".into(),
        target: "y".into(),
        class_axis: Some(1),
        classes: vec!["small".into(), "big".into()],
        ignored: vec![],
        variable: vec![],
    };
    TrainSpec {
        model: "L".into(),
        data: "points".into(),
        batch: 16,
        length: Length::Epochs(30),
        seed: 3,
        stop: vec![],
        metrics: vec![metric("accuracy", MetricKind::Accuracy), metric("confusion", MetricKind::Confusion)],
        augment: vec![],
        loss_parts: vec![],
        weights: vec!["L.weight".into(), "L.bias".into()],
        statistics: vec![],
        source: "model L {}\n".into(),
        dims: vec![],
        compiler: "0.1.0".into(),
    }
}

#[derive(Default)]
struct Watcher {
    steps: Vec<Step>,
    rows: usize,
}

impl Progress for Watcher {
    fn step(&mut self, step: &Step) {
        self.steps.push(step.clone());
    }

    fn epoch(&mut self, _: &EpochRow) {
        self.rows += 1;
    }
}

struct Setting {
    folder: tempfile::TempDir,
    spec: TrainSpec,
    options: Options,
    lr: f32,
    interrupt_at: Option<f32>,
}

impl Setting {
    fn new() -> Setting {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { base: folder.path().into(), ..Options::default() };
        Setting { folder, spec: recipe(), options, lr: 0.5, interrupt_at: None }
    }

    fn run(&self) -> (Result<Outcome, TrainError>, Watcher) {
        let data = data(self.folder.path());
        let flag = Arc::new(AtomicBool::new(false));
        let interrupt_at = self.interrupt_at.map(|step| (step, flag.clone()));
        let mut machine = Machine { values: BTreeMap::new(), lr: self.lr, interrupt_at };
        let mut watcher = Watcher::default();
        let zeros = |shape: &[usize]| Tensor { shape: shape.to_vec(), values: vec![0.0; shape.iter().product()] };
        let initial = [
            ("L.weight".to_string(), zeros(&[2, 2])),
            ("L.bias".to_string(), zeros(&[2])),
            ("L.seen".to_string(), zeros(&[])),
        ];
        let outcome = train(Run {
            spec: &self.spec,
            options: &self.options,
            data: &data,
            compiled: &mut Linear,
            engine: &mut machine,
            progress: &mut watcher,
            interrupted: &flag,
            initial: initial.into(),
            telling: None,
        });
        (outcome, watcher)
    }
}

#[test]
fn a_whole_run() {
    let setting = Setting::new();
    let (outcome, watcher) = setting.run();
    let outcome = outcome.unwrap();
    assert_eq!((watcher.rows, watcher.steps.len(), outcome.steps), (30, 150, 150));
    // The last batch of an epoch has 6 examples, and counts.
    assert_eq!(watcher.steps[4].examples, 70);
    let names: Vec<&str> = outcome.rows[0].values.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["loss", "val.loss", "accuracy", "val.accuracy"]);
    let names: Vec<&str> = outcome.metrics.iter().map(|(name, _)| name.as_str()).collect();
    let parts = ["train", "val", "test"].map(|part| [format!("{part}.loss"), format!("{part}.accuracy")]);
    assert_eq!(names, parts.concat());
    let (part, metric, value) = outcome.headline.clone().unwrap();
    assert_eq!((part.as_str(), metric.as_str()), ("test", "accuracy"));
    assert!(value > 0.85, "{value}");
    let folder = outcome.folder.unwrap();
    assert!(folder.ends_with("runs/L-1"));
    assert_eq!(outcome.files, ["results.csv", "best.dlm", "last.dlm", "model.dl", "confusion.csv", "run.json"]);
    let results = std::fs::read_to_string(folder.join("results.csv")).unwrap();
    assert!(results.starts_with("epoch,loss,val.loss,accuracy,val.accuracy,lr,examples,seconds\n1,"));
    assert_eq!(results.lines().count(), 31);
    let best = load(&folder.join("best.dlm"), Limits::default()).unwrap();
    assert_eq!(best.tensors.keys().collect::<Vec<_>>(), ["L.bias", "L.weight"]);
    assert_eq!(best.metrics["test.accuracy"], value);
    let last = load(&folder.join("last.dlm"), Limits::default()).unwrap();
    assert_eq!(last.tensors["L.seen"].values, [30.0 * 70.0]);
    assert_eq!(last.more["step"], "150");
    let record: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["metrics"]["test.accuracy"], value);
    assert_eq!((&record["epochs"], &record["ended"]), (&30.into(), &"finished".into()));
    let table = std::fs::read_to_string(folder.join("confusion.csv")).unwrap();
    assert!(table.starts_with("is,small,big\nsmall,"), "{table}");
}

#[test]
fn two_runs_write_the_same_bytes() {
    let setting = Setting::new();
    let folders = [0, 1].map(|_| setting.run().0.unwrap().folder.unwrap());
    assert!(folders[1].ends_with("runs/L-2"));
    for file in ["best.dlm", "last.dlm", "model.dl", "confusion.csv"] {
        let [a, b] = folders.clone().map(|folder| std::fs::read(folder.join(file)).unwrap());
        assert!(a == b, "{file}");
    }
}

#[test]
fn stops_and_lengths() {
    let mut setting = Setting::new();
    setting.spec.length = Length::Steps(7);
    let outcome = setting.run().0.unwrap();
    assert_eq!((outcome.steps, outcome.rows.len(), outcome.rows[1].examples), (7, 2, 32));
    setting.spec.length = Length::Epochs(30);
    setting.spec.stop = vec![Stop::Target { value: 0.8, on: "val.accuracy".into() }];
    let outcome = setting.run().0.unwrap();
    assert_eq!(outcome.ended, Ended::Target);
    assert!(outcome.rows.len() < 30);
    setting.lr = 0.0;
    setting.spec.stop = vec![Stop::Patience { count: 3.0, unit: Unit::Epochs, on: "val.loss".into() }];
    let outcome = setting.run().0.unwrap();
    assert_eq!((outcome.ended, outcome.rows.len(), outcome.best_epoch), (Ended::Patience, 4, Some(1)));
    setting.spec.stop = vec![Stop::Target { value: 0.8, on: "val.f1".into() }];
    let Err(TrainError::Data(error)) = setting.run().0 else { panic!() };
    assert_eq!(error.code, "E0602");
}

#[test]
fn an_interrupted_run_is_saved() {
    let mut setting = Setting::new();
    setting.interrupt_at = Some(6.0);
    let outcome = setting.run().0.unwrap();
    assert_eq!((outcome.ended, outcome.steps, outcome.rows.len()), (Ended::Interrupted, 7, 1));
    let last = load(&outcome.folder.unwrap().join("last.dlm"), Limits::default()).unwrap();
    assert_eq!((last.tensors["L.seen"].values[0], last.more["step"].as_str()), (102.0, "7"));
}

#[test]
fn a_diverging_run_says_where() {
    let mut setting = Setting::new();
    setting.lr = 1e38;
    let Err(TrainError::NotFinite(bad)) = setting.run().0 else { panic!() };
    assert!(bad.step > 0 && bad.step < 10 && bad.epoch == 1 + bad.step / 5, "{bad:?}");
    assert_eq!((bad.lr, bad.examples.len()), (Some(1e38), if bad.step % 5 == 4 { 6 } else { 16 }));
    assert!(setting.folder.path().join("runs/L-1/last.dlm").exists());
}

#[test]
fn a_dry_run_writes_nothing() {
    let mut setting = Setting::new();
    setting.options.dry_run = true;
    let (outcome, watcher) = setting.run();
    let outcome = outcome.unwrap();
    assert_eq!((outcome.ended, outcome.steps, watcher.steps.len()), (Ended::DryRun, 1, 1));
    assert!(outcome.metrics.iter().any(|(name, _)| name == "test.accuracy"));
    assert!(!setting.folder.path().join("runs").exists());
}

#[test]
fn order_log_and_goals() {
    let mut setting = Setting::new();
    let train = data(setting.folder.path()).part(Part::Train).to_vec();
    setting.options.order = Some(train[..40].to_vec());
    setting.options.log_steps = Some(setting.folder.path().join("steps.csv"));
    setting.options.require =
        vec![Requirement::parse("test.accuracy>=0.5").unwrap(), Requirement::parse("test.accuracy>1").unwrap()];
    setting.spec.length = Length::Epochs(1);
    let outcome = setting.run().0.unwrap();
    assert_eq!((outcome.steps, outcome.missed.len()), (3, 1));
    let log = std::fs::read_to_string(setting.folder.path().join("steps.csv")).unwrap();
    assert_eq!(log.lines().next(), Some("step,loss"));
    assert!(log.lines().nth(1).unwrap().starts_with("0,0.69314"));
    assert_eq!(log.lines().count(), 4);
}

//! Batches that are put together ahead of the steps that need them, on a thread of their own.
//!
//! What a batch holds depends on (seed, epoch, examples) alone, so it is the same bits whoever makes it and when. The
//! thread is two batches ahead, or as many small ones as make four mebibytes; it ends by itself when nobody takes what it made.

use std::thread::{Builder, Scope};
use std::time::Duration;

use super::batches::Batch;
use super::queue::{Maker, User, queue};
use crate::abi::Executable;
use crate::data::augment::Augmenter;
use crate::data::augment::mixup::{Told, second_input, share_input, told_by_input};
use crate::data::dataset::Dataset;
use crate::data::fields::Field;
use crate::data::objects::Object;
use crate::metrics::{MetricKind, MetricSpec};

/// Bytes of finished batches that wait to be taken, if there are several, and how many they are at most.
const BYTES: usize = 4 << 20;
const MOST: usize = 1024;

/// What the fields say of the examples of a batch, as an epoch shows them.
#[derive(Default)]
pub struct Ready {
    tables: Vec<(String, Vec<f32>)>,
    boxes: Vec<(String, Vec<Vec<Object>>)>,
}

impl Ready {
    pub fn table(&self, field: &str) -> Option<&[f32]> {
        self.tables.iter().find(|(name, _)| name == field).map(|(_, values)| &values[..])
    }

    fn bytes(&self) -> usize {
        self.tables.iter().map(|(_, values)| 4 * values.len()).sum()
    }

    /// The objects of each picture.
    pub fn boxes(&self, field: &str) -> Option<&[Vec<Object>]> {
        self.boxes.iter().find(|(name, _)| name == field).map(|(_, objects)| &objects[..])
    }
}

/// Which fields of a data set a pass needs, and how it shows them.
#[derive(Clone)]
pub struct Filler<'a> {
    data: &'a Dataset,
    augmenter: Augmenter,
    tables: Vec<&'a Field>,
    /// What inputs besides a field tell of how its examples are mixed.
    told: Vec<(&'a Field, Told)>,
    boxes: Vec<&'a Field>,
}

impl<'a> Filler<'a> {
    /// What an executable takes in, and what its outputs are compared with.
    pub fn new<'m>(
        data: &'a Dataset,
        augmenter: Augmenter,
        executable: &Executable,
        metrics: impl Iterator<Item = &'m MetricSpec>,
    ) -> Filler<'a> {
        let mut filler = Filler { data, augmenter, tables: vec![], told: vec![], boxes: vec![] };
        let is_output = |name: &str| executable.outputs.iter().any(|slot| slot.name == name);
        let targets = metrics.filter(|metric| !metric.kind.is_told() && !is_output(&metric.target));
        let inputs = executable.inputs.iter().map(|slot| (slot.name.as_str(), false));
        let all = inputs.chain(targets.map(|m| (m.target.as_str(), matches!(m.kind, MetricKind::MeanAp(_)))));
        for (name, has_boxes) in all {
            let Some(field) = data.field(name) else {
                let told = told_by_input(name).and_then(|(of, told)| Some((data.field(of)?, told)));
                filler.told.extend(told);
                continue;
            };
            let known = if has_boxes { &mut filler.boxes } else { &mut filler.tables };
            if !known.iter().any(|known| known.name() == name) {
                known.push(field);
            }
        }
        filler
    }

    /// The values of one field.
    pub fn table(&self, field: &Field, epoch: u64, batch: &Batch, out: &mut Vec<f32>) {
        match self.augmenter.changes(field) {
            true => self.augmenter.write(field, epoch, &batch.examples, out),
            false if field.is_paired() => {
                out.resize(field.per_example() * batch.examples.len(), 0.0);
                field.write_in(epoch, &batch.examples, out);
            }
            false => self.data.fill(field, &batch.examples, &batch.extents, out),
        }
    }

    /// `used` is what an earlier batch left: its memory is taken again.
    fn fill(&self, epoch: u64, batch: &Batch, mut used: Ready) -> Ready {
        used.tables.resize_with(self.tables.len() + self.told.len(), Default::default);
        for (field, (name, values)) in self.tables.iter().zip(&mut used.tables) {
            name.clear();
            name.push_str(field.name());
            self.table(field, epoch, batch, values);
        }
        let rest = used.tables.iter_mut().skip(self.tables.len());
        for ((field, told), (name, values)) in self.told.iter().zip(rest) {
            *name = match told {
                Told::Second => second_input(field.name()),
                Told::Share => share_input(field.name()),
            };
            self.augmenter.tell(field, *told, epoch, &batch.examples, values);
        }
        let of = |field: &&Field| {
            let objects = field.objects()?;
            let shown = |example: &u32| self.augmenter.objects(field.name(), objects, epoch, *example);
            Some((field.name().to_string(), batch.examples.iter().map(shown).collect()))
        };
        used.boxes = self.boxes.iter().filter_map(of).collect();
        used
    }
}

/// Batches in order, as they are ready.
pub struct Ahead {
    batches: User<(Batch, Ready), Ready>,
    /// How long there was none.
    pub waited: Duration,
}

impl Ahead {
    /// Starts to put `batches`, each of its epoch, together.
    pub fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        filler: Filler<'env>,
        batches: impl Iterator<Item = (u64, Batch)> + Send + 'env,
    ) -> Result<Ahead, String> {
        let (maker, user) = queue();
        Builder::new()
            .name("dlc-data".into())
            .spawn_scoped(scope, move || serve(&filler, batches, &maker))
            .map_err(|error| format!("cannot start a thread that prepares batches: {error}"))?;
        Ok(Ahead { batches: user, waited: Duration::ZERO })
    }

    /// The next batch; nothing after the last.
    pub fn take(&mut self) -> Option<(Batch, Ready)> {
        let (taken, waited) = self.batches.take();
        self.waited += waited;
        taken
    }

    /// Gives back the memory of a batch.
    pub fn give_back(&mut self, ready: Ready) {
        self.batches.give_back(ready);
    }
}

fn serve(filler: &Filler<'_>, batches: impl Iterator<Item = (u64, Batch)>, maker: &Maker<(Batch, Ready), Ready>) {
    for (epoch, batch) in batches {
        let ready = filler.fill(epoch, &batch, maker.used().unwrap_or_default());
        let room = BYTES / ready.bytes().max(1);
        if !maker.put((batch, ready), room.min(MOST)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::bytes::Limits;
    use crate::data::dataset::load;
    use crate::data::spec::{DataSpec, FieldSpec, Selector, Source, Split};

    fn data() -> Dataset {
        let field = FieldSpec {
            name: "image".into(),
            place: (0, 0),
            dim: None,
            shape: [("h", 9), ("w", 9), ("c", 1)]
                .map(|(name, size)| crate::data::spec::AxisSpec { name: name.into(), size: Some(size), most: None })
                .into(),
            from: Selector::Images,
            steps: vec![],
        };
        let spec = DataSpec {
            name: "d".into(),
            place: (0, 0),
            source: Source::Synthetic { name: "x_or_not".into(), count: 40, seed: 1 },
            source_place: (0, 0),
            fields: vec![field],
            split: Split::InOrder { train: 1.0, val: 0.0, test: 0.0 },
            split_place: (0, 0),
        };
        load(&spec, std::path::Path::new(""), Limits::default()).unwrap()
    }

    fn batches() -> impl Iterator<Item = (u64, Batch)> + Send {
        (0..9u64).map(|at| (at / 3, Batch { examples: vec![at as u32, 39 - at as u32], extents: 2.into() }))
    }

    fn filler(data: &Dataset) -> Filler<'_> {
        use crate::data::augment::{Augment, AugmentStep};
        let lines = vec![Augment { fields: vec!["image".into()], steps: vec![AugmentStep::Rotate(20.0)], edge: true }];
        let tables = vec![data.field("image").unwrap()];
        Filler {
            data,
            augmenter: Augmenter { lines, seed: 3, ..Augmenter::default() },
            tables,
            told: vec![],
            boxes: vec![],
        }
    }

    #[test]
    fn what_is_made_ahead_is_what_would_be_made_now() {
        let data = data();
        std::thread::scope(|scope| {
            let mut ahead = Ahead::start(scope, filler(&data), batches()).unwrap();
            for (epoch, wanted) in batches() {
                let (batch, ready) = ahead.take().unwrap();
                assert_eq!(batch, wanted);
                let now = filler(&data).fill(epoch, &batch, Ready::default());
                assert_eq!(ready.table("image").unwrap(), now.table("image").unwrap());
                assert_eq!(ready.table("image").unwrap().len(), 2 * 81);
                ahead.give_back(ready);
            }
            assert!(ahead.take().is_none());
        });
    }

    #[test]
    fn nobody_has_to_take_all() {
        let data = data();
        // Would not end if the thread waited for someone to take its batches.
        std::thread::scope(|scope| {
            let mut ahead = Ahead::start(scope, filler(&data), (0..).map(|_| batches().next().unwrap())).unwrap();
            assert!(ahead.take().is_some());
        });
    }
}

//! Whether a model file's parts belong together: a sealed file may still be one that nobody could have trained.

use super::Model;
use crate::abi::Slot;
use crate::data::error::{DataError, Result};
use crate::data::steps::elements;

/// Differences in a message.
const LISTED: usize = 20;

impl Model {
    /// Every slot of the program's weights and statistics has a tensor of its shape.
    pub fn has_weights<'a>(&self, name: &str, slots: impl Iterator<Item = &'a Slot>) -> Result<()> {
        let differing = slots.filter_map(|slot| match self.tensors.get(&slot.name) {
            Some(tensor) if tensor.shape == slot.shape => None,
            Some(tensor) => Some(format!("`{}` is {:?}, and {:?} is stored", slot.name, slot.shape, tensor.shape)),
            None => Some(format!("`{}` is missing", slot.name)),
        });
        self.fits(name, "weights", differing.collect())
    }

    /// Every input that new data feeds is described as the program reads it.
    pub fn has_inputs<'a>(&self, name: &str, slots: impl Iterator<Item = &'a Slot>) -> Result<()> {
        let differing = slots.filter_map(|slot| {
            let field = self.preprocessing.field(&slot.name)?;
            let (made, read) = (elements(&field.axes), slot.count());
            let classes = field.dim.as_ref().map(|dim| dim.size.unwrap_or(dim.names.len()));
            match (classes, slot.index_extent) {
                _ if made != read => Some(format!("`{}` is read as {read} values, and described as {made}", slot.name)),
                (Some(classes), Some(extent)) if classes > extent => {
                    Some(format!("`{}` has {extent} classes, and {classes} are described", slot.name))
                }
                (None, Some(_)) => Some(format!("`{}` is read as classes, and described as numbers", slot.name)),
                _ => None,
            }
        });
        self.fits(name, "preprocessing", differing.collect())
    }

    fn fits(&self, name: &str, what: &str, differing: Vec<String>) -> Result<()> {
        if differing.is_empty() {
            return Ok(());
        }
        let error = DataError::new("E0703", format!("`{name}` holds {what} that do not fit the program inside"));
        let error = differing.into_iter().take(LISTED).fold(error, |error, why| error.note(why));
        Err(error.file(name).help("use the file that dlc wrote, or train again"))
    }
}

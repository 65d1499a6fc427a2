//! The values that training begins with.

use std::collections::BTreeMap;

use crate::abi::Slot;
use crate::checkpoint::Tensor;
use crate::data::error::DataError;

/// Names in a message.
const LISTED: usize = 20;

/// The compiler's values, and over them the weights of `--init`. `kept`: the paths of weights and statistics.
pub fn initial_state(
    kept: &[String],
    slots: &[Slot],
    mut initial: BTreeMap<String, Tensor>,
    init: &BTreeMap<String, Tensor>,
) -> Result<BTreeMap<String, Tensor>, Box<DataError>> {
    let mut differing = Vec::new();
    for (path, tensor) in init {
        match slots.iter().find(|slot| slot.name == *path) {
            Some(slot) if slot.shape == tensor.shape => {
                initial.insert(path.clone(), tensor.clone());
            }
            Some(slot) => {
                differing.push(format!("`{path}` is {:?}, and {:?} is given", slot.shape, tensor.shape));
            }
            None => differing.push(format!("the model has no `{path}`")),
        }
    }
    if differing.is_empty() {
        return Ok(initial);
    }
    let error = DataError::new("E0703", "the given weights do not fit the program");
    let error = differing.into_iter().take(20).fold(error, |error, why| error.note(why));
    // Slots of the optimizer are state too, and nobody who has weights wants to hear of them.
    let known: Vec<String> = kept.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    let more = if kept.len() > LISTED { format!(" and {} more", kept.len() - LISTED) } else { String::new() };
    Err(error.help(format!("its weights are {}{more}", known.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_weights_must_fit() {
        let slot = |name: &str, shape: &[usize]| Slot {
            name: name.into(),
            offset: 0,
            shape: shape.to_vec(),
            index_extent: None,
        };
        let slots = [slot("w", &[2]), slot("b", &[]), slot("w#m", &[2])];
        let kept = ["w".to_string(), "b".to_string()];
        let tensor = |shape: &[usize], values: &[f32]| Tensor { shape: shape.to_vec(), values: values.to_vec() };
        let all = |pairs: &[(&str, Tensor)]| -> BTreeMap<String, Tensor> {
            pairs.iter().map(|(name, tensor)| (name.to_string(), tensor.clone())).collect()
        };
        let initial = all(&[("w", tensor(&[2], &[1.0, 2.0])), ("b", tensor(&[], &[3.0]))]);
        let init = all(&[("w", tensor(&[2], &[7.0, 8.0]))]);
        let state = initial_state(&kept, &slots, initial.clone(), &init).unwrap();
        assert_eq!((&state["w"].values[..], &state["b"].values[..]), (&[7.0, 8.0][..], &[3.0][..]));
        let bad = all(&[("w", tensor(&[1, 2], &[7.0, 8.0])), ("x", tensor(&[], &[0.0]))]);
        let error = initial_state(&kept, &slots, initial, &bad).unwrap_err();
        assert_eq!((error.code, error.notes.len()), ("E0703", 2));
        assert_eq!(error.help.as_deref(), Some("its weights are `w`, `b`"));
    }
}

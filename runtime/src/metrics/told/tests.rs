//! What is told of generated texts, against what sacrebleu says of them.

use super::{Bleu, Exact};

/// Generated texts and what sacrebleu says of them: `examples/bench/compare_bleu.py` wrote the file.
const CASES: &str = include_str!("cases.txt");

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn bleu_is_that_of_sacrebleu() {
    let mut cases = 0;
    for case in CASES.split("= ").skip(1) {
        let (score, texts) = case.split_once('\n').unwrap();
        let mut bleu = Bleu::default();
        for line in texts.lines() {
            let (told, wanted) = line.split_once('\t').unwrap();
            bleu.add(&words(told), &words(wanted));
        }
        let (found, expected) = (bleu.value(), score.parse::<f64>().unwrap());
        assert!((found - expected).abs() < 1e-9, "{found} instead of {expected} of\n{texts}");
        cases += 1;
    }
    assert!(cases >= 10);
}

#[test]
fn bleu_without_texts() {
    assert_eq!(Bleu::default().value(), 0.0);
    let mut bleu = Bleu::default();
    bleu.add(&[], &["a"]);
    assert_eq!(bleu.value(), 0.0);
}

#[test]
fn exact_texts() {
    let mut exact = Exact::default();
    exact.add(&["a", "dog"], &["a", "dog"]);
    exact.add(&["a"], &["a", "dog"]);
    exact.add(&[], &[]);
    assert_eq!(exact.value(), 2.0 / 3.0);
}

//! Against torchmetrics; `examples/bench/segmentation_cases.py` made the cases.

use super::super::{Metric, MetricKind, MetricSpec};
use super::*;
use serde_json::Value;

/// Points of a picture.
const POINTS: [usize; 2] = [4, 5];

fn metric(kind: MetricKind, ignored: &[usize]) -> Metric {
    Metric::new(&MetricSpec {
        name: "m".into(),
        kind,
        scores: "scores".into(),
        target: "mask".into(),
        class_axis: Some(3),
        classes: vec![],
        ignored: ignored.to_vec(),
        variable: vec![],
    })
}

fn numbers(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(all) => all.iter().flat_map(numbers).collect(),
        one => vec![one.as_f64().unwrap() as f32],
    }
}

#[track_caller]
fn alike(got: Option<f64>, wanted: &Value, what: &str) {
    match (got, wanted.as_f64()) {
        (Some(got), Some(wanted)) => assert!((got - wanted).abs() < 1e-6, "{what}: {got}, and it should be {wanted}"),
        (got, wanted) => assert_eq!(got, wanted, "{what}"),
    }
}

#[test]
fn as_others_count() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("cases.json")).unwrap();
    assert!(cases.len() > 20);
    for (at, case) in cases.iter().enumerate() {
        let number = |key: &str| case[key].as_u64().unwrap() as usize;
        let (classes, ignore) = (number("classes"), number("ignore"));
        // As the data has it: a point that does not count has one class too many.
        let left_out = |class: &f32| if *class == ignore as f32 { classes as f32 } else { *class };
        let truth: Vec<f32> = numbers(&case["truth"]).iter().map(left_out).collect();
        let scores = numbers(&case["scores"]);
        let of = |kind: MetricKind, pictures: usize| {
            let mut metric = metric(kind, &[ignore]);
            let points = pictures * POINTS[0] * POINTS[1];
            for (truth, scores) in truth.chunks(points).zip(scores.chunks(points * classes)) {
                let shape = [truth.len() / (POINTS[0] * POINTS[1]), POINTS[0], POINTS[1], classes];
                metric.add(scores, &shape, truth);
            }
            metric
        };
        // In batches of one picture and of two.
        for pictures in [1, 2] {
            for (kind, name) in [(MetricKind::Iou, "iou"), (MetricKind::Dice, "dice")] {
                alike(of(kind, pictures).value(), &case["expected"][name], &format!("case {at}, {name}"));
            }
            let counted = of(MetricKind::Confusion, pictures);
            let counted = counted.confusion().unwrap();
            for class in 0..classes {
                let (score, wanted) = (counted.of_class(class), &case["expected"]);
                alike(score.iou, &wanted["each_iou"][class], &format!("case {at}, iou of {class}"));
                alike(score.f1, &wanted["each_dice"][class], &format!("case {at}, dice of {class}"));
            }
        }
    }
}

#[test]
fn one_of_three() {
    let counts = Confusion { classes: 3, counts: vec![2, 1, 0, 1, 3, 0, 0, 0, 0] };
    let score = counts.of_class(1);
    assert_eq!((score.is, score.taken, score.precision, score.recall), (4, 4, Some(0.75), Some(0.75)));
    assert_eq!((score.f1, score.iou), (Some(0.75), Some(0.6)));
    let never = counts.of_class(2);
    assert_eq!((never.precision, never.recall, never.f1, never.iou), (None, None, None, None));
}

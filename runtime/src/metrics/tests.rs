//! Metrics against numbers worked out by hand.

use super::*;

fn metric(kind: MetricKind, class_axis: Option<usize>) -> Metric {
    Metric::new(&MetricSpec {
        name: "m".into(),
        kind,
        scores: "logits".into(),
        target: "y".into(),
        class_axis,
        classes: vec![],
        ignored: vec![],
        variable: vec![],
    })
}

/// Three examples, three classes: predictions 1, 0, 0 (a tie).
const LOGITS: [f32; 9] = [0.0, 2.0, 1.0, 5.0, 1.0, 4.0, 3.0, 3.0, 3.0];

fn of_logits(kind: MetricKind, target: &[f32]) -> Metric {
    let mut metric = metric(kind, Some(1));
    // In two batches.
    metric.add(&LOGITS[..6], &[2, 3], &target[..2]);
    metric.add(&LOGITS[6..], &[1, 3], &target[2..]);
    metric
}

#[test]
fn classes() {
    assert_eq!(metric(MetricKind::Accuracy, None).value(), None);
    assert_eq!(of_logits(MetricKind::Accuracy, &[1.0, 2.0, 0.0]).value(), Some(2.0 / 3.0));
    assert_eq!(of_logits(MetricKind::Top(2), &[2.0, 2.0, 2.0]).value(), Some(2.0 / 3.0));
    assert_eq!(of_logits(MetricKind::Top(3), &[0.0, 1.0, 2.0]).value(), Some(1.0));
    let confusion = of_logits(MetricKind::Confusion, &[1.0, 2.0, 0.0]);
    assert_eq!(confusion.value(), None);
    assert_eq!(confusion.confusion().unwrap().counts, [1, 0, 0, 0, 1, 0, 1, 0, 0]);
    // Intersections 1, 1, 0 over unions 2, 2, 1.
    let iou = of_logits(MetricKind::Iou, &[1.0, 2.0, 0.0]).value().unwrap();
    assert!((iou - (0.5 + 1.0 + 0.0) / 3.0).abs() < 1e-12, "{iou}");
    // A target of no class does not count.
    assert_eq!(of_logits(MetricKind::Accuracy, &[1.0, 3.0, 0.0]).value(), Some(1.0));
    assert_eq!(of_logits(MetricKind::Iou, &[1.0, 3.0, 0.0]).value(), Some(1.0));
    // Class 0: one right of one, taken twice; class 1: right; class 2: never found.
    let f1 = of_logits(MetricKind::F1, &[1.0, 2.0, 0.0]).value().unwrap();
    assert!((f1 - (2.0 / 3.0 + 1.0 + 0.0) / 3.0).abs() < 1e-12);
}

#[test]
fn two_classes_and_inner_axes() {
    let mut f1 = metric(MetricKind::F1, Some(1));
    f1.add(&[0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0], &[4, 2], &[1.0, 0.0, 1.0, 0.0]);
    assert_eq!(f1.value(), Some(0.5));
    // [batch 1, class 2, place 3]: the classes of the places are 1, 0, 1.
    let mut accuracy = metric(MetricKind::Accuracy, Some(1));
    accuracy.add(&[0.0, 9.0, 0.0, 1.0, 1.0, 1.0], &[1, 2, 3], &[1.0, 0.0, 0.0]);
    assert_eq!(accuracy.value(), Some(2.0 / 3.0));
    let mut of_indices = metric(MetricKind::Accuracy, None);
    of_indices.add(&[3.0, 1.0], &[2], &[3.0, 2.0]);
    assert_eq!(of_indices.value(), Some(0.5));
}

#[test]
fn numbers() {
    let of = |kind| {
        let mut metric = metric(kind, None);
        metric.add(&[1.0, 2.0], &[2, 1], &[2.0, 4.0]);
        metric.add(&[0.0], &[1, 1], &[2.0]);
        metric.value().unwrap()
    };
    assert_eq!((of(MetricKind::Mae), of(MetricKind::Mse)), (5.0 / 3.0, 3.0));
    assert_eq!(of(MetricKind::Rmse), 3f64.sqrt());
    assert_eq!(of(MetricKind::Mape), (0.5 + 0.5 + 1.0) / 3.0);
    let mut share = metric(MetricKind::Mape, None);
    share.add(&[1.0], &[1, 1], &[0.0]);
    assert_eq!(share.value(), None);
    share.add(&[-3.0], &[1, 1], &[-4.0]);
    assert_eq!(share.value(), Some(0.25));
    let mut mean = Mean::default();
    mean.add(1.0, 3.0);
    mean.add(5.0, 1.0);
    assert_eq!(mean.value(), 2.0);
}

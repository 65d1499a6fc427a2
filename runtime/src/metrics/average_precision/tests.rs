//! Against pycocotools and the rules of Pascal VOC; `examples/bench/mean_ap_cases.py` made the cases.

use super::*;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn corners(numbers: &[f64]) -> [f64; 4] {
    numbers.try_into().unwrap()
}

#[test]
fn as_others_count() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("cases.json")).unwrap();
    assert!(cases.len() > 10);
    for (at, case) in cases.iter().enumerate() {
        let rules = [
            ("coco", Points::Coco, None),
            ("coco50", Points::Coco, Some(0.5)),
            ("coco75", Points::Coco, Some(0.75)),
            ("voc", Points::Voc, None),
            ("voc11", Points::Voc11, Some(0.5)),
        ];
        for (name, points, iou) in rules {
            let mut ap = AveragePrecision::new(ApRule { points, iou, overlap: 0.5 });
            let pictures = |key: &str| case[key].as_array().unwrap().clone();
            for (truth, found) in pictures("truth").iter().zip(pictures("found")) {
                let object = |object: &Value| {
                    let x = numbers(object);
                    Object { class: x[0] as u32, corners: corners(&x[1..5]), ignored: x[5] == 1.0 }
                };
                let one = |found: &Value| {
                    let x = numbers(found);
                    Found { class: x[0] as u32, score: x[1], corners: corners(&x[2..]) }
                };
                let truth: Vec<Object> = truth.as_array().unwrap().iter().map(object).collect();
                let found: Vec<Found> = found.as_array().unwrap().iter().map(one).collect();
                ap.add(&found, &truth);
            }
            match (ap.value(), case["expected"][name].as_f64()) {
                (Some(got), Some(wanted)) => {
                    assert!((got - wanted).abs() < 1e-6, "case {at}, {name}: {got}, and it should be {wanted}");
                }
                // Nothing to find.
                (got, wanted) => assert_eq!(got, wanted, "case {at}, {name}"),
            }
        }
    }
}

#[test]
fn nothing_to_find() {
    let mut ap = AveragePrecision::new(ApRule { points: Points::Coco, iou: None, overlap: 0.5 });
    assert_eq!(ap.value(), None);
    ap.add(&[Found { class: 3, score: 0.5, corners: [0.0, 0.0, 1.0, 1.0] }], &[]);
    assert_eq!(ap.value(), None);
    ap.add(&[], &[Object { class: 1, corners: [0.0, 0.0, 1.0, 1.0], ignored: false }]);
    assert_eq!((ap.value(), ap.of_class(1), ap.of_class(3)), (Some(0.0), Some(0.0), None));
}

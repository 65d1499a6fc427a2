//! Files that come back as they went, and files that were tampered with.

use super::*;
use crate::data::bytes::Limits;

fn model() -> Model {
    let tensor = |shape: &[usize], start: f32| {
        let count: usize = shape.iter().product();
        Tensor { shape: shape.to_vec(), values: (0..count).map(|i| start + i as f32).collect() }
    };
    Model {
        tensors: [
            ("M.dense[0].weight".to_string(), tensor(&[3, 2], 0.5)),
            ("M.dense[0].bias".to_string(), tensor(&[2], -1.0)),
            ("checksum".to_string(), tensor(&[], 7.0)),
        ]
        .into(),
        source: "model M { \"checksum\":\"0000000000000000\" } # ü\n".into(),
        dims: vec![DimSpec { name: "k".into(), size: Some(2), names: vec!["a".into(), "b".into()] }],
        preprocessing: Preprocessing::default(),
        metrics: [("test.accuracy".to_string(), 1.0 / 3.0), ("bad".to_string(), f64::NAN)].into(),
        seed: u64::MAX,
        compiler: "0.1.0".into(),
        more: [("step".to_string(), "12".to_string())].into(),
    }
}

#[test]
fn what_is_saved_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.dlm");
    let mut model = model();
    save(&model, &path).unwrap();
    let read = load(&path, Limits::default()).unwrap();
    model.metrics.remove("bad");
    assert_eq!(read, model);
    assert_eq!(bytes(&read), std::fs::read(&path).unwrap());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn the_safetensors_crate_accepts_it() {
    let bytes = bytes(&model());
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), 3);
    assert_eq!(file.tensor("M.dense[0].weight").unwrap().shape(), [3, 2]);
}

#[test]
fn every_flipped_bit_is_found() {
    let good = bytes(&model());
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let error = parse("m.dlm", &bad).unwrap_err();
        assert!(["E0701", "E0705"].contains(&error.code), "bit {bit}: {error}");
    }
    for length in 0..good.len() {
        assert!(parse("m.dlm", &good[..length]).is_err(), "{length}");
    }
    assert!(parse("m.dlm", &[good.clone(), vec![0]].concat()).is_err());
}

fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

#[test]
fn hostile_headers() {
    let code = |bytes: &[u8]| parse("m.dlm", bytes).unwrap_err().code;
    assert_eq!(code(&(1u64 << 60).to_le_bytes()), "E0701");
    assert_eq!(code(&[(1u64 << 60).to_le_bytes().to_vec(), vec![b'{'; 100]].concat()), "E0701");
    assert_eq!(code(b""), "E0701");
    assert_eq!(code(&with_header("{}", b"")), "E0701");
    let deep = "[".repeat(100_000);
    assert_eq!(code(&with_header(&deep, b"")), "E0701");
    let tensor = |offsets: &str, shape: &str| {
        format!(
            r#"{{"__metadata__":{{"format_version":"1"}},"w":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#
        )
    };
    let lies = [
        ("[0,16]", "[4]"),
        ("[4,8]", "[1]"),
        ("[8,0]", "[2]"),
        ("[0,18446744073709551615]", "[4611686018427387904]"),
        ("[0,8]", "[4611686018427387904,4]"),
        ("[0,8]", "[3]"),
    ];
    for (offsets, shape) in lies {
        assert_eq!(code(&with_header(&tensor(offsets, shape), &[0; 8])), "E0701", "{offsets}");
    }
    let newer = r#"{"__metadata__":{"format_version":"2"}}"#;
    assert_eq!(code(&with_header(newer, b"")), "E0702");
    let unsigned = r#"{"__metadata__":{"format_version":"1"}}"#;
    assert_eq!(code(&with_header(unsigned, b"")), "E0705");
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
    assert!(parse("m.dlm", &with_header(&long, b"")).unwrap_err().message.len() < 300);
}

#[test]
fn missing_files_and_folders() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(load(dir.path(), Limits::default()).unwrap_err().code, "E0501");
    assert_eq!(load(&dir.path().join("none"), Limits::default()).unwrap_err().code, "E0501");
}

#[test]
fn only_regular_files_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("folder");
    std::fs::create_dir(&there).unwrap();
    assert_eq!(save(&model(), &there).unwrap_err().to_string(), "it is a folder");
    let nowhere = save(&model(), &folder.path().join("no/such.dlm")).unwrap_err().to_string();
    assert!(nowhere.starts_with("there is no folder `") && !nowhere.contains(".dlm-"), "{nowhere}");
    #[cfg(unix)]
    {
        let socket = folder.path().join("socket");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(save(&model(), &socket).unwrap_err().to_string(), "it is not a regular file");
    }
}

#[test]
fn dims_without_elements_are_refused() {
    for (size, names) in [(Some(0), vec![]), (Some(3), vec!["a".to_string()])] {
        let mut wrong = model();
        wrong.dims = vec![DimSpec { name: "kind".into(), size, names }];
        let error = parse("m.dlm", &bytes(&wrong)).unwrap_err();
        assert!(error.code == "E0701" && error.message.contains("`dims`"), "{error}");
    }
}

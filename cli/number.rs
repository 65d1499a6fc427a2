//! Numbers as people read and write them.

pub use dlc_runtime::data::error::grouped;

/// `246824` as `241 KiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 10.0 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

/// `1.7s`, `2m05s`, `1h02m`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1}s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole / 60 % 60),
    }
}

/// A count with a unit prefix: `28.9 M`.
pub fn scaled(number: u64) -> String {
    let value = number as f64;
    match number {
        0..10_000 => grouped(number),
        10_000..1_000_000 => format!("{:.1} k", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", value / 1e6),
        _ => format!("{:.2} G", value / 1e9),
    }
}

/// `512MiB`, `2GB`, `1000000`.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    const WRONG: &str = "write a number of bytes, such as 512MiB or 2GB";
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| WRONG.to_string())?;
    let factor: f64 = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "kib" => 1024.0,
        "m" | "mb" => 1e6,
        "mib" => 1024.0 * 1024.0,
        "g" | "gb" => 1e9,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tb" => 1e12,
        "tib" => 1024.0_f64.powi(4),
        _ => return Err(WRONG.to_string()),
    };
    let bytes = number * factor;
    if bytes < 1.0 || bytes > u64::MAX as f64 { Err(WRONG.to_string()) } else { Ok(bytes as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(61_706), "61,706");
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(bytes(246_824), "241 KiB");
        assert_eq!(bytes(100), "100 B");
        assert_eq!(duration(1.71), "1.7s");
        assert_eq!(duration(125.0), "2m05s");
        assert_eq!(scaled(28_900_000), "28.9 M");
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
        assert_eq!(parse_bytes("2GB"), Ok(2_000_000_000));
        assert_eq!(parse_bytes("1000"), Ok(1000));
        for wrong in ["", "x", "-1", "0", "3 apples"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }
}

//! Initial values from a counter-based generator keyed by (seed, path).
//!
//! Value `i` of a tensor depends on the seed, the tensor's path and `i` alone: not on other tensors, not on order, not
//! on threads. The generator is SplitMix64 (Steele, Lea, Flood 2014) started at a hash of seed and path, of which
//! output `i` can be computed directly. Uniform numbers take the upper 24 bits, so every one is exact in `f32`;
//! normal numbers come from pairs of 53-bit uniforms by Box and Muller in `f64`.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of SplitMix64: every input bit changes every output bit with probability one half.
pub fn mix(value: u64) -> u64 {
    let mut z = value;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Output `counter` of the stream `key`.
pub fn bits(key: u64, counter: u64) -> u64 {
    mix(key.wrapping_add(counter.wrapping_add(1).wrapping_mul(GOLDEN)))
}

/// The stream of a seed and a path: FNV-1a of the path's bytes, mixed with the mixed seed.
pub fn key(seed: u64, path: &str) -> u64 {
    let hash = path
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    mix(mix(seed.wrapping_add(GOLDEN)) ^ hash)
}

/// Uniform in `-limit <= x < limit`.
pub fn fill_uniform(seed: u64, path: &str, limit: f32, values: &mut [f32]) {
    let key = key(seed, path);
    for (counter, value) in (0..).zip(values) {
        let unit = (bits(key, counter) >> 40) as f32 / (1u32 << 24) as f32;
        *value = (2.0 * unit - 1.0) * limit;
    }
}

/// Normal with mean 0 and standard deviation `std`. No value is farther than 8.6 deviations from the mean.
pub fn fill_normal(seed: u64, path: &str, std: f32, values: &mut [f32]) {
    let key = key(seed, path);
    // In (0, 1]: the logarithm is finite.
    let unit = |counter| ((bits(key, counter) >> 11) + 1) as f64 / (1u64 << 53) as f64;
    for (pair, values) in (0..).zip(values.chunks_mut(2)) {
        let radius = (-2.0 * f64::ln(unit(2 * pair))).sqrt() * f64::from(std);
        let (sin, cos) = (std::f64::consts::TAU * unit(2 * pair + 1)).sin_cos();
        for (value, side) in values.iter_mut().zip([cos, sin]) {
            *value = (radius * side) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f32]) -> (f64, f64) {
        let count = values.len() as f64;
        let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
        let variance = values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt())
    }

    #[test]
    fn moments_are_right() {
        let mut values = vec![0.0; 100_001];
        fill_uniform(1, "a.w", 0.5, &mut values);
        assert!(values.iter().all(|x| (-0.5..0.5).contains(x)));
        let (mean, deviation) = moments(&values);
        assert!(mean.abs() < 3e-3 && (deviation - 0.5 / 3f64.sqrt()).abs() < 2e-3);
        fill_normal(1, "a.w", 2.0, &mut values);
        let (mean, deviation) = moments(&values);
        assert!(mean.abs() < 2e-2 && (deviation - 2.0).abs() < 2e-2);
    }

    #[test]
    fn keyed_by_seed_path_and_position_alone() {
        let draw = |seed, path: &str, count: usize| {
            let mut values = vec![0.0; count];
            fill_normal(seed, path, 1.0, &mut values);
            values
        };
        assert_eq!(draw(7, "a.w", 9)[..5], draw(7, "a.w", 5));
        assert_ne!(draw(7, "a.w", 4), draw(7, "b.w", 4));
        assert_ne!(draw(7, "a.w", 4), draw(8, "a.w", 4));
    }

    #[test]
    fn the_stream_is_splitmix64() {
        // The published first outputs of SplitMix64 from state 0.
        assert_eq!(bits(0, 0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(bits(0, 1), 0x6e78_9e6a_a1b9_65f4);
    }
}

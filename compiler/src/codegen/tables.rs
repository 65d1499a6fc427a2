//! Elementary functions where one instruction looks sixteen numbers up: shorter polynomials, whose coefficients go by
//! where the operand lies.

use super::math::{Functions, Machine};

/// 1.5 * 2^21: adding it to a number leaves the nearest multiple of 1/4 in the low bits of the mantissa.
const QUARTERS: f32 = 3_145_728.0;
/// 1.5 * 2^19: the same for multiples of 1/16.
const SIXTEENTHS: f32 = 786_432.0;

/// `2^(i/16)`
#[rustfmt::skip]
const POWERS: [f32; 16] = [
    1.0, 1.044_273_7, 1.090_507_7, 1.138_788_6, 1.189_207_1, 1.241_857_8, 1.296_839_6, 1.354_255_6,
    1.414_213_5, 1.476_826_2, 1.542_210_8, 1.610_490_3, 1.681_792_9, 1.756_252_2, 1.834_008_1, 1.915_206_6,
];

/// `erf(x) / x` around each multiple of 1/4, the highest power of the distance first; least relative error.
#[rustfmt::skip]
const ERF: [[f32; 16]; 5] = [
    [
        0.111_089_06, 8.848_946e-2, 3.223_916e-2, -2.460_138_3e-2, -5.628_262e-2, -5.767_478_8e-2, -4.041_361_8e-2, -1.970_427_1e-2,
        -4.714_177_5e-3, 2.788_393e-3, 5.012_678e-3, 4.708_585_3e-3, 3.661_111_2e-3, 2.650_263_7e-3, 1.882_946_1e-3, 1.345_853_1e-3,
    ],
    [
        2.575_798_4e-4, 0.104_022_85, 0.165_925_58, 0.168_604_37, 0.125_639, 6.649_115e-2, 1.652_375e-2, -1.338_546_35e-2,
        -2.500_614_5e-2, -2.543_657_6e-2, -2.123_025_4e-2, -1.625_204_5e-2, -1.204_797_9e-2, -8.907_176e-3, -6.660_173_6e-3, -5.061_323_3e-3,
    ],
    [
        -0.376_139_52, -0.335_346_88, -0.229_911_98, -0.100_218_3, 1.248_32e-2, 8.462_766_6e-2, 0.114_463_754, 0.114_094_09,
        9.858_186_5e-2, 7.911_031e-2, 6.144_738e-2, 4.741_560_7e-2, 3.688_152e-2, 2.909_855_4e-2, 2.331_775e-2, 1.896_201e-2,
    ],
    [
        2.232_136_2e-7, -0.181_163, -0.324_430_56, -0.407_032_37, -0.427_592_34, -0.401_439_82, -0.350_094_5, -0.292_022_5,
        -0.238_497_75, -0.194_067_84, -0.159_063_61, -0.132_004_86, -0.111_062_17, -9.466_511e-2, -8.163_101e-2, -7.111_084_5e-2,
    ],
    [
        1.128_379_2, 1.105_305_6, 1.040_999_8, 0.948_207_5, 0.842_700_8, 0.738_320_1, 0.644_070_1, 0.563_812_4,
        0.497_661_14, 0.443_794_34, 0.399_837_23, 0.363_599_78, 0.333_325_98, 0.307_690_98, 0.285_714_06, 0.266_666_65,
    ],
];

/// From here on `erf` is 1: the last number that is nearer to 15/4 than to 4.
const ERF_BOUND: f32 = 3.874_999_8;

/// 1.5 * 2^23: the same for whole numbers.
const WHOLE: f32 = 12_582_912.0;

/// `-erfc(x / sqrt(2)) / 2` around each multiple of [`GELU_BOUND`]` / 15`, the highest power of the distance, counted in
/// those, first; least relative error where the value is not tiny.
#[rustfmt::skip]
const GELU: [[f32; 16]; 5] = [
    [
        8.042_095_6e-5, 2.945_822_5e-4, 4.117_087_8e-4, 3.190_571_4e-4, 1.247_038_5e-4, -3.802_484e-5, -1.075_988_55e-4, -1.015_163_3e-4,
        -6.660_731e-5, -3.398_483_8e-5, -1.401_145_9e-5, -4.799_586_3e-6, -1.384_195e-6, -3.389_558_9e-7, -7.088_616_6e-8, 3.878_524e-5,
    ],
    [
        -3.311_678e-3, -2.638_447_3e-3, -1.157_510_7e-3, 3.655_204_2e-4, 1.274_784_7e-3, 1.434_133_5e-3, 1.117_609e-3, 6.813_468_6e-4,
        3.397_502e-4, 1.416_422_2e-4, 4.996_143_6e-5, 1.502_933_3e-5, 3.876_015e-6, 8.601_803e-7, 1.647_196e-7, 3.883_034_5e-5,
    ],
    [
        5.675_554e-6, -9.194_129e-3, -0.015_029_317, -0.016_108_166, -0.013_415_929, -9.157_726e-3, -5.246_283e-3, -2.554_546_8e-3,
        -1.065_076_9e-3, -3.820_993_3e-4, -1.183_593_4e-4, -3.172_883_2e-5, -7.373_712_4e-6, -1.487_546_8e-6, -2.607_653e-7, 1.208_885e-5,
    ],
    [
        0.146_278_55, 0.136_767_98, 0.111_790_39, 0.079_879_77, 0.049_897_66, 0.027_247_88, 0.013_007_449, 5.428_201e-3,
        1.980_251_4e-3, 6.315_041_7e-4, 1.760_457e-4, 4.290_024_3e-5, 9.138_462e-6, 1.701_604e-6, 2.769_543_8e-7, 1.252_797_9e-6,
    ],
    [
        -0.5, -0.356_933_83, -0.231_677_58, -0.135_666_09, -0.071_233_41, -0.033_376_522, -0.013_903_45, -5.134_057_3e-3,
        -1.676_717e-3, -4.834_246_4e-4, -1.228_667_5e-4, -2.749_578e-5, -5.412_616_2e-6, -9.365_166_4e-7, -1.423_333_9e-7, 0.0,
    ],
];

/// From here on `gelu` is its operand, or 0.
const GELU_BOUND: f32 = 5.5;

/// What [`Functions::exp_parts`] gives, `n` in sixteenths: `exp(x)` is `p * 2^floor(n)`.
pub fn exp_parts<M: Machine>(m: &mut M, x: M::Number) -> (M::Number, M::Number) {
    let log2e = m.number(x, std::f32::consts::LOG2_E);
    let rounder = m.number(x, SIXTEENTHS);
    let shifted = m.fma(x, log2e, rounder);
    let n = m.sub(shifted, rounder);
    let high = m.number(x, -0.693_359_4);
    let low = m.number(x, 2.121_944_4e-4);
    let r = m.fma(n, high, x);
    let r = m.fma(n, low, r);
    let power = m.entry(shifted, &POWERS);
    let p = m.horner(r, &[1.666_666_6e-1, 0.5]);
    let square = m.mul(r, r);
    let p = m.fma(p, square, r);
    (m.fma(power, p, power), n)
}

/// `x` times a polynomial in the distance of `|x|` from a multiple of 1/4; at the bound the product is exactly 1.
pub fn erf<M: Machine>(m: &mut M, x: M::Number) -> M::Number {
    let x = m.at_least(-ERF_BOUND, x);
    let x = m.at_most(ERF_BOUND, x);
    let size = m.abs(x);
    let rounder = m.number(x, QUARTERS);
    let shifted = m.add(size, rounder);
    let nearest = m.sub(shifted, rounder);
    let d = m.sub(size, nearest);
    let mut p = m.entry(shifted, &ERF[0]);
    for coefficients in &ERF[1..] {
        let c = m.entry(shifted, coefficients);
        p = m.fma(p, d, c);
    }
    m.mul(x, p)
}

/// `x / 2 * (1 + erf(x / sqrt(2)))`: what is positive of `x` without `|x|` times a polynomial, which goes by where `|x|` lies.
/// So the result is as accurate as `x` is large on both sides of 0, and no sign has to be put back.
pub fn gelu<M: Machine>(m: &mut M, x: M::Number) -> M::Number {
    let size = m.abs(x);
    let size = m.at_most(GELU_BOUND, size);
    let scale = m.number(x, 15.0 / GELU_BOUND);
    let rounder = m.number(x, WHOLE);
    let shifted = m.fma(size, scale, rounder);
    let nearest = m.sub(rounder, shifted);
    let d = m.fma(size, scale, nearest);
    let mut p = m.entry(shifted, &GELU[0]);
    for coefficients in &GELU[1..] {
        let c = m.entry(shifted, coefficients);
        p = m.fma(p, d, c);
    }
    let positive = m.at_least(0.0, x);
    m.fma(size, p, positive)
}

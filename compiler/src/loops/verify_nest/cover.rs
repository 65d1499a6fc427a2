//! Which elements of a buffer were written, and whether some others are all among them.
//!
//! Addresses are split into digits by the sizes of trailing axes, wherever every region can be: then a region is a
//! product of progressions, one for each digit, and a union of products is compared with another digit by digit, by
//! classes of values that lie in the same regions. Nothing is enumerated that grows with the size of a buffer.
//!
//! Where regions are no such products, or too many, more counts as written than may be.

use super::region::{Region, merged};

/// With more regions than this, a buffer counts as written.
const MOST_REGIONS: usize = 256;
/// Classes looked at before a comparison is given up.
const MOST_CLASSES: usize = 20_000;
/// The longest period of a class.
const LONGEST_PERIOD: i64 = 256;

/// What was written of one buffer.
#[derive(Debug, Default)]
pub(super) struct Written {
    regions: Vec<Region>,
    /// Everything was.
    whole: bool,
    /// How many regions there were when it was found not to be everything.
    compared: usize,
}

impl Written {
    pub fn everything() -> Written {
        Written { whole: true, ..Written::default() }
    }

    pub fn add(&mut self, region: Region) {
        let known = |r: &Region| r.first == region.first && r.runs == region.runs;
        if !self.whole && !self.regions.iter().any(known) {
            self.regions.push(region);
            self.whole = self.regions.len() > MOST_REGIONS;
        }
    }

    /// Was every element written? `sizes`: of the trailing axes of the buffer's shapes.
    pub fn is_whole(&mut self, size: i64, sizes: &[i64]) -> bool {
        if !self.whole && self.compared < self.regions.len() {
            self.compared = self.regions.len();
            self.whole = covers(&self.regions, &Region::whole(size), sizes);
        }
        self.whole
    }

    /// Was every element of `read` written? True also where that is not known.
    pub fn has(&mut self, read: &Region, size: i64, sizes: &[i64]) -> bool {
        self.is_whole(size, sizes) || !read.exact || covers(&self.regions, read, sizes)
    }
}

/// `first + step * i` for `i` below the count.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Progression {
    first: i64,
    step: i64,
    count: i64,
    exact: bool,
}

impl Progression {
    /// That of runs, or one around them.
    fn new(first: i64, runs: Vec<(i64, i64)>) -> Progression {
        match merged(runs)[..] {
            [] => Progression { first, step: 1, count: 1, exact: true },
            [(step, count)] => Progression { first, step, count, exact: true },
            ref several => {
                let step = several.iter().fold(0, |g, (s, _)| gcd(*s, g));
                let length: i64 = several.iter().map(|(s, n)| s * (n - 1)).sum();
                Progression { first, step, count: length / step + 1, exact: false }
            }
        }
    }

    fn has(&self, value: i64) -> bool {
        let ahead = value - self.first;
        ahead >= 0 && ahead % self.step == 0 && ahead / self.step < self.count
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn covers(regions: &[Region], wanted: &Region, sizes: &[i64]) -> bool {
    if regions.iter().any(|r| r.first == wanted.first && r.runs == wanted.runs) {
        return true;
    }
    let all = || regions.iter().chain([wanted]);
    let mut sorted = sizes.to_vec();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let mut radices: Vec<i64> = vec![];
    for size in sorted {
        let divides = radices.last().is_none_or(|r| r % size == 0);
        radices.push(size);
        if !divides || !all().all(|r| digits(r, &radices).is_some()) {
            radices.pop();
        }
    }
    let Some(wanted) = digits(wanted, &radices) else { return true };
    let regions: Vec<Vec<Progression>> = regions.iter().filter_map(|r| digits(r, &radices)).collect();
    let among: Vec<usize> = (0..regions.len()).collect();
    wanted.iter().any(|p| !p.exact) || Search { regions: &regions, left: MOST_CLASSES }.all(&wanted, 0, &among)
}

/// A region by digits, the highest first; `None` where it is no product of them. `radices` fall, each a multiple of
/// the next.
fn digits(region: &Region, radices: &[i64]) -> Option<Vec<Progression>> {
    let (mut first, mut runs) = (region.first, region.runs.clone());
    let mut found = Vec::with_capacity(radices.len() + 1);
    for radix in radices {
        let (mut above, mut below) = (vec![], vec![]);
        for (step, count) in runs {
            if step % radix == 0 {
                above.push((step / radix, count));
            } else if step * (count - 1) < *radix {
                below.push((step, count));
            } else if radix % step == 0 && (step * count) % radix == 0 {
                above.push((1, step * count / radix));
                below.push((step, radix / step));
            } else {
                return None;
            }
        }
        let low = first.rem_euclid(*radix);
        if low + below.iter().map(|(s, n)| s * (n - 1)).sum::<i64>() >= *radix {
            return None;
        }
        found.push(Progression::new(first.div_euclid(*radix), above));
        (first, runs) = (low, below);
    }
    found.push(Progression::new(first, runs));
    Some(found)
}

struct Search<'a> {
    regions: &'a [Vec<Progression>],
    left: usize,
}

impl Search<'_> {
    /// Is all of `wanted`, from the `digit`th on, in the union of the regions `among`?
    fn all(&mut self, wanted: &[Progression], digit: usize, among: &[usize]) -> bool {
        let Some(w) = wanted.get(digit) else { return !among.is_empty() };
        if among.is_empty() {
            return false;
        }
        let here: Vec<Progression> = among.iter().map(|r| self.regions[*r][digit]).collect();
        // Positions in `w` where a region begins or has ended, and after how many its pattern repeats.
        let mut cuts = vec![0, w.count];
        let mut period = 1;
        for p in &here {
            let begin = (p.first - w.first + w.step - 1).div_euclid(w.step);
            let end = (p.first + p.step * (p.count - 1) - w.first).div_euclid(w.step) + 1;
            cuts.extend([begin.clamp(0, w.count), end.clamp(0, w.count)]);
            if p.count > 1 {
                let own = p.step / gcd(p.step, w.step);
                period = period / gcd(period, own) * own;
            }
            if period > LONGEST_PERIOD {
                return true;
            }
        }
        cuts.sort_unstable();
        cuts.dedup();
        let mut seen: Vec<Vec<usize>> = vec![];
        for pair in cuts.windows(2) {
            for i in pair[0]..pair[1].min(pair[0] + period) {
                if self.left == 0 {
                    return true;
                }
                self.left -= 1;
                let value = w.first + w.step * i;
                let class: Vec<usize> =
                    among.iter().zip(&here).filter(|(_, p)| p.has(value)).map(|(r, _)| *r).collect();
                if !seen.contains(&class) {
                    if !self.all(wanted, digit + 1, &class) {
                        return false;
                    }
                    seen.push(class);
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(first: i64, runs: &[(i64, i64)]) -> Region {
        Region { first, runs: merged(runs.to_vec()), exact: true }
    }

    fn written(regions: &[Region]) -> Written {
        let mut w = Written::default();
        regions.iter().for_each(|r| w.add(r.clone()));
        w
    }

    /// The phases of a gradient with strides `s` in a picture of `h` by `w` by `c`, of which there are `n`.
    fn phases(n: i64, [h, w]: [i64; 2], c: i64, s: i64) -> Vec<Region> {
        let part = |y: i64, x: i64| {
            let runs = [(h * w * c, n), (s * w * c, (h - y + s - 1) / s), (s * c, (w - x + s - 1) / s), (1, c)];
            region((y * w + x) * c, &runs)
        };
        (0..s.min(h)).flat_map(|y| (0..s.min(w)).map(move |x| part(y, x))).collect()
    }

    #[test]
    fn phases_of_strides_cover_together_and_only_together() {
        for (n, [h, w], c, s) in [(4, [3, 3], 40, 2), (7, [8, 8], 3, 3), (2, [5, 9], 1, 2), (256, [112, 111], 64, 2)] {
            let all = phases(n, [h, w], c, s);
            let (size, sizes) = (n * h * w * c, [h * w * c, w * c, c]);
            assert!(written(&all).is_whole(size, &sizes), "{n} {h} {w} {c} {s}");
            for skip in 0..all.len() {
                let mut some = all.clone();
                let skipped = some.remove(skip);
                let mut some = written(&some);
                assert!(!some.is_whole(size, &sizes), "{n} {h} {w} {c} {s} without {skip}");
                assert!(!some.has(&skipped, size, &sizes));
                assert!(some.has(&all[(skip + 1) % all.len()], size, &sizes));
            }
        }
    }

    #[test]
    fn parts_side_by_side() {
        let panel = |first: i64, columns: i64| region(first, &[(100, 10), (1, columns)]);
        let mut w = written(&[panel(0, 64), panel(64, 32)]);
        assert!(!w.is_whole(1000, &[100]));
        assert!(w.has(&panel(10, 80), 1000, &[100]));
        assert!(!w.has(&panel(10, 90), 1000, &[100]));
        w.add(panel(96, 4));
        assert!(w.is_whole(1000, &[100]));
    }

    #[test]
    fn what_crosses_axes_is_compared_as_it_lies() {
        let mut w = written(&[region(0, &[(1, 250)]), region(250, &[(1, 740)])]);
        assert!(!w.is_whole(1000, &[100]));
        assert!(w.has(&region(5, &[(1, 900)]), 1000, &[100]));
        w.add(region(980, &[(1, 20)]));
        assert!(w.is_whole(1000, &[100]));
    }

    #[test]
    fn against_every_element() {
        let mut x = 1u64;
        let mut draw = |n: i64| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((x >> 33) % n as u64) as i64
        };
        let (shape, size) = ([3, 6, 4], 72);
        let mut both = [0, 0];
        for _ in 0..2000 {
            let mut one = || {
                let (mut first, mut runs) = (0, vec![]);
                for (axis, stride) in shape.iter().zip([24, 4, 1]) {
                    let (start, step) = (draw(2), 1 + draw(2));
                    let count = (axis - start + step - 1) / step - draw(2).min((axis - start - 1) / step);
                    first += start * stride;
                    runs.push((step * stride, count));
                }
                region(first, &runs)
            };
            let regions: Vec<Region> = (0..4).map(|_| one()).collect();
            let wanted = one();
            let elements = |r: &Region| {
                r.runs.iter().fold(vec![r.first], |all, (s, n)| {
                    all.iter().flat_map(|a| (0..*n).map(move |i| a + s * i)).collect::<Vec<i64>>()
                })
            };
            let have: Vec<i64> = regions.iter().flat_map(elements).collect();
            let is = elements(&wanted).iter().all(|a| have.contains(a));
            assert_eq!(written(&regions).has(&wanted, size, &[24, 4]), is, "{regions:?} {wanted:?}");
            both[usize::from(is)] += 1;
        }
        assert!(both.iter().all(|n| *n > 100), "{both:?}");
    }
}

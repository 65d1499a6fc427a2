//! Names that are close to a misspelt one.

/// Restricted Damerau-Levenshtein distance over characters.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for j in 0..=b.len() {
        rows[0][j] = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut d = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                d = d.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = d;
        }
    }
    rows[a.len()][b.len()]
}

/// A program with more names was not written by hand.
const MOST: usize = 4000;

/// The closest of `names`, if it is close enough to be meant.
pub fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // Very long names are no typing mistakes, and the table would be large.
    if name.len() > 60 {
        return None;
    }
    // One letter for another is no typing mistake.
    let length = name.chars().count();
    let limit = if length < 3 { 0 } else { (length / 3).max(1) };
    let lower = name.to_lowercase();
    names
        .into_iter()
        .take(MOST)
        .filter(|n| *n != name && n.len() <= 60)
        .map(|n| (distance(&lower, &n.to_lowercase()), n))
        .filter(|(d, _)| *d <= limit)
        .min()
        .map(|(_, n)| n)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant() {
        assert_eq!(nearest("desne", ["dense", "conv"]), Some("dense"));
        assert_eq!(nearest("Relu", ["relu", "elu"]), Some("relu"));
        assert_eq!(nearest("banana", ["dense", "conv"]), None);
    }
}

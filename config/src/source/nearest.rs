//! Which known name someone may have meant.

/// Longer names get no suggestion: the comparison costs the product of the lengths.
const LENGTH_MAX: usize = 64;

/// The name with the fewest changes to `name`, and how many they are; none when all of it would change.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, usize)> {
    if name.len() > LENGTH_MAX {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (candidate, distance(name, candidate)))
        .min_by_key(|(_, distance)| *distance)
        .filter(|(_, distance)| *distance <= name.len().div_ceil(2))
}

/// Insertions, deletions, replacements and swaps of neighbours that make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            next[j] = replaced.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                next[j] = next[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_the_slips_of_a_typist() {
        for (a, b, slips) in [
            ("", "", 0),
            ("port", "port", 0),
            ("prot", "port", 1),
            ("por", "port", 1),
            ("ports", "port", 1),
            ("abc", "", 3),
            ("retry", "entry", 2),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (slips, slips), "{a} {b}");
        }
    }

    #[test]
    fn a_name_that_is_like_nothing_gets_no_suggestion() {
        let known = ["retry", "port", "connect_timeout"];
        assert_eq!(nearest("retyr", known), Some(("retry", 1)));
        assert_eq!(nearest("conect_timout", known), Some(("connect_timeout", 2)));
        assert_eq!(nearest("zzzzzzzz", known), None);
        assert_eq!(nearest(&"retry".repeat(20), known), None);
    }
}

//! What somebody may have meant who typed something else.

/// The three of `known` that are nearest to `typed`, nearest first; none where nothing is near.
/// Both sides are compared as they are: lower the case where case does not matter.
pub(crate) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if typed.is_empty() {
        return Vec::new();
    }
    let mut near: Vec<_> = known
        .map(|id| (distance(typed, id), id))
        .filter(|(distance, id)| {
            *distance <= id.len().div_ceil(2) || id.contains(typed) || typed.contains(id)
        })
        .collect();
    near.sort_unstable();
    near.into_iter().take(3).map(|(_, id)| id).collect()
}

/// How many characters to insert, drop or change (Levenshtein). Both sides are short:
/// what is longer than any id counts as far away.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    if a.len() > 40 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut above_left = i;
        let mut left = i.saturating_add(1);
        let mut cells = row.iter_mut();
        if let Some(first) = cells.next() {
            *first = left;
        }
        for (y, cell) in b.chars().zip(cells) {
            let above = *cell;
            let change = above_left.saturating_add(usize::from(x != y));
            left = change
                .min(above.saturating_add(1))
                .min(left.saturating_add(1));
            above_left = above;
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

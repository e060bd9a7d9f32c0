//! "Did you mean": the accepted word that a misspelt one was probably meant to be.
//!
//! Optimal string alignment distance (Levenshtein with swaps of neighbours), since swapped letters are the commonest slip.
//! Start at [`nearest`]. Far-fetched guesses are worse than none: a word must agree in two letters of three, or contain
//! the other.

/// The candidate nearest to `word`, if any is near enough. Case and `-` against `_` do not count as differences.
pub(super) fn nearest<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let wanted = normal(word);
    // Whoever pastes a page into a name wants no guess, and the distance is quadratic.
    if wanted.is_empty() || wanted.len() > 64 {
        return None;
    }
    let far = |candidate: &str| distance(&wanted, &normal(candidate));
    let near = |most: usize| {
        let allowed = |candidate: &str| (wanted.len().max(candidate.len()) / 3).clamp(1, most);
        let measured = candidates.iter().map(|candidate| (far(candidate), *candidate));
        measured.filter(|(far, candidate)| *far <= allowed(candidate)).min_by_key(|(far, _)| *far).map(|(_, near)| near)
    };
    let text: String = wanted.iter().collect();
    let contains = |candidate: &&&str| {
        let other: String = normal(candidate).into_iter().collect();
        text.len() >= 4 && other.len() >= 4 && (other.contains(&text) || text.contains(&other))
    };
    // A part left out (`pre-committed`) is likelier than many wrong letters, and less likely than two of them.
    near(2).or_else(|| candidates.iter().filter(contains).min_by_key(|c| c.len()).copied()).or_else(|| near(usize::MAX))
}

/// Help for a word that is not among `accepted`: the guess first, then everything there is to choose from.
pub(super) fn choose(word: &str, accepted: &[&str]) -> String {
    guess_then(nearest(word, accepted), &format!("accepted: {}", quoted(accepted)))
}

/// Help that needs no list: the guess, if there is one, before `rest`, which begins in lower case.
pub(super) fn guess_then(guess: Option<&str>, rest: &str) -> String {
    let Some(guess) = guess else { return rest.to_owned() };
    let mut letters = rest.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    format!("did you mean `{guess}`? {}", first.chain(letters).collect::<String>())
}

/// `` `a`, `b`, `c` ``; `nothing` for an empty list.
pub(super) fn quoted(words: &[&str]) -> String {
    if words.is_empty() {
        return "nothing".to_owned();
    }
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn normal(word: &str) -> Vec<char> {
    word.trim().to_lowercase().chars().map(|c| if c == '_' || c == ' ' { '-' } else { c }).collect()
}

fn distance(a: &[char], b: &[char]) -> usize {
    // Three rows of the table suffice: a swap looks back two.
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (vec![0; b.len() + 1], (0..=b.len()).collect());
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let keys = ["interval", "min_pause", "timeout", "retained", "backend"];
        assert_eq!(nearest("intervall", &keys), Some("interval"));
        assert_eq!(nearest("timeuot", &keys), Some("timeout"));
        assert_eq!(nearest("Min-Pause", &keys), Some("min_pause"));
        assert_eq!(nearest("colour", &keys), None);
        assert_eq!(nearest("", &keys), None);
        assert_eq!(nearest("pre-committed", &["sink-pre-committed", "sink-committed"]), Some("sink-pre-committed"));
    }

    #[test]
    fn distance_counts_swaps_once() {
        let of = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(of("", "abc"), 3);
        assert_eq!(of("naem", "name"), 1);
        assert_eq!(of("kitten", "sitting"), 3);
    }
}

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
    let far = |candidate: &str| strsim::osa_distance(&wanted, &normal(candidate));
    let near = |most: usize| {
        let allowed = |candidate: &str| (wanted.chars().count().max(candidate.len()) / 3).clamp(1, most);
        let measured = candidates.iter().map(|candidate| (far(candidate), *candidate));
        measured.filter(|(far, candidate)| *far <= allowed(candidate)).min_by_key(|(far, _)| *far).map(|(_, near)| near)
    };
    let contains = |candidate: &&&str| {
        let other = normal(candidate);
        wanted.len() >= 4 && other.len() >= 4 && (other.contains(&wanted) || wanted.contains(&other))
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

fn normal(word: &str) -> String {
    word.trim().to_lowercase().chars().map(|c| if c == '_' || c == ' ' { '-' } else { c }).collect()
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
}

//! "Did you mean": finds the accepted word that a misspelt one was probably meant to be.
//!
//! Uses the optimal string alignment distance (Levenshtein with swaps of neighbours), because swapped letters are the
//! most common mistake. Start at [`nearest`]. A far-fetched guess is worse than none: a word must agree in two letters
//! of three, or contain the other.

/// Words of other tools, and their names here.
const CALLED: &[(&str, &str)] = &[
    ("partition", "cut"),
    ("network-partition", "cut"),
    ("disconnect", "cut"),
    ("split-brain", "rival-leader"),
    ("crash", "kill"),
    ("sigkill", "kill"),
    ("restart", "kill"),
    ("sigstop", "pause"),
    ("freeze", "pause"),
    ("gc-pause", "pause"),
    ("disk-full", "no-space"),
    ("packet-loss", "lose-message"),
    ("drop-message", "lose-message"),
    ("clock-skew", "clock-drift"),
    ("slow-disk", "slow-store"),
    ("corrupt", "damage"),
    ("bit-flip", "flip-byte"),
    ("at-most-once", "exactly-once"),
    ("at-least-once", "exactly-once"),
    ("hashmap", "memory"),
    ("heap", "memory"),
    ("taskmanagers", "task_managers"),
    ("num-task-managers", "task_managers"),
    ("taskslots", "slots"),
];

/// Features of other stream engines that this one does not have, by a part of their name.
const ABSENT: &[(&str, &str)] = &[
    ("unaligned", "unaligned checkpoints"),
    ("incremental", "incremental checkpoints"),
    ("changelog", "changelog state"),
    ("savepoint", "savepoints"),
    ("local-recovery", "local recovery"),
    ("watermark", "watermarks"),
    ("event-time", "event time"),
    ("kafka", "Kafka connectors"),
    ("regional", "failover of regions"),
];

/// The feature that `word` asks for, if this engine does not have it.
pub(crate) fn absent(word: &str) -> Option<&'static str> {
    let wanted = normal(word);
    ABSENT.iter().find(|(part, _)| wanted.contains(part)).map(|(_, what)| *what)
}

/// The candidate nearest to `word`, if one is near enough. Case, `-` instead of `_`, and the order of words do not
/// count as differences. Words of other tools are recognised.
pub(crate) fn nearest<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let wanted = normal(word);
    let called = CALLED.iter().find(|(other, _)| *other == wanted).map(|(_, here)| *here);
    let same = |candidate: &&&str| called == Some(**candidate) || sorted(&wanted) == sorted(&normal(candidate));
    if let Some(same) = candidates.iter().find(same) {
        return Some(same);
    }
    // A very long word is no misspelt name, and the distance takes quadratic time.
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
    // A left-out part (`pre-committed`) is more likely than many wrong letters, and less likely than two of them.
    near(2).or_else(|| candidates.iter().filter(contains).min_by_key(|c| c.len()).copied()).or_else(|| near(usize::MAX))
}

/// Help for a word that is not among `accepted`: first the guess, then all accepted words.
pub(crate) fn choose(word: &str, accepted: &[&str]) -> String {
    let rest = format!("accepted: {}", quoted(accepted));
    match absent(word) {
        Some(what) => format!("this engine has no {what} yet; {rest}"),
        None => guess_then(nearest(word, accepted), &rest),
    }
}

/// Help without a list: the guess, if there is one, before `rest`, which begins in lower case.
pub(crate) fn guess_then(guess: Option<&str>, rest: &str) -> String {
    let Some(guess) = guess else { return rest.to_owned() };
    let mut letters = rest.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    format!("did you mean `{guess}`? {}", first.chain(letters).collect::<String>())
}

/// `` `a`, `b`, `c` ``; `nothing` for an empty list.
pub(crate) fn quoted(words: &[&str]) -> String {
    if words.is_empty() {
        return "nothing".to_owned();
    }
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The words of a name in alphabetical order, so that `max_outage` is found to be `outage_max`.
fn sorted(normal: &str) -> Vec<&str> {
    let mut words: Vec<&str> = normal.split('-').collect();
    words.sort_unstable();
    words
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

    #[test]
    fn what_people_type_is_understood() {
        assert_eq!(nearest("max_outage", &["recovery_max", "outage_max"]), Some("outage_max"));
        assert_eq!(nearest("partition", &["kill", "cut"]), Some("cut"));
        assert_eq!(nearest("partition", &["kill"]), None);
        assert_eq!(absent("unaligned"), Some("unaligned checkpoints"));
        assert_eq!(
            choose("enable_unaligned", &["interval"]),
            "this engine has no unaligned checkpoints yet; accepted: `interval`"
        );
        assert!(CALLED.iter().all(|(other, _)| normal(other) == *other));
    }
}

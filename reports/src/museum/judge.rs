//! Compares two kill matrices: what must not pass, and what is new.

use super::{Fate, KillMatrix, Method, Row};

/// What must not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The bug was found before, and is not found any more.
    Survived {
        /// The method that found it.
        method: Method,
        /// The checks that noticed it.
        noticed: String,
    },
    /// The bug's code was never reached.
    Stale,
    /// The bug was found neither before nor now, and no reason is given.
    Unexcused,
    /// The catalogue has the bug and the baseline does not.
    Added,
    /// The baseline has the bug and the catalogue does not.
    Gone,
}

impl Problem {
    /// The problem in words.
    pub fn text(&self) -> String {
        match self {
            Self::Survived { method, noticed } => {
                format!("KILLED → SURVIVED: {} found it ({noticed}), and passes it by now", method.name())
            }
            Self::Stale => "STALE: it never made its mistake, so no run says anything about it".into(),
            Self::Unexcused => "SURVIVED: nothing finds it, and the catalogue does not say why".into(),
            Self::Added => "DRIFT: it is in the catalogue and not in the baseline".into(),
            Self::Gone => "DRIFT: it is in the baseline and no longer in the catalogue".into(),
        }
    }
}

/// The result of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Whether the baseline was made by another engine.
    pub other_engine: bool,
    /// Problems, each with the name of its bug.
    pub problems: Vec<(String, Problem)>,
    /// What the baseline does not have yet, which is not a problem.
    pub news: Vec<String>,
}

/// Compares `now` with `before`. `whole`: all bugs were searched for, so a bug that is missing no longer exists.
pub fn judge(before: &KillMatrix, now: &KillMatrix, whole: bool) -> Judgement {
    let mut problems = Vec::new();
    let mut news = Vec::new();
    for row in &now.bugs {
        let old = before.row(&row.bug);
        let mut add = |problem| problems.push((row.bug.clone(), problem));
        match old {
            None => add(Problem::Added),
            Some(old) => lost(old, row).into_iter().for_each(&mut add),
        }
        // The scripted scenario of the catalogue is meant to reach the bug; other searches may not reach it.
        let shows = row.found.contains_key(&Method::Scripted);
        match row.fate() {
            Fate::Survived | Fate::Stale if !shows => {}
            Fate::Stale => add(Problem::Stale),
            Fate::Survived if row.excused.is_empty() && old.is_none_or(|old| !found_by_same(old, row)) => {
                add(Problem::Unexcused);
            }
            Fate::Survived | Fate::Killed => {}
        }
        if let Some(old) = old {
            news.extend(gained(old, row));
        }
    }
    if whole {
        let gone = before.bugs.iter().filter(|row| now.row(&row.bug).is_none());
        problems.extend(gone.map(|row| (row.bug.clone(), Problem::Gone)));
    }
    Judgement { other_engine: before.engine != now.engine, problems, news }
}

/// Methods that found the bug before and do not any more.
fn lost(old: &Row, row: &Row) -> Vec<Problem> {
    let lost = row.found.iter().filter_map(|(method, now)| {
        let before = old.found.get(method).filter(|before| before.fate == Fate::Killed)?;
        // A search with fewer runs than the bug took before shows nothing.
        let as_long = before.runs.iter().flatten().max().is_none_or(|most| *most <= now.budget);
        (now.fate == Fate::Survived && as_long)
            .then(|| Problem::Survived { method: *method, noticed: before.noticed.join(", ") })
    });
    lost.collect()
}

/// Whether one of the methods used now found the bug before. That is already reported.
fn found_by_same(old: &Row, row: &Row) -> bool {
    !lost(old, row).is_empty()
}

fn gained(old: &Row, row: &Row) -> Vec<String> {
    let gained = row.found.iter().filter_map(|(method, now)| {
        let before = old.found.get(method)?;
        (before.fate != Fate::Killed && now.fate == Fate::Killed)
            .then(|| format!("{}: {} finds it now ({})", row.bug, method.name(), now.noticed.join(", ")))
    });
    gained.collect()
}

//! Two kill matrices held against each other: what may not pass, and what is news.

use super::{Fate, KillMatrix, Method, Row};

/// What may not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It was found before, and is not any more.
    Survived {
        /// By what it was found.
        method: Method,
        /// Who noticed.
        noticed: String,
    },
    /// Its code never ran.
    Stale,
    /// Neither found before nor now, and nobody says why.
    Unexcused,
    /// The catalogue names it and the baseline does not.
    Added,
    /// The baseline names it and the catalogue does not.
    Gone,
}

impl Problem {
    /// For people.
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

/// What a comparison came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The engine is another than that of the baseline.
    pub other_engine: bool,
    /// By bug.
    pub problems: Vec<(String, Problem)>,
    /// What the baseline does not know yet, and nobody has to mind.
    pub news: Vec<String>,
}

/// Holds `now` against `before`. `whole`: all bugs were searched for, so one that is missing is gone.
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
        // The scripted scenario of the catalogue is there to show the bug; any other search may be one that does not lead to it.
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

/// Ways that found it and do not any more.
fn lost(old: &Row, row: &Row) -> Vec<Problem> {
    let lost = row.found.iter().filter_map(|(method, now)| {
        let before = old.found.get(method).filter(|before| before.fate == Fate::Killed)?;
        // A search that tried less than it took before says nothing.
        let as_long = before.runs.iter().flatten().max().is_none_or(|most| *most <= now.budget);
        (now.fate == Fate::Survived && as_long)
            .then(|| Problem::Survived { method: *method, noticed: before.noticed.join(", ") })
    });
    lost.collect()
}

/// Whether one of the ways searched now found it before: that is told already.
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

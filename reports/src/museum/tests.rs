use super::*;
use crate::ansi::Color;

fn found(fate: Fate, runs: &[Option<u64>]) -> Found {
    let killed = fate == Fate::Killed;
    Found {
        fate,
        by: killed.then(|| ("no-fault".into(), 1)),
        strike: None,
        noticed: if killed { vec!["O1".into(), "O7".into()] } else { Vec::new() },
        runs: runs.to_vec(),
        budget: 20,
        cpu_ms: 40,
    }
}

fn row(bug: &str, fate: Fate) -> Row {
    let runs = if fate == Fate::Killed { [Some(1)] } else { [None] };
    let found = BTreeMap::from([(Method::Scripted, found(fate, &runs))]);
    Row { bug: bug.into(), like: "a mistake".into(), excused: String::new(), found }
}

fn matrix(rows: Vec<Row>) -> KillMatrix {
    KillMatrix { matrix_version: MATRIX_VERSION, engine: "e".into(), bugs: rows }
}

fn problems(before: &KillMatrix, now: &KillMatrix) -> Vec<String> {
    let problems = judge(before, now, true).problems;
    problems.into_iter().map(|(bug, problem)| format!("{bug} {}", problem.text().split(':').next().unwrap())).collect()
}

#[test]
fn a_matrix_is_read_back_and_what_is_none_is_refused() {
    let mut excused = row("b", Fate::Survived);
    excused.excused = "nothing \"can\" tell".into();
    let struck = Found { strike: Some("kill tm-1, \"back\"".into()), ..found(Fate::Killed, &[Some(3)]) };
    excused.found.insert(Method::Exhaust, struck);
    excused.found.insert(Method::Swarm, found(Fate::Survived, &[None, Some(7)]));
    let written = matrix(vec![row("a", Fate::Killed), excused]);
    assert_eq!(KillMatrix::parse(&written.text()), Ok(written.clone()), "MATRIX-M1");
    let refused = |text: String| KillMatrix::parse(&text).unwrap_err().to_string();
    assert!(refused(written.text().replace("\"b\"", "\"a\"")).contains("`a` stands in it twice"));
    assert!(refused(written.text().replace("version\": 1", "version\": 9")).contains("has version 9"));
    assert!(refused("[]".into()).contains("no kill matrix"));
}

#[test]
fn what_gets_worse_fails_and_what_gets_better_is_news() {
    let both = matrix(vec![row("a", Fate::Killed), row("b", Fate::Killed)]);
    assert_eq!(problems(&both, &both), [""; 0]);
    let now = matrix(vec![row("a", Fate::Survived), row("b", Fate::Stale)]);
    assert_eq!(problems(&both, &now), ["a KILLED → SURVIVED", "b STALE"]);
    let now = matrix(vec![row("a", Fate::Killed), row("c", Fate::Killed)]);
    assert_eq!(problems(&both, &now), ["c DRIFT", "b DRIFT"]);
    assert_eq!(judge(&both, &matrix(vec![row("a", Fate::Killed)]), false).problems, []);

    let survivor = matrix(vec![row("a", Fate::Survived)]);
    assert_eq!(problems(&survivor, &survivor), ["a SURVIVED"], "nobody says why");
    let mut excused = survivor.clone();
    excused.bugs[0].excused = "nothing can tell".into();
    assert_eq!(problems(&excused, &excused), [""; 0]);
    let judged = judge(&excused, &matrix(vec![row("a", Fate::Killed)]), true);
    assert_eq!((judged.problems.len(), judged.news), (0, vec!["a: scripted finds it now (O1, O7)".into()]));
    let other = KillMatrix { engine: "f".into(), ..both.clone() };
    assert!(judge(&both, &other, true).other_engine);
}

#[test]
fn a_shorter_search_than_the_kill_took_is_no_survival() {
    let with = |fate, runs: &[Option<u64>], budget| {
        let mut row = row("a", Fate::Killed);
        row.found.insert(Method::Swarm, Found { budget, ..found(fate, runs) });
        matrix(vec![row])
    };
    let before = with(Fate::Killed, &[Some(300)], 1000);
    assert_eq!(problems(&before, &with(Fate::Survived, &[None], 100)), [""; 0]);
    assert_eq!(problems(&before, &with(Fate::Survived, &[None], 300)), ["a KILLED → SURVIVED"]);
}

#[test]
fn only_scripted_scenarios_say_that_a_bug_is_stale_or_never_found() {
    let by = |method, fate| {
        let mut row = row("a", Fate::Killed);
        row.found = BTreeMap::from([(method, found(fate, &[None]))]);
        matrix(vec![row])
    };
    let before = matrix(vec![row("a", Fate::Killed)]);
    for fate in [Fate::Survived, Fate::Stale] {
        assert_eq!(problems(&before, &by(Method::Swarm, fate)), [""; 0]);
        assert_eq!(problems(&before, &by(Method::Scripted, fate)).len(), 1);
    }
}

#[test]
fn a_start_without_a_kill_is_longer_than_any() {
    assert_eq!(found(Fate::Killed, &[Some(5), Some(1), None]).median(), Some(5));
    assert_eq!(found(Fate::Killed, &[Some(5), None, None]).median(), None);
    assert_eq!(found(Fate::Survived, &[]).median(), None);
}

#[test]
fn what_was_not_searched_again_is_kept() {
    let mut before = matrix(vec![row("a", Fate::Killed)]);
    before.bugs[0].found.insert(Method::Swarm, found(Fate::Killed, &[Some(3)]));
    let merged = matrix(vec![row("a", Fate::Survived)]).over(Some(&before));
    assert_eq!(merged.bugs[0].found[&Method::Swarm].runs, [Some(3)]);
    assert_eq!(merged.bugs[0].found[&Method::Scripted].fate, Fate::Survived);
}

#[test]
fn the_terminal_fits_and_the_page_keeps_text_as_text() {
    let mut hostile = row("a-bug-with-a-name-of-some-length", Fate::Killed);
    hostile.like = "<script>alert(1)</script>".into();
    hostile.found.get_mut(&Method::Scripted).unwrap().by =
        Some(("a-scenario-with-quite-a-long-name-of-its-own".into(), 3));
    let struck = Found { strike: Some("kill tm-1".into()), runs: vec![Some(1_234)], ..found(Fate::Killed, &[]) };
    hostile.found.insert(Method::Exhaust, struck);
    let matrix = matrix(vec![hostile, row("b", Fate::Survived)]);
    let judgement = judge(&matrix, &matrix, true);
    let text = text(&matrix, Some(&judgement), crate::ansi::Screen { color: Color::No, width: 80 });
    insta::assert_snapshot!(text);
    let page = page(&matrix, "museum");
    assert!(!page.contains("<script") && page.contains("seed 3"), "{page}");
}

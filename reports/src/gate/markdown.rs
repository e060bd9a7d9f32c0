//! The judgement as Markdown, for a comment on a pull request.
//!
//! Start at [`comment`]: one line with the result, the tables of what should be looked at, and the rest folded. The
//! first line is a mark by which a script finds its own comment again.

use super::judge::Judgement;
use super::outcome::Outcome;
use super::tables;
use crate::markdown::{escaped, fenced, folded, table, titled};

/// A mark that a script looks for in order to replace the comment.
pub const MARK: &str = "<!-- flowquake gate -->";

/// The comment, ending with a line break.
pub fn comment(judgement: &Judgement) -> String {
    let outcome = judgement.outcome();
    let sign = match outcome {
        Outcome::Passed => "✅",
        Outcome::NotBuilt => "⚠️",
        _ => "❌",
    };
    let mut out =
        format!("{MARK}\n{sign} **flowquake gate: {}**: {}\n", outcome.label(), escaped(&tables::summary(judgement)));
    for advice in tables::advice(judgement) {
        out += &format!("\n{}\n", escaped(advice));
    }
    out += &titled("Runs that may not pass", &tables::troubles(judgement));
    out += &titled("Slower than the budget", &tables::slower(judgement));
    out += &titled("Faster than the budget", &tables::improved(judgement));
    out += &folded("All scenarios", &table(&tables::scenarios(judgement)));
    for (scenario, run) in judgement.runs().filter(|(_, run)| !tables::evidence(run).is_empty()) {
        let lines: Vec<String> = tables::evidence(run).iter().map(|line| format!("- {}\n", escaped(line))).collect();
        out += &folded(&format!("Evidence of {}, seed {}", escaped(&scenario.scenario), run.seed), &lines.concat());
    }
    let replays: Vec<String> = judgement
        .runs()
        .filter(|(_, run)| !matches!(run.outcome(), Outcome::Passed | Outcome::NotBuilt))
        .map(|(_, run)| run.note.replay.clone())
        .collect();
    if !replays.is_empty() {
        out += &folded("Replay", &fenced(&replays));
    }
    out + &format!("\n{}; budget: {}\n", escaped(&tables::engine(judgement)), judgement.budgets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::fixtures::judgements;

    #[test]
    fn a_comment_for_every_outcome() {
        for (name, judgement) in judgements() {
            insta::assert_snapshot!(name, comment(&judgement));
        }
    }

    #[test]
    fn evidence_stays_text() {
        let (_, mut judgement) = judgements().remove(3);
        let hostile = "</details> | @team `x` [a](b)";
        let note = &mut judgement.scenarios[1].runs[0].note;
        (note.headline, note.evidence) = (hostile.into(), vec![hostile.into(); 2]);
        let comment = comment(&judgement);
        let escaped = r"&lt;/details> \| &#64;team \`x\` \[a\](b)";
        assert!(comment.contains(&format!("- {escaped}\n- {escaped}\n")), "{comment}");
        assert!(comment.contains(r"&lt;/details> \| &#64;team \`x\` \[a\](b)"), "{comment}");
        judgement.scenarios[1].runs[0].note.replay = "run '````\n# @team'".into();
        let comment = super::comment(&judgement);
        assert!(comment.contains("`````sh\n") && comment.contains("run '```` # @team'"), "{comment}");
    }
}

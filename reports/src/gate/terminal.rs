//! The judgement for a terminal.
//!
//! Start at [`text`]. What should be looked at comes last, next to the prompt.

use super::judge::Judgement;
use super::outcome::Outcome;
use super::tables;
use crate::ansi::{Screen, Style, clean, paint};
use crate::table::Table;

/// The judgement as text, ending with a line break.
pub fn text(judgement: &Judgement, screen: impl Into<Screen>) -> String {
    let screen = screen.into();
    let color = screen.color;
    let mut out = tables::scenarios(judgement).text(0, screen);
    let section = |heading: &str, table: &Table| match table.is_empty() {
        true => String::new(),
        false => format!("\n{}\n{}", paint(heading, Style::Heading, color), table.text(2, screen)),
    };
    out += &section("Faster than the budget", &tables::improved(judgement));
    out += &section("Slower than the budget", &tables::slower(judgement));
    out += &section("Runs that may not pass", &tables::troubles(judgement));
    for (scenario, run) in judgement.runs().filter(|(_, run)| !tables::evidence(run).is_empty()) {
        let heading = format!("Evidence of {}, seed {}", clean(&scenario.scenario), run.seed);
        let lines: Vec<String> = tables::evidence(run).iter().map(|line| format!("  {}\n", clean(line))).collect();
        out += &format!("\n{}\n{}", paint(&heading, Style::Heading, color), lines.concat());
    }
    let replays: Vec<String> = judgement
        .runs()
        .filter(|(_, run)| !matches!(run.outcome(), Outcome::Passed | Outcome::NotBuilt))
        .map(|(_, run)| clean(&run.note.replay))
        .collect();
    if !replays.is_empty() {
        out += &format!("\n{}\n{}\n", paint("Replay", Style::Heading, color), replays.join("\n"));
    }
    let outcome = judgement.outcome();
    out += &format!(
        "\n{}\nbudget: {}\n\ngate {}: {}\n",
        tables::engine(judgement),
        judgement.budgets,
        paint(outcome.label(), outcome.style(), color),
        tables::summary(judgement),
    );
    for advice in tables::advice(judgement) {
        out += &format!("  {advice}\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ansi::Color;
    use crate::gate::fixtures::judgements;

    #[test]
    fn every_outcome_reads_well() {
        for (name, judgement) in judgements() {
            insta::assert_snapshot!(name, text(&judgement, Color::No));
        }
    }

    #[test]
    fn colour_only_on_request() {
        let (_, judgement) = judgements().remove(1);
        assert!(text(&judgement, Color::Yes).contains("\x1b[1;31mslower\x1b[0m"));
        assert!(!text(&judgement, Color::No).contains('\x1b'));
    }
}

//! A tuning set as a study: what formulas and rules of thumb say, what was measured, and where and by how much each of
//! them is wrong. Links lead to the files that [`folder`](super::folder) writes beside it.
//!
//! Start at [`study`].

use super::catalogue::{FORMULAS, Formula, SYMBOLS, number};
use super::findings::{Case, Findings, RESTS_ON, name, notes, slug};
use super::rules::{self, RIGHT, Ratios};
use super::scores::{self, GOOD, NOTHING, Score};
use super::svg::cost_file;
use super::{TuningSet, answer, rule_tables, tables, unpassed};
use crate::markdown::{escaped, table};
use crate::numbers::{availability, chosen, percent, range, ratio, signed};
use crate::table::Table;

/// Sections in the list of contents.
const CONTENTS: [&str; 9] = [
    ANSWER,
    CURVES,
    UNPASSED,
    MEASURED,
    BACKENDS,
    INTERVALS,
    "How the formulas did",
    "Rules of thumb",
    "Every curve in full",
];
const ANSWER: &str = "The answer";
const CURVES: &str = "The curves behind it";
const UNPASSED: &str = "What did not pass";
const MEASURED: &str = "How it was measured";
const BACKENDS: &str = "All backends";
const INTERVALS: &str = "All best intervals";

/// The study, ending with a line break.
pub fn study(findings: &Findings<'_>) -> String {
    let set = findings.set;
    let unpassed = unpassed::table(findings);
    let mut out = format!("# Checkpoint interval of {}\n\n", escaped(&set.job));
    if !set.why.is_empty() {
        out += &format!("{}\n\n", escaped(&set.why));
    }
    let contents = CONTENTS.iter().filter(|heading| **heading != UNPASSED || !unpassed.is_empty());
    let links: Vec<String> = contents.map(|heading| format!("[{heading}](#{})", anchor(heading))).collect();
    out += &format!("{}\n\n", links.join(" · "));
    out += "[report.html](report.html) shows every curve, [tuning.json](tuning.json) holds every number.\n";
    let answers: Vec<String> =
        answer::sentences(findings).iter().map(|sentence| format!("- {}", escaped(sentence))).collect();
    out += &section("##", ANSWER, &answers.join("\n"), &answer::table(findings));
    out += &pictures(findings);
    if !unpassed.is_empty() {
        out += &section("##", UNPASSED, unpassed::WHAT, &unpassed);
    }
    out += &measured(set);
    out += &section("##", BACKENDS, RESTS_ON, &tables::recommendations(findings));
    let said = "Cost is work lost and output late, as a share of time. The last columns say what the choice of a formula \
                costs above the best.";
    out += &section("##", INTERVALS, said, &tables::overview(findings));
    out += "\n## How the formulas did\n\n";
    for score in scores::of(findings) {
        out += &format!("- **{}**: {}.\n", escaped(score.formula), escaped(&score.sentence()));
    }
    out += &format!("\n{}", table(&tables::scores(findings)));
    out += &outside(&scores::of(findings));
    out += &format!("\n{}.\n\n", escaped(SYMBOLS));
    for (number, formula) in (1..).zip(&FORMULAS) {
        out += &equation(number, formula);
    }
    out += "\n## Rules of thumb\n";
    let rules = [
        ("Interval = duration + pause", interval_rule(set), rule_tables::interval_rules(set)),
        ("Recovery = duration + state load", recovery_rule(set), rule_tables::recovery_rules(set)),
        ("Larger state, longer checkpoints", size_rule(set), rule_tables::size_rules(set)),
        ("Cost of a checkpoint that writes what changed", CHANGE_RULE.into(), rule_tables::change_rules(set)),
    ];
    for (heading, text, content) in rules {
        out += &section("###", heading, &text, &content);
    }
    out += "\n## Every curve in full\n";
    for (curve, cases) in findings.curves() {
        out += &format!("\n### {}\n\n", escaped(&name(curve)));
        for case in &cases {
            out += &format!("{}\n\n", sentence(case));
            out += &format!("![cost over the interval]({})\n\n", link(&cost_file(case)));
        }
        let others = ["recovery", "availability", "latency"];
        let links = others.map(|what| format!("[{what}]({})", link(&format!("{}-{what}.svg", slug(curve)))));
        out += &format!("Over the interval: {}.\n\n", links.join(", "));
        out += &table(&tables::sensitivity(&cases));
    }
    out
}

/// The anchor that GitHub gives to a heading of plain words.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace(' ', "-")
}

/// The cost over the interval for the backend to use, one picture per state size and load.
fn pictures(findings: &Findings<'_>) -> String {
    let cases = answer::pictures(findings);
    let Some(first) = cases.first() else { return String::new() };
    let mut out = format!(
        "\n## {CURVES}\n\nWhat an interval costs, as a share of time, for a failure every {}: of the backend to take, a picture per \
         state size and load. Too short an interval wastes work on checkpoints, too long a one repeats and delays much after a \
         failure.\n",
        chosen(first.advice.mtbf)
    );
    for case in &cases {
        out += &format!("\n{}\n\n![cost over the interval]({})\n", sentence_of(case), link(&cost_file(case)));
    }
    out
}

/// Such as `fs, 1 MB, load 0.5: 3.02 s costs 0.144 %.`
fn sentence_of(case: &Case<'_>) -> String {
    let best = case.advice.best.zip(case.best_in_words());
    let told = best.map_or_else(String::new, |(best, interval)| format!(": {interval} costs {}", percent(best.cost)));
    format!("**{}**{told}", escaped(&name(case.curve)))
}

/// Scenario, command, and the assumptions behind the numbers.
fn measured(set: &TuningSet) -> String {
    let mut out = format!(
        "\n## {MEASURED}\n\nScenario {}, parallelism {}. Made by {} with\n\n",
        escaped(&set.scenario),
        set.parallelism,
        escaped(&set.program)
    );
    // A code fence in the command would end the block.
    out += &format!("```sh\n{}\n```\n\n", set.command.replace("```", ""));
    for note in notes(set) {
        out += &format!("- {}\n", escaped(&note));
    }
    out
}

/// A formula as an entry of a list, because in the column of a table its equation would be broken.
fn equation(number: usize, formula: &Formula) -> String {
    // A part that consists of words is not an equation.
    let told = |part: &String| if part.contains(['=', '/']) { format!("`{part}`") } else { escaped(part) };
    let parts: Vec<String> = formula.parts().iter().map(told).collect();
    format!(
        "{number}. **{}**: {}. Presumes: {}. Source: {}.\n",
        escaped(formula.name),
        parts.join(", "),
        escaped(formula.presumes),
        escaped(formula.source)
    )
}

fn link(file: &str) -> String {
    format!("curves/{file}")
}

/// `marks` is the prefix of the heading, which gives its level.
fn section(marks: &str, heading: &str, text: &str, content: &Table) -> String {
    let mut out = format!("\n{marks} {heading}\n\n");
    if !text.is_empty() {
        out += &format!("{text}\n\n");
    }
    if !content.is_empty() {
        out += &table(content);
    }
    out
}

/// What is best for one case, and what the load-aware formula would have chosen.
fn sentence(case: &Case<'_>) -> String {
    let every = chosen(case.advice.mtbf);
    let Some((best, interval)) = case.advice.best.zip(case.best_interval()) else {
        return format!("A failure every {every}: too few intervals passed for a best one.");
    };
    let regrets = case.advice.choices.iter().filter_map(|choice| Some((choice, choice.regret?)));
    let worst = regrets.max_by(|a, b| a.1.total_cmp(&b.1)).map_or_else(String::new, |(choice, regret)| match regret {
        ..NOTHING => "; no formula whose choice was measured costs more".into(),
        ..=GOOD => format!("; every formula whose choice was measured comes within {}", percent(regret)),
        _ => format!(
            "; of the formulas, {} ({}) does worst with {}",
            escaped(&choice.formula),
            number(&choice.formula),
            signed(regret)
        ),
    });
    format!(
        "A failure every {every}: best is {interval} (95 % confidence {}; {} cost at most 5 % more), {} of the time, availability \
         {}{worst}.",
        case.confidence().unwrap_or_default(),
        range(best.within_5_percent.0, best.within_5_percent.1),
        percent(best.cost),
        availability(best.unavailability)
    )
}

/// Every case in which a formula has no value, or gives an interval at which the job falls behind.
fn outside(scores: &[Score]) -> String {
    let mut out = String::new();
    for score in scores {
        if score.starving.is_empty() && score.outside.is_empty() {
            continue;
        }
        let starving =
            score.starving.iter().map(|case| format!("- {}: the job falls behind under it\n", escaped(case)));
        let outside = score.outside.iter().map(|(case, why)| format!("- {}: {}\n", escaped(case), escaped(why)));
        let lines: String = starving.chain(outside).collect();
        let n = score.starving.len() + score.outside.len();
        let cases = crate::units::counted(n, "case");
        out += &format!(
            "\n<details>\n<summary>{}: {cases} without a usable value</summary>\n\n{lines}\n</details>\n",
            score.formula
        );
    }
    out
}

/// The ratios of all curves as one sentence.
fn told(all: &[Ratios], rule: &str) -> String {
    let (right, count) = all.iter().fold((0, 0), |sum, ratios| (sum.0 + ratios.right(), sum.1 + ratios.count()));
    let ends = crate::numbers::extremes(all.iter().filter_map(Ratios::ends).flat_map(|(low, high)| [low, high]));
    match ends {
        Some((low, high)) => format!(
            "{rule} is right (at most {:.0} % off) in {right} of {count} measured intervals; it says {} to {} of what was measured.",
            RIGHT * 100.0,
            ratio(low),
            ratio(high)
        ),
        None => format!("{rule} could not be held against anything."),
    }
}

fn interval_rule(set: &TuningSet) -> String {
    let (thumb, engine): (Vec<Ratios>, Vec<Ratios>) =
        set.curves.iter().map(|curve| rules::intervals(set, curve)).unzip();
    format!(
        "{} It is one branch of the engine's rule, true only where a checkpoint takes longer than the interval. {}",
        told(&thumb, "`d + P` for the period"),
        told(&engine, "`max(I, P, d + P)`")
    )
}

fn recovery_rule(set: &TuningSet) -> String {
    let all: Vec<rules::RecoveryRules> = set.curves.iter().map(|curve| rules::recoveries(set, curve)).collect();
    let of = |part: fn(&rules::RecoveryRules) -> &Ratios| -> Vec<Ratios> {
        all.iter().map(|rules| part(rules).clone()).collect()
    };
    format!(
        "{} {} It knows neither detection nor the backlog, and counts the duration of a checkpoint, which is no part of an \
         outage. {}",
        told(&of(|rules| &rules.thumb_outage), "`d + state load` for the outage D"),
        told(&of(|rules| &rules.thumb_total), "For the time until the output is no longer late, R, it"),
        told(
            &of(|rules| &rules.expected),
            "`R(T) = (D·μₑ + λ·A)/(μₑ − λ)`, with c and D measured once at the shortest interval and the ages A that were found,"
        )
    )
}

const CHANGE_RULE: &str = "Where the cost grows with the interval, since a checkpoint writes what changed since the one before: \
    `c(T) = c₀ + k·S·(1 − e^(−u·T))`, through the shortest, the middle and the longest interval. A ratio is what that says over what \
    was measured, at the others.";

fn size_rule(set: &TuningSet) -> String {
    let all = rules::sizes(set);
    let fitted = all.iter().filter(|sizes| sizes.fit.is_some()).count();
    let between = all.iter().map(|sizes| sizes.rows.len().saturating_sub(2)).sum::<usize>();
    let held = match between {
        0 => "With two sizes the line goes through both, so that nothing is left to hold it against.".to_owned(),
        1 => "One size between the two holds it to account.".to_owned(),
        n => format!("{n} sizes between the two hold it to account."),
    };
    let others = match all.len() - fitted {
        0 => "",
        _ => "; in the others a larger state takes no longer",
    };
    format!(
        "`d = d₀ + S/(p·B)` through the smallest and the largest state, p = {}: it fits in {fitted} of {} pairs of backend and \
         load{others}. {held}",
        set.parallelism,
        all.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::fixtures;

    #[test]
    fn the_study() {
        let set = fixtures::set();
        insta::assert_snapshot!("study", study(&Findings::of(&set)));
    }

    #[test]
    fn every_entry_of_the_contents_leads_to_a_heading() {
        let text = study(&Findings::of(&fixtures::set()));
        for heading in CONTENTS {
            assert!(text.contains(&format!("\n## {heading}\n")), "{heading}");
            assert!(text.contains(&format!("[{heading}](#{})", anchor(heading))), "{heading}");
        }
        let mut passed = fixtures::set();
        passed.curves.pop();
        assert!(!study(&Findings::of(&passed)).contains(UNPASSED));
    }

    #[test]
    fn a_formula_is_blamed_for_what_it_costs_and_for_nothing_else() {
        let set = fixtures::set();
        let mut findings = Findings::of(&set);
        let mut told = |regret: f64| {
            findings.advice[0].choices.iter_mut().for_each(|choice| choice.regret = Some(regret));
            sentence(&findings.cases().next().unwrap())
        };
        assert!(told(0.0).ends_with("; no formula whose choice was measured costs more."));
        assert!(told(0.03).ends_with("; every formula whose choice was measured comes within 3.00 %."));
        assert!(told(0.3).ends_with(" does worst with +30.0 %."));
    }

    #[test]
    fn a_best_at_the_end_is_told_as_one() {
        let mut set = fixtures::set();
        set.curves.iter_mut().for_each(|curve| _ = curve.points.drain(..3));
        let text = study(&Findings::of(&set));
        assert!(
            text.contains("| fs every 30.0 s or less, costs ")
                || text.contains("| rocksdb every 30.0 s or less, costs "),
            "{text}"
        );
        assert!(text.contains(RESTS_ON));
    }

    #[test]
    fn text_stays_text_and_an_empty_set_has_a_study() {
        let mut set = fixtures::set();
        set.why = "</details> | @team [a](b)".into();
        set.command = "```\n# boo".into();
        let text = study(&Findings::of(&set));
        assert!(text.contains(r"&lt;/details> \| &#64;team \[a\](b)") && text.matches("```").count() == 2);
        set.curves.clear();
        assert!(study(&Findings::of(&set)).contains("could not be held against anything"));
    }
}

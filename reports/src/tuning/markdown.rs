//! A tuning set as a study: what the formulas and rules of thumb say, what was measured, where each holds and by how much it
//! fails. Links lead to the files that [`folder`](super::folder) writes beside it.
//!
//! Start at [`study`].

use super::catalogue::number;
use super::findings::{Case, Findings, RESTS_ON, name, notes, slug};
use super::rules::{self, RIGHT, Ratios};
use super::scores::{self, GOOD, NOTHING, Score};
use super::svg::cost_file;
use super::{TuningSet, rule_tables, tables};
use crate::markdown::{escaped, table};
use crate::numbers::{availability, chosen, percent, range, rate, ratio, signed};
use crate::table::Table;

/// The study, ended by a line break.
pub fn study(findings: &Findings<'_>) -> String {
    let set = findings.set;
    let mut out = format!("# Checkpoint interval of {}\n\n", escaped(&set.job));
    if !set.why.is_empty() {
        out += &format!("{}\n\n", escaped(&set.why));
    }
    out += &format!(
        "Scenario {}, parallelism {}. Made by {} with\n\n",
        escaped(&set.scenario),
        set.parallelism,
        escaped(&set.program)
    );
    // A fence in the command would end the block.
    out += &format!("```sh\n{}\n```\n\n", set.command.replace("```", ""));
    out += "[report.html](report.html) shows every curve, [tuning.json](tuning.json) holds every number.\n\n";
    for note in notes(set) {
        out += &format!("- {}\n", escaped(&note));
    }
    out += &section("Which backend, which interval", &answers(findings), &tables::recommendations(findings));
    out += &format!("\n{RESTS_ON}\n");
    let said = "Cost is work lost and output late, as a share of time. The last columns say what the choice of a formula \
                costs above the best.";
    out += &section("Best intervals", said, &tables::overview(findings));
    out += "\n## Where each formula holds\n\n";
    for score in scores::of(findings) {
        out += &format!("- **{}**: {}.\n", escaped(score.formula), escaped(&score.sentence()));
    }
    out += &format!("\n{}", table(&tables::scores(findings)));
    out += &outside(&scores::of(findings));
    out +=
        &section("Rule of thumb: interval = duration + pause", &interval_rule(set), &rule_tables::interval_rules(set));
    out += &section(
        "Rule of thumb: recovery = duration + state load",
        &recovery_rule(set),
        &rule_tables::recovery_rules(set),
    );
    out += &section("Rule of thumb: larger state, longer checkpoints", &size_rule(set), &rule_tables::size_rules(set));
    out += &section("Cost of a checkpoint that writes what changed", CHANGE_RULE, &rule_tables::change_rules(set));
    out += "\n## Curves\n";
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
    out += &section(
        "Formulas",
        "c: work lost per checkpoint, d: its duration, M: mean time between failures, D: outage, \
        A: age of the snapshot, λ, μ, ρ = λ/μ: input, capacity, load, w: weight of late output, P: minimum pause.",
        &tables::formulas(),
    );
    out
}

fn link(file: &str) -> String {
    format!("curves/{file}")
}

fn section(heading: &str, text: &str, content: &Table) -> String {
    let mut out = format!("\n## {heading}\n\n");
    if !text.is_empty() {
        out += &format!("{text}\n\n");
    }
    if !content.is_empty() {
        out += &table(content);
    }
    out
}

/// One line per state size, load and failure rate.
fn answers(findings: &Findings<'_>) -> String {
    let lines: Vec<String> = findings
        .recommendations
        .iter()
        .map(|all| {
            let size = crate::numbers::bytes(all.state);
            let case = format!("{size} at load {}, a failure every {}", all.load, chosen(all.mtbf));
            let best = |backend: &str| findings.case_of(all, backend)?.best_in_words();
            match all.contenders.first().and_then(|first| Some((first, best(&first.backend)?, first.cost?))) {
                Some((first, interval, cost)) if cost >= 1.0 => format!(
                    "- {case}: nothing; {} with a checkpoint every {}, the best that was measured, costs {} of the time",
                    escaped(&first.backend),
                    interval,
                    percent(cost),
                ),
                Some((first, interval, cost)) => format!(
                    "- {case}: **{}** with a checkpoint every **{}**, which costs {} of the time and is predicted to \
                     bear {}",
                    escaped(&first.backend),
                    interval,
                    percent(cost),
                    rate(first.capacity)
                ),
                None => format!("- {case}: none that was measured"),
            }
        })
        .collect();
    lines.join("\n")
}

/// What is best for one case, and what the formula that knows the load would have chosen.
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

/// Every case in which a formula has no value, or names an interval under which the job falls behind.
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
        assert!(text.contains("with a checkpoint every **30.0 s or less**"), "{text}");
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

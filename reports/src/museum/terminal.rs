//! A kill matrix and its judgement for a terminal. What should be looked at comes last, next to the prompt.

use super::{Judgement, KillMatrix, tables};
use crate::ansi::{Screen, Style, clean, paint};

/// The matrix as text, with the result of the comparison if there was one; ends with a line break.
pub fn text(matrix: &KillMatrix, judgement: Option<&Judgement>, screen: impl Into<Screen>) -> String {
    let screen = screen.into();
    let color = screen.color;
    let mut out = tables::matrix(matrix).text(0, screen);
    let excused: Vec<String> = matrix
        .bugs
        .iter()
        .filter(|row| !row.excused.is_empty())
        .map(|row| format!("  {}: {}\n", row.bug, clean(&row.excused)))
        .collect();
    let section = |heading: &str, lines: Vec<String>| match lines.is_empty() {
        true => String::new(),
        false => format!("\n{}\n{}", paint(heading, Style::Heading, color), lines.concat()),
    };
    out += &section("Not to be found", excused);
    if let Some(judgement) = judgement {
        out += &section("News", judgement.news.iter().map(|news| format!("  {}\n", clean(news))).collect());
        let problems = judgement.problems.iter().map(|(bug, problem)| format!("  {bug}: {}\n", clean(&problem.text())));
        out += &section("May not pass", problems.collect());
    }
    out += &format!("\n{}\n", tables::summary(matrix));
    for line in tables::medians(matrix) {
        out += &format!("{line}\n");
    }
    if let Some(judgement) = judgement {
        if judgement.other_engine {
            out += "the baseline was made with another engine: a verdict may have changed with it\n";
        }
        out += &match judgement.problems.len() {
            0 => format!("museum {}\n", paint("passed", Style::Good, color)),
            n => format!(
                "museum {}: {n} of it may not pass; if it is meant: --update\n",
                paint("failed", Style::Bad, color)
            ),
        };
    }
    out
}

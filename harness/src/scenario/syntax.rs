//! Texts that are not TOML: recognises the most common mistakes, and says what to write.
//!
//! Start at [`problems`]. The parser says where it stopped; what was meant is guessed from the line.

use crate::reader::{Problem, Span, value::thousands};

const HELP: &str = "a scenario is a TOML file: key = value, with text in quotes";

/// The problems of `text`, from the errors of the TOML parser.
pub(super) fn problems<'e>(text: &str, errors: impl Iterator<Item = (&'e str, Span)>) -> Vec<Problem> {
    let singles = single_faults(text);
    let mut problems = Vec::new();
    // To TOML a second [fault] is a duplicate, and so is each of its keys. One report is enough.
    let first = singles.get(1).map_or(usize::MAX, |second| second.start);
    if singles.len() > 1 {
        for span in &singles {
            let problem =
                Problem::new("wrong-type", "faults are a list of tables", "write [[fault]], with two brackets");
            problems.push(problem.at(span.clone(), "a single table"));
        }
    }
    for (message, span) in errors {
        if message.contains("duplicate key") && span.start >= first {
            continue;
        }
        let problem = Problem::new("syntax", format!("this is no TOML: {message}"), help(text, message, &span));
        problems.push(problem.at(span, "here"));
    }
    problems
}

/// Where `[fault]` stands on a line of its own.
fn single_faults(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let header = line.split('#').next().unwrap_or_default().trim();
        if header == "[fault]" {
            let at = start + line.find('[').unwrap_or_default();
            found.push(at..at + header.len());
        }
        start += line.len();
    }
    found
}

/// What to write instead.
fn help(text: &str, message: &str, span: &Span) -> String {
    let start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    if message.contains("duplicate key") {
        return match line.trim_start().starts_with('[') {
            true => "this section is there already: write its keys into the first one".to_owned(),
            false => "this key is there already: keep one of them".to_owned(),
        };
    }
    // A number with a unit and without quotes.
    for word in line.split(['=', ',', '{', '}', '[', ']']) {
        let word = word.split('#').next().unwrap_or_default().trim();
        if let Some(number) = thousands(word) {
            return format!("write {number}: TOML numbers have no `k` and no `M`");
        }
        let number = word.starts_with(|c: char| c.is_ascii_digit());
        let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '_');
        if number && unit.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') && !word.contains([' ', '"']) {
            return format!("a number with a unit is text: write \"{word}\", in quotes");
        }
    }
    HELP.to_owned()
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::*;

    fn helps(text: &str) -> Vec<String> {
        let (_, errors) = DeTable::parse_recoverable(text);
        let errors = errors.iter().map(|error| (error.message(), error.span().unwrap_or(0..0)));
        let problems = problems(text, errors);
        problems.iter().map(|problem| miette::Diagnostic::help(problem).unwrap().to_string()).collect()
    }

    #[test]
    fn two_single_faults_get_the_help_of_one() {
        let fault = "[fault]\nat = \"1s\"\ndo = \"kill\"\n";
        assert_eq!(helps(&fault.repeat(3)), ["write [[fault]], with two brackets"; 3]);
        assert_eq!(
            helps("[engine]\nlease = \"1s\"\n[engine]\n")[0],
            "this section is there already: write its keys into the first one"
        );
        assert_eq!(helps("a = 1\na = 2\n")[0], "this key is there already: keep one of them");
    }

    #[test]
    fn numbers_with_signs_and_units_are_told_as_they_are_written() {
        assert_eq!(helps("records = 120k\n")[0], "write 120_000: TOML numbers have no `k` and no `M`");
        assert_eq!(
            helps("input = { records = 1.5M, rate = \"1/s\" }\n")[0],
            "write 1_500_000: TOML numbers have no `k` and no `M`"
        );
        assert_eq!(helps("interval = 5s\n")[0], "a number with a unit is text: write \"5s\", in quotes");
        assert_eq!(helps("interval = \n")[0], HELP);
    }
}

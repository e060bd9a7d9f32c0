//! What is wrong with a scenario or plan file, and how that is shown.
//!
//! A [`ScenarioError`] has every [`Problem`] found in one file. miette renders it with file, line, column and the value
//! underlined. Each problem says what was read, why it is not accepted, and what would be: a user must never have to
//! look at source code. A command that gets such an error ends with exit code 2, and nothing was run.
//!
//! Invariant: (ERROR-D1) every span lies within the source; otherwise the renderer would show nothing instead of the
//! error.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use super::Excerpt;

/// Most problems of one file that are shown.
const PROBLEMS_MAX: usize = 20;
/// Most characters of a message.
const TEXT_MAX: usize = 1500;

/// Byte positions in a file.
pub(crate) type Span = Range<usize>;

/// One thing that is wrong, and its remedy.
#[derive(Debug, Clone)]
pub struct Problem {
    code: &'static str,
    message: String,
    help: String,
    /// The first label is the place of the offence; the others are what it conflicts with.
    labels: Vec<(Span, String)>,
}

/// Everything that is wrong with one file (or, for discovery, one path).
#[derive(Debug)]
pub struct ScenarioError {
    path: Box<Path>,
    source: Option<NamedSource<String>>,
    problems: Vec<Problem>,
    /// How many more problems there are that are not shown. Nobody fixes a thousand at a time, and most of those follow
    /// from the first.
    more: usize,
}

impl Problem {
    pub(crate) fn new(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: help.into(), labels: Vec::new() }
    }

    /// Underlines `span`, with `text` beside it.
    pub(crate) fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push((span, text.into()));
        self
    }

    /// The kind of problem in kebab-case; stable, so that scripts can use it.
    pub fn code_name(&self) -> &'static str {
        self.code
    }

    /// These texts may contain a value of any length; its beginning is enough.
    fn shorten(&mut self) {
        for text in [&mut self.message, &mut self.help].into_iter().chain(self.labels.iter_mut().map(|(_, text)| text))
        {
            if let Some((end, _)) = text.char_indices().nth(TEXT_MAX) {
                text.truncate(end);
                text.push('…');
            }
        }
    }

    fn position(&self) -> usize {
        self.labels.first().map_or(0, |(span, _)| span.start)
    }
}

impl ScenarioError {
    /// Problems with the text of `path`, sorted by their place in the text.
    pub(crate) fn in_text(path: &Path, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(Problem::position);
        let more = problems.len().saturating_sub(PROBLEMS_MAX);
        problems.truncate(PROBLEMS_MAX);
        let excerpt = Excerpt::of(text);
        for problem in &mut problems {
            problem.shorten();
            for (span, label) in &mut problem.labels {
                let (shown, column) = excerpt.place(span);
                assert!(shown.start <= shown.end && shown.end <= excerpt.text.len(), "ERROR-D1: {shown:?}");
                *span = shown;
                if let Some(column) = column {
                    *label = format!("in column {column}: {label}");
                }
            }
        }
        let source = NamedSource::new(path.display().to_string(), excerpt.text.into_owned());
        Self { path: path.into(), source: Some(source), problems, more }
    }

    /// A problem with `path` itself, before any text was read.
    pub(crate) fn of_path(path: &Path, mut problem: Problem) -> Self {
        problem.shorten();
        Self { path: path.into(), source: None, problems: vec![problem], more: 0 }
    }

    /// The file (or path) at fault.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The problems in the order of the text, up to a number that can be read; never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The only problem, which then is the whole report.
    fn only(&self) -> Option<&Problem> {
        if let [only] = self.problems.as_slice() { Some(only) } else { None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.labels.is_empty() {
            return None;
        }
        let labels = self.labels.iter().enumerate().map(|(n, (span, text))| {
            let new = if n == 0 { LabeledSpan::new_primary_with_span } else { LabeledSpan::new_with_span };
            new(Some(text.clone()), span.clone())
        });
        Some(Box::new(labels))
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.only() {
            Some(problem) => problem.fmt(f),
            None => write!(f, "{} errors in {}", self.problems.len() + self.more, self.path.display()),
        }
    }
}

impl std::error::Error for ScenarioError {}

impl Diagnostic for ScenarioError {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.only().and_then(Diagnostic::code)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        if self.more > 0 {
            let help = format!("these are the first {}; and {} more after them", self.problems.len(), self.more);
            return Some(Box::new(help));
        }
        self.only().and_then(Diagnostic::help)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.only().and_then(Diagnostic::labels)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        if self.problems.len() < 2 {
            return None;
        }
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

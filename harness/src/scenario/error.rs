//! What is wrong with a scenario or plan file, and how that is told.
//!
//! A [`ScenarioError`] holds every [`Problem`] found in one file; miette renders it with file, line, column and the value
//! underlined. Each problem says what was read, why that cannot stand, and what would: a user must never have to look at
//! source code. A command that gets one ends with exit code 2: nothing was run.
//!
//! Invariant (D1): every span lies within the source, else the renderer would fall silent instead of telling the error.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// Byte positions in a file.
pub(super) type Span = Range<usize>;

/// One thing that is wrong, and its remedy.
#[derive(Debug, Clone)]
pub struct Problem {
    code: &'static str,
    message: String,
    help: String,
    /// The first one is the place of the offence, the others are what it collides with.
    labels: Vec<(Span, String)>,
}

/// Everything that is wrong with one file (or, for discovery, one path).
#[derive(Debug)]
pub struct ScenarioError {
    path: PathBuf,
    source: Option<NamedSource<String>>,
    problems: Vec<Problem>,
}

impl Problem {
    pub(super) fn new(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: help.into(), labels: Vec::new() }
    }

    /// Underlines `span`, with `text` beside it.
    pub(super) fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push((span, text.into()));
        self
    }

    /// The kind of problem, in kebab-case: stable, for scripts.
    pub fn code_name(&self) -> &'static str {
        self.code
    }

    fn position(&self) -> usize {
        self.labels.first().map_or(0, |(span, _)| span.start)
    }
}

impl ScenarioError {
    /// Problems with the text of `path`, told in the order of the text.
    pub(super) fn in_text(path: &Path, text: &str, mut problems: Vec<Problem>) -> Self {
        for (span, _) in problems.iter_mut().flat_map(|problem| &mut problem.labels) {
            let end = span.end.min(text.len());
            *span = span.start.min(end)..end;
        }
        problems.sort_by_key(Problem::position);
        let source = NamedSource::new(path.display().to_string(), text.to_owned());
        Self { path: path.to_owned(), source: Some(source), problems }
    }

    /// A problem with `path` itself, before any text was read.
    pub(super) fn of_path(path: &Path, problem: Problem) -> Self {
        Self { path: path.to_owned(), source: None, problems: vec![problem] }
    }

    /// The file (or path) at fault.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything found, in the order of the text; never empty.
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
            None => write!(f, "{} errors in {}", self.problems.len(), self.path.display()),
        }
    }
}

impl std::error::Error for ScenarioError {}

impl Diagnostic for ScenarioError {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.only().and_then(Diagnostic::code)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
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

//! Input files, read once per process and shared: the lines that sources emit.
//!
//! A line is the text between two line ends; the last line needs no line end. Editors on Windows end lines with a
//! carriage return and a line feed, and put a byte order mark before the first line. Neither is part of a record: the
//! mark is skipped at the start of the file, and a carriage return before a line feed, or at the end of the file,
//! belongs to the line end. Everywhere else both are text. A file that is missing, empty, binary (holds a NUL byte) or
//! not UTF-8 is refused before anything runs; the error names the place of the first offence.
//!
//! All input files of both worlds are read here: by scenarios, by jobs on the real engine, by references and by
//! predictions.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The byte order mark in UTF-8.
const MARK: &str = "\u{feff}";

/// Why a file cannot be read as lines of text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// The file system returned an error.
    #[error("cannot read input file {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The file holds no line.
    #[error("input file {} is empty: a text file with at least one line is needed", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is not text.
    #[error("input file {} is not text: line {line}, byte {offset} is {what}; UTF-8 lines are needed", path.display())]
    Binary {
        /// The file.
        path: PathBuf,
        /// Line of the offence, from 1.
        line: u64,
        /// Byte of the offence within the file, from 0.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
}

/// A text file in memory with an index of its lines.
pub struct Lines {
    text: String,
    /// Offset at which each line begins, and one more entry for the end of the last line.
    starts: Vec<u64>,
}

impl Lines {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, InputError> {
        let bytes = std::fs::read(path)
            .map_err(|cause| InputError::Unreadable { path: path.into(), cause: cause.to_string() })?;
        Self::parse(bytes, path)
    }

    /// Checks the contents of a file; `path` is for messages only.
    pub fn parse(bytes: Vec<u8>, path: &Path) -> Result<Self, InputError> {
        let offence = |bytes: &[u8], at: usize, what| InputError::Binary {
            path: path.into(),
            line: 1 + bytes[..at].iter().filter(|b| **b == b'\n').count() as u64,
            offset: at as u64,
            what,
        };
        if let Some(at) = bytes.iter().position(|b| *b == 0) {
            return Err(offence(&bytes, at, "a NUL byte"));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            offence(error.as_bytes(), at, "not valid UTF-8")
        })?;
        let first = if text.starts_with(MARK) { MARK.len() as u64 } else { 0 };
        if text.len() as u64 == first {
            return Err(InputError::Empty { path: path.into() });
        }
        let mut starts = vec![first];
        starts.extend(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at as u64 + 1));
        if *starts.last().expect("the first line begins somewhere") != text.len() as u64 {
            starts.push(text.len() as u64 + 1);
        }
        Ok(Self { text, starts })
    }

    /// How many lines.
    pub fn len(&self) -> u64 {
        self.starts.len() as u64 - 1
    }

    /// Always false, because an empty file is refused.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Line `index`, from 0, without its line end.
    ///
    /// # Panics
    /// If there is no such line.
    pub fn line(&self, index: u64) -> &str {
        let index = index as usize;
        let line = &self.text[self.starts[index] as usize..self.starts[index + 1] as usize - 1];
        line.strip_suffix('\r').unwrap_or(line)
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lines({})", self.len())
    }
}

/// Input files by path, each read once.
#[derive(Default)]
pub struct InputFiles(Mutex<BTreeMap<String, Arc<Lines>>>);

impl InputFiles {
    /// The lines of a file; reads the file at the first call.
    pub fn lines(&self, path: &str) -> Result<Arc<Lines>, InputError> {
        let mut files = self.0.lock().expect("no panic while reading");
        if let Some(lines) = files.get(path) {
            return Ok(lines.clone());
        }
        let lines = Arc::new(Lines::read(Path::new(path))?);
        files.insert(path.to_owned(), lines.clone());
        Ok(lines)
    }

    /// Adds a file that was read elsewhere.
    pub fn insert(&self, path: String, lines: Arc<Lines>) {
        self.0.lock().expect("no panic while reading").insert(path, lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Result<Lines, InputError> {
        Lines::parse(text.to_vec(), Path::new("words.txt"))
    }

    #[test]
    fn lines_with_and_without_last_line_feed() {
        for text in [&b"a\nbb\n\nc"[..], b"a\nbb\n\nc\n"] {
            let lines = parse(text).unwrap();
            let all: Vec<_> = (0..lines.len()).map(|i| lines.line(i).to_owned()).collect();
            assert_eq!(all, ["a", "bb", "", "c"]);
        }
    }

    fn all(text: &str) -> Vec<String> {
        let lines = parse(text.as_bytes()).unwrap();
        (0..lines.len()).map(|index| lines.line(index).to_owned()).collect()
    }

    #[test]
    fn a_byte_order_mark_and_carriage_returns_are_no_part_of_records() {
        let expected = ["alpha", "beta", "", "gamma", "alpha"];
        assert_eq!(all("\u{feff}alpha\r\nbeta\r\n\r\ngamma\r\nalpha\r\n"), expected);
        assert_eq!(all("\u{feff}alpha\nbeta\r\n\ngamma\nalpha"), expected, "mixed");
        assert_eq!(all("a\r\nb\r"), ["a", "b"], "the last line, cut short");
        assert_eq!(all("\r\n"), [""]);
    }

    #[test]
    fn elsewhere_they_are_text() {
        assert_eq!(all("a\rb\n\u{feff}c\r\r\n"), ["a\rb", "\u{feff}c\r"]);
        assert_eq!(all("\u{feff}\u{feff}a"), ["\u{feff}a"], "only one is a mark");
    }

    #[test]
    fn offences_are_placed() {
        assert!(matches!(parse(b""), Err(InputError::Empty { .. })));
        assert!(matches!(parse(MARK.as_bytes()), Err(InputError::Empty { .. })));
        assert!(matches!(parse(b"a\nb\0c"), Err(InputError::Binary { line: 2, offset: 3, .. })));
        assert!(matches!(parse(b"a\n\xff"), Err(InputError::Binary { line: 2, offset: 2, .. })));
    }
}

//! Checks a job's input file before anything runs: that it exists, has records and is text.
//!
//! Start at [`examine`]. Without this check a bad file would fail inside the engine, minutes later and with a subtask's
//! error message.

use std::fs;
use std::io;
use std::path::Path;

use crate::reader::suggest;

/// What is known about a usable file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InputFacts {
    /// Lines, the last one with or without a line feed.
    pub(super) lines: u64,
}

/// Why a file cannot be read as lines of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InputFault {
    /// Nothing is there.
    Missing,
    /// It is a folder.
    Folder,
    /// It exists, but the system refuses to read it.
    Unreadable(String),
    /// It has no bytes.
    Empty,
    /// It is not UTF-8 text, or holds a NUL byte.
    Binary {
        /// What was found.
        what: &'static str,
        /// In which line, from 1.
        line: u64,
        /// At which byte of the file, from 0.
        offset: usize,
    },
}

/// Reads the file and judges it.
pub(super) fn examine(path: &Path) -> Result<InputFacts, InputFault> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => InputFault::Missing,
        _ => InputFault::Unreadable(error.to_string()),
    };
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        return Err(InputFault::Folder);
    }
    // A pipe or a device may never end, and cannot be read again after a failover.
    if !metadata.is_file() {
        return Err(InputFault::Unreadable("not a regular file".to_owned()));
    }
    judge(&fs::read(path).map_err(failed)?)
}

fn judge(bytes: &[u8]) -> Result<InputFacts, InputFault> {
    // A byte order mark is not a line.
    if bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).is_empty() {
        return Err(InputFault::Empty);
    }
    let nul = bytes.iter().position(|byte| *byte == 0);
    let invalid = std::str::from_utf8(bytes).err().map(|error| error.valid_up_to());
    let first = [nul.map(|at| (at, "a NUL byte")), invalid.map(|at| (at, "bytes that are no UTF-8"))];
    if let Some((offset, what)) = first.into_iter().flatten().min() {
        return Err(InputFault::Binary { what, line: line_feeds(&bytes[..offset]) + 1, offset });
    }
    let unfinished = u64::from(bytes.last() != Some(&b'\n'));
    Ok(InputFacts { lines: line_feeds(bytes) + unfinished })
}

fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The file in the same folder whose name looks most like that of `path`.
pub(super) fn similar_name(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_str()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut names: Vec<String> =
        fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    suggest::nearest(wanted, &names).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_with_and_without_a_last_line_feed() {
        assert_eq!(judge(b"a\nb\n"), Ok(InputFacts { lines: 2 }));
        assert_eq!(judge(b"a\nb"), Ok(InputFacts { lines: 2 }));
        assert_eq!(judge(b"\n"), Ok(InputFacts { lines: 1 }));
        assert_eq!(judge(b""), Err(InputFault::Empty));
        assert_eq!(judge("\u{feff}".as_bytes()), Err(InputFault::Empty));
        assert_eq!(judge("\u{feff}a\r\n".as_bytes()), Ok(InputFacts { lines: 1 }));
    }

    #[test]
    fn binary_files_are_refused_at_the_first_offending_byte() {
        let at = |what, line, offset| Err(InputFault::Binary { what, line, offset });
        assert_eq!(judge(b"a\nb\0c"), at("a NUL byte", 2, 3));
        assert_eq!(judge(b"a\n\n\xff\0"), at("bytes that are no UTF-8", 3, 3));
        assert_eq!(judge("häh".as_bytes()), Ok(InputFacts { lines: 1 }));
    }
}

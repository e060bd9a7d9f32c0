//! Reads files of others up to a limit: some files have no end (`/dev/zero`), and a file of many gigabytes is a
//! mistake.
//!
//! Start at [`text`] and [`bytes`].

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Bytes that are read at once.
const CHUNK: u64 = 1 << 20;

/// Limit for files that are not regular, such as pipes and devices.
const STREAM_MAX: u64 = 64 << 20;

/// All bytes of the file, at most `most`. For files that are not regular the limit is lower, because they may have no
/// end.
pub fn bytes(file: &Path, most: u64) -> io::Result<Vec<u8>> {
    let from = File::open(file)?;
    let most = if from.metadata()?.is_file() { most } else { most.min(STREAM_MAX) };
    read(from, most, |_| Ok(()))
}

/// The text of the file, at most `most` bytes. A file that is not text is refused at its first NUL byte, however long
/// the file is.
pub fn text(file: &Path, most: u64) -> io::Result<String> {
    text_of(File::open(file)?, most)
}

fn text_of(from: impl Read, most: u64) -> io::Result<String> {
    let no_nul = |chunk: &[u8]| {
        if chunk.contains(&0) {
            Err(io::Error::new(ErrorKind::InvalidData, "is not text: it holds a NUL byte"))
        } else {
            Ok(())
        }
    };
    String::from_utf8(read(from, most, no_nul)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "is not text: bytes that are no UTF-8"))
}

fn read(mut from: impl Read, most: u64, check: impl Fn(&[u8]) -> io::Result<()>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let before = all.len();
        let more = (&mut from).take(CHUNK.min(most + 1 - before as u64)).read_to_end(&mut all)?;
        check(&all[before..])?;
        if all.len() as u64 > most {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("is longer than {most} bytes")));
        }
        if more == 0 {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_is_read_as_there_may_be() {
        for length in [0, 1, CHUNK as usize - 1, CHUNK as usize, CHUNK as usize + 1, 3 * CHUNK as usize] {
            let all = vec![b'a'; length];
            assert_eq!(text_of(&all[..], length as u64).unwrap().len(), length);
            if length > 0 {
                assert_eq!(text_of(&all[..], length as u64 - 1).unwrap_err().kind(), ErrorKind::InvalidData);
            }
        }
    }

    #[test]
    fn what_has_no_end_is_refused() {
        assert_eq!(text(Path::new("/dev/zero"), u64::MAX >> 1).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(bytes(Path::new("/dev/zero"), 3 * CHUNK).unwrap_err().kind(), ErrorKind::InvalidData);
        assert!(text_of(io::repeat(b'a'), 2 * CHUNK).is_err());
        assert!(text_of(&b"\xff"[..], 9).is_err());
    }
}

//! Frames on a socket: a length of four bytes, then as many bytes. Start at [`write`] and [`Reader`].

use std::io::{self, ErrorKind, Read, Write};

/// Longest frame. A greater length shows that the bytes are not from this protocol.
const FRAME_MAX: usize = 1 << 30;
const HEAD: usize = 4;

/// Writes one frame.
pub(super) fn write(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    if bytes.len() > FRAME_MAX {
        return Err(io::Error::new(ErrorKind::InvalidInput, format!("a message of {} bytes is too long", bytes.len())));
    }
    to.write_all(&(bytes.len() as u32).to_be_bytes())?;
    to.write_all(bytes)
}

/// Reads frames. If the source's time-out passes within a frame, the part that has come is kept.
pub(super) struct Reader<R> {
    from: R,
    held: Vec<u8>,
    chunk: Box<[u8]>,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, held: Vec::new(), chunk: vec![0; 64 << 10].into() }
    }

    /// Returns the next frame. `None`: a time-out of the source passed first. The end of the source is an error.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            match self.from.read(&mut self.chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.held.extend_from_slice(&self.chunk[..n]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether no part of a frame is held.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn take(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some((head, rest)) = self.held.split_first_chunk::<HEAD>() else { return Ok(None) };
        let length = u32::from_be_bytes(*head) as usize;
        if length > FRAME_MAX {
            return Err(io::Error::new(ErrorKind::InvalidData, "this is no message of a worker"));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let frame = rest[..length].to_vec();
        self.held.drain(..HEAD + length);
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns its bytes in pieces, with a time-out between two pieces.
    struct Slow(Vec<Vec<u8>>);

    impl Read for Slow {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            match self.0.pop() {
                Some(piece) if piece.is_empty() => Err(ErrorKind::WouldBlock.into()),
                Some(piece) => {
                    to[..piece.len()].copy_from_slice(&piece);
                    Ok(piece.len())
                }
                None => Ok(0),
            }
        }
    }

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let mut bytes = Vec::new();
        for frame in [b"one".as_slice(), b"", b"three"] {
            write(&mut bytes, frame).unwrap();
        }
        for size in 1..bytes.len() {
            let mut pieces: Vec<Vec<u8>> = bytes.chunks(size).flat_map(|piece| [piece.to_vec(), vec![]]).collect();
            pieces.reverse();
            let mut reader = Reader::new(Slow(pieces));
            let mut frames = Vec::new();
            let end = loop {
                match reader.next() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => {}
                    Err(error) => break error,
                }
            };
            assert_eq!(frames, [b"one".as_slice(), b"", b"three"]);
            assert_eq!((end.kind(), reader.is_empty()), (ErrorKind::UnexpectedEof, true));
        }
    }

    #[test]
    fn what_is_no_frame_is_refused_before_it_is_waited_for() {
        let mut reader = Reader::new(b"hello, world".as_slice());
        assert_eq!(reader.next().unwrap_err().kind(), ErrorKind::InvalidData);
    }
}

//! How files that must not be misread are wrapped: magic, format version, contents, then length and hash of all that.
//!
//! Little endian throughout. A reader verifies before it decodes. A wrong magic, length or hash means damage
//! ([`Damaged`]); a file that is whole but has another format version is [`OtherVersion`]. The two must not be
//! confused: because of a damaged checkpoint the job falls back and decides `abort`, which would destroy what another
//! release of the engine wrote. The hash covers the version, so a damaged version number counts as damage.
//!
//! Invariant: (EN1) magic, the place of the version, and the trailer stay as they are in every version; otherwise no
//! release could tell the files of another release from damaged ones. State files have no version of their own: they
//! are read only through a manifest, and a change of their format raises the manifest's version.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::manifest::{Damaged, DecodeError, OtherVersion};
use crate::codec::{decode, encode};
use crate::env::Checksum;

/// Length of magic and version in bytes.
pub(crate) const HEAD: usize = 12;

fn version_of(head: &[u8; HEAD]) -> u32 {
    let [.., a, b, c, d] = *head;
    u32::from_le_bytes([a, b, c, d])
}

/// A kind of wrapped file.
pub(crate) struct Envelope {
    pub(crate) magic: &'static [u8; 8],
    pub(crate) version: u32,
    /// The name of this kind of file in messages.
    pub(crate) kind: &'static str,
    /// The description of readable contents in messages.
    pub(crate) readable: &'static str,
}

impl Envelope {
    /// The bytes of a file that holds `value`.
    pub(crate) fn wrap(&self, value: &impl Serialize) -> Bytes {
        let mut out = Vec::new();
        out.extend_from_slice(self.magic);
        out.extend_from_slice(&self.version.to_le_bytes());
        encode(value, &mut out);
        let checksum = Checksum::of(&out);
        out.extend_from_slice(&checksum.length.to_le_bytes());
        out.extend_from_slice(&checksum.hash);
        out.into()
    }

    /// Whether a file that begins with these bytes claims another version. The file may still be damaged;
    /// [`Envelope::unwrap`] tells.
    pub(crate) fn claims_other_version(&self, head: &[u8; HEAD]) -> bool {
        head.starts_with(self.magic) && version_of(head) != self.version
    }

    /// Verifies and decodes what [`Envelope::wrap`] wrote; `path` is for messages.
    pub(crate) fn unwrap<T: DeserializeOwned>(&self, bytes: &[u8], path: &str) -> Result<T, DecodeError> {
        let damaged =
            |expected: String, found: String| DecodeError::from(Damaged { path: path.into(), expected, found });
        let Some((body, trailer)) = bytes.split_last_chunk::<16>().filter(|(body, _)| body.len() >= HEAD) else {
            return Err(damaged("at least 28 bytes".into(), format!("{} bytes", bytes.len())));
        };
        if &body[..8] != self.magic {
            return Err(damaged(self.kind.into(), "another kind of file".into()));
        }
        let (length, hash) = trailer.split_at(8);
        let expected = Checksum {
            length: u64::from_le_bytes(length.try_into().expect("8 of 16")),
            hash: hash.try_into().expect("8 of 16"),
        };
        let found = Checksum::of(body);
        if expected != found {
            return Err(damaged(expected.to_string(), found.to_string()));
        }
        let found = version_of(body.first_chunk().expect("at least the head"));
        if found != self.version {
            return Err(OtherVersion { path: path.into(), kind: self.kind, found, reads: self.version }.into());
        }
        let mut contents = &body[HEAD..];
        let value = decode(&mut contents).map_err(|error| damaged(self.readable.into(), error.to_string()))?;
        match contents.len() {
            0 => Ok(value),
            behind => Err(damaged(self.readable.into(), format!("{behind} bytes behind its contents"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Envelope =
        Envelope { magic: b"FLQTESTS", version: 2, kind: "a test file", readable: "a readable one" };
    const THIRD: Envelope = Envelope { version: 3, ..SECOND };

    fn head(bytes: &[u8]) -> &[u8; HEAD] {
        bytes.first_chunk().unwrap()
    }

    #[test]
    fn a_whole_file_of_another_version_is_not_damaged() {
        let bytes = THIRD.wrap(&7_u64);
        assert_eq!(THIRD.unwrap::<u64>(&bytes, "f"), Ok(7));
        let other = OtherVersion { path: "f".into(), kind: "a test file", found: 3, reads: 2 };
        assert_eq!(SECOND.unwrap::<u64>(&bytes, "f"), Err(DecodeError::OtherVersion(other.clone())));
        assert!(SECOND.claims_other_version(head(&bytes)) && !THIRD.claims_other_version(head(&bytes)));
        let told = other.to_string();
        assert!(told.starts_with("f is a test file of format version 3") && told.contains("reads version 2"), "{told}");
    }

    #[test]
    fn what_is_not_whole_is_damaged_whatever_version_it_claims() {
        for envelope in [SECOND, THIRD] {
            let bytes = envelope.wrap(&7_u64);
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut flipped = bytes.to_vec();
                    flipped[at] ^= 1 << bit;
                    let found = SECOND.unwrap::<u64>(&flipped, "f");
                    assert!(matches!(found, Err(DecodeError::Damaged(_))), "EN1: bit {bit} of byte {at}: {found:?}");
                }
                let cut = SECOND.unwrap::<u64>(&bytes[..at], "f");
                assert!(matches!(cut, Err(DecodeError::Damaged(_))), "cut at {at}: {cut:?}");
            }
        }
        // The hash is right, but bytes follow the contents. No release wrote that, and a longer type would read them
        // differently.
        let longer = SECOND.wrap(&(7_u64, 1_u8));
        assert!(matches!(SECOND.unwrap::<u64>(&longer, "f"), Err(DecodeError::Damaged(_))));
        let another_kind = Envelope { magic: b"FLQOTHER", ..THIRD }.wrap(&7_u64);
        assert!(matches!(SECOND.unwrap::<u64>(&another_kind, "f"), Err(DecodeError::Damaged(_))));
        assert!(!SECOND.claims_other_version(head(&another_kind)), "it is none of this kind");
    }
}

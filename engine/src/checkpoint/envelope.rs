//! How files that must not be misread are wrapped: magic, format version, contents, then length and hash of all that.
//!
//! Little endian throughout. A reader verifies before it decodes: a wrong length, hash, magic or version is [`Damaged`].

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::manifest::Damaged;
use crate::env::Checksum;
use crate::graph::element::encode;

/// A kind of wrapped file.
pub(crate) struct Envelope {
    pub(crate) magic: &'static [u8; 8],
    pub(crate) version: u32,
    /// What a file of this kind is called in messages.
    pub(crate) kind: &'static str,
    /// What its contents are called.
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

    /// Verifies and reads what [`Envelope::wrap`] wrote; `path` is for messages.
    pub(crate) fn unwrap<T: DeserializeOwned>(&self, bytes: &[u8], path: &str) -> Result<T, Damaged> {
        let damaged = |expected: String, found: String| Damaged { path: path.into(), expected, found };
        let Some((body, trailer)) = bytes.split_last_chunk::<16>().filter(|(body, _)| body.len() >= 12) else {
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
        let version = u32::from_le_bytes(body[8..12].try_into().expect("4 bytes"));
        if version != self.version {
            return Err(damaged(format!("format version {}", self.version), format!("format version {version}")));
        }
        postcard::from_bytes(&body[12..]).map_err(|error| damaged(self.readable.into(), error.to_string()))
    }
}

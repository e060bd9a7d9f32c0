//! The secret of a run: who knows it is a process of the run, and nobody else is.
//!
//! It is drawn by whoever starts the processes, handed to each of them over a pipe, and kept in memory only. What it is used
//! for is in [`super::handshake`]; what it protects from, and what not, in `docs/security.md`.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;

/// Bytes of a secret, and of a proof of knowing it.
pub(super) const BYTES: usize = 32;

/// 256 random bits that the processes of one run share. Neither printed nor compared by value.
#[derive(Clone)]
pub struct Secret([u8; BYTES]);

impl Secret {
    /// A new one, from the operating system.
    pub fn random() -> std::io::Result<Self> {
        random().map(Self)
    }

    /// A given one, for tests.
    pub const fn of(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    /// The proof of knowing the secret that goes with these facts. Every fact is preceded by its length, so that no two lists of
    /// facts read the same.
    pub(super) fn proof(&self, facts: &[&[u8]]) -> [u8; BYTES] {
        self.mac(facts).finalize().into_bytes().into()
    }

    /// Whether `proof` is that proof; in a time that does not depend on where they differ.
    pub(super) fn proves(&self, facts: &[&[u8]], proof: &[u8]) -> bool {
        self.mac(facts).verify_slice(proof).is_ok()
    }

    fn mac(&self, facts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length will do");
        for fact in facts {
            mac.update(&(fact.len() as u64).to_le_bytes());
            mac.update(fact);
        }
        mac
    }
}

/// Random bytes from the operating system.
pub(super) fn random() -> std::io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(format!("no random numbers: {error}")))?;
    Ok(bytes)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <[u8; BYTES]>::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown_and_comes_back_from_orders() {
        let secret = Secret::random().unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        let again: Secret = serde_json::from_str(&serde_json::to_string(&secret).unwrap()).unwrap();
        assert!(again.proves(&[b"x"], &secret.proof(&[b"x"])));
        assert!(!Secret::random().unwrap().proves(&[b"x"], &secret.proof(&[b"x"])));
    }

    #[test]
    fn a_proof_is_for_its_facts_alone() {
        let secret = Secret::of([7; BYTES]);
        let proof = secret.proof(&[b"ab", b"c"]);
        for facts in [&[&b"a"[..], b"bc"][..], &[b"abc"], &[b"ab", b"c", b""], &[]] {
            assert!(!secret.proves(facts, &proof));
        }
        assert!(!secret.proves(&[b"ab", b"c"], &proof[..31]) && !secret.proves(&[b"ab", b"c"], b""));
        // RFC 4231 has no such case, since facts carry their lengths: this holds the form of the proof.
        let mut flipped = proof;
        flipped[31] ^= 1;
        assert!(!secret.proves(&[b"ab", b"c"], &flipped));
    }
}

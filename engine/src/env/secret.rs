//! The secret of a run: only processes of the run know it.
//!
//! Whoever starts the processes draws it and hands it to each of them over a pipe; it is kept in memory only.
//! [`super::handshake`] uses it. `docs/security.md` says what it protects from and what not.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;

/// Bytes of a secret, and of a proof.
pub(super) const BYTES: usize = 32;

/// 256 random bits that the processes of one run share. Neither printed nor compared by value.
#[derive(Clone)]
pub struct Secret([u8; BYTES]);

impl Secret {
    /// A new secret, from the operating system's random numbers.
    pub fn random() -> std::io::Result<Self> {
        random().map(Self)
    }

    /// A fixed secret, for tests.
    pub const fn of(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    /// The proof of knowing the secret, over these facts. Every fact is preceded by its length, so that no two lists
    /// of facts give the same input.
    pub(super) fn proof(&self, facts: &[&[u8]]) -> [u8; BYTES] {
        self.mac(facts).finalize().into_bytes().into()
    }

    /// Whether `proof` is the proof over these facts. The comparison takes the same time wherever the two differ.
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
        // No test vector of RFC 4231 fits, because the facts carry their lengths. This vector fixes the form of the
        // proof.
        let mut flipped = proof;
        flipped[31] ^= 1;
        assert!(!secret.proves(&[b"ab", b"c"], &flipped));
    }
}

//! The first messages of a connection in the real world: each end proves to the other that it belongs to the run.
//!
//! ```text
//! opener                               listener
//!   hello: magic, nonce        ─────►
//!                              ◄─────  nonce, proof of the listener
//!   proof of the opener        ─────►
//! ```
//! A proof is a keyed hash over the role, both nonces and both addresses of the connection as its sender sees them.
//! The nonces make every proof valid for one connection only. The role prevents that an end's own proof is sent back
//! to it. The addresses defeat a process that took over a port and relays the messages to the process that should have
//! had it: the right process then sees another address than the opener does. Loopback does not translate addresses, so
//! honest ends always see the same ones.
//!
//! Start at [`open`] and [`accept`]. They work on connections of either world. Simulated connections begin without the
//! handshake, because there are no strangers in a simulated network; the engine above cannot tell the difference.
//!
//! Invariants: (AUTH-1) a connection is handed to the engine only after its peer proved to know the secret; (AUTH-2)
//! before that a peer can make this process hold no more than [`WORDS_BYTES_MAX`] of its bytes.

use bytes::Bytes;

use super::secret::{BYTES, Secret};
use super::{Connection, FRAME_BYTES_MAX, NetError};

/// The first bytes of every connection.
const MAGIC: &[u8; 8] = b"FLQCONN1";
/// Length in bytes of the longest of the three messages.
const WORDS_BYTES_MAX: u32 = 2 * BYTES as u32;

/// A random number that is used for one connection only.
type Nonce = [u8; BYTES];

/// The two addresses of a connection as one end sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) opener: String,
    pub(super) listener: String,
}

#[derive(Debug, Clone, Copy)]
enum Role {
    Opener,
    Listener,
}

impl Role {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Opener => b"opener",
            Self::Listener => b"listener",
        }
    }
}

/// Everything that the proofs of one connection cover.
struct Facts<'a> {
    secret: &'a Secret,
    ends: &'a Ends,
    opener: Nonce,
    listener: Nonce,
}

impl Facts<'_> {
    fn with<T>(&self, role: Role, prove: impl FnOnce(&Secret, &[&[u8]]) -> T) -> T {
        let Ends { opener, listener } = self.ends;
        let facts: [&[u8]; 6] =
            [MAGIC, role.name(), &self.opener, &self.listener, opener.as_bytes(), listener.as_bytes()];
        prove(self.secret, &facts)
    }

    fn proof(&self, role: Role) -> [u8; BYTES] {
        self.with(role, |secret, facts| secret.proof(facts))
    }

    fn check(&self, role: Role, proof: &[u8]) -> Result<(), NetError> {
        match self.with(role, |secret, facts| secret.proves(facts, proof)) {
            true => Ok(()),
            false => Err(NetError::Stranger),
        }
    }
}

fn joined(first: &[u8], second: &[u8]) -> Bytes {
    [first, second].concat().into()
}

/// The next message of the peer, in its two parts.
async fn hear<const FIRST: usize, const SECOND: usize>(
    connection: &mut Connection,
) -> Result<([u8; FIRST], [u8; SECOND]), NetError> {
    let word = connection.receiver.receive().await?;
    let parts = word.body.split_first_chunk().filter(|_| word.head.is_empty());
    let parts = parts.and_then(|(first, rest)| Some((*first, rest.try_into().ok()?)));
    parts.ok_or(NetError::Stranger)
}

/// The opener's side. `nonce` must be new.
pub(super) async fn open(
    connection: &mut Connection,
    secret: &Secret,
    ends: &Ends,
    nonce: Nonce,
) -> Result<(), NetError> {
    connection.receiver.limit(WORDS_BYTES_MAX);
    connection.sender.send(joined(MAGIC, &nonce).into()).await?;
    let (listener, proof) = hear::<BYTES, BYTES>(connection).await?;
    let facts = Facts { secret, ends, opener: nonce, listener };
    // The listener is checked first, so that the opener's proof goes only to a peer that knows the secret.
    facts.check(Role::Listener, &proof)?;
    connection.sender.send(joined(&facts.proof(Role::Opener), &[]).into()).await?;
    connection.receiver.limit(FRAME_BYTES_MAX);
    Ok(())
}

/// The listener's side. `nonce` must be new.
pub(super) async fn accept(
    connection: &mut Connection,
    secret: &Secret,
    ends: &Ends,
    nonce: Nonce,
) -> Result<(), NetError> {
    connection.receiver.limit(WORDS_BYTES_MAX);
    let (magic, opener) = hear::<8, BYTES>(connection).await?;
    if magic != *MAGIC {
        return Err(NetError::Stranger);
    }
    let facts = Facts { secret, ends, opener, listener: nonce };
    connection.sender.send(joined(&nonce, &facts.proof(Role::Listener)).into()).await?;
    let (proof, []) = hear::<BYTES, 0>(connection).await?;
    facts.check(Role::Opener, &proof)?;
    connection.receiver.limit(FRAME_BYTES_MAX);
    Ok(())
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use futures::future::join;

    use super::super::sim::tests::{Idle, config, ms, simulate};
    use super::super::{Address, Env, Frame, Port};
    use super::*;

    fn ends(listener: &str) -> Ends {
        Ends { opener: "127.0.0.1:40000".into(), listener: listener.into() }
    }

    const KNOWN: Secret = Secret::of([1; BYTES]);
    const OTHER: Secret = Secret::of([2; BYTES]);
    const HERE: &str = "127.0.0.1:7000";

    /// Runs `near` at the opener's and `far` at the listener's end of a connection between two simulated nodes.
    fn between<A: Future<Output = ()>, B: Future<Output = ()>>(
        near: impl FnOnce(Connection) -> A + Send + 'static,
        far: impl FnOnce(Connection) -> B + Send + 'static,
    ) {
        simulate(1, config(), |world| async move {
            let (a, b) = (Idle::add(&world, "a"), Idle::add(&world, "b"));
            let mut listener = b.env().listen(Port::Control).await.unwrap();
            let (env, to): (Env, _) = (a.env(), Address("b:control".into()));
            let (opened, accepted) = join(env.connect(&to, ms(1000)), listener.accept()).await;
            join(near(opened.unwrap()), far(accepted.unwrap())).await;
        });
    }

    #[test]
    fn two_that_know_the_secret_of_one_connection_agree() {
        between(
            |mut near| async move {
                assert_eq!(open(&mut near, &KNOWN, &ends(HERE), [3; BYTES]).await, Ok(()));
                near.sender.send(Bytes::from(vec![0; 5_000]).into()).await.unwrap();
            },
            |mut far| async move {
                assert_eq!(accept(&mut far, &KNOWN, &ends(HERE), [4; BYTES]).await, Ok(()));
                assert_eq!(far.receiver.receive().await.unwrap().len(), 5_000, "the narrow bound is over");
            },
        );
    }

    #[test]
    fn neither_end_believes_one_that_does_not_know_the_secret() {
        between(
            |mut near| async move {
                assert_eq!(open(&mut near, &OTHER, &ends(HERE), [3; BYTES]).await, Err(NetError::Stranger));
            },
            |mut far| async move {
                assert!(accept(&mut far, &KNOWN, &ends(HERE), [4; BYTES]).await.is_err(), "AUTH-1");
            },
        );
        // An opener that sends its last message whatever it receives.
        between(
            |mut near| async move {
                near.sender.send(joined(MAGIC, &[3; BYTES]).into()).await.unwrap();
                let heard = near.receiver.receive().await.unwrap().body;
                // It sends the listener's own proof back.
                near.sender.send(heard.slice(BYTES..).into()).await.unwrap();
            },
            |mut far| async move {
                let accepted = accept(&mut far, &KNOWN, &ends(HERE), [4; BYTES]).await;
                assert_eq!(accepted, Err(NetError::Stranger), "AUTH-1");
            },
        );
    }

    /// A process that took the port of another one and relays every message is not trusted either.
    #[test]
    fn words_that_are_passed_on_by_somebody_between_prove_nothing() {
        between(
            |mut near| async move {
                let opened = open(&mut near, &KNOWN, &ends(HERE), [3; BYTES]).await;
                assert_eq!(opened, Err(NetError::Stranger));
            },
            |mut far| async move {
                assert!(accept(&mut far, &KNOWN, &ends("127.0.0.1:7001"), [4; BYTES]).await.is_err(), "AUTH-1");
            },
        );
    }

    #[test]
    fn anything_else_is_refused_and_nothing_long_is_held() {
        let long = Bytes::from(vec![0; WORDS_BYTES_MAX as usize + 1]);
        let wrong_magic = joined(b"FLQCONN0", &[3; BYTES]);
        let with_head = Frame { head: joined(MAGIC, &[3; BYTES]), body: Bytes::new() };
        let words = [Bytes::new(), Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n"), long, wrong_magic];
        for word in words.into_iter().map(Frame::from).chain([with_head]) {
            between(
                |mut near| async move { near.sender.send(word).await.unwrap() },
                |mut far| async move {
                    let refused = accept(&mut far, &KNOWN, &ends(HERE), [4; BYTES]).await.unwrap_err();
                    let too_long = matches!(&refused, NetError::TooLong { bytes: 65, .. });
                    assert!(refused == NetError::Stranger || too_long, "AUTH-2: {refused}");
                },
            );
        }
    }
}

//! Model checking of the engine's real decisions. Exists only in tests of this crate.
//!
//! Each file composes types and procedures of the product, as they are, with a small world in which everything may happen, and
//! visits every state of it:
//! - [`leadership`]: three JobManagers over the leadership log ([`crate::ha`], `standby::open`);
//! - [`commits`]: two JobManagers and two sinks over commit decisions, with a fallback and a takeover;
//! - [`alignment`]: barriers on three channels ([`crate::checkpoint::align`]).
//!
//! [`explorer`] is the search, [`store`] a durable store that may fail, [`replay`] runs asynchronous code request by request.
//! Each model tells how large it is, and its test asserts that number: a change of the product that makes the state space another
//! one is noticed, and wants the numbers to be looked at. Each finds a planted bug of the engine (feature `mutations`).
//! What the models leave out, and why the search is the project's own, is in docs/adr/0052.

mod alignment;
mod commits;
mod explorer;
mod leadership;
mod replay;
mod store;

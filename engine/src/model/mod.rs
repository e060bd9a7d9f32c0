//! Model checking of the engine's real decisions. Exists only in tests of this crate.
//!
//! Each file combines types and procedures of the product, unchanged, with a small world in which everything may
//! happen, and visits every state of it:
//! - [`leadership`]: three JobManagers over the leadership log ([`crate::ha`], `standby::open`);
//! - [`commits`]: two JobManagers and two sinks over commit decisions, with a fallback and a takeover;
//! - [`alignment`]: barriers on three channels ([`crate::checkpoint::align`]).
//!
//! [`explorer`] is the search, [`store`] a durable store that may fail, and [`replay`] runs asynchronous code request
//! by request. The test of each model asserts the size of its state space. If a change of the product changes the
//! size, the test fails, so that somebody looks at the new numbers. Each model finds a planted bug of the engine
//! (feature `mutations`). docs/adr/0052 says what the models leave out, and why the project has a search of its own.

mod alignment;
mod commits;
mod explorer;
mod leadership;
mod replay;
mod store;

//! Everything that reads bytes of others, fed with mutated input: no panic, no hang, no gigabyte.
//!
//! Every target starts from files and messages as this build writes them, and gets edits that lead deep: flipped bits, numbers
//! at the ends of their ranges, pieces doubled, cut and exchanged, and words of the format where they do not belong. What has a
//! hash gets a right one again, so that the reader behind the hash is met, and what is accepted is used as its reader uses it.
//!
//! Inputs are numbered, and a number always gives the same bytes. `fuzz/target.rs` makes and watches the inputs, `fuzz/binary.rs` and
//! `fuzz/texts.rs` have the targets. By hand, for more:
//! ```sh
//! FLOWQUAKE_FUZZ_INPUTS=1000000 cargo test -p flowquake --test fuzz -- --nocapture
//! FLOWQUAKE_FUZZ_SECONDS=60 FLOWQUAKE_FUZZ_FROM=5000000 cargo test -p flowquake --test fuzz -- --nocapture
//! FLOWQUAKE_FUZZ_INPUT=4711 cargo test -p flowquake --test fuzz manifests -- --nocapture     # one again
//! ```
#![allow(clippy::disallowed_methods, reason = "hangs are found by real time")]

#[path = "fuzz/binary.rs"]
mod binary;
#[path = "fuzz/target.rs"]
mod target;
#[path = "fuzz/texts.rs"]
mod texts;

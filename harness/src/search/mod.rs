//! Search: which runs to make so that a sweep can say what it has tried, and what these runs show.
//!
//! ```text
//! clean run ─► survey ─► positions ─► strikes of every kind ─► classes by cuts ─► one run of each ─► proof
//! ```
//! Start at [`strike::Catalogue`], the strikes of an exhaustive search, and at [`signature`], which says when two runs
//! went the same way. [`position`] names the places of a run, and [`ground`] the places that only runs with a failure
//! have. [`cut`] says which strikes are taken to be the same, [`measured`] what each cut removes, and [`proof`] whether
//! the cuts were right. [`cover`] and [`lineage`] say which pairs of faults are worth a run, [`curve`] when in a run a
//! failure was decided, [`hunt`] which plans to change, and [`seeds`] which shard has which seeds. Everything here is
//! pure: the command line (`cli`) makes the runs, in workers.

pub mod cover;
pub mod curve;
pub mod cut;
pub mod ground;
pub mod hunt;
pub mod lineage;
pub mod measured;
pub mod position;
pub mod proof;
pub mod seeds;
pub mod signature;
pub mod strike;
pub mod survey;
pub mod surveyed;
#[cfg(test)]
mod tests;

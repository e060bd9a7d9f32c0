//! Search: which runs to make so that a sweep can say what it has tried, and what that shows.
//!
//! ```text
//! clean run ─► survey ─► positions ─► strikes of every kind ─► classes by cuts ─► one run of each ─► proof
//! ```
//! Start at [`strike::Catalogue`], the strikes of an exhaustive search, and at [`signature`], which says when two runs went the
//! same way. [`position`] names the places of a run, [`ground`] those that only a failure has, [`cut`] says which strikes are taken for
//! one and [`measured`] what each cut removes, [`proof`] whether that was right; [`cover`] and [`lineage`] say which pairs of faults are worth a run. [`curve`] says when in a run a failure was decided, [`hunt`] which plans to change, and [`seeds`]
//! whose seeds are whose. Everything here is pure: runs are made by the command line (`cli`), in workers.

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

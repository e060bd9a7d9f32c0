//! Search: which runs to make so that a sweep can say what it has tried, and what that shows.
//!
//! Start at [`curve`], which says when in a run a failure was decided. Everything here is pure: runs are made by the
//! command line (`cli`), in workers.

pub mod curve;

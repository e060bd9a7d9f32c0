//! Search: which runs to make so that a sweep can say what it has tried, and what that shows.
//!
//! Start at [`signature`], which says when two runs came out the same way. Everything here is pure: runs are made by the
//! command line (`cli`), in workers.

pub mod signature;

//! What processes of a run ask, and what they are told: one line of JSON each way.

use std::time::Duration;

use flowquake_engine::env::StoreKind;
use serde::{Deserialize, Serialize};

use crate::jobs::AtRecord;

/// What a process asks before it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Question {
    /// User code is given a record.
    Record { node: String, split: u32, position: u64 },
    /// A request goes to a durable store.
    Request { node: String, store: StoreKind, access: Access, path: String, bytes: u64 },
}

/// What a request wants, as rules about stores tell requests apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Access {
    /// The contents of an object, or whether it exists.
    Read,
    /// The names of objects.
    List,
    /// A new object.
    Put,
    /// Another name for an object, or a copy of it.
    Rename,
    /// An object gone.
    Delete,
}

/// What it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// Of a record.
    Record(AtRecord),
    /// Of a request: it waits for so long, and then this is done to it.
    Request(Duration, Option<Spoilt>),
}

/// What is done to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Spoilt {
    /// The store did not answer.
    Unavailable,
    /// It fails and does nothing.
    Failed,
    /// There is no space left, so it does nothing.
    NoSpace,
    /// It takes effect and is answered with an error.
    Ambiguous,
    /// It is acknowledged, and only the first half of its bytes is there.
    Torn,
}

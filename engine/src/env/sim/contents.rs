//! What a world has to know of the program that runs in it: what its messages are, and what its files hold.

use std::fmt;

use super::super::Frame;
use crate::message_kind::MessageKind;

/// Tells messages and files of a program apart, for rules about messages and for weights of state.
pub trait Contents: fmt::Debug + Send + Sync {
    /// The kind of a control message; `None`: the frame is none. `from_opener`: it comes from whoever opened the connection.
    fn message_kind(&self, frame: &Frame, from_opener: bool) -> Option<MessageKind>;

    /// Of the `bytes` of an object in the checkpoint store, those that are entries of keyed state; `None`: it holds no state.
    fn entry_bytes(&self, path: &str, bytes: u64) -> Option<u64>;
}

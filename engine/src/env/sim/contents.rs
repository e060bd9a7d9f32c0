//! What a world has to know about the program that runs in it: the kinds of its messages and the contents of its
//! files.

use std::fmt;

use super::super::Frame;
use crate::message_kind::MessageKind;

/// Classifies messages and files of a program, for rules about messages and for weights of state.
pub trait Contents: fmt::Debug + Send + Sync {
    /// The kind of a control message; `None` if the frame is not one. `from_opener` says that the opener of the
    /// connection sent it.
    fn message_kind(&self, frame: &Frame, from_opener: bool) -> Option<MessageKind>;

    /// How many of the `bytes` of an object in the checkpoint store are entries of keyed state; `None` if the object
    /// holds no state.
    fn entry_bytes(&self, path: &str, bytes: u64) -> Option<u64>;
}

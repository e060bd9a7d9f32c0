//! Lets a simulated world read what this engine sends and stores; the world itself does not know the formats.

use crate::checkpoint::manifest::state_file_at;
use crate::codec::decode;
use crate::env::Frame;
use crate::env::sim::Contents;
use crate::message_kind::MessageKind;
use crate::state::entry_bytes;
use crate::wire::{ToJobManager, ToTaskManager, kind_of_order, kind_of_report};

/// The messages of [`crate::wire`] and the files of [`crate::checkpoint`].
#[derive(Debug)]
pub struct EngineContents;

impl Contents for EngineContents {
    fn message_kind(&self, frame: &Frame, from_opener: bool) -> Option<MessageKind> {
        let mut bytes = &frame.body[..];
        let kind = match from_opener {
            true => kind_of_report(&decode::<ToJobManager>(&mut bytes).ok()?),
            false => kind_of_order(&decode::<ToTaskManager>(&mut bytes).ok()?.order),
        };
        (bytes.is_empty() && frame.head.is_empty()).then_some(kind)
    }

    fn entry_bytes(&self, path: &str, bytes: u64) -> Option<u64> {
        state_file_at(path).map(|(_, name)| entry_bytes(name, bytes))
    }
}

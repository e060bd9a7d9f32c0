//! Faults of links, connections and control messages.

use toml::de::DeValue;

use crate::plan::{FaultAction, MessageFault, MessageKind};
use crate::reader::Refusal;
use crate::reader::node;
use crate::reader::suggest;
use crate::reader::{FaultKeys as Keys, value};

pub(super) fn isolate(keys: &mut Keys) -> Option<FaultAction> {
    let target = keys.target("isolate.target");
    let stores = keys.may("stores", "isolate.stores", value::boolean).unwrap_or(false);
    let heal_after = keys.heal_after("isolate.heal_after");
    Some(FaultAction::Isolate { target: target?, stores, heal_after })
}

pub(super) fn flap(keys: &mut Keys) -> Option<FaultAction> {
    let ends = keys.link("flap");
    let times = keys.must("times", "flap.times", "say how often it is cut: times = 3", value::whole_u32);
    let help = "say how long it is healed between two cuts: up = \"500ms\"";
    let up = keys.must("up", "flap.up", help, value::duration);
    let down = keys.must("down", "flap.down", "say how long it is cut: down = \"500ms\"", value::duration);
    let (from, to) = ends?;
    Some(FaultAction::Flap { from, to, times: times?, up: up?, down: down? })
}

pub(super) fn latency(keys: &mut Keys) -> Option<FaultAction> {
    let ends = keys.link("link");
    let help = "say how long messages travel: latency = \"50ms..200ms\"";
    let latency = keys.must("latency", "link.latency", help, value::duration_range);
    let heal_after = keys.heal_after("link.heal_after");
    let (from, to) = ends?;
    Some(FaultAction::Link { from, to, latency: Some(latency?), bandwidth: None, heal_after })
}

pub(super) fn bandwidth(keys: &mut Keys) -> Option<FaultAction> {
    let ends = keys.link("link");
    let help = "say how much passes: bandwidth = \"100kB/s\"";
    let bandwidth = keys.must("bandwidth", "link.bandwidth", help, value::bandwidth);
    let heal_after = keys.heal_after("link.heal_after");
    let (from, to) = ends?;
    Some(FaultAction::Link { from, to, latency: None, bandwidth: Some(bandwidth?), heal_after })
}

pub(super) fn reset_one(keys: &mut Keys) -> Option<FaultAction> {
    let ends = keys.must("link", "reset.target", node::LINK_HELP, node::link);
    keys.also("link", "reset.peer");
    let (target, peer) = ends?;
    Some(FaultAction::Reset { target, peer: Some(peer), one: true })
}

pub(super) fn reset_all(keys: &mut Keys) -> Option<FaultAction> {
    Some(FaultAction::Reset { target: keys.target("reset.target")?, peer: None, one: false })
}

pub(super) fn refuse(keys: &mut Keys) -> Option<FaultAction> {
    let target = keys.target("refuse.target");
    let heal_after = keys.heal_after("refuse.heal_after");
    Some(FaultAction::Refuse { target: target?, heal_after })
}

pub(super) fn half_open(keys: &mut Keys) -> Option<FaultAction> {
    let ends = keys.must("link", "half-open.target", node::ARROW_HELP, node::arrow);
    keys.also("link", "half-open.peer");
    let (target, peer) = ends?;
    Some(FaultAction::HalfOpen { target, peer })
}

pub(super) fn delay(keys: &mut Keys) -> Option<FaultAction> {
    let help = "say how much later they arrive: by = \"2s\"";
    let by = keys.must("by", "message.how.delay", help, value::duration);
    message(keys, by.map(MessageFault::Delay))
}

pub(super) fn duplicate(keys: &mut Keys) -> Option<FaultAction> {
    let late = keys.may("by", "message.how.duplicate-late", value::duration);
    message(keys, Some(late.map_or(MessageFault::Duplicate, MessageFault::DuplicateLate)))
}

pub(super) fn slow_receiver(keys: &mut Keys) -> Option<FaultAction> {
    let target = keys.target("slow-receiver.target");
    let rate = keys.must("rate", "slow-receiver.rate", "say how fast it reads: rate = \"10kB/s\"", value::bandwidth);
    let heal_after = keys.heal_after("slow-receiver.heal_after");
    Some(FaultAction::SlowReceiver { target: target?, rate: rate?, heal_after })
}

pub(super) fn cut(keys: &mut Keys, both_ways: bool) -> Option<FaultAction> {
    let heal_after = keys.heal_after("cut.heal_after");
    let ends = match both_ways {
        true => keys.must("link", "cut.from", node::LINK_HELP, node::both_sides),
        false => keys.must("link", "cut.from", node::ARROW_HELP, node::senders_and_receivers),
    };
    keys.also("link", "cut.to");
    let (from, to) = ends?;
    Some(FaultAction::Cut { from, to, both_ways, heal_after })
}

/// `how` is none if it was refused: the other keys are still read.
pub(super) fn message(keys: &mut Keys, how: Option<MessageFault>) -> Option<FaultAction> {
    let help = format!("say which messages: message = \"trigger\"; accepted: {}", suggest::quoted(&message_kinds()));
    let kind = keys.must("message", "message.kind", &help, message_kind);
    let node = keys.may("node", "message.node", node::node);
    let count = keys.may("count", "message.count", value::whole_u32).unwrap_or(1);
    Some(FaultAction::Message { kind: kind?, how: how?, node, count })
}

pub(in crate::scenario) fn message_kinds() -> Vec<&'static str> {
    MessageKind::ALL.iter().map(|kind| kind.name()).collect()
}

fn message_kind(value: &DeValue) -> Result<MessageKind, Refusal> {
    value::word(value, &message_kinds(), MessageKind::from_name)
}

//! Faults of links, connections and control messages.

use toml::de::DeValue;

use super::{Keys, Kind, target, value};
use crate::plan::{FaultAction, MessageFault, MessageKind, NodeTarget};
use crate::scenario::read::value::Refusal;
use crate::scenario::suggest;

const LINK_HELP: &str = "name both ends: link = \"tm-1 - tm-3\"";
const ARROW_HELP: &str = "name both ends: link = \"tm-1 -> tm-3\"";

pub(super) fn action(keys: &mut Keys, kind: Kind) -> Option<FaultAction> {
    Some(match kind {
        Kind::CutOneWay => cut(keys, false)?,
        Kind::Isolate => FaultAction::Isolate {
            target: keys.target("isolate.target")?,
            stores: keys.may("stores", "isolate.stores", value::boolean).unwrap_or(false),
            heal_after: keys.heal_after("isolate.heal_after"),
        },
        Kind::Flap => {
            let ends = link(keys, "flap");
            let times = keys.must("times", "flap.times", "say how often it is cut: times = 3", value::whole_u32);
            let help = "say how long it is healed between two cuts: up = \"500ms\"";
            let up = keys.must("up", "flap.up", help, value::duration);
            let help = "say how long it is cut: down = \"500ms\"";
            let down = keys.must("down", "flap.down", help, value::duration);
            let (from, to) = ends?;
            FaultAction::Flap { from, to, times: times?, up: up?, down: down? }
        }
        Kind::Latency => {
            let ends = link(keys, "link");
            let help = "say how long messages travel: latency = \"50ms..200ms\"";
            let latency = Some(keys.must("latency", "link.latency", help, value::duration_range)?);
            let heal_after = keys.heal_after("link.heal_after");
            let (from, to) = ends?;
            FaultAction::Link { from, to, latency, bandwidth: None, heal_after }
        }
        Kind::Bandwidth => {
            let ends = link(keys, "link");
            let help = "say how much passes: bandwidth = \"100kB/s\"";
            let bandwidth = Some(keys.must("bandwidth", "link.bandwidth", help, value::bandwidth)?);
            let heal_after = keys.heal_after("link.heal_after");
            let (from, to) = ends?;
            FaultAction::Link { from, to, latency: None, bandwidth, heal_after }
        }
        Kind::ResetConnection => {
            let ends = keys.must("link", "reset.target", LINK_HELP, target::link);
            keys.also("link", "reset.peer");
            let (target, peer) = ends?;
            FaultAction::Reset { target, peer: Some(peer), one: true }
        }
        Kind::ResetConnections => FaultAction::Reset { target: keys.target("reset.target")?, peer: None, one: false },
        Kind::RefuseConnections => FaultAction::Refuse {
            target: keys.target("refuse.target")?,
            heal_after: keys.heal_after("refuse.heal_after"),
        },
        Kind::HalfOpen => {
            let ends = keys.must("link", "half-open.target", ARROW_HELP, target::arrow);
            keys.also("link", "half-open.peer");
            let (target, peer) = ends?;
            FaultAction::HalfOpen { target, peer }
        }
        Kind::LoseMessage => message(keys, Some(MessageFault::Lose))?,
        Kind::DuplicateMessage => message(keys, Some(MessageFault::Duplicate))?,
        Kind::DelayMessage => {
            let help = "say how much later they arrive: by = \"2s\"";
            let by = keys.must("by", "message.how.delay", help, value::duration);
            message(keys, by.map(MessageFault::Delay))?
        }
        Kind::SlowReceiver => {
            let target = keys.target("slow-receiver.target");
            let help = "say how fast it reads: rate = \"10kB/s\"";
            let rate = keys.must("rate", "slow-receiver.rate", help, value::bandwidth);
            let heal_after = keys.heal_after("slow-receiver.heal_after");
            FaultAction::SlowReceiver { target: target?, rate: rate?, heal_after }
        }
        _ => cut(keys, true)?,
    })
}

fn cut(keys: &mut Keys, both_ways: bool) -> Option<FaultAction> {
    let heal_after = keys.heal_after("cut.heal_after");
    let ends = match both_ways {
        true => keys.must("link", "cut.from", LINK_HELP, target::both_sides),
        false => keys.must("link", "cut.from", ARROW_HELP, target::senders_and_receivers),
    };
    keys.also("link", "cut.to");
    let (from, to) = ends?;
    Some(FaultAction::Cut { from, to, both_ways, heal_after })
}

/// Both ends of a single link, placed at `from` and `to` of the action called `name`.
fn link(keys: &mut Keys, name: &str) -> Option<(NodeTarget, NodeTarget)> {
    let ends = keys.must("link", &format!("{name}.from"), LINK_HELP, target::link);
    keys.also("link", &format!("{name}.to"));
    ends
}

fn message(keys: &mut Keys, how: Option<MessageFault>) -> Option<FaultAction> {
    let help = format!("say which messages: message = \"trigger\"; accepted: {}", suggest::quoted(&message_kinds()));
    let kind = keys.must("message", "message.kind", &help, message_kind);
    let node = keys.may("node", "message.node", target::node);
    let count = keys.may("count", "message.count", value::whole_u32).unwrap_or(1);
    Some(FaultAction::Message { kind: kind?, how: how?, node, count })
}

fn message_kinds() -> Vec<&'static str> {
    MessageKind::ALL.iter().map(|kind| kind.name()).collect()
}

fn message_kind(value: &DeValue) -> Result<MessageKind, Refusal> {
    value::word(value, &message_kinds(), MessageKind::from_name)
}

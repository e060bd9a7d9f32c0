//! `lose-message`, `delay-message` and `duplicate-message`: a number of control messages of one kind are hurt.

use std::time::Duration;

use flowquake_engine::fault::MessageRule;
use flowquake_engine::time::Time;
use toml::de::DeValue;

use crate::checker::{Finding, Known, Length, Rules};
use crate::draws::{Action, Drawn, LINKED, Need};
use crate::faults::canonical::{Canon, Canonical, Place};
use crate::faults::spec::{BY, COUNT, Class, Family, NODE, Param, Spec, foreign, may, must};
use crate::nemesis::{Armed, Cluster, Effect, Harm, LEADER_LINK, Nemesis, Receipt, Striking, Struck, Watched, offered};
use crate::plan::{FaultAction, MessageFault, MessageKind};
use crate::reader::{FaultKeys, Refusal, node, suggest, value};
use crate::writer::{node_name, pair, text, time};

const MESSAGE: Param = must("message", "kind");

pub(crate) const LOSE_MESSAGE: Spec = Spec {
    name: "lose-message",
    family: Family::Network,
    effect: "control messages of a kind never arrive",
    classes: &[Class::Masked],
    roles: &[LEADER_LINK],
    params: &[MESSAGE, NODE, COUNT],
    read: |keys| read(keys, Some(MessageFault::Lose)),
    write,
    rules,
    lengths,
    canonical: |c| canonical(c, lost),
    drawn: Drawn::new(Need::Nothing, LINKED, |a| drawn(a, MessageFault::Lose)).again(),
    strike,
};

pub(crate) const DELAY_MESSAGE: Spec = Spec {
    name: "delay-message",
    effect: "control messages of a kind arrive late; later ones overtake them",
    params: &[MESSAGE, BY, NODE, COUNT],
    read: |keys| {
        let help = "say how much later they arrive: by = \"2s\"";
        let by = keys.must("by", "message.how.delay", help, value::duration);
        read(keys, by.map(MessageFault::Delay))
    },
    canonical: |c| canonical(c, delayed),
    drawn: Drawn::new(Need::Nothing, LINKED, |a| drawn(a, MessageFault::Delay(lateness(a)))).again(),
    ..LOSE_MESSAGE
};

pub(crate) const DUPLICATE_MESSAGE: Spec = Spec {
    name: "duplicate-message",
    effect: "control messages of a kind arrive twice, at once or late",
    params: &[MESSAGE, may("by", "duration"), NODE, COUNT],
    read: |keys| {
        let late = keys.may("by", "message.how.duplicate-late", value::duration);
        read(keys, Some(late.map_or(MessageFault::Duplicate, MessageFault::DuplicateLate)))
    },
    canonical: |c| canonical(c, doubled),
    drawn: Drawn::new(Need::Nothing, LINKED, |a| {
        let late = a.draws.one_in("late", 2).then(|| lateness(a));
        drawn(a, late.map_or(MessageFault::Duplicate, MessageFault::DuplicateLate))
    })
    .again(),
    ..LOSE_MESSAGE
};

/// `how` is `None` if it was refused; the other keys are still read.
fn read(keys: &mut FaultKeys, how: Option<MessageFault>) -> Option<FaultAction> {
    let help = format!("say which messages: message = \"trigger\"; accepted: {}", suggest::quoted(&message_kinds()));
    let kind = keys.must("message", "message.kind", &help, message_kind);
    let node = keys.may("node", "message.node", node::node);
    let count = keys.may("count", "message.count", value::whole_u32).unwrap_or(1);
    Some(FaultAction::Message { kind: kind?, how: how?, node, count })
}

/// Every kind of control message.
pub(crate) fn message_kinds() -> Vec<&'static str> {
    MessageKind::ALL.iter().map(|kind| kind.name()).collect()
}

fn message_kind(value: &DeValue) -> Result<MessageKind, Refusal> {
    value::word(value, &message_kinds(), MessageKind::from_name)
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Message { kind, how, node, count } = action else { foreign(action) };
    vec![
        Some(pair("message", text(kind.name()))),
        match how {
            MessageFault::Delay(by) | MessageFault::DuplicateLate(by) => Some(pair("by", time(*by))),
            MessageFault::Lose | MessageFault::Duplicate => None,
        },
        node.as_ref().map(|node| pair("node", text(node_name(node)))),
        (*count != 1).then(|| pair("count", count)),
    ]
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Message { node, count, .. } = action else { foreign(action) };
    rules.at_least((*count).into(), 1, "message.count", "no message would be hurt");
    let Some(node) = node else { return };
    if rules.target_exists(node, "message.node") && rules.known(node) == Known::Standby {
        let message = "a standby sends and receives no control messages";
        let help = "name a TaskManager or the leader, or leave `node` out";
        let finding = Finding::new("wrong-victim", message, help);
        rules.push(finding.at(rules.at("message.node"), "no messages there").given("cluster.job_managers"));
    }
}

fn lengths(action: &FaultAction) -> Vec<Length> {
    let FaultAction::Message { how, .. } = action else { foreign(action) };
    match how {
        MessageFault::Delay(by) => {
            vec![Length::new("action.message.how.delay", *by).key("by").above_zero("nothing would be late")]
        }
        MessageFault::DuplicateLate(by) => vec![
            Length::new("action.message.how.duplicate-late", *by)
                .key("by")
                .above_zero("leave `by` out: it comes right behind the first"),
        ],
        MessageFault::Lose | MessageFault::Duplicate => Vec::new(),
    }
}

fn drawn(a: &Action, how: MessageFault) -> FaultAction {
    let kind = a.draws.one_of("message", MessageKind::ALL);
    // Losing one heartbeat has no effect, so more are lost. For other kinds, sometimes every repetition is hurt, too.
    let most = if kind == MessageKind::Heartbeat || a.draws.one_in("repetitions", 5) { 30 } else { 3 };
    let node = (!a.draws.one_in("any node", 3)).then(|| a.target());
    FaultAction::Message { kind, how, node, count: a.draws.number("count", 1, most) as u32 }
}

/// Mostly within the time in which an answer is awaited, sometimes long after it.
fn lateness(a: &Action) -> Duration {
    let most = if a.draws.one_in("long after", 4) { 8_000 } else { 2_000 };
    a.draws.millis("message delay", 5, most)
}

/// Rules about messages: the name of each, how it hurts, and how many messages.
type Variants = Vec<(&'static str, MessageFault, u32)>;

/// More than the repetitions that any detector waits for. A deployment alone is repeated only every `rpc_timeout`.
const EVERY_TRY: u32 = 10;

/// Each message alone, and with all its repetitions.
fn lost(_: &Canon) -> Variants {
    vec![("once", MessageFault::Lose, 1), ("with every repetition", MessageFault::Lose, EVERY_TRY)]
}

/// Late within the same exchange, and so late that it arrives in the next attempt.
fn delayed(c: &Canon) -> Variants {
    c.lengths().map(|(label, by)| (label, MessageFault::Delay(by), 1)).into()
}

/// Doubled at once, late, and so late that another attempt receives the second one.
fn doubled(c: &Canon) -> Variants {
    let late = c.lengths().map(|(label, by)| (label, MessageFault::DuplicateLate(by), 1));
    [("at once", MessageFault::Duplicate, 1)].into_iter().chain(late).collect()
}

fn canonical(c: &Canon, variants: fn(&Canon) -> Variants) -> Vec<Canonical> {
    let Place::Message(kind, victim) = c.place else { return Vec::new() };
    let strike = |(label, how, count)| {
        let action = FaultAction::Message { kind, how, node: Some(victim.target()), count };
        Canonical::at(victim, format!("{} {label}", kind.name()), action).with_role(LEADER_LINK)
    };
    variants(c).into_iter().map(strike).collect()
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::Message { kind, how, node, count } = action else { foreign(action) };
    let (kind, how, count) = (*kind, *how, *count);
    let node = node.as_ref().map(|node| s.node(node)).transpose()?;
    let (done, harm) = match how {
        MessageFault::Lose => ("lost".to_owned(), Harm::MessagesLost),
        MessageFault::Delay(by) => (format!("late by {}", humantime::format_duration(by)), Harm::MessagesDelayed),
        MessageFault::Duplicate => ("doubled".to_owned(), Harm::MessagesDoubled),
        MessageFault::DuplicateLate(by) => {
            (format!("doubled, late by {}", humantime::format_duration(by)), Harm::MessagesDoubled)
        }
    };
    let detail = format!("message `{}` {done}", kind.name());
    let target = node.clone().unwrap_or_else(|| s.leader());
    let rule = offered(s.world.messages()).add_message_rule(MessageRule { kind, node, fault: how, count });
    let watched = Watched::new(s.blow, Armed::Messages(rule), LEADER_LINK, target, detail);
    s.nemesis.watch(watched.harming(harm).at_most(Some(count)));
    s.lasts(Vec::new(), vec![Box::new(Hurting(rule))], None);
    Ok(())
}

/// A rule about control messages, which may end earlier when its count is used up.
#[derive(Debug)]
struct Hurting(usize);

impl Effect for Hurting {
    fn end(&self, nemesis: &mut Nemesis, world: &dyn Cluster, now: Time) -> Receipt {
        offered(world.messages()).end_message_rule(self.0);
        nemesis.stop_looking(Armed::Messages(self.0), now);
        Receipt::certain()
    }
}

//! `latency` and `bandwidth`: a link has other properties for a while, both ways.

use std::time::Duration;

use flowquake_engine::env::sim::Gauge;
use flowquake_engine::time::Time;

use crate::checker::{Finding, Length, Rules};
use crate::draws::{Action, Drawn, LINKED, Need};
use crate::faults::canonical::{Canon, Canonical};
use crate::faults::spec::{Class, Family, HEAL_AFTER, LINK, LINKS, Spec, foreign, must};
use crate::nemesis::{Cluster, Effect, Harm, Link, Nemesis, Receipt, Striking, Struck, made_by, offered};
use crate::plan::FaultAction;
use crate::reader::{FaultKeys, value};
use crate::units;
use crate::writer::{heal_after, link, pair, speed, text};

pub(crate) const LATENCY: Spec = Spec {
    name: "latency",
    family: Family::Network,
    effect: "a link has another latency",
    classes: &[Class::Masked],
    roles: LINKS,
    params: &[LINK, must("latency", "duration range"), HEAL_AFTER],
    read: latency,
    write,
    rules,
    lengths,
    canonical: |c| canonical(c, "0.3 s", Some(LATENCY_SLOW), None),
    drawn: Drawn::new(Need::Nothing, LINKED, |a| {
        let low = a.draws.millis("latency", 5, 200);
        drawn(a, Some((low, low * 2)), None)
    }),
    strike,
};

pub(crate) const BANDWIDTH: Spec = Spec {
    name: "bandwidth",
    effect: "a link has another bandwidth",
    params: &[LINK, must("bandwidth", "bandwidth"), HEAL_AFTER],
    read: bandwidth,
    canonical: |c| canonical(c, "20 kB/s", None, Some(BANDWIDTH_SLOW)),
    drawn: Drawn::new(Need::Nothing, LINKED, |a| drawn(a, None, Some(a.draws.number("bandwidth", 20, 2_000) * 1_000))),
    ..LATENCY
};

fn latency(keys: &mut FaultKeys) -> Option<FaultAction> {
    let ends = keys.link("link");
    let help = "say how long messages travel: latency = \"50ms..200ms\"";
    let latency = keys.must("latency", "link.latency", help, value::duration_range);
    let heal_after = keys.heal_after("link.heal_after");
    let (from, to) = ends?;
    Some(FaultAction::Link { from, to, latency: Some(latency?), bandwidth: None, heal_after })
}

fn bandwidth(keys: &mut FaultKeys) -> Option<FaultAction> {
    let ends = keys.link("link");
    let help = "say how much passes: bandwidth = \"100kB/s\"";
    let bandwidth = keys.must("bandwidth", "link.bandwidth", help, value::bandwidth);
    let heal_after = keys.heal_after("link.heal_after");
    let (from, to) = ends?;
    Some(FaultAction::Link { from, to, latency: None, bandwidth: Some(bandwidth?), heal_after })
}

fn write(action: &FaultAction) -> Vec<Option<String>> {
    let FaultAction::Link { from, to, latency, bandwidth, heal_after: after } = action else { foreign(action) };
    vec![
        Some(link(from, "-", to)),
        latency.map(|range| pair("latency", text(&units::format_duration_range(range)))),
        bandwidth.map(|rate| pair("bandwidth", speed(rate))),
        heal_after(*after),
    ]
}

fn rules(rules: &mut Rules, action: &FaultAction) {
    let FaultAction::Link { from, to, latency, bandwidth, .. } = action else { foreign(action) };
    rules.link(from, to, "link.from", "link.to");
    if latency.is_none() && bandwidth.is_none() {
        let message = "neither `latency` nor `bandwidth` is given: the link would stay as it is";
        let finding = Finding::new("no-effect", message, "give one of them");
        rules.push(finding.at(rules.at("link"), "changes nothing"));
    }
    if let Some((low, high)) = latency.filter(|(low, high)| low > high) {
        let (low, high) = (units::format_duration(low), units::format_duration(high));
        let message = format!("`latency` runs from {low} down to {high}");
        let finding = Finding::new("no-effect", message, format!("write the smaller one first: \"{high}..{low}\""));
        rules.push(finding.at(rules.at("link.latency"), "ends are swapped"));
    }
    if *bandwidth == Some(0) {
        let help = "write a bandwidth above zero, such as \"100kB/s\"; or cut the link";
        let finding = Finding::new("no-effect", "`bandwidth` is zero: nothing would ever arrive", help);
        rules.push(finding.at(rules.at("link.bandwidth"), "more than zero"));
    }
}

fn lengths(action: &FaultAction) -> Vec<Length> {
    let FaultAction::Link { latency, heal_after, .. } = action else { foreign(action) };
    let mut lengths = Length::until_end("action.link.heal_after", *heal_after);
    lengths.extend(latency.map(|(_, high)| Length::new("action.link.latency", high)));
    lengths
}

fn drawn(a: &Action, latency: Option<(Duration, Duration)>, bandwidth: Option<u64>) -> FaultAction {
    FaultAction::Link { from: a.target(), to: a.peer(), latency, bandwidth, heal_after: a.heals() }
}

const LATENCY_SLOW: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(300));
const BANDWIDTH_SLOW: u64 = 20_000;

fn canonical(c: &Canon, label: &str, latency: Option<(Duration, Duration)>, bandwidth: Option<u64>) -> Vec<Canonical> {
    let links = c.links().into_iter();
    links
        .map(|(one, other)| {
            let (from, to, heal_after) = (one.target(), other.target(), Some(c.beyond()));
            let action = FaultAction::Link { from, to, latency, bandwidth, heal_after };
            Canonical::at(one, label, action).towards(other).lasting()
        })
        .collect()
}

fn strike(s: &mut Striking, action: &FaultAction) -> Struck {
    let FaultAction::Link { from, to, latency, bandwidth, heal_after } = action else { foreign(action) };
    let (from, to) = s.link(from, to)?;
    let mut parts = Vec::new();
    if let Some((low, high)) = *latency {
        let (low, high) = (humantime::format_duration(low), humantime::format_duration(high));
        parts.push(format!("latency is {low} to {high}"));
    }
    parts.extend(bandwidth.map(|rate| format!("bandwidth is {rate} bytes/s")));
    let hit = s.hit(s.link_role(&from, &to), format!("{from} - {to}"), parts.join(", "));
    let ends = if from < to { (from, to) } else { (to, from) };
    let changed = Changed { ends, latency: *latency, bandwidth: *bandwidth };
    s.lasts(vec![hit], vec![Box::new(changed.clone())], *heal_after);
    changed.set(s.nemesis, s.world);
    Ok(())
}

/// A link that has other properties in both directions. Its ends are in order.
#[derive(Debug, Clone)]
struct Changed {
    ends: Link,
    latency: Option<(Duration, Duration)>,
    bandwidth: Option<u64>,
}

impl Changed {
    /// Sets each property to the value of the newest fault in force that changes this property.
    fn set(&self, nemesis: &mut Nemesis, world: &dyn Cluster) {
        let of_link = || nemesis.newest::<Self>().filter(|(_, other)| other.ends == self.ends);
        let latency = made_by(of_link().filter_map(|(fault, link)| Some((fault, link.latency?)))).unzip();
        let bandwidth = made_by(of_link().filter_map(|(fault, link)| Some((fault, link.bandwidth?)))).unzip();
        let (one, other) = &self.ends;
        for (from, to) in [(one, other), (other, one)] {
            let gauge = Gauge::Latency(from.clone(), to.clone());
            nemesis.own(world, &gauge, latency.0, Harm::FramesOfOtherLatency);
            let gauge = Gauge::Bandwidth(from.clone(), to.clone());
            nemesis.own(world, &gauge, bandwidth.0, Harm::FramesOfOtherSpeed);
            offered(world.network()).set_link(from, to, latency.1, bandwidth.1);
        }
    }
}

impl Effect for Changed {
    fn end(&self, nemesis: &mut Nemesis, world: &dyn Cluster, _: Time) -> Receipt {
        self.set(nemesis, world);
        Receipt::certain()
    }
}

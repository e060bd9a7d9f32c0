//! What the nemesis can do to a cluster, as one trait per ability. So each target implements the abilities that it has,
//! and the nemesis can be tested without a cluster.
//!
//! Start at [`Cluster`]. Actions on processes, speeds, local disks and stored files return a [`Receipt`], because a real system
//! may fail to do what it is told. The other abilities always succeed in the simulator, which is the only target that has them.
//!
//! Invariant: (CLUSTER-1) a target is never asked for a strike that it does not offer.

use std::time::Duration;

use bytes::Bytes;
use flowquake_engine::env::StoreKind;
use flowquake_engine::env::sim::{Gauge, SimWorld};
use flowquake_engine::fault::{ClockFault, Death, FileDamage, MessageRule, SlowWork, StoreRule};
use flowquake_engine::time::Time;

use crate::jobs::UserCodeHit;
use crate::plan::Disk;

/// How often a rule was applied, and when it was applied last.
pub type Hurt = (u32, Option<Time>);

/// What a cluster answers to an action.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a strike that is not proved does not count"]
pub enum Receipt {
    /// There was nothing to strike or heal, for example because the node was already down.
    InVain,
    /// It was done, and its effect was seen. The text says by what; it is empty where the effect is certain.
    Proved(String),
    /// It was tried, but nothing shows its effect; the text says why.
    Unproved(String),
}

impl Receipt {
    /// The receipt of an action whose effect is certain once it is done.
    pub fn certain() -> Self {
        Self::Proved(String::new())
    }

    /// The receipt of an action whose effect is certain if it was `done`, and which was in vain otherwise.
    pub fn when(done: bool) -> Self {
        if done { Self::certain() } else { Self::InVain }
    }
}

/// A cluster that can be hurt, with the abilities that it has. The methods mean the same as the methods of [`SimWorld`]
/// with the same names.
///
/// The plan is checked against the target's offers before anything runs, so a cluster is never asked for an ability
/// that it lacks (CLUSTER-1).
pub trait Cluster {
    /// Whether a node runs.
    fn is_alive(&self, node: &str) -> bool;

    /// What this gauge has counted so far. A target that offers a fault has the gauges that the fault's effect is read
    /// from.
    fn harm(&self, gauge: &Gauge) -> u64;

    /// What shows that user code failed because it was told to; empty where that is certain.
    fn user_code_shown(&self, hit: &UserCodeHit) -> String {
        let _ = hit;
        String::new()
    }

    /// Kills, starts, stops processes.
    fn processes(&self) -> Option<&dyn Processes> {
        None
    }

    /// Changes the price of work.
    fn speeds(&self) -> Option<&dyn Speeds> {
        None
    }

    /// Changes clocks.
    fn clocks(&self) -> Option<&dyn Clocks> {
        None
    }

    /// Damages local disks.
    fn disks(&self) -> Option<&dyn Disks> {
        None
    }

    /// Changes links and connections.
    fn network(&self) -> Option<&dyn Network> {
        None
    }

    /// Changes single control messages.
    fn messages(&self) -> Option<&dyn Messages> {
        None
    }

    /// Changes the answers and the contents of durable stores.
    fn stores(&self) -> Option<&dyn Stores> {
        None
    }
}

/// Returns an ability that the cluster must have, because it offered a fault that needs it (CLUSTER-1).
pub(crate) fn offered<A: ?Sized>(ability: Option<&A>) -> &A {
    ability.unwrap_or_else(|| panic!("CLUSTER-1: a target was asked for {}", std::any::type_name::<A>()))
}

/// Kills, starts and stops the processes of nodes.
#[allow(missing_docs, reason = "SimWorld says what they do")]
pub trait Processes {
    fn kill(&self, node: &str, death: Death) -> Receipt;
    fn restart(&self, node: &str, disk: Disk) -> Receipt;
    fn pause(&self, node: &str) -> Receipt;
    fn resume(&self, node: &str) -> Receipt;
}

/// Changes the price of work.
#[allow(missing_docs, reason = "SimWorld says what they do")]
pub trait Speeds {
    fn slow(&self, node: &str, work: SlowWork, factor: Option<u32>) -> Receipt;
}

/// Changes the clocks of nodes.
#[allow(missing_docs, reason = "SimWorld says what they do")]
pub trait Clocks {
    fn set_clock(&self, node: &str, fault: ClockFault) -> bool;
}

/// Damages what nodes keep on their own disks.
#[allow(missing_docs, reason = "SimWorld says what they do")]
pub trait Disks {
    fn damage_local(&self, node: &str, pick: u64, damage: FileDamage) -> Option<String>;
}

/// Changes links between nodes, and the connections over them.
#[allow(missing_docs, reason = "SimWorld says what they do")]
#[rustfmt::skip]
pub trait Network {
    fn cut(&self, from: &str, to: &str);
    fn heal(&self, from: &str, to: &str);
    fn set_link(&self, from: &str, to: &str, latency: Option<(Duration, Duration)>, bandwidth: Option<u64>);
    fn reset_connections(&self, node: &str, peer: Option<&str>, one: bool) -> usize;
    fn refuse(&self, node: &str, refused: bool);
    fn half_open(&self, node: &str, peer: &str) -> usize;
    fn limit_receiver(&self, node: &str, rate: Option<u64>);
}

/// Changes single control messages.
#[allow(missing_docs, reason = "SimWorld says what they do")]
pub trait Messages {
    fn add_message_rule(&self, rule: MessageRule) -> usize;
    fn end_message_rule(&self, rule: usize);
    fn message_rule_hits(&self, rule: usize) -> Hurt;
}

/// Changes the answers and the contents of durable stores.
#[allow(missing_docs, reason = "SimWorld says what they do")]
pub trait Stores {
    fn add_store_rule(&self, rule: StoreRule) -> usize;
    fn end_store_rule(&self, rule: usize);
    fn store_rule_hits(&self, rule: usize) -> Hurt;
    /// What shows that a rule was applied; empty where that is certain.
    fn store_rule_shown(&self, rule: usize) -> String {
        let _ = rule;
        String::new()
    }
    /// Paths below a folder of the checkpoint store, in order.
    fn checkpoint_files(&self, folder: &str) -> Vec<String>;
    /// A file of the checkpoint store.
    fn read_checkpoint_file(&self, path: &str) -> Option<Bytes>;
    /// Gives a file of the checkpoint store other contents; `None` removes it.
    fn damage_checkpoint_file(&self, path: &str, contents: Option<Bytes>) -> Receipt;
}

macro_rules! forward {
    ($($name:ident($($arg:ident: $ty:ty),*) $(-> $result:ty)?;)*) => {
        $(fn $name(&self, $($arg: $ty),*) $(-> $result)? { SimWorld::$name(self, $($arg),*) })*
    };
}

macro_rules! has {
    ($($ability:ident: $trait:ident),*) => {
        $(fn $ability(&self) -> Option<&dyn $trait> { Some(self) })*
    };
}

impl Cluster for SimWorld {
    has!(
        processes: Processes,
        speeds: Speeds,
        clocks: Clocks,
        disks: Disks,
        network: Network,
        messages: Messages,
        stores: Stores
    );
    forward! {
        is_alive(node: &str) -> bool;
        harm(gauge: &Gauge) -> u64;
    }
}

impl Processes for SimWorld {
    fn kill(&self, node: &str, death: Death) -> Receipt {
        Receipt::when(SimWorld::kill(self, node, death))
    }

    fn restart(&self, node: &str, disk: Disk) -> Receipt {
        match disk {
            Disk::Wiped => SimWorld::restart(self, node),
            Disk::Kept => self.restart_with_disk(node),
        }
        Receipt::certain()
    }

    fn pause(&self, node: &str) -> Receipt {
        Receipt::when(SimWorld::pause(self, node))
    }

    fn resume(&self, node: &str) -> Receipt {
        SimWorld::resume(self, node);
        Receipt::certain()
    }
}

impl Speeds for SimWorld {
    fn slow(&self, node: &str, work: SlowWork, factor: Option<u32>) -> Receipt {
        SimWorld::slow(self, node, work, factor);
        Receipt::certain()
    }
}

impl Clocks for SimWorld {
    forward! { set_clock(node: &str, fault: ClockFault) -> bool; }
}

impl Disks for SimWorld {
    forward! { damage_local(node: &str, pick: u64, damage: FileDamage) -> Option<String>; }
}

impl Network for SimWorld {
    forward! {
        cut(from: &str, to: &str);
        heal(from: &str, to: &str);
        set_link(from: &str, to: &str, latency: Option<(Duration, Duration)>, bandwidth: Option<u64>);
        reset_connections(node: &str, peer: Option<&str>, one: bool) -> usize;
        refuse(node: &str, refused: bool);
        half_open(node: &str, peer: &str) -> usize;
        limit_receiver(node: &str, rate: Option<u64>);
    }
}

impl Messages for SimWorld {
    forward! {
        add_message_rule(rule: MessageRule) -> usize;
        end_message_rule(rule: usize);
        message_rule_hits(rule: usize) -> Hurt;
    }
}

impl Stores for SimWorld {
    forward! {
        add_store_rule(rule: StoreRule) -> usize;
        end_store_rule(rule: usize);
        store_rule_hits(rule: usize) -> Hurt;
    }

    fn checkpoint_files(&self, folder: &str) -> Vec<String> {
        SimWorld::stores(self).list(StoreKind::Checkpoints, folder)
    }

    fn read_checkpoint_file(&self, path: &str) -> Option<Bytes> {
        SimWorld::stores(self).read(StoreKind::Checkpoints, path)
    }

    fn damage_checkpoint_file(&self, path: &str, contents: Option<Bytes>) -> Receipt {
        SimWorld::stores(self).damage(StoreKind::Checkpoints, path, contents);
        Receipt::certain()
    }
}

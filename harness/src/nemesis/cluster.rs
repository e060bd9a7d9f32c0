//! What the nemesis can do to a cluster: the methods of the simulated world, as a trait, so that what it decides can be tried
//! without a simulation.
//!
//! Invariant: (CLUSTER-1) a target is never asked for a strike that it does not offer.

use std::time::Duration;

use bytes::Bytes;
use flowquake_engine::env::StoreKind;
use flowquake_engine::env::sim::{Gauge, SimWorld};
use flowquake_engine::fault::{ClockFault, Death, FileDamage, MessageRule, SlowWork, StoreRule};
use flowquake_engine::time::Time;

/// How often a rule was applied, and when last.
pub type Hurt = (u32, Option<Time>);

/// A cluster that can be hurt. Methods mean what those of [`SimWorld`] with the same name say.
///
/// A target brings those that it offers. Its offers are held against the plan before anything runs, so it is never asked for another
/// (CLUSTER-1).
#[allow(missing_docs, reason = "SimWorld says what they do")]
#[allow(unused_variables, reason = "what is not offered uses nothing")]
#[rustfmt::skip]
pub trait Cluster {
    fn is_alive(&self, node: &str) -> bool;

    // Processes.
    fn kill(&self, node: &str, death: Death) -> bool { not_offered("kill") }
    fn restart(&self, node: &str) { not_offered("restart") }
    fn restart_with_disk(&self, node: &str) { not_offered("restart_with_disk") }
    fn pause(&self, node: &str) -> bool { not_offered("pause") }
    fn resume(&self, node: &str) { not_offered("resume") }
    fn slow(&self, node: &str, work: SlowWork, factor: Option<u32>) { not_offered("slow") }

    // Clocks.
    fn set_clock(&self, node: &str, fault: ClockFault) -> bool { not_offered("set_clock") }

    // Local disks.
    fn damage_local(&self, node: &str, pick: u64, damage: FileDamage) -> Option<String> { not_offered("damage_local") }

    // Network.
    fn cut(&self, from: &str, to: &str) { not_offered("cut") }
    fn heal(&self, from: &str, to: &str) { not_offered("heal") }
    fn set_link(&self, from: &str, to: &str, latency: Option<(Duration, Duration)>, bandwidth: Option<u64>) { not_offered("set_link") }
    fn reset_connections(&self, node: &str, peer: Option<&str>, one: bool) -> usize { not_offered("reset_connections") }
    fn refuse(&self, node: &str, refused: bool) { not_offered("refuse") }
    fn half_open(&self, node: &str, peer: &str) -> usize { not_offered("half_open") }
    fn limit_receiver(&self, node: &str, rate: Option<u64>) { not_offered("limit_receiver") }

    // Messages.
    fn add_message_rule(&self, rule: MessageRule) -> usize { not_offered("add_message_rule") }
    fn end_message_rule(&self, rule: usize) { not_offered("end_message_rule") }
    fn message_rule_hits(&self, rule: usize) -> Hurt { not_offered("message_rule_hits") }

    // Durable stores.
    fn add_store_rule(&self, rule: StoreRule) -> usize { not_offered("add_store_rule") }
    fn end_store_rule(&self, rule: usize) { not_offered("end_store_rule") }
    fn store_rule_hits(&self, rule: usize) -> Hurt { not_offered("store_rule_hits") }
    /// Paths below a folder of the checkpoint store, in order.
    fn checkpoint_files(&self, folder: &str) -> Vec<String> { not_offered("checkpoint_files") }
    /// A file of the checkpoint store.
    fn read_checkpoint_file(&self, path: &str) -> Option<Bytes> { not_offered("read_checkpoint_file") }
    /// Gives a file of the checkpoint store other contents; `None` removes it.
    fn damage_checkpoint_file(&self, path: &str, contents: Option<Bytes>) { not_offered("damage_checkpoint_file") }

    /// What a fault has hurt so far, by this gauge; a target that offers a fault has the gauges that its effect is read from.
    fn harm(&self, gauge: &Gauge) -> u64 { not_offered("harm") }
}

fn not_offered(what: &str) -> ! {
    panic!("CLUSTER-1: `{what}` was asked of a target that does not offer it")
}

macro_rules! forward {
    ($($name:ident($($arg:ident: $ty:ty),*) $(-> $result:ty)?;)*) => {
        $(fn $name(&self, $($arg: $ty),*) $(-> $result)? { SimWorld::$name(self, $($arg),*) })*
    };
}

impl Cluster for SimWorld {
    forward! {
        is_alive(node: &str) -> bool;
        kill(node: &str, death: Death) -> bool;
        restart(node: &str);
        restart_with_disk(node: &str);
        pause(node: &str) -> bool;
        resume(node: &str);
        slow(node: &str, work: SlowWork, factor: Option<u32>);
        set_clock(node: &str, fault: ClockFault) -> bool;
        damage_local(node: &str, pick: u64, damage: FileDamage) -> Option<String>;
        cut(from: &str, to: &str);
        heal(from: &str, to: &str);
        set_link(from: &str, to: &str, latency: Option<(Duration, Duration)>, bandwidth: Option<u64>);
        reset_connections(node: &str, peer: Option<&str>, one: bool) -> usize;
        refuse(node: &str, refused: bool);
        half_open(node: &str, peer: &str) -> usize;
        limit_receiver(node: &str, rate: Option<u64>);
        add_message_rule(rule: MessageRule) -> usize;
        end_message_rule(rule: usize);
        message_rule_hits(rule: usize) -> Hurt;
        add_store_rule(rule: StoreRule) -> usize;
        end_store_rule(rule: usize);
        store_rule_hits(rule: usize) -> Hurt;
        harm(gauge: &Gauge) -> u64;
    }

    fn checkpoint_files(&self, folder: &str) -> Vec<String> {
        self.stores().list(StoreKind::Checkpoints, folder)
    }

    fn read_checkpoint_file(&self, path: &str) -> Option<Bytes> {
        self.stores().read(StoreKind::Checkpoints, path)
    }

    fn damage_checkpoint_file(&self, path: &str, contents: Option<Bytes>) {
        self.stores().damage(StoreKind::Checkpoints, path, contents);
    }
}

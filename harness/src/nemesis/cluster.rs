//! What the nemesis can do to a cluster: the methods of the simulated world, as a trait, so that what it decides can be tried
//! without a simulation.

use std::time::Duration;

use bytes::Bytes;
use flowquake_engine::env::StoreKind;
use flowquake_engine::env::sim::{Gauge, SimWorld};
use flowquake_engine::fault::{ClockFault, Death, FileDamage, MessageRule, SlowWork, StoreRule};
use flowquake_engine::time::Time;

/// How often a rule was applied, and when last.
pub type Hurt = (u32, Option<Time>);

/// A cluster that can be hurt. Methods mean what those of [`SimWorld`] with the same name say.
#[allow(missing_docs, reason = "SimWorld says what they do")]
pub trait Cluster {
    fn is_alive(&self, node: &str) -> bool;
    fn kill(&self, node: &str, death: Death) -> bool;
    fn restart(&self, node: &str);
    fn restart_with_disk(&self, node: &str);
    fn pause(&self, node: &str) -> bool;
    fn resume(&self, node: &str);
    fn slow(&self, node: &str, work: SlowWork, factor: Option<u32>);
    fn set_clock(&self, node: &str, fault: ClockFault) -> bool;
    fn damage_local(&self, node: &str, pick: u64, damage: FileDamage) -> Option<String>;
    fn cut(&self, from: &str, to: &str);
    fn heal(&self, from: &str, to: &str);
    fn set_link(&self, from: &str, to: &str, latency: Option<(Duration, Duration)>, bandwidth: Option<u64>);
    fn reset_connections(&self, node: &str, peer: Option<&str>, one: bool) -> usize;
    fn refuse(&self, node: &str, refused: bool);
    fn half_open(&self, node: &str, peer: &str) -> usize;
    fn limit_receiver(&self, node: &str, rate: Option<u64>);
    fn add_message_rule(&self, rule: MessageRule) -> usize;
    fn end_message_rule(&self, rule: usize);
    fn message_rule_hits(&self, rule: usize) -> Hurt;
    fn add_store_rule(&self, rule: StoreRule) -> usize;
    fn end_store_rule(&self, rule: usize);
    fn store_rule_hits(&self, rule: usize) -> Hurt;
    fn harm(&self, gauge: &Gauge) -> u64;
    /// Paths below a folder of the checkpoint store, in order.
    fn checkpoint_files(&self, folder: &str) -> Vec<String>;
    /// A file of the checkpoint store.
    fn read_checkpoint_file(&self, path: &str) -> Option<Bytes>;
    /// Gives a file of the checkpoint store other contents; `None` removes it.
    fn damage_checkpoint_file(&self, path: &str, contents: Option<Bytes>);
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

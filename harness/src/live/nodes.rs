//! The nodes of a run on this machine, each its processes one after another: started, killed, stopped, each strike with what proves it.
//!
//! Start at [`Nodes`], which every target with real processes has. How a process is started and what it said last is the target's to
//! know ([`Starter`]); what proves a strike is in `live`. A node that comes back keeps its name and gets a new folder, or keeps that,
//! too, as the fault says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};

use flowquake_engine::env::sim::{Gauge, damage_below};
use flowquake_engine::fault::{Death, FileDamage};

use super::Live;
use crate::nemesis::{Disks, Processes, Receipt};
use crate::plan::Disk;

/// How the processes of a target are started.
pub(crate) trait Starter {
    /// Starts this life of a node.
    fn start(&self, life: &Life<'_>) -> io::Result<Child>;

    /// The last that the process of this life said.
    fn last_words(&self, life: &Life<'_>) -> String;
}

/// One life of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life<'a> {
    pub(crate) node: &'a str,
    /// From 1.
    pub(crate) number: u32,
    /// What this node has on disk.
    pub(crate) folder: &'a Path,
    /// Whether no life before this one had the folder; then it does not exist yet.
    pub(crate) is_new: bool,
}

/// A process that ended and was not struck.
pub(crate) struct Exit {
    pub(crate) node: String,
    pub(crate) status: ExitStatus,
    /// The last that it said.
    pub(crate) last_words: String,
}

/// A node: its lives one after another.
#[derive(Default)]
struct Node {
    live: Option<Live>,
    /// Its machine is lost: what is left of its process stands still until the next life begins.
    lost: Option<Live>,
    lives: u32,
    /// Its own disk, in this life or the last one.
    folder: PathBuf,
    /// Threads that were seen to stand still, over all pauses that have ended.
    stood_still: u64,
}

impl Node {
    fn life<'a>(&'a self, name: &'a str) -> Life<'a> {
        Life { node: name, number: self.lives, folder: &self.folder, is_new: false }
    }

    /// Its life is over; what it had stood still counts on.
    fn end(&mut self) {
        self.stood_still += self.live.take().map_or(0, |live| live.stood_still());
    }

    /// Its machine is gone, and its life with it.
    fn lose(&mut self) -> Receipt {
        let Some(mut live) = self.live.take() else { return Receipt::InVain };
        let receipt = live.lose();
        match receipt {
            Receipt::Proved(_) => {
                self.stood_still += live.stood_still();
                self.lost = Some(live);
            }
            Receipt::InVain | Receipt::Unproved(_) => self.live = Some(live),
        }
        receipt
    }
}

/// All nodes of a run, below one folder.
pub(crate) struct Nodes<S> {
    starter: S,
    root: PathBuf,
    nodes: RefCell<BTreeMap<String, Node>>,
}

impl<S: Starter> Nodes<S> {
    /// Of these names, whose folders will be in `root`; nothing runs yet.
    pub(crate) fn new(starter: S, root: &Path, names: impl Iterator<Item = String>) -> Self {
        let nodes = names.map(|name| (name, Node::default())).collect();
        Self { starter, root: root.to_owned(), nodes: RefCell::new(nodes) }
    }

    /// Starts the first life of a node.
    pub(crate) fn start(&self, node: &str) -> io::Result<()> {
        self.begin_life(node, Disk::Wiped).map(drop)
    }

    /// Starts a node that is down; returns the id of its process.
    fn begin_life(&self, name: &str, disk: Disk) -> io::Result<u32> {
        let mut nodes = self.nodes.borrow_mut();
        let node = nodes.get_mut(name).ok_or_else(|| io::Error::other(format!("there is no node {name}")))?;
        node.lives += 1;
        let is_new = disk == Disk::Wiped || node.lives == 1;
        if is_new {
            node.folder = self.root.join(format!("{name}-{}", node.lives));
        }
        let child = self.starter.start(&Life { is_new, ..node.life(name) })?;
        let id = child.id();
        node.live = Some(Live::of(child));
        Ok(id)
    }

    /// Which life of a node this is, from 1.
    pub(crate) fn life(&self, node: &str) -> u32 {
        self.nodes.borrow().get(node).map_or(1, |node| node.lives.max(1))
    }

    pub(crate) fn is_alive(&self, node: &str) -> bool {
        self.nodes.borrow().get(node).is_some_and(|node| node.live.is_some())
    }

    /// What was hurt by strikes at processes: a thread that stands still holds back one step.
    pub(crate) fn harm(&self, gauge: &Gauge) -> u64 {
        let Gauge::StoodStill(node) = gauge else { return 0 };
        let nodes = self.nodes.borrow();
        nodes.get(node).map_or(0, |node| node.stood_still + node.live.as_ref().map_or(0, Live::stood_still))
    }

    /// Processes that have ended since the last look, other than by a strike.
    pub(crate) fn exits(&self) -> Vec<Exit> {
        let mut exits = Vec::new();
        for (name, node) in self.nodes.borrow_mut().iter_mut() {
            if let Some(status) = node.live.as_mut().and_then(Live::ended) {
                node.end();
                let last_words = self.starter.last_words(&node.life(name));
                exits.push(Exit { node: name.clone(), status, last_words });
            }
        }
        exits
    }

    /// Ends all processes, TaskManagers first, since they write output, and waits until they have ended: from here on nothing writes
    /// any more.
    pub(crate) fn kill_all(&self) {
        let mut nodes = self.nodes.borrow_mut();
        for manager in ["tm-", "jm-"] {
            nodes.iter_mut().filter(|(name, _)| name.starts_with(manager)).for_each(|(_, node)| {
                node.end();
                node.lost = None;
            });
        }
    }

    fn strike(&self, node: &str, strike: impl FnOnce(&mut Live) -> Receipt) -> Receipt {
        let mut nodes = self.nodes.borrow_mut();
        nodes.get_mut(node).and_then(|node| node.live.as_mut()).map_or(Receipt::InVain, strike)
    }
}

impl<S: Starter> Processes for Nodes<S> {
    /// A process that stands still for good is as silent as a lost machine: its peers hear nothing, not even that a connection is
    /// broken, until it is back.
    fn kill(&self, node: &str, death: Death) -> Receipt {
        if death == Death::MachineLoss {
            return self.nodes.borrow_mut().get_mut(node).map_or(Receipt::InVain, Node::lose);
        }
        let receipt = self.strike(node, Live::kill);
        // One that has ended by itself is left for the next look.
        if let Receipt::Proved(_) = receipt {
            self.nodes.borrow_mut().get_mut(node).into_iter().for_each(Node::end);
        }
        receipt
    }

    fn restart(&self, node: &str, disk: Disk) -> Receipt {
        if self.is_alive(node) {
            return Receipt::InVain;
        }
        let left = self.nodes.borrow_mut().get_mut(node).and_then(|node| node.lost.take());
        let buried = left.map(|mut live| live.kill());
        if let Some(unproved @ Receipt::Unproved(_)) = buried {
            return unproved;
        }
        match self.begin_life(node, disk) {
            Ok(id) => Receipt::Proved(format!("process {id} started")),
            Err(error) => Receipt::Unproved(format!("{node} could not be started again: {error}")),
        }
    }

    fn pause(&self, node: &str) -> Receipt {
        self.strike(node, Live::pause)
    }

    fn resume(&self, node: &str) -> Receipt {
        self.strike(node, Live::resume)
    }
}

impl<S: Starter> Disks for Nodes<S> {
    fn damage_local(&self, node: &str, pick: u64, damage: FileDamage) -> Option<String> {
        let nodes = self.nodes.borrow();
        let node = nodes.get(node).filter(|node| node.live.is_some())?;
        damage_below(&node.folder, pick, damage)
    }
}

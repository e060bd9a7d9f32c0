//! The rate that a cluster can carry: the rate at which the first subtask, machine, link or path to the store is fully
//! used, or at which flow control lets no more records through.
//!
//! Start at [`of`]. Work and flow control are separated, because records with a weight cross the network in larger
//! pieces than the records that they stand for: flow control slows them less, so a cluster that is limited by flow
//! control cannot be represented by them.

use std::collections::BTreeMap;

use flowquake_engine::env::Work;

use super::{Known, spread};

/// μ in records per second, without checkpoints, by what limits it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// The limit by processors, links and stores.
    pub work: f64,
    /// The limit by flow control: the credits of a channel and the send buffer of a connection limit what is in flight,
    /// and a round trip limits how often that can be sent.
    pub flow: f64,
}

impl Capacity {
    /// μ: the lower of the two limits.
    pub fn lowest(&self) -> f64 {
        self.work.min(self.flow)
    }
}

/// Something that can be fully used: a subtask, a machine, a link, a path to the store.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Resource {
    Subtask(usize, usize),
    Machine(usize),
    Link(usize, usize),
    Store(usize),
    Channel(usize, usize, usize),
    Connection(usize, usize),
}

/// μ without checkpoints.
///
/// A subtask does one thing at a time, the subtasks of a machine share its cores, records between two machines share a
/// link, and output of a machine shares its path to the store. The slowest of these decides.
pub(super) fn of(known: &Known) -> Capacity {
    let cluster = &known.plan.cluster;
    let backend = known.plan.job.config.backend;
    let p = known.parallelism() as usize;
    let mut seconds: BTreeMap<Resource, f64> = BTreeMap::new();
    let mut add = |resource, more: f64| *seconds.entry(resource).or_default() += more;
    let share = |keyed: bool, index: usize| match keyed {
        true => known.shares.get(index).copied().unwrap_or(1.0 / p as f64),
        false => 1.0 / p as f64,
    };
    for (vertex, model) in known.model.vertices.iter().enumerate() {
        // The price of a million at once, because prices are whole nanoseconds.
        let state = model.keyed.then_some(backend);
        let million = Work::Records { records: 1_000_000, bytes: (1e6 * model.bytes_in) as u64, state };
        let price = cluster.rates.price(million).as_secs_f64() / 1e6 * model.records_in;
        let (round_trip, passage) = (known.round_trip_per_byte(model.bytes_in), known.passage_per_byte(model.bytes_in));
        for (index, node) in known.slots.iter().enumerate() {
            let mine = share(model.keyed, index);
            add(Resource::Subtask(vertex, index), price * mine);
            add(Resource::Machine(*node), price * mine / f64::from(cluster.cores));
            // Every subtask of the vertex before sends its part.
            let bytes = model.records_in * model.bytes_in * mine / p as f64;
            for (sender, from) in known.slots.iter().enumerate().filter(|(_, from)| *from != node) {
                add(Resource::Link(*from, *node), bytes / cluster.bandwidth as f64);
                add(Resource::Channel(vertex, sender, index), bytes * round_trip);
                add(Resource::Connection(*from, *node), bytes * passage);
            }
        }
    }
    let output = (known.model.output_bytes)(&known.spec) * known.seconds_per_stored_byte();
    for (index, node) in known.slots.iter().enumerate() {
        add(Resource::Store(*node), output * share(true, index));
    }
    let lowest = |of_flow: bool| {
        let is_flow = |resource: &Resource| matches!(resource, Resource::Channel(..) | Resource::Connection(..));
        let fullest = seconds.iter().filter(|(resource, _)| is_flow(resource) == of_flow).map(|(_, seconds)| *seconds);
        // If work is free, only the clock limits the rate.
        1.0 / fullest.fold(1e-15, f64::max)
    };
    Capacity { work: lowest(false), flow: lowest(true) }
}

impl Known<'_> {
    /// Bytes of a buffer, with weights, for records of `bytes` each. A buffer is full with the record that reaches its
    /// size.
    fn buffer(&self, bytes: f64) -> f64 {
        let records = (f64::from(self.plan.job.config.buffer_size) / bytes).ceil();
        records * bytes * self.plan.cluster.record_weight as f64
    }

    /// Seconds per byte if only credits limit a channel. A channel has as many buffers in flight as it has credits, and
    /// gets these back in halves. No frame overtakes another, so the slowest frame in flight counts.
    fn round_trip_per_byte(&self, bytes: f64) -> f64 {
        let (cluster, credits) = (&self.plan.cluster, u32::from(self.plan.job.config.credits));
        if bytes == 0.0 {
            return 0.0;
        }
        let window = f64::from(credits) * self.buffer(bytes);
        let there = spread::mean_of_largest(credits, &[cluster.latency]);
        let back = spread::mean_of_largest(credits.min(2), &[cluster.latency]);
        let sent = self.buffer(bytes) * f64::from(credits.min(2)) / cluster.bandwidth as f64;
        ((there + back) / 1e9 + sent) / window
    }

    /// Seconds per byte if only the send buffer limits a connection. A connection has a full send buffer in flight, or
    /// a single frame.
    fn passage_per_byte(&self, bytes: f64) -> f64 {
        let cluster = &self.plan.cluster;
        if bytes == 0.0 {
            return 0.0;
        }
        let frames = (cluster.send_buffer as f64 / self.buffer(bytes)).floor().max(1.0);
        let there = spread::mean_of_largest(frames.min(1e6) as u32, &[cluster.latency]);
        let sent = self.buffer(bytes) / cluster.bandwidth as f64;
        (there / 1e9 + sent) / (frames * self.buffer(bytes))
    }
}

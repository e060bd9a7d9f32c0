//! The rate that a cluster can bear: where the first subtask, machine, link or way to the store has no time left.

use std::collections::BTreeMap;

use flowquake_engine::env::Work;

use super::Known;

/// Something that can be full: a subtask, a machine, a link, a way to the store.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Resource {
    Subtask(usize, usize),
    Machine(usize),
    Link(usize, usize),
    Store(usize),
}

/// μ, records per second, without checkpoints.
///
/// A subtask does one thing at a time, the subtasks of a machine share its cores, records between two machines share a link,
/// and output of a machine its way to the store. The slowest of them decides.
pub(super) fn of(known: &Known) -> f64 {
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
        // A million at once, since prices are whole nanoseconds.
        let state = model.keyed.then_some(backend);
        let million = Work::Records { records: 1_000_000, bytes: (1e6 * model.bytes_in) as u64, state };
        let price = cluster.rates.price(million).as_secs_f64() / 1e6 * model.records_in;
        for (index, node) in known.slots.iter().enumerate() {
            let mine = share(model.keyed, index);
            add(Resource::Subtask(vertex, index), price * mine);
            add(Resource::Machine(*node), price * mine / f64::from(cluster.cores));
            // Every subtask of the vertex before sends its part.
            for from in known.slots.iter().filter(|from| *from != node) {
                let bytes = model.records_in * model.bytes_in * mine / p as f64;
                add(Resource::Link(*from, *node), bytes / cluster.bandwidth as f64);
            }
        }
    }
    let output = (known.model.output_bytes)(&known.spec) * known.seconds_per_stored_byte();
    for (index, node) in known.slots.iter().enumerate() {
        add(Resource::Store(*node), output * share(true, index));
    }
    let fullest = seconds.into_values().fold(0.0, f64::max);
    // Where work is free, nothing but the clock limits it.
    if fullest > 0.0 { 1.0 / fullest } else { 1e15 }
}

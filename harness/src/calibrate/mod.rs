//! Measures the cost profile of this machine with the real engine, so that a simulation with that profile takes as long
//! in virtual time as the engine takes in real time.
//!
//! Start at [`calibrate`]. `state`, `store`, `network` and `records` each measure one part of the price list, and
//! return plain samples. [`fit`] turns these into rates without any clock, and this file makes a [`Profile`] of the
//! rates. Samples that give no rate (because they are too few, or do not grow) are an error, never a guess. [ADR
//! 0018](../../../docs/adr/0018-calibration.md) says how each rate is measured, and why in that way.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use flowquake_engine::checkpoint::manifest::DecodeError;
use flowquake_engine::config::BackendKind;
use flowquake_engine::env::sim::{HEAP_NAMES, ROCKSDB_NAMES, Rates, StateRates};
use flowquake_engine::state::StateError;

use crate::profile::{Measured, Network, Profile, Store};
use crate::provenance::program;

mod at_once;
pub mod cluster;
pub mod fit;
mod fixed;
mod inline;
mod job;
mod network;
mod records;
mod state;
mod store;

use cluster::RealFault;
use fit::{Estimate, Line, NoFit, line, of_samples, positive, quantile};

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Effort {
    /// Repetitions of everything that is repeated; at least [`fit::REPETITIONS_MIN`].
    pub repetitions: usize,
    /// Sizes in bytes of state, objects and frames.
    pub sizes: Vec<u64>,
    /// Records of one run.
    pub records: u64,
    /// Number of small messages and small requests.
    pub requests: usize,
    /// Number of accesses to keyed state that make one sample.
    pub accesses: u64,
}

impl Effort {
    /// Takes a minute or two.
    pub fn thorough() -> Self {
        let sizes = [0, 1, 4, 8, 16, 64].map(|mb| mb << 20).to_vec();
        Self { repetitions: 15, sizes, records: 1_000_000, requests: 2_000, accesses: 1_000_000 }
    }

    /// Takes half a minute at most, and gives wider intervals.
    pub fn quick() -> Self {
        let sizes = [0, 1, 4, 8].map(|mb| mb << 20).to_vec();
        Self { repetitions: 5, sizes, records: 300_000, requests: 500, accesses: 200_000 }
    }
}

/// One number of a profile, as it was measured.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its path in the profile.
    pub path: &'static str,
    /// The number with its interval.
    pub estimate: Estimate,
    /// Its unit.
    pub unit: &'static str,
    /// How the number was measured.
    pub how: &'static str,
}

/// A measured machine.
pub struct Calibration {
    /// The profile, to be written to a file.
    pub profile: Profile,
    /// Every number of the profile.
    pub rows: Vec<Row>,
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// The real engine cannot be run on this machine at the moment.
    #[error(transparent)]
    Real(#[from] RealFault),
    /// A state backend failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A manifest was not decoded as what was encoded.
    #[error("{0}")]
    Unreadable(#[from] DecodeError),
    /// The samples give no rate.
    #[error("the measurements make no rate: {0}")]
    NoFit(#[from] NoFit),
}

impl CalibrateError {
    /// What the user can do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Real(_) => {
                "see that loopback can be listened on and that the folder for temporary files (TMPDIR) has 1 GB"
            }
            Self::State(_) => "see that the folder for temporary files (TMPDIR) can be written and has 1 GB",
            Self::Unreadable(_) => "this is a bug, or bad memory",
            Self::NoFit(_) => "measure again while the machine does nothing else, and without --quick",
        }
    }
}

/// Number of steps that [`calibrate`] reports.
pub const STEPS: u64 = 9;

/// Measures everything. `step` is called [`STEPS`] times, with what begins next.
pub fn calibrate(name: &str, effort: &Effort, step: impl Fn(&str)) -> Result<Calibration, CalibrateError> {
    let folder = tempfile::Builder::new().prefix("flowquake-calibrate-").tempdir().map_err(RealFault::Io)?;
    let root = folder.path();
    let Effort { repetitions, sizes, .. } = effort;
    let mut sheet = Sheet::default();

    step("network: small and large frames over loopback");
    let measured = network::measure(effort.requests, sizes, *repetitions, &root.join("network"))?;
    let one_way = of_samples("network.latency", &measured.messages, fit::median)?;
    let latency = sheet.latency(["network.latency.least", "network.latency.most"], &measured.messages)?;
    let transfers = line("network.bandwidth", "ns per KiB", &measured.transfers)?;
    let bandwidth = sheet.throughput("network.bandwidth", transfers, "frames, sent until answered: slope over size");
    let network = Network { latency, bandwidth };

    step("store: small and large objects in a folder");
    let measured = store::measure(effort.requests, sizes, *repetitions, &root.join("store"))?;
    let latency = sheet.latency(["store.latency.least", "store.latency.most"], &measured.requests)?;
    let writes = line("store.write_throughput", "ns per KiB", &measured.writes)?;
    let reads = line("store.read_throughput", "ns per KiB", &measured.reads)?;
    let store = Store {
        latency,
        // As many transfers as were in progress during the measurement; one node alone would have all the throughput.
        streams: at_once::NODES as u32,
        write_throughput: sheet.throughput("store.write_throughput", writes, "objects created: slope over size"),
        read_throughput: sheet.throughput("store.read_throughput", reads, "objects read and checked: slope over size"),
    };

    step("inline state: encoded and decoded with manifests");
    let measured = line("inline_kib_ns", "ns per KiB", &inline::measure(sizes, *repetitions)?)?;
    let inline = sheet.row("inline_kib_ns", measured.slope, "ns/KiB", "manifests: slope over the state inside, halved");

    step("records: runs of the engine with records of several lengths");
    let runs = records::measure(effort.records, &PAYLOADS, *repetitions)?;
    let starts = of_samples("deploy_ns", &runs.starts, fit::median)?;
    let deploy = positive("deploy_ns", "ns", starts.minus(one_way))?;
    let deploy_ns = sheet.row("deploy_ns", deploy, "ns", "deployment-begun to task-running of sources, less one way");

    step("heap: access");
    let access = state::accesses(BackendKind::Memory, effort.accesses, *repetitions, &root.join("heap"))?;
    let heap_access = positive(HEAP_NAMES[0], "ns", of_samples(HEAP_NAMES[0], &access, fit::median)?)?;
    step("heap: snapshots and restores");
    let both = |kind, folder: &Path| -> Result<_, StateError> {
        let of = |regime| state::snapshots_and_restores(kind, regime, sizes, *repetitions, folder);
        Ok([of(state::DOCUMENTS)?, of(state::COUNTS)?])
    };
    let heap = sheet.state(HEAP_NAMES, heap_access, &both(BackendKind::Memory, &root.join("heap"))?, None)?;

    let rocksdb = match BackendKind::RocksDb.is_built() {
        true => {
            step("rocksdb: access");
            let (folder, name) = (root.join("rocksdb"), ROCKSDB_NAMES[0]);
            let access = state::accesses(BackendKind::RocksDb, effort.accesses, *repetitions, &folder)?;
            let access = positive(name, "ns", of_samples(name, &access, fit::median)?)?;
            step("rocksdb: runs of the engine with hardly any state");
            let fixed = fixed::measure(BackendKind::RocksDb, *repetitions)?;
            let snapshot = of_samples(ROCKSDB_NAMES[1], &fixed.snapshots, fit::median)?;
            // A part of the restore is charged elsewhere: the start, and requests for state files, a listing and a
            // deletion.
            let restore = of_samples(ROCKSDB_NAMES[5], &fixed.restores, fit::median)?;
            let request = f64::from(u32::try_from((latency.0 + latency.1).as_nanos() / 2).unwrap_or(u32::MAX));
            let restore = restore.minus(deploy).map(|ns| (ns - 3.0 * request).max(0.0));
            step("rocksdb: snapshots and restores");
            sheet.state(ROCKSDB_NAMES, access, &both(BackendKind::RocksDb, &folder)?, Some([snapshot, restore]))?
        }
        // No run can use RocksDB in such a build either, so the costs of the heap are used, without an interval.
        false => {
            step("rocksdb: not in this build");
            step("rocksdb: not in this build");
            step("rocksdb: not in this build");
            heap.clone()
        }
    };

    let Line { fixed, slope } = line("record_kib_ns", "ns per KiB", &runs.records)?;
    let both = positive("record_ns", "ns", fixed.minus(heap_access))?;
    let record =
        sheet.row("record_ns", both.map(|ns| ns / 2.0), "ns", "processor time of runs, at length 0, less the access");
    let record_kib =
        sheet.row("record_kib_ns", slope, "ns/KiB", "processor time of runs: slope over the records' length");
    let rates = Rates { record_ns: record, record_kib_ns: record_kib, deploy_ns, inline_kib_ns: inline, heap, rocksdb };
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let (program, processor) = (program(), processor());
    let why = format!(
        "measured on the real engine by `flowquake calibrate`: {processor}, {cores} cores, stores in a folder, loopback"
    );
    let confidence: BTreeMap<String, (f64, f64)> = sheet
        .rows
        .iter()
        .map(|row| (row.path.into(), (rounded(row.estimate.low), rounded(row.estimate.high))))
        // A value that is too small to be distinguished from noise has no interval.
        .filter(|(_, (low, high)): &(String, (f64, f64))| low.is_finite() && high.is_finite())
        .collect();
    let measured = Some(Measured { program, processor, cores, confidence });
    let profile = Profile { name: name.into(), why, rates, network, store, engine: None, measured };
    Ok(Calibration { profile, rows: sheet.rows })
}

/// Bytes of records besides their key.
const PAYLOADS: [usize; 3] = [16, 250, 1_000];

/// The rows so far.
#[derive(Default)]
struct Sheet {
    rows: Vec<Row>,
}

impl Sheet {
    /// Adds a number, and returns it as the profile has it.
    fn row(&mut self, path: &'static str, estimate: Estimate, unit: &'static str, how: &'static str) -> f64 {
        self.rows.push(Row { path, estimate, unit, how });
        rounded(estimate.value)
    }

    /// The rates of a backend, from samples of documents and of counts. `fixed` is what a snapshot and a restore of
    /// hardly any state take in a run, if that is more than the smallest samples.
    fn state(
        &mut self,
        names: [&'static str; 8],
        access: Estimate,
        [documents, counts]: &[state::StateSamples; 2],
        fixed: Option<[Estimate; 2]>,
    ) -> Result<StateRates, NoFit> {
        let [access_name, snapshot, entry, kib, read_back, restore, restore_entry, restore_kib] = names;
        let zero = Estimate { value: 0.0, low: 0.0, high: 0.0 };
        let lengths = [documents.entry_bytes, counts.entry_bytes];
        let snapshots = line(kib, "ns per KiB", &documents.snapshots)?;
        let small = line(entry, "ns per entry", &counts.snapshots)?;
        let (per_entry, per_kib) = told_apart(snapshots.slope, small.slope, lengths);
        let restores = line(restore_kib, "ns per KiB", &documents.restores)?;
        // A database opens files, however many entries they have; and only a database reads its snapshots from files.
        let files = !documents.read_backs.is_empty();
        let (restored_entry, restored_kib, read) = match files {
            true => (zero, restores.slope, line(read_back, "ns per KiB", &documents.read_backs)?.slope),
            false => {
                let small = line(restore_entry, "ns per entry", &counts.restores)?;
                let (per_entry, per_kib) = told_apart(restores.slope, small.slope, lengths);
                (per_entry, per_kib, zero)
            }
        };
        let alone = ["a snapshot of one entry", "a restore of one entry"];
        let in_runs = ["snapshots of hardly any state in runs", "restores in runs, less the start and three requests"];
        let how = if fixed.is_some() { in_runs } else { alone };
        let [snapshot_fixed, restore_fixed] = fixed.unwrap_or([snapshots.fixed, restores.fixed]);
        let mut rate = |path, estimate, unit, how| self.row(path, estimate, unit, how);
        Ok(StateRates {
            access_ns: rate(access_name, access, "ns", "processor time of counting up values in memory"),
            snapshot_ns: rate(snapshot, snapshot_fixed, "ns", how[0]),
            snapshot_entry_ns: rate(
                entry,
                per_entry,
                "ns",
                "snapshots of counts: slope over entries, less their bytes",
            ),
            snapshot_kib_ns: rate(
                kib,
                per_kib,
                "ns/KiB",
                "snapshots of documents: slope over bytes, less their entries",
            ),
            read_back_kib_ns: rate(read_back, read, "ns/KiB", "files of snapshots: slope over bytes read"),
            restore_ns: rate(restore, restore_fixed, "ns", how[1]),
            restore_entry_ns: rate(restore_entry, restored_entry, "ns", "restores of counts, in the same way"),
            restore_kib_ns: rate(restore_kib, restored_kib, "ns/KiB", "restores of documents, in the same way"),
        })
    }

    /// A range whose uniform draws are on average as long as the samples. It begins at the fastest twentieth. The
    /// slowest hundredth of the samples is left out, because other work on the machine caused it.
    fn latency(&mut self, paths: [&'static str; 2], ns: &[f64]) -> Result<(Duration, Duration), NoFit> {
        let low = of_samples(paths[0], ns, |ns| quantile(ns, 0.05))?;
        let high = of_samples(paths[1], ns, |ns| 2.0 * trimmed_mean(ns) - quantile(ns, 0.05))?;
        let low_ns = self.row(paths[0], low, "ns", "the fastest twentieth");
        let high_ns = self.row(paths[1], high, "ns", "as far above the mean as the least is below");
        Ok((Duration::from_nanos(low_ns as u64), Duration::from_nanos(high_ns as u64)))
    }

    fn throughput(&mut self, path: &'static str, line: Line, how: &'static str) -> u64 {
        let per_second = line.slope.map(|ns_per_kib| 1024.0 * 1e9 / ns_per_kib);
        self.row(path, per_second, "B/s", how).max(1.0) as u64
    }
}

/// The price of an entry and the price of a KiB, from two mixtures of both: `per_kib` of long entries, `per_entry` of
/// short ones, with `lengths` as their bytes. Neither price is below zero; if one is near zero, noise decides its sign.
fn told_apart(per_kib: Estimate, per_entry: Estimate, lengths: [f64; 2]) -> (Estimate, Estimate) {
    let [long, short] = lengths;
    let not_below_zero = |estimate: Estimate| estimate.map(|ns| ns.max(0.0));
    let bytes_of_short = per_kib.map(|ns| ns * short / 1024.0);
    let entry = not_below_zero(per_entry.minus(bytes_of_short).map(|ns| ns / (1.0 - short / long)));
    let kib = not_below_zero(per_kib.minus(entry.map(|ns| ns * 1024.0 / long)));
    (entry, kib)
}

/// The mean without the largest hundredth.
fn trimmed_mean(values: &[f64]) -> f64 {
    let most = quantile(values, 0.99);
    let kept: Vec<f64> = values.iter().copied().filter(|value| *value <= most).collect();
    kept.iter().sum::<f64>() / kept.len().max(1) as f64
}

/// Rounded to four digits, because more digits would claim a precision that was not measured.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().expect("a number that was printed")
}

/// The name of the processor, from the system.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.filter(|name| !name.is_empty()).unwrap_or(std::env::consts::ARCH).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_range_has_the_mean_of_its_samples() {
        let ns: Vec<f64> = (0..1_000).map(|n| 1_000.0 + f64::from(n % 100) * 10.0).collect();
        let (low, high) = Sheet::default().latency(["least", "most"], &ns).unwrap();
        let mean = (low + high).as_nanos() as f64 / 2.0;
        assert!((mean / trimmed_mean(&ns) - 1.0).abs() < 0.01, "{low:?} to {high:?}");
        assert!(low < high);
    }

    #[test]
    fn an_entry_and_its_bytes_are_told_apart() {
        let sure = |value: f64| Estimate { value, low: value, high: value };
        // 50 ns per entry and 300 ns per KiB, seen through entries of 1,024 and of 16 bytes.
        let (entry, kib) = told_apart(sure(350.0), sure(50.0 + 300.0 * 16.0 / 1024.0), [1024.0, 16.0]);
        assert!((entry.value - 50.0).abs() < 1e-9 && (kib.value - 300.0).abs() < 1e-9, "{entry:?} {kib:?}");
        let (entry, kib) = told_apart(sure(350.0), sure(400.0), [1024.0, 16.0]);
        assert!(entry.value > 390.0 && kib.value == 0.0, "{entry:?} {kib:?}");
    }

    #[test]
    fn numbers_have_four_digits() {
        assert_eq!(rounded(123_456.0), 123_500.0);
        assert_eq!(rounded(0.001_234_5), 0.001_234);
        assert_eq!(rounded(0.0), 0.0);
    }
}

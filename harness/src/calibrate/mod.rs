//! Measures the cost profile of the machine that this runs on, on the real engine: so that a simulation with that profile
//! takes as long in virtual time as the engine takes for real.
//!
//! Start at [`calibrate`]. Each of `state`, `store`, `network` and `records` measures one part of the price list and returns
//! plain samples; [`fit`] makes rates of them, without any clock; here they become a [`Profile`]. Samples that make no rate
//! (too few, nothing that grows) are an error, never a guess. How each rate is got at, and why so, is
//! [ADR 0018](../../../docs/adr/0018-calibration.md).

use std::collections::BTreeMap;
use std::time::Duration;

use flowquake_engine::config::BackendKind;
use flowquake_engine::env::sim::{Rates, StateRates};
use flowquake_engine::state::StateError;

use crate::profile::{Measured, Network, Profile, Store};
use crate::provenance::program;

mod at_once;
pub mod cluster;
pub mod fit;
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
    /// Of everything that is repeated, at least [`fit::REPETITIONS_MIN`].
    pub repetitions: usize,
    /// Bytes of state, of objects and of frames.
    pub sizes: Vec<u64>,
    /// Records of one run.
    pub records: u64,
    /// Small messages, small requests.
    pub requests: usize,
    /// Accesses to keyed state that make one sample.
    pub accesses: u64,
}

impl Effort {
    /// A minute or two.
    pub fn thorough() -> Self {
        let sizes = [0, 1, 4, 8, 16, 64].map(|mb| mb << 20).to_vec();
        Self { repetitions: 15, sizes, records: 1_000_000, requests: 2_000, accesses: 1_000_000 }
    }

    /// Half a minute at most; with wider intervals.
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
    /// How it was got at.
    pub how: &'static str,
}

/// A measured machine.
pub struct Calibration {
    /// To be written to a file.
    pub profile: Profile,
    /// Every number of it.
    pub rows: Vec<Row>,
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// The engine cannot be run for real, here and now.
    #[error(transparent)]
    Real(#[from] RealFault),
    /// A state backend failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// Samples make no sense.
    #[error("the measurements make no rate: {0}")]
    NoFit(#[from] NoFit),
}

impl CalibrateError {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Real(_) => {
                "see that loopback can be listened on and that the folder for temporary files (TMPDIR) has 1 GB"
            }
            Self::State(_) => "see that the folder for temporary files (TMPDIR) can be written and has 1 GB",
            Self::NoFit(_) => "measure again while the machine does nothing else, and without --quick",
        }
    }
}

/// Steps that [`calibrate`] tells of.
pub const STEPS: u64 = 7;

/// Measures everything; `step` hears what is begun, [`STEPS`] times.
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
        write_throughput: sheet.throughput("store.write_throughput", writes, "objects created: slope over size"),
        read_throughput: sheet.throughput("store.read_throughput", reads, "objects read and checked: slope over size"),
    };

    step("heap: access");
    let access = state::accesses(BackendKind::Memory, effort.accesses, *repetitions, &root.join("heap"))?;
    let heap_access = positive("heap.access_ns", "ns", of_samples("heap.access_ns", &access, fit::median)?)?;
    step("heap: snapshots and restores");
    let measured = state::snapshots_and_restores(BackendKind::Memory, sizes, *repetitions, &root.join("heap"))?;
    let heap = sheet.state(HEAP, heap_access, &measured)?;

    let rocksdb = match BackendKind::RocksDb.is_built() {
        true => {
            step("rocksdb: access");
            let folder = root.join("rocksdb");
            let access = state::accesses(BackendKind::RocksDb, effort.accesses, *repetitions, &folder)?;
            let access = positive("rocksdb.access_ns", "ns", of_samples("rocksdb.access_ns", &access, fit::median)?)?;
            step("rocksdb: snapshots and restores");
            let measured = state::snapshots_and_restores(BackendKind::RocksDb, sizes, *repetitions, &folder)?;
            sheet.state(ROCKSDB, access, &measured)?
        }
        // Nothing can run with it in such a build either: what the heap costs stands in, without an interval.
        false => {
            step("rocksdb: not in this build");
            step("rocksdb: not in this build");
            heap.clone()
        }
    };

    step("records: runs of the engine with records of several lengths");
    let measured = records::measure(effort.records, &PAYLOADS, *repetitions)?;
    let Line { fixed, slope } = line("record_kib_ns", "ns per KiB", &measured.records)?;
    let both = positive("record_ns", "ns", fixed.minus(heap_access))?;
    let record =
        sheet.row("record_ns", both.map(|ns| ns / 2.0), "ns", "processor time of runs, at length 0, less the access");
    let record_kib =
        sheet.row("record_kib_ns", slope, "ns/KiB", "processor time of runs: slope over the records' length");
    let starts = of_samples("deploy_ns", &measured.starts, fit::median)?;
    let deploy = positive("deploy_ns", "ns", starts.minus(one_way))?;
    let deploy_ns = sheet.row("deploy_ns", deploy, "ns", "deployment-begun to task-running of sources, less one way");

    let rates = Rates { record_ns: record, record_kib_ns: record_kib, deploy_ns, heap, rocksdb };
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let (program, processor) = (program(), processor());
    let why = format!(
        "measured on the real engine by `flowquake calibrate`: {processor}, {cores} cores, stores in a folder, loopback"
    );
    let confidence: BTreeMap<String, (f64, f64)> = sheet
        .rows
        .iter()
        .map(|row| (row.path.into(), (rounded(row.estimate.low), rounded(row.estimate.high))))
        .collect();
    let measured = Some(Measured { program, processor, cores, confidence });
    let profile = Profile { name: name.into(), why, rates, network, store, engine: None, measured };
    Ok(Calibration { profile, rows: sheet.rows })
}

/// Bytes that records have beside their key.
const PAYLOADS: [usize; 3] = [16, 250, 1_000];

/// Paths of a backend's rates, in the order of the price list.
type StatePaths = [&'static str; 5];
const HEAP: StatePaths =
    ["heap.access_ns", "heap.snapshot_ns", "heap.snapshot_kib_ns", "heap.restore_ns", "heap.restore_kib_ns"];
const ROCKSDB: StatePaths = [
    "rocksdb.access_ns",
    "rocksdb.snapshot_ns",
    "rocksdb.snapshot_kib_ns",
    "rocksdb.restore_ns",
    "rocksdb.restore_kib_ns",
];

/// The rows so far.
#[derive(Default)]
struct Sheet {
    rows: Vec<Row>,
}

impl Sheet {
    /// Notes a number and returns it as the profile has it.
    fn row(&mut self, path: &'static str, estimate: Estimate, unit: &'static str, how: &'static str) -> f64 {
        self.rows.push(Row { path, estimate, unit, how });
        rounded(estimate.value)
    }

    fn state(
        &mut self,
        paths: StatePaths,
        access: Estimate,
        samples: &state::StateSamples,
    ) -> Result<StateRates, NoFit> {
        let [access_ns, snapshot_ns, snapshot_kib_ns, restore_ns, restore_kib_ns] = paths;
        let snapshots = line(snapshot_kib_ns, "ns per KiB", &samples.snapshots)?;
        let restores = line(restore_kib_ns, "ns per KiB", &samples.restores)?;
        Ok(StateRates {
            access_ns: self.row(access_ns, access, "ns", "processor time of counting up values in memory"),
            snapshot_ns: self.row(snapshot_ns, snapshots.fixed, "ns", "a snapshot of one entry"),
            snapshot_kib_ns: self.row(
                snapshot_kib_ns,
                snapshots.slope,
                "ns/KiB",
                "snapshots: slope over bytes written",
            ),
            restore_ns: self.row(restore_ns, restores.fixed, "ns", "a restore of one entry"),
            restore_kib_ns: self.row(restore_kib_ns, restores.slope, "ns/KiB", "restores: slope over bytes restored"),
        })
    }

    /// A range from which uniform draws are as long as the samples on average. It begins with the fastest twentieth; what it
    /// leaves out are the slowest hundredth, which others on the machine have made.
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

/// Mean without the largest hundredth.
fn trimmed_mean(values: &[f64]) -> f64 {
    let most = quantile(values, 0.99);
    let kept: Vec<f64> = values.iter().copied().filter(|value| *value <= most).collect();
    kept.iter().sum::<f64>() / kept.len().max(1) as f64
}

/// Four digits: more would claim what was not measured.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().expect("a number that was printed")
}

/// As the system names it.
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
    fn numbers_have_four_digits() {
        assert_eq!(rounded(123_456.0), 123_500.0);
        assert_eq!(rounded(0.001_234_5), 0.001_234);
        assert_eq!(rounded(0.0), 0.0);
    }
}

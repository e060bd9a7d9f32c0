//! A hand-made tuning set: two backends, two states, two loads, seven intervals. It follows the formulas to within
//! three percent.

use super::{Curve, Point, Recovered, TUNING_VERSION, TuningSet};

const MIB: f64 = 1_048_576.0;

/// A value that deviates by at most three percent, the same in every run.
fn about(value: f64, salt: u64) -> f64 {
    let mixed = (salt + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    value * (0.97 + 0.06 * mixed as f64 / f64::from(1 << 24))
}

fn point(curve: &Curve, interval: f64, [cost, duration, load]: [f64; 3], salt: u64) -> Point {
    let duration = about(duration, salt);
    let period = interval.max(duration + 0.5);
    let cost = about(cost, salt + 1);
    let recovered = |phase: f64| {
        let age = phase * period + duration;
        let outage = about(6.0 + load, salt + 2);
        let effective = curve.capacity * (1.0 - cost / period);
        let total = (outage * effective + curve.rate * age) / (effective - curve.rate);
        Recovered { phase, age, outage, total: (total > 0.0).then_some(total), state_load: Some(load) }
    };
    Point {
        interval,
        verdict: "passed".into(),
        headline: String::new(),
        period: Some(period),
        duration: Some(duration),
        duration_p99: Some(duration * 1.3),
        cost: Some(cost),
        state: curve.state_declared,
        new_bytes: Some(curve.state_declared * if curve.backend == "fs" { 1.0 } else { -libm::expm1(-0.05 * period) }),
        capacity: Some(curve.capacity * (1.0 - cost / period)),
        commit: Some(0.02),
        recoveries: [0.125, 0.375, 0.625, 0.875].map(recovered).into(),
        simulated: 3_600.0,
    }
}

fn curve(backend: &str, state: f64, load: f64, index: u64) -> Curve {
    let capacity = if backend == "fs" { 200_000.0 } else { 120_000.0 };
    let mut curve = Curve {
        backend: backend.into(),
        state_declared: state,
        load,
        rate: load * capacity,
        capacity,
        record_weight: 500,
        state_weight: 4_096,
        points: vec![],
    };
    // Seconds per MiB: synchronous part, upload, loading.
    let [sync, upload, restore] = if backend == "fs" { [0.0008, 0.004, 0.008] } else { [0.0001, 0.0008, 0.004] };
    let mib = state / MIB;
    let truth = [0.02 + sync * mib, 0.3 + upload * mib, restore * mib];
    let points = [2.0, 5.0, 12.0, 30.0, 75.0, 180.0, 450.0].into_iter().enumerate();
    curve.points = points.map(|(n, interval)| point(&curve, interval, truth, 10 * index + n as u64)).collect();
    curve
}

/// The set. The shortest interval of the last curve got stuck.
pub(super) fn set() -> TuningSet {
    let mut curves = Vec::new();
    for backend in ["fs", "rocksdb"] {
        for state in [64.0 * MIB, 1_024.0 * MIB] {
            for load in [0.5, 0.8] {
                curves.push(curve(backend, state, load, curves.len() as u64));
            }
        }
    }
    let broken = &mut curves[7].points[0];
    (broken.verdict, broken.headline) = ("stuck".into(), "no record within 60 s".into());
    (broken.period, broken.duration, broken.cost) = (None, None, None);
    broken.recoveries.clear();
    TuningSet {
        tuning_version: TUNING_VERSION,
        command: "flowquake tune scenarios/tuning/keyed-count.toml --backends fs,rocksdb --mtbf 1h,1d".into(),
        program: "flowquake 0.1.0 (f10bcfa)".into(),
        scenario: "keyed-count-under-load".into(),
        why: "Which checkpoint interval a keyed count should run with.".into(),
        job: "keyed-count".into(),
        parallelism: 4,
        cost_profile: "builtin".into(),
        min_pause: 0.5,
        mtbf: vec![3_600.0, 86_400.0],
        lateness_weight: 1.0,
        simulated: 55.0 * 3_600.0,
        curves,
    }
}

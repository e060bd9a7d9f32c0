//! From measured curves to advice: the best interval with its confidence, the choice of every formula and its cost, how
//! sensitive the choice is, and which backend suits which state.
//!
//! Start at [`advise`]. The formulas get the costs measured at the shortest interval that passed, because a team would
//! measure them once; the same holds for outage and duration. Two formulas additionally get the cost at their own
//! choice, because the cost grows with the interval if only changes are written. What a choice costs is read from the
//! measured curve, between its points.

use libm::{log, pow};
use serde::{Deserialize, Serialize};

use super::cost_curve::CostCurve;
use super::{Curve, Point, TuningSet, confidence};
use crate::formulas::load::{self, Load};
use crate::formulas::{OutsideDomain, optimum};

/// How many times a formula is evaluated again with the cost at its own choice.
const ROUNDS_MAX: usize = 30;

/// Advice for one curve and one mean time between failures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// State backend.
    pub backend: String,
    /// State size, bytes.
    pub state: f64,
    /// Load ρ.
    pub load: f64,
    /// Mean time between failures M, seconds.
    pub mtbf: f64,
    /// The best interval, seconds; `None`: too few points can be used.
    pub best: Option<Best>,
    /// The choice of each formula.
    pub choices: Vec<Choice>,
    /// The shortest interval at which checkpoints leave enough capacity, in seconds.
    pub shortest: Option<f64>,
}

/// The best interval that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Where the curve through the measured points is lowest, seconds.
    pub interval: f64,
    /// 95 % of the bootstrap's resamples lie between these, in seconds. `None`: there were too few recoveries, or no
    /// resample had another best interval.
    pub confidence: Option<(f64, f64)>,
    /// Its cost per second. No measured interval costs less by more than chance explains.
    pub cost: f64,
    /// The optimum is at an end of the measured range, so the true optimum may be outside.
    pub at_the_end: bool,
    /// Intervals that cost at most 5 % more than the best: from, to, seconds.
    pub within_5_percent: (f64, f64),
    /// Share of the time in which output is late.
    pub unavailability: f64,
}

/// The choice of a formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Name of the formula.
    pub formula: String,
    /// The interval in seconds, or why there is none.
    pub interval: Result<f64, String>,
    /// How much more the choice costs than the best interval, as a share; `None` outside of the measured range.
    pub regret: Option<f64>,
}

/// Advice for every curve and failure rate, in their order.
pub fn advise(set: &TuningSet) -> Vec<Advice> {
    let each = |curve| set.mtbf.iter().map(move |mtbf| advise_curve(set, curve, *mtbf));
    set.curves.iter().flat_map(each).collect()
}

/// Advice for one curve and a mean time between failures in seconds, which need not be one of the set's.
pub fn advise_curve(set: &TuningSet, curve: &Curve, mtbf: f64) -> Advice {
    let weight = set.lateness_weight;
    let costs = CostCurve::of(curve, mtbf, weight);
    let best = best(curve, &costs, mtbf, weight);
    let inputs = inputs(set, curve, mtbf);
    let shortest = inputs.and_then(|inputs| inputs.shortest_period().ok());
    let choices = inputs
        .map_or_else(Vec::new, |inputs| choices(curve, &inputs, set.min_pause, &costs, best.map(|best| best.cost)));
    Advice {
        backend: curve.backend.clone(),
        state: curve.state_declared,
        load: curve.load,
        mtbf,
        best,
        choices,
        shortest,
    }
}

fn best(curve: &Curve, costs: &CostCurve, mtbf: f64, weight: f64) -> Option<Best> {
    let (interval, cost) = costs.lowest()?;
    let measured = costs.costs();
    let ends = [measured.first()?.0, measured.last()?.0];
    let cheap = |period: f64| costs.at(period).is_some_and(|other| other <= cost * 1.05);
    // Walks away from the best interval in steps of one percent.
    let walk = |factor: f64| {
        let mut at = interval;
        while cheap(at * factor) {
            at *= factor;
        }
        at
    };
    Some(Best {
        interval,
        confidence: confidence::of(curve, mtbf, weight, interval),
        cost,
        at_the_end: ends.iter().any(|end| (interval / end - 1.0).abs() < 1e-9),
        within_5_percent: (walk(1.0 / 1.01), walk(1.01)),
        unavailability: (costs.recovery_at(interval)? / mtbf).min(1.0),
    })
}

/// The work lost per checkpoint at a period. Between measured periods it is interpolated linearly in logarithms;
/// outside, the nearest one is taken. `points` are (period, cost), ordered by period, in seconds and positive.
fn cost_at(points: &[(f64, f64)], period: f64) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    let next = points.iter().position(|(x, _)| *x >= period);
    Some(match next {
        Some(0) => first.1,
        None => last.1,
        Some(next) => {
            let ((x0, y0), (x1, y1)) = (points[next - 1], points[next]);
            y0 * pow(y1 / y0, log(period / x0) / log(x1 / x0))
        }
    })
}

/// The interval that a formula gives with the cost at that very interval, found by repeating until it no longer
/// changes. If only changes are written, a longer interval has more expensive checkpoints.
fn settled(
    points: &[(f64, f64)],
    cost: f64,
    formula: impl Fn(f64) -> Result<f64, OutsideDomain>,
) -> Result<f64, OutsideDomain> {
    let mut interval = formula(cost)?;
    for _ in 0..ROUNDS_MAX {
        let next = formula(cost_at(points, interval).unwrap_or(cost))?;
        let moved = (next / interval - 1.0).abs();
        interval = next;
        if moved < 0.01 {
            break;
        }
    }
    Ok(interval)
}

/// What a team would measure once: the values at the shortest interval that passed.
pub fn inputs(set: &TuningSet, curve: &Curve, mtbf: f64) -> Option<Load> {
    let measured = |point: &&Point| point.passed() && point.cost.is_some() && point.outage().is_some();
    let point = curve.points.iter().find(measured)?;
    Some(Load {
        cost: point.cost?.max(1e-9),
        duration: point.duration?,
        outage: point.outage()?,
        rate: curve.rate,
        capacity: curve.capacity,
        mtbf,
        weight: set.lateness_weight,
    })
}

fn choices(curve: &Curve, inputs: &Load, min_pause: f64, costs: &CostCurve, best: Option<f64>) -> Vec<Choice> {
    let Load { cost, mtbf, outage, duration, .. } = *inputs;
    // Daly's two formulas give the work between two checkpoints, while the interval counts from trigger to trigger.
    let with_cost = |work: Result<f64, OutsideDomain>| work.map(|work| work + cost);
    let passed = curve.points.iter().filter(|point| point.passed());
    let known = passed.filter_map(|point| Some((point.period?, point.cost?.max(1e-9))));
    let mut by_period: Vec<(f64, f64)> = known.filter(|(period, cost)| *period > 0.0 && cost.is_finite()).collect();
    by_period.sort_by(|a, b| a.0.total_cmp(&b.0));
    by_period.dedup_by(|a, b| a.0 <= b.0);
    let rows = [
        ("article: d + P", Ok(duration + min_pause)),
        ("Young", optimum::young(cost, mtbf)),
        ("Daly, first order", with_cost(optimum::daly_first_order(cost, mtbf, outage))),
        ("Daly, higher order", with_cost(optimum::daly_higher_order(cost, mtbf))),
        ("exact (Lambert W)", optimum::exact(cost, mtbf)),
        ("load-aware, closed form", load::closed_form(inputs)),
        ("load-aware, numerical", load::optimum(inputs)),
        ("Young, c(T)", settled(&by_period, cost, |cost| optimum::young(cost, mtbf))),
        ("load-aware, c(T)", settled(&by_period, cost, |cost| load::optimum(&Load { cost, ..*inputs }))),
    ];
    rows.into_iter()
        .map(|(formula, interval)| {
            let chosen = interval.as_ref().ok().and_then(|interval| costs.at(*interval));
            // A negative value is chance or rounding: see `CostCurve::lowest`.
            let regret = chosen.zip(best).map(|(chosen, best)| (chosen / best - 1.0).max(0.0));
            Choice { formula: formula.into(), interval: interval.map_err(|why| why.to_string()), regret }
        })
        .collect()
}

/// The result of a backend for one state size and load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contender {
    /// Name of the backend.
    pub backend: String,
    /// Cost per second at the backend's best interval; `None`: no interval passed.
    pub cost: Option<f64>,
    /// The backend's best interval, in seconds.
    pub interval: Option<f64>,
    /// Records per second that the backend can process.
    pub capacity: f64,
    /// Why the backend should not be used, if it should not.
    pub why_not: Option<String>,
}

/// Which backend to use for a state size, load and failure rate: all that were measured, the best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// State size, bytes.
    pub state: f64,
    /// Load ρ, relative to each backend's own capacity.
    pub load: f64,
    /// Mean time between failures, seconds.
    pub mtbf: f64,
    /// The best first, those that cannot be used last.
    pub contenders: Vec<Contender>,
}

/// Compares the backends by the cost at their best interval. Those within 5 % of the best count as equally good; of
/// these, the one with the higher capacity comes first, and with equal capacity the cheaper one.
pub fn recommend(set: &TuningSet, advice: &[Advice]) -> Vec<Recommendation> {
    let mut all: Vec<Recommendation> = Vec::new();
    for one in advice {
        let curve = set
            .curves
            .iter()
            .find(|curve| (&curve.backend, curve.state_declared, curve.load) == (&one.backend, one.state, one.load));
        let failed = curve.and_then(|curve| curve.points.iter().find(|point| !point.passed()));
        let contender = Contender {
            backend: one.backend.clone(),
            cost: one.best.map(|best| best.cost),
            interval: one.best.map(|best| best.interval),
            capacity: curve.map_or(0.0, |curve| curve.capacity),
            why_not: match (one.best, failed) {
                (None, Some(point)) => Some(format!("{}: {}", point.verdict, point.headline)),
                (None, None) => Some("too few intervals were measured".into()),
                (Some(_), _) => None,
            },
        };
        let key = (one.state, one.load, one.mtbf);
        match all.iter_mut().find(|other| (other.state, other.load, other.mtbf) == key) {
            Some(same) => same.contenders.push(contender),
            None => {
                all.push(Recommendation { state: key.0, load: key.1, mtbf: key.2, contenders: vec![contender] });
            }
        }
    }
    for recommendation in &mut all {
        let cheapest = recommendation.contenders.iter().filter_map(|c| c.cost).fold(f64::INFINITY, f64::min);
        let rank = |contender: &Contender| match contender.cost {
            Some(cost) if cost <= cheapest * 1.05 => (0, -contender.capacity, cost),
            Some(cost) => (1, 0.0, cost),
            None => (2, 0.0, 0.0),
        };
        recommendation.contenders.sort_by(|a, b| {
            let (a, b) = (rank(a), rank(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::{Recovered, TUNING_VERSION};

    /// A curve that follows the load-aware formula exactly, at ρ = ½.
    fn set(points: &[f64]) -> TuningSet {
        let truth =
            Load { cost: 0.5, duration: 2.0, outage: 10.0, rate: 500.0, capacity: 1000.0, mtbf: 1.0, weight: 1.0 };
        let point = |interval: &f64| {
            let recovered = |phase: f64| {
                let effective = 1000.0 * (1.0 - 0.5 / interval);
                let age = phase * interval + 2.0;
                let total = (10.0 * effective + 500.0 * age) / (effective - 500.0);
                Recovered { phase, age, outage: 10.0, total: Some(total), state_load: None }
            };
            Point {
                interval: *interval,
                verdict: "passed".into(),
                headline: String::new(),
                period: Some(*interval),
                duration: Some(truth.duration),
                duration_p99: Some(truth.duration),
                cost: Some(truth.cost),
                state: 1e6,
                new_bytes: None,
                capacity: None,
                commit: Some(0.1),
                recoveries: [0.125, 0.375, 0.625, 0.875].map(recovered).into(),
                simulated: 3600.0,
            }
        };
        let curve = Curve {
            backend: "fs".into(),
            state_declared: 1e6,
            load: 0.5,
            rate: 500.0,
            capacity: 1000.0,
            record_weight: 1,
            state_weight: 1,
            points: points.iter().map(point).collect(),
        };
        TuningSet {
            tuning_version: TUNING_VERSION,
            command: "flowquake tune x.toml".into(),
            program: "flowquake".into(),
            scenario: "x".into(),
            why: "test".into(),
            job: "keyed-count".into(),
            parallelism: 2,
            cost_profile: "builtin".into(),
            min_pause: 0.0,
            mtbf: vec![3600.0],
            lateness_weight: 1.0,
            simulated: 3600.0,
            curves: vec![curve],
        }
    }

    #[test]
    fn the_best_interval_and_the_load_aware_formula_agree_where_it_is_exact() {
        let set = set(&[5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0]);
        let advice = &advise(&set)[0];
        let best = advice.best.unwrap();
        let choice = |name: &str| advice.choices.iter().find(|choice| choice.formula.contains(name)).unwrap();
        let numerical = choice("numerical").interval.clone().unwrap();
        assert!((best.interval / numerical - 1.0).abs() < 0.1, "{} and {numerical}", best.interval);
        assert_eq!(best.confidence, None, "recoveries that leave no residual say nothing about chance");
        assert!(choice("numerical").regret.unwrap() < 0.01);
        assert!(choice("article").interval == Ok(2.0) && choice("article").regret.is_none(), "not measured there");
        assert!(best.within_5_percent.0 < best.interval && best.interval < best.within_5_percent.1);
        assert!(!best.at_the_end);
        assert_eq!(advice.shortest, Some(1.0));
    }

    #[test]
    fn recoveries_that_vary_by_chance_leave_the_formulas_choice_in_the_confidence() {
        let mut set = set(&[5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0]);
        let recoveries = set.curves[0].points.iter_mut().flat_map(|point| &mut point.recoveries);
        for (recovered, off) in recoveries.zip([0.96, 1.02, 1.05, 0.98, 1.0, 0.97, 1.03].into_iter().cycle()) {
            recovered.total = recovered.total.map(|total| total * off);
        }
        let advice = &advise(&set)[0];
        let (from, to) = advice.best.unwrap().confidence.unwrap();
        let numerical = advice.choices[6].interval.clone().unwrap();
        assert!(from <= numerical && numerical <= to && to < from * 4.0, "{numerical} in {from} – {to}");
    }

    #[test]
    fn nothing_that_was_measured_and_no_choice_is_cheaper_than_the_best() {
        let mut set = crate::tuning::fixtures::set();
        // A point far from the optimum that is cheap by chance.
        set.curves[0].points[5].recoveries.iter_mut().for_each(|recovered| recovered.total = Some(0.1));
        for advice in advise(&set) {
            let curve = set
                .curves
                .iter()
                .find(|c| (&c.backend, c.state_declared, c.load) == (&advice.backend, advice.state, advice.load));
            let best = advice.best.unwrap();
            for (period, cost) in CostCurve::of(curve.unwrap(), advice.mtbf, 1.0).costs() {
                assert!(cost * 1.1 >= best.cost * (1.0 - 1e-9), "{period} s costs {cost}, the best {}", best.cost);
            }
            assert!(advice.choices.iter().filter_map(|choice| choice.regret).all(|regret| regret >= 0.0));
        }
        assert_eq!(advise(&set)[0].best.unwrap().interval, 180.0);
    }

    #[test]
    fn formulas_are_told_the_cost_at_their_own_choice() {
        let mut set = set(&[5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0]);
        let same = &advise(&set)[0].choices;
        assert_eq!(
            (&same[7].interval, &same[8].interval),
            (&same[1].interval, &same[6].interval),
            "c is the same everywhere"
        );
        // The cost of changes grows with the square root of the interval, until everything has changed.
        for point in &mut set.curves[0].points {
            point.cost = Some(0.5 * (point.interval / 5.0).min(16.0).sqrt());
        }
        let choices = &advise(&set)[0].choices;
        let (once, told) = (choices[1].interval.clone().unwrap(), choices[7].interval.clone().unwrap());
        // T = √(2·c(T)·M) with c(T) = 2 s from 80 s on.
        assert!((once - 60.0).abs() < 1e-9 && (told - 120.0).abs() < 1.0, "{once} and {told}");
        assert_eq!(cost_at(&[], 1.0), None);
    }

    #[test]
    fn an_optimum_at_the_end_is_said_to_be_there() {
        let advice = advise(&set(&[80.0, 160.0, 320.0])).remove(0);
        assert!(advice.best.unwrap().at_the_end);
        assert_eq!(advise(&set(&[80.0, 160.0])).remove(0).best, None);
    }

    #[test]
    fn backends_are_ranked_by_cost_and_then_by_capacity() {
        let mut set = set(&[5.0, 10.0, 20.0, 40.0, 80.0, 160.0]);
        let mut faster = set.curves[0].clone();
        (faster.backend, faster.capacity) = ("memory".into(), 2000.0);
        let mut broken = set.curves[0].clone();
        broken.backend = "rocksdb".into();
        broken.points.iter_mut().for_each(|point| {
            (point.verdict, point.headline) = ("stuck".into(), "no slots".into());
        });
        set.curves.extend([faster, broken]);
        let all = recommend(&set, &advise(&set));
        let names: Vec<&str> = all[0].contenders.iter().map(|contender| contender.backend.as_str()).collect();
        assert_eq!(names, ["memory", "fs", "rocksdb"]);
        assert_eq!(all[0].contenders[2].why_not.as_deref(), Some("stuck: no slots"));
    }
}

//! Storms: real processes killed and paused at random, many times over, until the input is read; then the job must have
//! finished by itself with every record exactly once.
//!
//! A [`Storm`] is drawn from its seed alone, each part from a named stream, so a storm that fails can be raised again by its
//! number (what the processes do meanwhile is up to the machine). Any process may be struck at any time: JobManagers,
//! TaskManagers, the launcher (after whose death the run is resumed, perhaps while orphans are still stopped), or all of them.
//!
//! `cargo test` raises [`USUAL`] storms. For more: `FLOWQUAKE_STORMS=200 cargo test -p flowquake --test real storms -- --nocapture`;
//! `FLOWQUAKE_STORM_SEED` is the first seed (1), `FLOWQUAKE_STORM_JOBS` how many rage at once (1).

use std::process::ExitStatus;
use std::sync::atomic::{AtomicU64, Ordering};

use flowquake_engine::env::{draw, draw_between};

use super::*;

/// Storms in a usual run of the tests: one per backend.
const USUAL: u64 = 3;
/// The input is read so often: it arrives for about as long as a storm rages.
const REPEAT: u32 = 9;
/// How long a storm rages.
const RAGE: Duration = Duration::from_secs(5);
/// Within this time after the storm the job must be over.
const CALM: Duration = Duration::from_secs(120);

/// Draws of one storm.
#[derive(Clone, Copy)]
struct Draws(u64);

impl Draws {
    fn between(self, stream: &str, n: u64, low: u64, high: u64) -> u64 {
        draw_between(draw(self.0, stream, 0, n), low, high)
    }

    fn one_of<T: Copy>(self, stream: &str, n: u64, all: &[T]) -> T {
        all[self.between(stream, n, 0, all.len() as u64 - 1) as usize]
    }
}

/// What is done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    Kill,
    /// Stopped for so many milliseconds.
    Pause(u64),
    /// Stopped for so many milliseconds, and killed without having gone on.
    PauseAndKill(u64),
}

/// Whom it meets.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Victims {
    Process(String),
    /// All processes but the launcher.
    All,
    Launcher,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Strike {
    /// Milliseconds after the strike before.
    after: u64,
    victims: Victims,
    blow: Blow,
}

/// One storm, as plain data.
#[derive(Debug)]
struct Storm {
    backend: BackendKind,
    options: Vec<String>,
    strikes: Vec<Strike>,
}

impl Storm {
    fn drawn(seed: u64) -> Self {
        let draws = Draws(seed);
        let backends: Vec<_> = BackendKind::ALL.into_iter().filter(|kind| kind.is_built()).collect();
        let job_managers = draws.one_of("job managers", 0, &[1, 1, 2, 3]);
        let lease = draws.one_of("lease", 0, &[150, 150, 200, 300, 500, 1_000, 3_000]);
        let heartbeat = draws.one_of("heartbeat", 0, &[100, 200, 500]);
        let option = |name: &str, value: String| [format!("--{name}"), value];
        let options = [
            option("job-managers", job_managers.to_string()),
            option("lease", format!("{lease}ms")),
            option("heartbeat-interval", format!("{heartbeat}ms")),
            option("heartbeat-timeout", format!("{}ms", heartbeat * draws.between("heartbeat", 1, 3, 8))),
            option("rpc-timeout", format!("{}ms", heartbeat * 5)),
            option("restart-delay", format!("{}ms", draws.one_of("restart delay", 0, &[20, 100, 300, 800]))),
            option("tolerable-failed-checkpoints", draws.between("tolerable", 0, 0, 3).to_string()),
        ];
        // Some storms meet JobManagers only, the only one above all, in short breaths: terms end by the hundred.
        let on_leaders = draws.between("kind of storm", 0, 0, 3) == 0;
        let mut strikes = Vec::new();
        let mut spent = 0;
        for n in 0.. {
            let jm = format!("jm-{}", draws.between("which", n, 1, job_managers));
            let tm = format!("tm-{}", draws.between("which", n, 1, 2));
            let (after, victims, blow) = if on_leaders {
                let pause = draws.between("pause", n, lease * 9 / 10, lease * 3 / 2);
                (draws.between("gap", n, 5, 120), Victims::Process(jm), Blow::Pause(pause))
            } else {
                let victims = match draws.between("victim", n, 0, 19) {
                    0..7 => Victims::Process(jm),
                    7..17 => Victims::Process(tm),
                    17 => Victims::All,
                    _ => Victims::Launcher,
                };
                let pause = draws.one_of("pause", n, &[20, 100, 200, 400, 900, 2_000]);
                let blow = draws.one_of("blow", n, &[Blow::Kill, Blow::Pause(pause), Blow::PauseAndKill(pause)]);
                (draws.between("gap", n, 10, 700), victims, blow)
            };
            spent += after + if let Blow::Pause(pause) | Blow::PauseAndKill(pause) = blow { pause } else { 0 };
            if Duration::from_millis(spent) > RAGE {
                break;
            }
            strikes.push(Strike { after, victims, blow });
        }
        Self { backend: backends[(seed % backends.len() as u64) as usize], options: options.concat(), strikes }
    }
}

/// What a storm has done.
#[derive(Debug, Default, Clone, Copy)]
struct Damage {
    kills: u64,
    pauses: u64,
    resumed: u64,
    terms: u64,
}

/// A run of the engine in a storm: the launcher at work, and what is known of the ones before.
struct Ship<'a> {
    case: &'a Case,
    storm: &'a Storm,
    run: Run,
    damage: Damage,
}

impl Ship<'_> {
    /// The processes of the present run but for its launcher, by their newest lives.
    fn crew(&self) -> BTreeMap<String, u32> {
        let lines = self.run.lines.lock().unwrap();
        let started = |line: &String| {
            let (name, process) = line.split_once(" started, process ")?;
            Some((name.rsplit(' ').next()?.to_owned(), process.parse().ok()?))
        };
        lines.iter().filter_map(started).collect()
    }

    fn strike(&mut self, strike: &Strike) -> Result<(), String> {
        std::thread::sleep(Duration::from_millis(strike.after));
        let crew = self.crew();
        let victims: Vec<u32> = match &strike.victims {
            Victims::Process(name) => crew.get(name).copied().into_iter().collect(),
            Victims::All => crew.values().copied().collect(),
            Victims::Launcher => vec![self.run.launcher.id()],
        };
        // Now and then a process outlives its launcher for a while, and the next run has to wait for it.
        let outlives = strike.victims == Victims::Launcher && strike.after.is_multiple_of(2);
        let orphan = crew.values().next().filter(|_| outlives).and_then(|orphan| folders::hold_lifeline(*orphan).ok());
        let all = |signal| victims.iter().for_each(|process| strike_down(*process, signal));
        match strike.blow {
            Blow::Kill => all(Signal::SIGKILL),
            Blow::Pause(time) | Blow::PauseAndKill(time) => {
                all(Signal::SIGSTOP);
                std::thread::sleep(Duration::from_millis(time));
                all(if strike.blow == Blow::Pause(time) { Signal::SIGCONT } else { Signal::SIGKILL });
            }
        }
        let killed = !matches!(strike.blow, Blow::Pause(_));
        *(if killed { &mut self.damage.kills } else { &mut self.damage.pauses }) += victims.len() as u64;
        if killed && strike.victims == Victims::Launcher {
            self.resume(orphan);
        }
        Ok(())
    }

    /// Goes on after the death of the launcher.
    fn resume(&mut self, orphan: Option<fs::File>) {
        let _ = self.run.launcher.wait();
        self.damage.terms += terms(&self.run);
        self.damage.resumed += 1;
        // A launcher that died before its first JobManager led has left nothing to resume.
        let again = self.case.checkpoints().join("ha").is_dir();
        self.start(again);
        if orphan.is_some() {
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn start(&mut self, again: bool) {
        let mut options: Vec<&str> = self.storm.options.iter().map(String::as_str).collect();
        if again {
            options.push("--resume");
        }
        self.run = self.case.start(&options);
    }

    /// How the run ended, if it did. An orphan of a killed launcher may have led after somebody looked whether there is anything to
    /// resume: then the next run refuses the folder, and is started as it says.
    fn ended(&mut self) -> Result<Option<ExitStatus>, String> {
        let ended = self.run.launcher.try_wait().map_err(|error| error.to_string())?;
        let refused = ended.is_some_and(|status| status.code() == Some(2)) && self.run.log().contains("add --resume");
        if refused {
            self.start(true);
            return Ok(None);
        }
        Ok(ended)
    }

    /// Waits for the end of the job: how it went, and all that was said if it went wrong.
    fn end(mut self) -> Result<Damage, String> {
        let began = Instant::now();
        let status = loop {
            match self.ended()? {
                Some(status) => break status,
                None if began.elapsed() > CALM => {
                    return Err(format!("not over {CALM:?} after the storm:\n{}", self.run.log()));
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        if status.code() != Some(0) {
            return Err(format!("the job is lost, {status}:\n{}", self.run.log()));
        }
        self.damage.terms += terms(&self.run);
        self.case.judge().map(|()| self.damage).map_err(|wrong| format!("{wrong}\n{}", self.run.log()))
    }
}

fn terms(run: &Run) -> u64 {
    run.lines.lock().unwrap().iter().filter(|line| line.contains(" leads in term ")).count() as u64
}

/// Strikes a process of a run if it is still the one that was meant: its number may have been given away since.
fn strike_down(process: u32, with: Signal) {
    let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    if line.windows(6).any(|word| word == b"engine") {
        let _ = kill(Pid::from_raw(process.try_into().unwrap()), with);
    }
}

fn rage(seed: u64) -> Result<Damage, String> {
    let storm = Storm::drawn(seed);
    let case = Case::new((words().0, REPEAT), storm.backend);
    let options: Vec<&str> = storm.options.iter().map(String::as_str).collect();
    let run = case.start(&options);
    let mut ship = Ship { case: &case, storm: &storm, run, damage: Damage::default() };
    for strike in &storm.strikes {
        if ship.ended()?.is_some() {
            break;
        }
        ship.strike(strike)?;
    }
    ship.end().map_err(|what| format!("storm {seed}, {}: {storm:?}\n{what}", storm.backend.name()))
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} = {text}: no number")))
}

#[test]
fn a_storm_depends_on_its_seed_alone() {
    for seed in 0..50 {
        let (one, other) = (Storm::drawn(seed), Storm::drawn(seed));
        assert_eq!((&one.options, &one.strikes), (&other.options, &other.strikes));
        assert!(!one.strikes.is_empty(), "{seed}");
    }
}

#[test]
fn storms_lose_no_job_and_no_record() {
    let (count, first) = (setting("FLOWQUAKE_STORMS", USUAL), setting("FLOWQUAKE_STORM_SEED", 1));
    let jobs = setting("FLOWQUAKE_STORM_JOBS", 1).max(1);
    let next = AtomicU64::new(first);
    let (total, failed) = (Mutex::new(Damage::default()), Mutex::new(Vec::new()));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    match rage(seed) {
                        Ok(damage) => {
                            let mut total = total.lock().unwrap();
                            total.kills += damage.kills;
                            total.pauses += damage.pauses;
                            total.resumed += damage.resumed;
                            total.terms += damage.terms;
                            eprintln!(
                                "{:>5.0} s  storm {seed} of {first}..{}: {damage:?}",
                                began.elapsed().as_secs_f64(),
                                first + count
                            );
                        }
                        Err(what) => {
                            eprintln!("{what}");
                            failed.lock().unwrap().push(seed);
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    eprintln!("{count} storms: {:?}, failed: {failed:?}", total.into_inner().unwrap());
    assert_eq!(failed, Vec::<u64>::new(), "storms that lost the job or a record, of {count}");
}

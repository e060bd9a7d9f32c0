//! What all targets share: how inputs are made from valid ones, and how the reading of each input is watched.
//!
//! Start at [`Target::survives`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flowquake_engine::env::draw;

/// Inputs per target by default: all targets together take about a second.
const INPUTS: u64 = 4_000;
/// Longest time for one input. This is far more than any input needs, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most memory of the whole process, KiB.
const MEMORY_KIB: u64 = 1 << 20;

/// A reader that is fuzzed.
pub(super) struct Target<'a> {
    pub(super) name: &'a str,
    /// Valid inputs, from which the others are made.
    pub(super) good: Vec<Vec<u8>>,
    /// Words of its format.
    pub(super) words: &'a [&'a [u8]],
    /// Reads the input, and uses it if it is accepted; returns whether it was accepted.
    pub(super) read: &'a dyn Fn(&[u8]) -> bool,
}

/// The random draws for one input.
struct Draws<'a> {
    target: &'a str,
    input: u64,
    next: u64,
}

impl Draws<'_> {
    fn below(&mut self, most: usize) -> usize {
        self.next += 1;
        (draw(0, self.target, self.input, self.next) % most.max(1) as u64) as usize
    }
}

/// Encoded numbers at the ends of their ranges.
const ENDS: [&[u8]; 9] = [
    &[0],
    &[1],
    &[0x7f],
    &[0x80, 0x01],
    &[0xff, 0xff, 0x03],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    &[0xff; 24],
];

impl Target<'_> {
    /// Input number `input`, always the same.
    fn input(&self, input: u64) -> Vec<u8> {
        let mut draws = Draws { target: self.name, input, next: 0 };
        let mut bytes = self.good[draws.below(self.good.len())].clone();
        for _ in 0..=draws.below(5) {
            let at = draws.below(bytes.len() + 1);
            let longest = 1 << draws.below(8);
            let end = (at + draws.below(longest)).min(bytes.len());
            match draws.below(8) {
                0 if !bytes.is_empty() => {
                    let at = at.min(bytes.len() - 1);
                    bytes[at] ^= 1 << draws.below(8);
                }
                1 => drop(bytes.splice(at..end, ENDS[draws.below(ENDS.len())].iter().copied())),
                2 => drop(bytes.drain(at..end)),
                3 => {
                    let piece = bytes[at..end].to_vec();
                    let times = 1 + draws.below(20);
                    drop(bytes.splice(at..at, piece.repeat(times)));
                }
                4 => bytes.truncate(at),
                5 => {
                    let other = &self.good[draws.below(self.good.len())];
                    let from = draws.below(other.len() + 1);
                    let to = (from + draws.below(200)).min(other.len());
                    drop(bytes.splice(at..end, other[from..to].iter().copied()));
                }
                _ if self.words.is_empty() => drop(bytes.splice(at..at, ENDS[draws.below(ENDS.len())].iter().copied())),
                _ => {
                    let word = self.words[draws.below(self.words.len())];
                    drop(bytes.splice(at..end, word.iter().copied()));
                }
            }
        }
        bytes
    }

    /// Reads as many inputs as the environment asks for: a number of them, or as many as fit into a time.
    pub(super) fn survives(&self) {
        for good in &self.good {
            assert!((self.read)(good), "{}: what nobody changed is accepted", self.name);
        }
        let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
        let one = number("FLOWQUAKE_FUZZ_INPUT");
        let from = one.or_else(|| number("FLOWQUAKE_FUZZ_FROM")).unwrap_or(0);
        let time = number("FLOWQUAKE_FUZZ_SECONDS").filter(|_| one.is_none()).map(Duration::from_secs);
        let asked = one.map_or_else(|| number("FLOWQUAKE_FUZZ_INPUTS").unwrap_or(INPUTS), |_| 1);
        let began = Instant::now();
        let watch = Watch::start(self.name);
        let (mut count, mut accepted) = (0, 0);
        while time.map_or(count < asked, |time| began.elapsed() < time) {
            let input = from.wrapping_add(count);
            count += 1;
            let bytes = self.input(input);
            watch.input.store(input, Ordering::Relaxed);
            match catch_unwind(AssertUnwindSafe(|| (self.read)(&bytes))) {
                Ok(was) => accepted += u64::from(was),
                Err(_) => panic!(
                    "{}: input {input} panics: FLOWQUAKE_FUZZ_INPUT={input}\n{:?}",
                    self.name,
                    String::from_utf8_lossy(&bytes)
                ),
            }
        }
        let memory = peak_kib();
        assert!(count > 0, "{}: no time for a single input", self.name);
        eprintln!(
            "{}: {count} inputs from {from} on, {accepted} accepted, {:.1?}, at most {} MiB in this process",
            self.name,
            began.elapsed(),
            memory >> 10
        );
        assert!(memory < MEMORY_KIB, "{}: {memory} KiB", self.name);
    }
}

/// Ends the process when one input takes too long: a thread that hangs cannot be ended in another way.
struct Watch {
    input: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
}

impl Watch {
    fn start(target: &str) -> Self {
        let (input, done) = (Arc::new(AtomicU64::new(u64::MAX)), Arc::new(AtomicBool::new(false)));
        let (target, seen, over) = (target.to_owned(), input.clone(), done.clone());
        std::thread::spawn(move || {
            let mut last = (u64::MAX, Instant::now());
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
                let now = seen.load(Ordering::Relaxed);
                if now != last.0 {
                    last = (now, Instant::now());
                } else if last.1.elapsed() > PATIENCE && now != u64::MAX {
                    eprintln!("{target}: input {now} takes longer than {PATIENCE:?}: FLOWQUAKE_FUZZ_INPUT={now}");
                    std::process::abort();
                }
            }
        });
        Self { input, done }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

/// The most memory that this process ever had, KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

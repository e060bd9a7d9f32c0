//! Measures on several nodes at once. The nodes of a real cluster share this machine, and at a checkpoint all of them
//! do the same work at the same time. A node measured alone would have memory, disk and cores for itself, so costs are
//! measured on [`NODES`] at once.
#![allow(clippy::disallowed_methods, reason = "what is measured is real time")]

use std::time::Duration;

use super::fit::Samples;

/// Nodes that work at the same time: the smallest number of which one can fail.
pub(super) const NODES: usize = 2;

/// More bytes than a processor caches.
const CACHES: usize = 64 << 20;
/// Time after which idle threads have gone to sleep.
const ASLEEP: Duration = Duration::from_millis(20);

/// Calls `measure` with the number of each node, each in its own thread; the first error is returned.
pub(super) fn at_once<T: Send, E: Send>(measure: impl Fn(usize) -> Result<T, E> + Sync) -> Result<Vec<T>, E> {
    std::thread::scope(|scope| {
        let measure = &measure;
        let threads: Vec<_> = (0..NODES).map(|node| scope.spawn(move || measure(node))).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(measured) => measured,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    })
}

/// What happens between two checkpoints that changes the cost of the next one: threads go to sleep, and other data
/// fills the processor's caches.
pub(super) struct Meanwhile(Vec<u64>);

impl Meanwhile {
    pub(super) fn new() -> Self {
        Self(vec![0; CACHES / size_of::<u64>()])
    }

    /// Makes it happen.
    pub(super) fn pass(&mut self) {
        std::thread::sleep(ASLEEP);
        self.0.iter_mut().for_each(|word| *word = word.wrapping_add(1));
        std::hint::black_box(&self.0);
    }
}

/// The samples of all nodes, size by size. All nodes must have measured the same sizes.
pub(super) fn pooled(nodes: impl IntoIterator<Item = Vec<Samples>>) -> Vec<Samples> {
    let mut pooled: Vec<Samples> = Vec::new();
    for sizes in nodes {
        match pooled.is_empty() {
            true => pooled = sizes,
            false => pooled.iter_mut().zip(sizes).for_each(|(all, more)| all.y.extend(more.y)),
        }
    }
    pooled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_all_nodes_are_pooled_by_size() {
        let of = |node: usize| vec![Samples { x: 1.0, y: vec![node as f64] }, Samples { x: 2.0, y: vec![5.0] }];
        let pooled = pooled(at_once(|node| Ok::<_, ()>(of(node))).unwrap());
        assert_eq!(pooled, [Samples { x: 1.0, y: vec![0.0, 1.0] }, Samples { x: 2.0, y: vec![5.0, 5.0] }]);
        assert_eq!(at_once(|node| if node == 1 { Err("broken") } else { Ok(()) }), Err("broken"));
    }
}

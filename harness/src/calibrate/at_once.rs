//! The nodes of a real cluster share this machine, and a checkpoint has them all do the same at the same time. So what a node
//! costs is measured on [`NODES`] at once: alone, each would have memory, disk and cores for itself.

use super::fit::Samples;

/// Nodes that work at once: the fewest of which one can fail.
pub(super) const NODES: usize = 2;

/// Calls `measure` with the number of each node, in a thread each; the first error counts.
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

/// The samples of all nodes, size by size; all have measured the same sizes.
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

//! The job graph as far as a record shows it: which vertex each subtask belongs to, and what is upstream of it.
//!
//! Start at [`Graph::of`]. A subtask is named after its vertex (`1#0` is the first of vertex 1). If a record has no
//! edges, the vertices are taken to be a chain.

use crate::record::RunRecord;

/// Subtasks, vertices and edges of one run.
pub(crate) struct Graph<'a> {
    /// Name and vertex of each subtask, in the order in which the record first names them.
    pub(crate) subtasks: Vec<(&'a str, u32)>,
    /// Edges from vertex to vertex.
    pub(crate) edges: Vec<(u32, u32)>,
}

impl<'a> Graph<'a> {
    pub(crate) fn of(run: &'a RunRecord) -> Self {
        let of_attempts = run.course.attempts.iter().flat_map(|a| &a.subtasks).map(|s| s.subtask.as_str());
        let of_checkpoints = run.checkpoints.iter().flat_map(|c| &c.subtasks).map(|s| s.subtask.as_str());
        let (mut subtasks, mut names) = (Vec::<(&str, u32)>::new(), Vec::<&str>::new());
        for subtask in of_attempts.chain(of_checkpoints) {
            if subtasks.iter().any(|(known, _)| *known == subtask) {
                continue;
            }
            let name = subtask.rsplit_once('#').map_or(subtask, |(vertex, _)| vertex);
            if !names.contains(&name) {
                names.push(name);
            }
            // The vertex's number, if the engine names it by a number; otherwise its position.
            let place = names.iter().position(|known| *known == name).unwrap_or(0) as u32;
            subtasks.push((subtask, name.parse().unwrap_or(place)));
        }
        let mut edges = run.course.edges.clone();
        if edges.is_empty() {
            let mut vertices: Vec<u32> = subtasks.iter().map(|(_, vertex)| *vertex).collect();
            vertices.sort_unstable();
            vertices.dedup();
            edges = vertices.windows(2).map(|pair| (pair[0], pair[1])).collect();
        }
        Graph { subtasks, edges }
    }

    /// Position of a subtask among those of the record.
    pub(crate) fn place(&self, subtask: &str) -> Option<usize> {
        self.subtasks.iter().position(|(known, _)| *known == subtask)
    }

    fn vertex(&self, subtask: &str) -> Option<u32> {
        self.place(subtask).map(|place| self.subtasks[place].1)
    }

    /// Whether a subtask has nothing upstream.
    pub(crate) fn is_source(&self, subtask: &str) -> bool {
        let vertex = self.vertex(subtask);
        self.edges.iter().all(|(_, to)| Some(*to) != vertex)
    }

    /// Whether records flow directly from one subtask to the other.
    pub(crate) fn feeds(&self, from: &str, to: &str) -> bool {
        let edge = self.vertex(from).zip(self.vertex(to));
        edge.is_some_and(|edge| self.edges.contains(&edge))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::record::Course;

    #[test]
    fn without_edges_a_job_is_a_chain() {
        let run = RunRecord { course: Course::default(), ..fixtures::passed() };
        let graph = Graph::of(&run);
        assert_eq!(graph.edges, [(0, 1)]);
        assert!(graph.is_source("source#0") && !graph.is_source("count#1"));
        assert!(graph.feeds("source#0", "count#1") && !graph.feeds("count#0", "count#1"));
    }

    #[test]
    fn vertices_are_numbers_where_they_are_called_so() {
        let mut run = fixtures::passed();
        run.checkpoints.truncate(1);
        run.course = Course { edges: vec![(3, 7), (5, 7)], ..Course::default() };
        for (task, name) in run.checkpoints[0].subtasks.iter_mut().zip(["3#0", "5#0", "7#1"]) {
            task.subtask = name.into();
        }
        let graph = Graph::of(&run);
        assert!(graph.is_source("5#0") && graph.feeds("3#0", "7#1") && !graph.feeds("3#0", "5#0"));
    }
}

//! A durable store that may fail a bounded number of times: gives every possible answer to a request.
//!
//! Objects are written once. A fault is one of
//! - *error*: the request fails, with or without effect; a rename may also stop between copy and deletion;
//! - *torn*: half of the bytes of a new object arrive, and the store reports success;
//! - *lag*: a read shows the object as it was before (absent, or not deleted yet), and a listing lacks the last names
//!   or shows deleted ones. No lag reaches back before the beginning of the search ([`ModelStore::begin`]).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;

use super::replay::{Answer, Request};

/// How many faults of each kind may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    pub(crate) errors: u8,
    pub(crate) torn: u8,
    pub(crate) lags: u8,
}

/// One store.
#[derive(Debug, Clone)]
pub(crate) struct ModelStore {
    objects: BTreeMap<String, Bytes>,
    deleted: BTreeMap<String, Bytes>,
    /// Paths of objects that existed before the search.
    old: Arc<BTreeSet<String>>,
    faults: Faults,
}

impl Hash for ModelStore {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.objects.hash(state);
        self.faults.hash(state);
        // Without lags, nobody can see deleted objects any more.
        if self.faults.lags > 0 {
            self.deleted.hash(state);
        }
    }
}

/// One possible answer to a request: what is unusual about it, the answer, and the store afterwards.
pub(crate) type Way = (&'static str, Answer, ModelStore);

impl ModelStore {
    pub(crate) fn new(faults: Faults) -> Self {
        Self { objects: BTreeMap::new(), deleted: BTreeMap::new(), old: Arc::default(), faults }
    }

    /// The search begins: from now on every reader sees what exists now.
    pub(crate) fn begin(&mut self) {
        self.old = Arc::new(self.objects.keys().cloned().collect());
        self.deleted.clear();
    }

    /// Puts an object into the store without any fault.
    pub(crate) fn put(&mut self, path: impl Into<String>, bytes: Bytes) {
        self.objects.insert(path.into(), bytes);
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Bytes> {
        self.objects.get(path)
    }

    /// Objects whose paths begin with `prefix`.
    pub(crate) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Bytes)> {
        let from = self.objects.range(prefix.to_owned()..).map(|(path, bytes)| (&**path, bytes));
        from.take_while(move |(path, _)| path.starts_with(prefix))
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }

    fn delete(&mut self, path: &str) {
        if let Some(bytes) = self.objects.remove(path) {
            self.deleted.insert(path.to_owned(), bytes);
        }
    }

    /// Every possible answer; the first is the one without a fault.
    pub(crate) fn ways(&self, request: &Request) -> Vec<Way> {
        let mut ways = self.effects(request);
        if self.faults.errors > 0 {
            let after_an_error = |store: &Self| store.with(|store| store.faults.errors -= 1);
            let took_effect = ways[0].2.clone();
            let changes = ways[0].1 == Answer::Done;
            ways.push(("it fails", Answer::Failed, after_an_error(self)));
            if changes && !matches!(request, Request::Exists(_)) {
                ways.push(("the answer is lost", Answer::Failed, after_an_error(&took_effect)));
                if let Request::Publish { to, from } = request {
                    let copied = after_an_error(self).with(|store| store.put(to.clone(), self.objects[from].clone()));
                    ways.push(("it stops between copy and deletion", Answer::Failed, copied));
                }
            }
        }
        ways
    }

    fn effects(&self, request: &Request) -> Vec<Way> {
        let lag = || (self.faults.lags > 0).then(|| self.with(|store| store.faults.lags -= 1));
        let mut ways = Vec::new();
        match request {
            Request::Create(path, _) if self.objects.contains_key(path) => ways.push(("", Answer::Taken, self.clone())),
            Request::Create(path, bytes) => {
                ways.push(("", Answer::Done, self.with(|store| store.put(path.clone(), bytes.clone()))));
                if self.faults.torn > 0 {
                    let torn = self.with(|store| {
                        store.faults.torn -= 1;
                        store.put(path.clone(), bytes.slice(..bytes.len() / 2));
                    });
                    ways.push(("the write is torn", Answer::Done, torn));
                }
            }
            Request::Get(path) | Request::Exists(path) => {
                let found = |bytes: Option<&Bytes>| match (bytes, request) {
                    (None, _) => Answer::Missing,
                    (Some(_), Request::Exists(_)) => Answer::Done,
                    (Some(bytes), _) => Answer::Found(bytes.clone()),
                };
                let now = self.objects.get(path);
                ways.push(("", found(now), self.clone()));
                let before = if now.is_some() { None } else { self.deleted.get(path) };
                if let Some(after) = lag().filter(|_| now != before && !self.old.contains(path)) {
                    ways.push(("the store lags behind", found(before), after));
                }
            }
            Request::Publish { from, to } => {
                let way = match (self.objects.get(from), self.objects.contains_key(to)) {
                    (None, _) => ("", Answer::Missing, self.clone()),
                    (Some(_), true) => ("", Answer::Taken, self.clone()),
                    (Some(bytes), false) => {
                        let published = self.with(|store| {
                            store.put(to.clone(), bytes.clone());
                            store.delete(from);
                        });
                        ("", Answer::Done, published)
                    }
                };
                ways.push(way);
            }
            Request::Delete(path) => ways.push(("", Answer::Done, self.with(|store| store.delete(path)))),
            Request::List(folder) => {
                let prefix = format!("{folder}/");
                let sized = |(path, bytes): (&str, &Bytes)| (path.to_owned(), bytes.len() as u64);
                let names: Vec<_> = self.below(&prefix).map(sized).collect();
                ways.push(("", Answer::Listed(names.clone()), self.clone()));
                if let Some(after) = lag() {
                    let (old, new): (Vec<_>, Vec<_>) =
                        names.iter().cloned().partition(|(name, _)| self.old.contains(name));
                    for shown in 0..new.len() {
                        let mut listed = [&old[..], &new[..shown]].concat();
                        listed.sort();
                        ways.push(("the listing lags behind", Answer::Listed(listed), after.clone()));
                    }
                    let gone = self.deleted.iter().filter(|(path, _)| path.starts_with(&prefix));
                    let mut all: Vec<_> = gone.map(|(path, bytes)| sized((path, bytes))).collect();
                    if !all.is_empty() {
                        all.extend(names);
                        all.sort();
                        ways.push(("the listing names what was deleted", Answer::Listed(all), after));
                    }
                }
            }
        }
        ways
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(store: &ModelStore, request: &Request) -> Vec<(&'static str, Answer)> {
        store.ways(request).into_iter().map(|(odd, answer, _)| (odd, answer)).collect()
    }

    #[test]
    fn without_faults_there_is_one_answer_and_with_them_each_that_can_be() {
        let mut store = ModelStore::new(Faults { errors: 0, torn: 0, lags: 0 });
        let create = Request::Create("a/x".into(), Bytes::from_static(b"abcd"));
        assert_eq!(ways(&store, &create), [("", Answer::Done)]);
        store.faults = Faults { errors: 1, torn: 1, lags: 1 };
        let odd = [
            ("", Answer::Done),
            ("the write is torn", Answer::Done),
            ("it fails", Answer::Failed),
            ("the answer is lost", Answer::Failed),
        ];
        assert_eq!(ways(&store, &create), odd);
        let torn = store.ways(&create).swap_remove(1).2;
        assert_eq!((torn.get("a/x").unwrap().as_ref(), torn.faults.torn), (&b"ab"[..], 0));
        let listed = [("a/x".to_owned(), 2)];
        let lists = [
            ("", Answer::Listed(listed.to_vec())),
            ("the listing lags behind", Answer::Listed(vec![])),
            ("it fails", Answer::Failed),
        ];
        assert_eq!(ways(&torn, &Request::List("a".into())), lists);
        let publish = Request::Publish { from: "a/x".into(), to: "b".into() };
        let half = torn.ways(&publish).pop().unwrap().2;
        assert!(half.get("a/x").is_some() && half.get("b").is_some());
    }
}

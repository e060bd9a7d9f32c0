//! Durable storage as the engine uses it: a few operations over the `object_store` trait, with errors by what the
//! caller does next.
//!
//! Objects are written once. [`Store::create`] is the fencing primitive everywhere, because local folders, unlike
//! cloud stores, have no conditional update. An answer may be wrong, so important writes go through
//! [`super::put_durably`].

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("{path}: no such object")]
    NotFound {
        /// The object.
        path: String,
    },
    /// The request failed. After a write it is unknown whether the write took effect.
    #[error("{path}: {cause}")]
    Failed {
        /// The object.
        path: String,
        /// The store's own words.
        cause: String,
    },
}

/// A durable store.
#[derive(Clone, Debug)]
pub struct Store(Arc<dyn ObjectStore>);

impl Store {
    /// Wraps any `object_store`.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self(store)
    }

    /// Writes an object that must not exist yet. Returns false, and leaves the object alone, if it exists.
    pub async fn create(&self, path: &str, bytes: Bytes) -> Result<bool, StoreError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.0.put_opts(&Path::from(path), bytes.into(), options).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(translate(path, error)),
        }
    }

    /// The whole object.
    pub async fn get(&self, path: &str) -> Result<Bytes, StoreError> {
        let result = self.0.get(&Path::from(path)).await.map_err(|error| translate(path, error))?;
        result.bytes().await.map_err(|error| translate(path, error))
    }

    /// The first `N` bytes of an object; `None` if it is shorter.
    pub async fn head<const N: usize>(&self, path: &str) -> Result<Option<[u8; N]>, StoreError> {
        let options = GetOptions { range: Some(GetRange::Bounded(0..N as u64)), ..GetOptions::default() };
        match self.0.get_opts(&Path::from(path), options).await {
            Ok(result) => {
                let bytes = result.bytes().await.map_err(|error| translate(path, error))?;
                Ok(bytes.first_chunk().copied())
            }
            Err(error) => Err(translate(path, error)),
        }
    }

    /// Gives an object its final name unless that name is taken; returns false if it is. After `true` the old name is
    /// gone. After `false` it may still exist, and the two may or may not be the same object, because stores rename by
    /// copying and deleting.
    pub async fn publish(&self, from: &str, to: &str) -> Result<bool, StoreError> {
        match self.0.rename_if_not_exists(&Path::from(from), &Path::from(to)).await {
            Ok(()) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(translate(from, error)),
        }
    }

    /// Whether there is such an object.
    pub async fn exists(&self, path: &str) -> Result<bool, StoreError> {
        match self.0.head(&Path::from(path)).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(translate(path, error)),
        }
    }

    /// Removes an object; a missing object is not an error.
    pub async fn delete(&self, path: &str) -> Result<(), StoreError> {
        match self.0.delete(&Path::from(path)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(translate(path, error)),
        }
    }

    /// Paths and sizes of all objects below a folder, in order of their paths.
    pub async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let objects: Vec<_> =
            self.0.list(Some(&Path::from(folder))).try_collect().await.map_err(|error| translate(folder, error))?;
        let mut paths: Vec<_> = objects.into_iter().map(|object| (object.location.to_string(), object.size)).collect();
        paths.sort();
        Ok(paths)
    }

    /// Objects in those top folders of the store whose name is `wanted`. Other folders are not entered: a local folder
    /// may hold some that do not belong to the engine and that it may not read (`lost+found`).
    pub async fn list_in(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, u64)>, StoreError> {
        let top = self.0.list_with_delimiter(None).await.map_err(|error| translate("", error))?;
        let mut folders: Vec<_> = top.common_prefixes.iter().map(ToString::to_string).collect();
        folders.retain(|folder| wanted(folder));
        folders.sort();
        let mut objects = Vec::new();
        for folder in folders {
            objects.extend(self.list(&folder).await?);
        }
        Ok(objects)
    }
}

fn translate(path: &str, error: Error) -> StoreError {
    match error {
        Error::NotFound { .. } => StoreError::NotFound { path: path.into() },
        other => StoreError::Failed { path: path.into(), cause: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use object_store::local::LocalFileSystem;

    use super::*;

    #[tokio::test]
    async fn folders_of_others_are_not_entered() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        };
        for path in ["chk-2/b", "chk-2/deep/a", "chk-1/a", "ha/1", "lost+found/inode", "at-the-top"] {
            write(path);
        }
        // Only root may read this folder.
        std::fs::set_permissions(root.path().join("lost+found"), std::fs::Permissions::from_mode(0o000)).unwrap();
        let store = Store::new(Arc::new(LocalFileSystem::new_with_prefix(root.path()).unwrap()));
        let listed = store.list_in(|name| name.starts_with("chk-")).await.unwrap();
        let names: Vec<_> = listed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["chk-1/a", "chk-2/b", "chk-2/deep/a"]);
    }
}

//! Types of records that can travel between subtasks.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A record that can travel between subtasks, encoded by [`crate::codec`].
pub trait Element: Serialize + DeserializeOwned + Send + 'static {}
impl<T: Serialize + DeserializeOwned + Send + 'static> Element for T {}

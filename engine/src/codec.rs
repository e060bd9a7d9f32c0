//! How values become bytes: postcard, one value after the other in a buffer, without an allocation per value.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A postcard sink that appends to an existing buffer.
struct Append<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Append<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Appends the encoding of `value`.
///
/// # Panics
/// If the type cannot be encoded at all (a sequence of unknown length). That is a mistake in the program, which the
/// first record shows.
#[inline]
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    postcard::serialize_with_flavor(value, Append(out)).expect("the type can be encoded");
}

/// Decodes one value from the front of `input` and advances `input` past it.
pub fn decode<T: DeserializeOwned>(input: &mut &[u8]) -> Result<T, postcard::Error> {
    let (value, rest) = postcard::take_from_bytes(input)?;
    *input = rest;
    Ok(value)
}

/// The value whose encoding is all of `bytes`; `None` if there is none, or if bytes are left over.
pub fn whole<T: DeserializeOwned>(mut bytes: &[u8]) -> Option<T> {
    decode(&mut bytes).ok().filter(|_| bytes.is_empty())
}

/// The encoding of one value in a buffer of its own.
pub fn encoded<T: Serialize>(value: &T) -> bytes::Bytes {
    let mut out = Vec::new();
    encode(value, &mut out);
    out.into()
}

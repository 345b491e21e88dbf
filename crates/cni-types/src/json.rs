//! JSON as the Go plugins read and write it, so that what works with them works here.
//!
//! Go finds the field for a key without regard to case, takes the last of several that fit, and
//! leaves a field alone whose value is `null`. Runtimes depend on this: containerd sends
//! `{"Subnet":"10.0.0.0/24","RangeStart":""}` where the conventions say `subnet` and `rangeStart`.
//!
//! [`Entries`] is an object that was scanned once; each of its values is decoded when a caller asks
//! for it, without another look at the rest of the document. [`from_str`] decodes a whole document
//! into any `Deserialize` type. [`OptionalText`] is text whose empty value means "not set".
//! [`Object`] is for what a plugin passes on: keys, their order and all values stay as they were
//! written, digits of large numbers included. Errors name the key that is at fault.

mod decode;
mod entries;
mod error;
mod node;
mod object;
mod optional_text;

pub use decode::{from_slice, from_str};
pub(crate) use decode::{to_text, without_space};
pub use entries::Entries;
pub use error::DecodeError;
pub use object::Object;
pub(crate) use optional_text::deserialize as optional_text;
pub use optional_text::{OptionalText, unless_empty};

//! JSON as the Go plugins read and write it, so that what works with them works here.
//!
//! Go finds the field for a key without regard to case, takes the last of several that fit, and leaves a field alone
//! whose value is `null`. Runtimes depend on it: containerd sends `{"Subnet":"10.0.0.0/24","RangeStart":""}` where the
//! conventions say `subnet` and `rangeStart`. [`from_str`] decodes into any `Deserialize` type in that way, and its
//! errors say which key is at fault. [`Object`] is for what a plugin passes on: it keeps keys, their order, and values
//! as they were written, digits of large numbers included.

mod decode;
mod entries;
mod object;

pub use decode::{DecodeError, from_slice, from_str};
pub use object::Object;

//! JSON text (RFC 8259), written and read exactly as Python's `json` module does.
//!
//! To walk Python objects and to make them is the binding's part. This module knows how one string or number looks
//! ([`write_string`], [`write_int`], [`write_float`]), and takes a document apart ([`Reader`]).

mod read;
mod scan_text;
mod write;

pub use read::{Reader, Text, Value};
pub use write::{may_overflow, write_float, write_int, write_string};

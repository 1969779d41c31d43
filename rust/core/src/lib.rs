//! The pure core of Pallasite: bytes in, spans and values out. Nothing here knows Python, blocks,
//! recurses on input or panics on any input.
#![forbid(unsafe_code)]

pub mod date;
pub mod json;
pub mod limits;
pub mod response;
pub mod route;
pub mod set_cookie;

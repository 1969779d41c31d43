//! The pure core of Pallasite: bytes in, spans and values out. Nothing here knows Python, blocks,
//! recurses on input or panics on any input.
#![forbid(unsafe_code)]

pub mod accept;
pub mod condition;
pub mod cookie;
pub mod date;
pub mod form;
pub mod gzip;
pub mod header;
pub mod host;
pub mod json;
pub mod limits;
pub mod multipart;
pub mod parameters;
pub mod query;
pub mod range;
pub mod response;
pub mod route;
pub mod scan;
pub mod set_cookie;
pub mod text;
pub mod url;
pub mod urlencoded;

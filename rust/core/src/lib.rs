//! The pure core of Pallasite: bytes in, spans and values out. Nothing here calls Python, blocks, recurses on input or
//! panics on any input.
//!
//! The results of some modules are defined by Python: [`text`] (strings and white space), [`json`] (the text that
//! `json.dumps` writes), [`query`] and [`set_cookie`] (`urllib.parse` and `http.cookies`), and the regular expression of
//! a path pattern in [`route`]. Each of them names what it follows.
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

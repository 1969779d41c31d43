//! One module for each parser of the core. Its `check` panics if, for an input, the parser panics, differs from a slow
//! and obvious reference, depends on how the input is cut into chunks, or does more work than is linear in the input.

#![allow(missing_docs, reason = "every module has the one function `check`")]

pub mod accept;
pub mod condition;
pub mod content_type;
pub mod cookie;
pub mod date;
mod form_parameters;
pub mod forwarded;
pub mod header;
pub mod host;
pub mod json;
pub mod json_read;
pub mod multipart;
pub mod pattern;
mod pieces;
pub mod query;
pub mod range;
pub mod route;
pub mod set_cookie;
pub mod url;
pub mod urlencoded;
mod work;

/// A check of one parser.
pub type Check = fn(&[u8]);

/// Every check, by the name of its target.
pub const CHECKS: [(&str, Check); 18] = [
    ("accept", accept::check),
    ("condition", condition::check),
    ("content_type", content_type::check),
    ("cookie", cookie::check),
    ("date", date::check),
    ("forwarded", forwarded::check),
    ("header", header::check),
    ("host", host::check),
    ("json", json::check),
    ("json_read", json_read::check),
    ("multipart", multipart::check),
    ("pattern", pattern::check),
    ("query", query::check),
    ("range", range::check),
    ("route", route::check),
    ("set_cookie", set_cookie::check),
    ("url", url::check),
    ("urlencoded", urlencoded::check),
];

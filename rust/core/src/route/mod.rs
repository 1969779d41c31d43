//! Routing: which of the declared path patterns match a path, in the order in which they were declared.
//!
//! A [`Pattern`] is one path or host with parameters (`/users/{id:int}`, `{tenant}.example.org`). It matches a text and
//! finds its parameters. A [`Tree`] holds many patterns. Its search returns the candidates one at a time, in
//! declaration order, and its cost does not grow with the number of routes. The caller matches the pattern of each
//! candidate and stops at the first that it accepts: the result is that of a linear scan.
//!
//! Texts are bytes: UTF-8, or WTF-8 for lone surrogates.

mod ambiguous;
mod cover;
mod kind;
mod pattern;
mod search;
mod segments;
mod spans;
mod tree;

pub use cover::Cover;
pub use kind::Kind;
pub use pattern::{Element, Pattern, Piece, format_text, parse, regex_text};
pub use search::Search;
pub use spans::Spans;
pub use tree::{TooManyRoutes, Tree};

//! Routing: which of the declared path patterns match a path, in the order in which they were declared.
//!
//! A [`Pattern`] is one path or host with parameters (`/users/{id:int}`, `{tenant}.example.org`); it decides alone
//! whether a text matches and where its parameters lie. A [`Tree`] holds many patterns and names, in declaration order
//! and one at a time, those that may match, so that the cost of a search does not grow with the number of routes. The
//! caller asks the pattern of each, and stops at the first it accepts: the answer is that of a linear scan.
//!
//! Texts are bytes: UTF-8, or WTF-8 where a lone surrogate has to pass.

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

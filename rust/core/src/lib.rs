//! The pure core of Pallasite: bytes in, spans and values out. Nothing here calls Python, blocks, recurses on input or
//! panics, whatever the input is. Parsers are linear in their input, and [`limits`] bounds what they keep.
//!
//! This crate is internal: it is released as part of Pallasite, and its interface changes with it.
//!
//! # Map
//!
//! | module | holds |
//! |---|---|
//! | [`route`] | which of the declared path patterns match a path, in declaration order |
//! | [`header`] | names, values and parameters of header fields |
//! | [`accept`] | content negotiation (`Accept`, `Accept-Encoding`, `Accept-Language`) and `Content-Type` |
//! | [`condition`] | entity tags in conditional requests |
//! | [`range`] | the `Range` header: the requested bytes of a file |
//! | [`host`] | the `Host` header |
//! | [`forwarded`] | what proxies say about a request: `Forwarded` and `X-Forwarded-For` |
//! | [`cookie`] | the `Cookie` request header |
//! | [`set_cookie`] | writes the `Set-Cookie` response header |
//! | [`response`] | `Content-Length` and `Content-Type` of a response |
//! | [`date`] | HTTP dates, read and written |
//! | [`url`] | URLs: built from a request, split, and made absolute |
//! | [`uuid`] | identifiers that sort by time |
//! | [`query`] | query strings, decoded and encoded |
//! | [`form`] | bodies of forms, multipart and urlencoded: parsers, limits and errors |
//! | [`json`] | writes the strings and numbers of JSON |
//! | [`gzip`] | compresses whole bodies and streams |
//! | [`text`] | Python's `str` as bytes, and its white space |
//! | [`limits`] | every bound that a parser keeps |
//!
//! Some modules follow Python, and name what they follow: [`text`] (strings and white space), [`json`] (`json.dumps`),
//! [`query`] and [`set_cookie`] (`urllib.parse` and `http.cookies`), and the regular expressions of [`route`].
//!
//! Every error type is a [`std::error::Error`] whose `code` names the variant for programs.
//!
//! # Examples
//!
//! Find the route of a path, and its parameters:
//!
//! ```
//! use pallasite_core::route::{Pattern, Spans, Tree, parse};
//!
//! let compile = |source: &str| {
//!     // Every parameter of these patterns has the convertor `int`.
//!     Pattern::new(source.as_bytes(), &parse(source.as_bytes()), |_| b"[0-9]+")
//! };
//! let patterns = [compile("/users"), compile("/users/{id:int}")];
//! let tree = Tree::build(patterns.iter().enumerate())?;
//!
//! let path = "/users/42";
//! let mut spans = Spans::new();
//! let mut candidates = tree.search(path.as_bytes());
//! let route = candidates.find(|&route| patterns[route].find(path.as_bytes(), &mut spans));
//! assert_eq!(route, Some(1));
//! assert_eq!(spans.get(0).map(|span| &path[span]), Some("42"));
//! # Ok::<(), pallasite_core::route::TooManyRoutes>(())
//! ```
//!
//! Ask an `Accept-Encoding` header for the weight of a coding, in thousandths:
//!
//! ```
//! use pallasite_core::accept::coding_weight;
//!
//! assert_eq!(coding_weight(b"gzip;q=0.5, br", b"gzip"), 500);
//! assert_eq!(coding_weight(b"gzip;q=0.5, *;q=0", b"zstd"), 0);
//! ```
//!
//! Read a `Cookie` header, and write a `Set-Cookie` header:
//!
//! ```
//! use pallasite_core::{cookie, set_cookie};
//!
//! let mut cookies = Vec::new();
//! cookie::parse_cookies(b"theme=dark; name=\"a b\"", |name, value| cookies.push((name, value.into_owned())));
//! assert_eq!(cookies, [(&b"theme"[..], b"dark".to_vec()), (b"name", b"a b".to_vec())]);
//!
//! let mut header = Vec::new();
//! let attributes = set_cookie::Attributes { httponly: true, path: Some("/"), ..Default::default() };
//! set_cookie::write(&mut header, "theme", "dark", &attributes)?;
//! assert_eq!(header, b"theme=dark; HttpOnly; Path=/");
//! # Ok::<(), set_cookie::CookieError>(())
//! ```
//!
//! Read a form whose body arrives in chunks of any size:
//!
//! ```
//! use pallasite_core::form::urlencoded::UrlencodedParser;
//! use pallasite_core::form::{FormError, FormLimits};
//!
//! let limits = FormLimits { max_files: 0, max_fields: 2, max_field_bytes: 100, max_total_field_bytes: 200 };
//! let mut parser = UrlencodedParser::new(limits);
//! let mut fields = Vec::new();
//! let mut add = |name: &[u8], value: &[u8]| {
//!     fields.push((name.to_vec(), value.to_vec()));
//!     Ok::<(), FormError>(())
//! };
//! parser.feed(b"city=S%C3%A3o+Pa", &mut add)?;
//! parser.feed(b"ulo&zip=01000", &mut add)?;
//! parser.finish(&mut add)?;
//! assert_eq!(fields[0], (b"city".to_vec(), "São Paulo".as_bytes().to_vec()));
//! assert_eq!(fields[1], (b"zip".to_vec(), b"01000".to_vec()));
//!
//! let mut parser = UrlencodedParser::new(FormLimits { max_fields: 0, ..limits });
//! let error = parser.feed(b"a=1&", |_, _| Ok::<(), FormError>(())).unwrap_err();
//! assert_eq!(error.code(), "too_many_fields");
//! # Ok::<(), FormError>(())
//! ```
//!
//! Write JSON:
//!
//! ```
//! use pallasite_core::json::{write_int, write_string};
//!
//! let mut out = b"{".to_vec();
//! write_string(&mut out, "a \"b\"");
//! out.push(b':');
//! write_int(&mut out, -7);
//! out.push(b'}');
//! assert_eq!(out, br#"{"a \"b\"":-7}"#);
//! ```
#![forbid(unsafe_code)]

pub mod accept;
pub mod condition;
pub mod cookie;
pub mod date;
pub mod form;
pub mod forwarded;
pub mod gzip;
pub mod header;
pub mod host;
pub mod json;
pub mod limits;
pub mod query;
pub mod range;
pub mod response;
pub mod route;
#[cfg(not(feature = "steps"))]
mod scan;
#[cfg(feature = "steps")]
pub mod scan;
pub mod set_cookie;
pub mod text;
pub mod url;
pub mod uuid;

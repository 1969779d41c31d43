//! `pallasite._core`: the export list. The functions are in one file per noun, and their logic is in `pallasite-core`.

mod accept;
mod condition;
mod cookie;
mod date;
mod errors;
mod file_lookup;
mod form;
mod forwarded;
mod guard;
mod gzip;
mod header;
mod host;
mod json;
mod observer;
mod query;
mod range;
mod response;
mod response_record;
mod route;
mod set_cookie;
mod shared_numbers;
mod text;
mod url;
mod uuid;

use pyo3::prelude::pymodule;

/// The native half of Pallasite. Its contract is documented in `_core.pyi`.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "the name that Python expects")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_export]
    use super::accept::{coding_weight, parse_accept, parse_content_type};
    #[pymodule_export]
    use super::condition::{names_strong_tag, names_tag};
    #[pymodule_export]
    use super::cookie::{cookies_from_headers, parse_cookies};
    #[pymodule_export]
    use super::date::{http_date, parse_http_date};
    #[pymodule_export]
    use super::errors::FormError;
    #[pymodule_export]
    use super::file_lookup::open_cached;
    #[pymodule_export]
    use super::form::{MultipartParser, UrlencodedParser, form_parameters};
    #[pymodule_export]
    use super::forwarded::TrustedProxies;
    #[pymodule_export]
    use super::guard::Guard;
    #[pymodule_export]
    use super::gzip::{GzipStream, gzip};
    #[pymodule_export]
    use super::header::{encode_header, find_header, header_items, header_values, remove_header, set_header};
    #[pymodule_export]
    use super::host::{is_valid_port, parse_host, request_host};
    #[pymodule_export]
    use super::json::{dumps, dumps_plain, loads, may_overflow};
    #[pymodule_export]
    use super::observer::Observer;
    #[pymodule_export]
    use super::query::{encode_query, parse_query, parse_query_multi};
    #[pymodule_export]
    use super::range::parse_ranges;
    #[pymodule_export]
    use super::response::response_head;
    #[pymodule_export]
    use super::response_record::ResponseRecord;
    #[pymodule_export]
    use super::route::{PathPattern, RouteKind, RouteTable, register_stock_convertors};
    #[pymodule_export]
    use super::set_cookie::set_cookie;
    #[pymodule_export]
    use super::shared_numbers::SharedNumbers;
    #[pymodule_export]
    use super::url::{absolute_url, split_url, url_from_scope};
    #[pymodule_export]
    use super::uuid::forget_random;
}

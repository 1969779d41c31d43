//! `pallasite._core`: the export list. Logic lives in one file per noun beside this one, and below it in `pallasite-core`.

mod json;
mod observer;
mod response;
mod route;
mod set_cookie;

use pyo3::prelude::pymodule;

/// The native half of Pallasite. See `_core.pyi` for the documented contract.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_export]
    use super::json::dumps;
    #[pymodule_export]
    use super::observer::Observer;
    #[pymodule_export]
    use super::response::response_head;
    #[pymodule_export]
    use super::route::{PathPattern, RouteTable};
    #[pymodule_export]
    use super::set_cookie::{http_date, set_cookie};
}

//! `pallasite._core`: the export list. Logic lives in one file per noun beside this one, and below it in `pallasite-core`.

use pyo3::prelude::pymodule;

/// The native half of Pallasite. See `_core.pyi` for the documented contract.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}

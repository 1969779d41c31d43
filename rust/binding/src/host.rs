//! The Host header in two parts.

use pallasite_core::host;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Host and port of a Host header, None if it is not one.
#[pyfunction]
#[pyo3(signature = (header, /))]
pub(crate) fn parse_host<'py>(
    header: &Bound<'py, PyString>,
) -> Option<(Bound<'py, PyString>, Option<Bound<'py, PyString>>)> {
    let py = header.py();
    // Text with a lone surrogate is no host, so the reason it cannot be read is of no use.
    let parsed = host::parse_host(header.to_str().ok()?.as_bytes())?;
    Some((
        PyString::new(py, parsed.host),
        parsed.port.map(|port| PyString::new(py, port)),
    ))
}

/// Whether the digits of a Host header's port are a TCP port.
#[pyfunction]
#[pyo3(signature = (port, /))]
pub(crate) fn is_valid_port(port: &Bound<'_, PyString>) -> bool {
    port.to_str().is_ok_and(host::is_valid_port)
}

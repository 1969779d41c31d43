//! The Host header in two parts.

use pallasite_core::host;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::header::each_value;

/// Host and port of a Host header, None if it is not one.
#[pyfunction]
#[pyo3(signature = (header, /))]
pub(crate) fn parse_host<'py>(
    header: &Bound<'py, PyString>,
) -> Option<(Bound<'py, PyString>, Option<Bound<'py, PyString>>)> {
    // Text with a lone surrogate is no host, so the reason it cannot be read is of no use.
    split(header.py(), header.to_str().ok()?.as_bytes())
}

/// Host and port of the request that these headers belong to.
#[pyfunction]
#[pyo3(signature = (headers, /))]
#[expect(
    clippy::type_complexity,
    reason = "the tuple that Python gets, spelled out where it is made"
)]
pub(crate) fn request_host<'py>(
    headers: &Bound<'py, PyAny>,
) -> PyResult<Option<(Bound<'py, PyString>, Option<Bound<'py, PyString>>)>> {
    let header = host_header(headers)?;
    Ok(header.and_then(|header| split(headers.py(), header.as_bytes())))
}

/// Whether the digits of a Host header's port are a TCP port.
#[pyfunction]
#[pyo3(signature = (port, /))]
pub(crate) fn is_valid_port(port: &Bound<'_, PyString>) -> bool {
    port.to_str().is_ok_and(host::is_valid_port)
}

/// The one Host header, unchecked; None where there is none or more than one, whatever they say: whoever takes the
/// first and whoever takes the last would not speak of the same site (RFC 9112 section 3.2).
pub(crate) fn host_header<'py>(headers: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let mut found = None;
    let mut count = 0;
    each_value(headers, b"host", |value| {
        found = value.cast::<PyBytes>().ok().cloned();
        count += 1;
        Ok(count == 1)
    })?;
    Ok(found.filter(|_| count == 1))
}

fn split<'py>(py: Python<'py>, header: &[u8]) -> Option<(Bound<'py, PyString>, Option<Bound<'py, PyString>>)> {
    let parsed = host::parse_host(header)?;
    let port = parsed.port.map(|port| PyString::new(py, port));
    Some((PyString::new(py, parsed.host), port))
}

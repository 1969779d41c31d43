//! The Host header in two parts.

use pallasite_core::host;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::header::each_value;

/// The host and port in a Host header, None if it is invalid.
#[pyfunction]
#[pyo3(signature = (header, /))]
pub(crate) fn parse_host<'py>(
    header: &Bound<'py, PyString>,
) -> Option<(Bound<'py, PyString>, Option<Bound<'py, PyString>>)> {
    // Text with a lone surrogate is not a valid host, so the error is not needed.
    split(header.py(), header.to_str().ok()?.as_bytes())
}

/// The host and port in the Host header of a header list.
#[pyfunction]
#[pyo3(signature = (headers, /))]
#[expect(
    clippy::type_complexity,
    reason = "the tuple that Python receives, spelled out where it is created"
)]
pub(crate) fn request_host<'py>(
    headers: &Bound<'py, PyAny>,
) -> PyResult<Option<(Bound<'py, PyString>, Option<Bound<'py, PyString>>)>> {
    let header = host_header(headers)?;
    let Some(parsed) = header.as_ref().and_then(|header| host::parse_host(header.as_bytes())) else {
        return Ok(None);
    };
    let port = parsed.port.map(|port| PyString::new(headers.py(), port));
    Ok(Some((PyString::new(headers.py(), parsed.name()), port)))
}

/// True if the digits of a port in a Host header are a TCP port.
#[pyfunction]
#[pyo3(signature = (port, /))]
pub(crate) fn is_valid_port(port: &Bound<'_, PyString>) -> bool {
    port.to_str().is_ok_and(host::is_valid_port)
}

/// The only Host header, not validated. None if there is none or more than one, even if they are equal: a proxy and the
/// application could choose different ones (RFC 9112 section 3.2).
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

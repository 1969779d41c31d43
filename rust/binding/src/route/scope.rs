//! Reads and writes the values in an ASGI scope that routing uses.

use pallasite_core::host::parse_host;
use pyo3::exceptions::PyKeyError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::host::host_header;

/// The scope types that routes match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    WebSocket,
    /// Any other type, which only the `matches` of a route may know.
    Other,
}

pub(super) fn protocol(scope: &Bound<'_, PyDict>) -> PyResult<Protocol> {
    let py = scope.py();
    let value = required(scope, intern!(py, "type"))?;
    // Servers use a literal, which Python interns.
    if value.is(intern!(py, "http")) {
        return Ok(Protocol::Http);
    }
    Ok(
        match value.cast::<PyString>().ok().and_then(|value| value.to_str().ok()) {
            Some("http") => Protocol::Http,
            Some("websocket") => Protocol::WebSocket,
            _ => Protocol::Other,
        },
    )
}

/// `scope[key]`.
pub(super) fn required<'py>(scope: &Bound<'py, PyDict>, key: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    scope
        .get_item(key)?
        .ok_or_else(|| PyKeyError::new_err(key.clone().unbind()))
}

/// `scope.get("root_path", "")`.
pub(super) fn root_path<'py>(scope: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
    let py = scope.py();
    Ok(scope
        .get_item(intern!(py, "root_path"))?
        .unwrap_or_else(|| intern!(py, "").clone().into_any()))
}

/// The length of the root path in `path` if it is a prefix that ends with a segment, otherwise 0.
pub(super) fn root_length(path: &[u8], root: &[u8]) -> usize {
    match path.strip_prefix(root) {
        Some([] | [b'/', ..]) => root.len(),
        _ => 0,
    }
}

/// A new dictionary with the path parameters of the outer routers.
pub(super) fn path_params<'py>(scope: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
    let py = scope.py();
    let Some(above) = scope.get_item(intern!(py, "path_params"))? else {
        return Ok(PyDict::new(py));
    };
    match above.cast_exact::<PyDict>() {
        Ok(above) if above.is_empty() => Ok(PyDict::new(py)),
        Ok(above) => above.copy(),
        Err(_) => Ok(py.get_type::<PyDict>().call1((above,))?.cast_into()?),
    }
}

/// The host in the only Host header, in lower case. None without a valid one, or without headers.
pub(super) fn host_name(scope: &Bound<'_, PyDict>) -> PyResult<Option<String>> {
    let py = scope.py();
    let key = intern!(py, "headers");
    let Some(mut headers) = scope.get_item(key)? else {
        return Ok(None);
    };
    if !headers.is_instance_of::<PyList>() && !headers.is_instance_of::<PyTuple>() {
        // An iterator can be read only once: replace it by a list for later readers.
        headers = PyList::new(py, headers.try_iter()?.collect::<PyResult<Vec<_>>>()?)?.into_any();
        scope.set_item(key, &headers)?;
    }
    let header = host_header(&headers)?;
    let host = header.as_ref().and_then(|header| parse_host(header.as_bytes()));
    Ok(host.map(|host| host.name().to_ascii_lowercase()))
}

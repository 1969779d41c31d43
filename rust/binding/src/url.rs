//! URLs: built from ASGI scopes, split into five parts, and made absolute.

use pallasite_core::{host, url};
use pyo3::exceptions::PyKeyError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use crate::header::unpack;
use crate::host::host_header;
use crate::text::{new_text, text_of};

/// The URL of a request, or of another path on the same host.
#[pyfunction]
#[pyo3(signature = (scope, other_path=None, /))]
pub(crate) fn url_from_scope<'py>(
    scope: &Bound<'py, PyAny>,
    other_path: Option<Bound<'py, PyString>>,
) -> PyResult<Bound<'py, PyString>> {
    let py = scope.py();
    let is_other = other_path.is_some();
    let path = match other_path {
        Some(path) => path,
        None => required(scope, intern!(py, "path"))?.cast_into::<PyString>()?,
    };
    let headers = required(scope, intern!(py, "headers"))?;
    let query = if is_other {
        None
    } else {
        optional(scope, intern!(py, "query_string"))?
    }
    .map(Bound::cast_into::<PyBytes>)
    .transpose()?;
    let build = |scheme: &[u8], authority: Option<&[u8]>| -> PyResult<Bound<'py, PyString>> {
        let built = url::build_url(&url::RequestUrl {
            scheme,
            authority,
            path: &text_of(&path)?,
            query: query.as_ref().map_or(b"", |query| query.as_bytes()),
        });
        new_text(py, &built)
    };
    if let Some((scheme, authority)) = fixed_origin(scope)? {
        return build(&text_of(&scheme)?, Some(&text_of(&authority)?));
    }
    let scheme = optional(scope, intern!(py, "scheme"))?
        .map(Bound::cast_into::<PyString>)
        .transpose()?;
    let scheme = match &scheme {
        Some(scheme) => text_of(scheme)?,
        None => b"http"[..].into(),
    };
    let authority = match authority_of(&headers)? {
        Some(authority) => Some(authority),
        None => server_authority(scope, &scheme)?,
    };
    build(&scheme, authority.as_deref())
}

/// The scheme, netloc, path, query and fragment of a plain URL.
#[pyfunction]
#[pyo3(signature = (url, /))]
pub(crate) fn split_url<'py>(url: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let py = url.py();
    let Some(parts) = url.to_str().ok().and_then(url::split_url) else {
        return Ok(None);
    };
    let parts = [parts.scheme, parts.netloc, parts.path, parts.query, parts.fragment];
    PyTuple::new(py, parts).map(Some)
}

/// Appends a path to a plain base URL.
#[pyfunction]
#[pyo3(signature = (base, path, protocol, host, /))]
pub(crate) fn absolute_url(
    base: &Bound<'_, PyString>,
    path: &Bound<'_, PyString>,
    protocol: &str,
    host: &Bound<'_, PyString>,
) -> Option<String> {
    let schemes = match protocol {
        "http" => Some(("http", "https")),
        "websocket" => Some(("ws", "wss")),
        _ => None,
    };
    url::absolute_url(base.to_str().ok()?, schemes, host.to_str().ok()?, path.to_str().ok()?)
}

/// The Host header, if it can be part of a URL.
fn authority_of(headers: &Bound<'_, PyAny>) -> PyResult<Option<Vec<u8>>> {
    let header = host_header(headers)?;
    Ok(header
        .as_ref()
        .map(PyBytesMethods::as_bytes)
        .filter(|header| host::parse_host(header).is_some_and(|parsed| parsed.port.is_none_or(host::is_valid_port)))
        .map(<[u8]>::to_vec))
}

/// The scheme and authority that the application is configured with, if any.
fn fixed_origin<'py>(scope: &Bound<'py, PyAny>) -> PyResult<Option<(Bound<'py, PyString>, Bound<'py, PyString>)>> {
    match optional(scope, intern!(scope.py(), "pallasite.origin"))? {
        Some(origin) => origin.extract().map(Some),
        None => Ok(None),
    }
}

/// The address that the server listens on; None for a Unix socket, whose path is not a host.
fn server_authority(scope: &Bound<'_, PyAny>, scheme: &[u8]) -> PyResult<Option<Vec<u8>>> {
    let Some(server) = optional(scope, intern!(scope.py(), "server"))? else {
        return Ok(None);
    };
    let (host, port) = match server.cast::<PyTuple>() {
        Ok(pair) if pair.len() == 2 => (pair.get_item(0)?, pair.get_item(1)?),
        _ => unpack(&server, "the server of an ASGI scope must be a (host, port) pair")?,
    };
    let Some(port) = port_number(&port) else {
        return Ok(None);
    };
    let host = host.cast::<PyString>()?;
    let host = text_of(host)?;
    Ok((!host.is_empty()).then(|| url::server_authority(scheme, &host, port)))
}

/// The port as a number; Granian 2.8 sends it as text. None if there is none (a Unix socket).
fn port_number(port: &Bound<'_, PyAny>) -> Option<i64> {
    if let Ok(number) = port.extract() {
        return Some(number);
    }
    port.cast::<PyString>().ok()?.to_str().ok()?.parse().ok()
}

fn required<'py>(scope: &Bound<'py, PyAny>, key: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    scope.get_item(key)
}

/// The value of a key. A value of None is treated as an absent key, as in ASGI.
fn optional<'py>(scope: &Bound<'py, PyAny>, key: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let found = match scope.cast::<PyDict>() {
        Ok(dict) => dict.get_item(key)?,
        Err(_) => match scope.get_item(key) {
            Ok(value) => Some(value),
            Err(error) if error.is_instance_of::<PyKeyError>(scope.py()) => None,
            Err(error) => return Err(error),
        },
    };
    Ok(found.filter(|value| !value.is_none()))
}

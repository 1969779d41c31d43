//! `_core.set_cookie`: the value of a Set-Cookie header.

use pallasite_core::set_cookie::{Attributes, Expires, write};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString};

use crate::errors::{Error, Result};

/// See `_core.pyi`.
#[pyfunction]
#[pyo3(signature = (key, value, max_age, expires, path, domain, secure, httponly, samesite, partitioned, /))]
#[expect(clippy::too_many_arguments, reason = "one crossing for the whole cookie")]
pub(crate) fn set_cookie<'py>(
    py: Python<'py>,
    key: &str,
    value: &Bound<'py, PyAny>,
    max_age: Option<&Bound<'py, PyAny>>,
    expires: Option<&Bound<'py, PyAny>>,
    path: Option<&str>,
    domain: Option<&str>,
    secure: bool,
    httponly: bool,
    samesite: Option<&str>,
    partitioned: bool,
) -> Result<Bound<'py, PyBytes>> {
    let max_age = max_age.map(PyAnyMethods::str).transpose()?;
    let expires = match expires {
        None => None,
        Some(expires) => Some(match expires.cast::<PyString>() {
            Ok(text) => Expires::Text(text.to_str()?),
            Err(_) => Expires::At((now(py)? + expires.extract::<f64>()?).floor() as i64),
        }),
    };
    let attributes = Attributes {
        domain,
        expires,
        httponly,
        max_age: max_age.as_ref().map(|age| age.to_str()).transpose()?,
        partitioned,
        path,
        samesite,
        secure,
    };
    let mut out = Vec::with_capacity(128);
    write(&mut out, key, value.str()?.to_str()?, &attributes).map_err(|error| Error::Cookie(error, key.to_owned()))?;
    Ok(PyBytes::new(py, &out))
}

/// The result of `time.time()`. The function is looked up at each call, because tests replace it.
fn now(py: Python<'_>) -> PyResult<f64> {
    static TIME: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let time = TIME
        .get_or_try_init(py, || py.import("time").map(Bound::unbind))?
        .bind(py);
    time.call_method0(intern!(py, "time"))?.extract()
}

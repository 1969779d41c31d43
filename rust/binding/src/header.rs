//! Reads and changes ASGI header lists, `[(name, value), ...]` with names in lower case.

use std::borrow::Cow;

use pallasite_core::header;
use pyo3::exceptions::{PyUnicodeEncodeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::text::{new_latin1, text_of};

/// The first value of a header.
#[pyfunction]
#[pyo3(signature = (headers, name, /))]
pub(crate) fn find_header<'py>(
    headers: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyString>>> {
    let mut found = None;
    if let Some(wanted) = wanted_name(name)? {
        each_value(headers, &wanted, |value| {
            found = Some(decode(value)?);
            Ok(false)
        })?;
    }
    Ok(found)
}

/// Every value of a header.
#[pyfunction]
#[pyo3(signature = (headers, name, /))]
pub(crate) fn header_values<'py>(
    headers: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyList>> {
    let values = PyList::empty(headers.py());
    if let Some(wanted) = wanted_name(name)? {
        each_value(headers, &wanted, |value| {
            values.append(decode(value)?)?;
            Ok(true)
        })?;
    }
    Ok(values)
}

/// Every header as text.
#[pyfunction]
#[pyo3(signature = (headers, /))]
pub(crate) fn header_items<'py>(headers: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let items = PyList::empty(headers.py());
    each_pair(headers, |name, value| {
        items.append((decode(name)?, decode(value)?))?;
        Ok(true)
    })?;
    Ok(items)
}

/// Checks a header and encodes it as the pair of bytes to send.
#[pyfunction]
#[pyo3(signature = (name, value, /))]
pub(crate) fn encode_header<'py>(
    name: &Bound<'py, PyString>,
    value: &Bound<'py, PyString>,
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    Ok((encode_name(name)?, encode_value(value)?))
}

/// Replaces the first header with a name and removes the others, or appends one if there is none.
#[pyfunction]
#[pyo3(signature = (headers, name, value, /))]
pub(crate) fn set_header<'py>(
    headers: &Bound<'py, PyList>,
    name: &Bound<'py, PyString>,
    value: &Bound<'py, PyString>,
) -> PyResult<()> {
    let field = encode_header(name, value)?;
    let stored_name = field.0.clone();
    let wanted = stored_name.as_bytes();
    match first_index(headers, wanted)? {
        None => headers.append(field),
        Some(index) => {
            headers.set_item(index, field)?;
            remove_from(headers, wanted, index + 1)
        }
    }
}

/// Removes every header with a name.
#[pyfunction]
#[pyo3(signature = (headers, name, /))]
pub(crate) fn remove_header<'py>(headers: &Bound<'py, PyList>, name: &Bound<'py, PyString>) -> PyResult<()> {
    match wanted_name(name)? {
        Some(wanted) => remove_from(headers, &wanted, 0),
        None => Ok(()),
    }
}

/// Calls `visit` with each value of the header `name`, given in lower case, until it returns false.
pub(crate) fn each_value<'py>(
    headers: &Bound<'py, PyAny>,
    name: &[u8],
    mut visit: impl FnMut(&Bound<'py, PyAny>) -> PyResult<bool>,
) -> PyResult<()> {
    each_pair(headers, |stored, value| {
        if is_named(stored, name)? {
            visit(value)
        } else {
            Ok(true)
        }
    })
}

/// Calls `visit` with both parts of each header until it returns false.
fn each_pair<'py>(
    headers: &Bound<'py, PyAny>,
    mut visit: impl FnMut(&Bound<'py, PyAny>, &Bound<'py, PyAny>) -> PyResult<bool>,
) -> PyResult<()> {
    let mut visit_pair = |pair: &Bound<'py, PyAny>| match pair.cast::<PyTuple>() {
        Ok(tuple) if tuple.len() == 2 => visit(&*tuple.get_borrowed_item(0)?, &*tuple.get_borrowed_item(1)?),
        _ => {
            let (name, value) = unpack(pair, HEADER_PAIR)?;
            visit(&name, &value)
        }
    };
    if let Ok(list) = headers.cast::<PyList>() {
        for pair in list {
            if !visit_pair(&pair)? {
                return Ok(());
            }
        }
        return Ok(());
    }
    for pair in headers.try_iter()? {
        if !visit_pair(&pair?)? {
            return Ok(());
        }
    }
    Ok(())
}

const HEADER_PAIR: &str = "a header must be a (name, value) pair";

/// The two items of a pair that is not a tuple, as servers may send lists. Raises `ValueError` with the message
/// `expected` for other lengths.
#[cold]
pub(crate) fn unpack<'py>(
    pair: &Bound<'py, PyAny>,
    expected: &'static str,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let mut parts = pair.try_iter()?;
    match (parts.next(), parts.next(), parts.next()) {
        (Some(first), Some(second), None) => Ok((first?, second?)),
        _ => Err(PyValueError::new_err(expected)),
    }
}

#[inline]
fn is_named(stored: &Bound<'_, PyAny>, wanted: &[u8]) -> PyResult<bool> {
    match stored.cast::<PyBytes>() {
        // A stored name in upper case breaks ASGI's rule and is not found.
        Ok(bytes) => Ok(bytes.as_bytes() == wanted),
        // A bytearray, say.
        Err(_) => stored.eq(PyBytes::new(stored.py(), wanted)),
    }
}

/// The bytes to look for, or None if no header can have this name.
fn wanted_name<'a>(name: &'a Bound<'_, PyString>) -> PyResult<Option<Cow<'a, [u8]>>> {
    match name.to_str() {
        Ok(plain) if plain.is_ascii() => Ok(Some(header::lower_name(plain.as_bytes()))),
        _ => wanted_wide_name(name),
    }
}

/// Lowers the case in Python, which knows all of Unicode.
#[cold]
fn wanted_wide_name(name: &Bound<'_, PyString>) -> PyResult<Option<Cow<'static, [u8]>>> {
    let py = name.py();
    let lower = name.call_method0(intern!(py, "lower"))?;
    match lower.call_method1(intern!(py, "encode"), (intern!(py, "latin-1"),)) {
        Ok(encoded) => Ok(Some(Cow::Owned(encoded.cast::<PyBytes>()?.as_bytes().to_vec()))),
        Err(error) if error.is_instance_of::<PyUnicodeEncodeError>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

fn decode<'py>(part: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    let py = part.py();
    match part.cast::<PyBytes>() {
        Ok(bytes) => new_latin1(py, bytes.as_bytes()),
        Err(_) => Ok(part
            .call_method1(intern!(py, "decode"), (intern!(py, "latin-1"),))?
            .cast_into()?),
    }
}

fn encode_name<'py>(name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyBytes>> {
    let text = text_of(name)?;
    if !header::is_token(&text) {
        return Err(PyValueError::new_err(format!("Invalid header name: {}", name.repr()?)));
    }
    PyBytes::new_with(name.py(), text.len(), |lower| {
        lower.copy_from_slice(&text);
        lower.make_ascii_lowercase();
        Ok(())
    })
}

fn encode_value<'py>(value: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyBytes>> {
    let py = value.py();
    let text = text_of(value)?;
    if !header::is_field_value(&text) {
        return Err(PyValueError::new_err(format!(
            "Invalid header value: {}",
            value.repr()?
        )));
    }
    if text.is_ascii() {
        return Ok(PyBytes::new(py, &text));
    }
    Ok(value
        .call_method1(intern!(py, "encode"), (intern!(py, "latin-1"),))?
        .cast_into()?)
}

fn name_of<'py>(pair: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match pair.cast::<PyTuple>() {
        Ok(tuple) if tuple.len() == 2 => tuple.get_item(0),
        _ => Ok(unpack(pair, HEADER_PAIR)?.0),
    }
}

fn first_index(headers: &Bound<'_, PyList>, wanted: &[u8]) -> PyResult<Option<usize>> {
    for (index, pair) in headers.iter().enumerate() {
        if is_named(&name_of(&pair)?, wanted)? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Removes in place, so that every holder of the list sees the change, and in one pass.
fn remove_from(headers: &Bound<'_, PyList>, wanted: &[u8], start: usize) -> PyResult<()> {
    let py = headers.py();
    let kept = PyList::empty(py);
    for pair in headers.iter().skip(start) {
        if !is_named(&name_of(&pair)?, wanted)? {
            kept.append(pair)?;
        }
    }
    if start + kept.len() == headers.len() {
        return Ok(());
    }
    headers.set_slice(start, headers.len(), &kept)
}

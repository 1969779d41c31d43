//! `_core.dumps`: walks plain Python values and has the core write each one; `_core.may_overflow` looks at JSON text.

use pallasite_core::json::{self, write_float, write_int, write_string};
use pallasite_core::limits::JSON_DEPTH_MAX;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// Most responses fit without growing.
const FIRST_CAPACITY: usize = 512;

/// None: the value is for Python's encoder, which gives the right result or the right error.
#[pyfunction]
#[pyo3(signature = (obj, /))]
pub(crate) fn dumps<'py>(obj: &Bound<'py, PyAny>) -> Option<Bound<'py, PyBytes>> {
    let mut out = Vec::with_capacity(FIRST_CAPACITY);
    write_value(&mut out, obj, JSON_DEPTH_MAX)?;
    Some(PyBytes::new(obj.py(), &out))
}

/// None: the value is for the encoder of `FastAPI`.
#[pyfunction]
#[pyo3(signature = (obj, /))]
pub(crate) fn dumps_plain<'py>(obj: &Bound<'py, PyAny>) -> Option<Bound<'py, PyBytes>> {
    if is_plain(obj, PLAIN_DEPTH_MAX) {
        dumps(obj)
    } else {
        None
    }
}

/// Whether `jsonable_encoder` of `FastAPI` returns an equal value, which JSON cannot tell from this one.
fn is_plain(value: &Bound<'_, PyAny>, depth_left: usize) -> bool {
    let Some(depth_left) = depth_left.checked_sub(1) else {
        return false;
    };
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        return dict.iter().all(|(key, value)| {
            let is_kept = key
                .cast_exact::<PyString>()
                .is_ok_and(|key| key.to_str().is_ok_and(|key| !key.starts_with("_sa")));
            is_kept && is_plain(&value, depth_left)
        });
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return list.iter().all(|item| is_plain(&item, depth_left));
    }
    value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_none()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyFloat>()
}

/// Text that has no UTF-8 form may hold anything.
#[pyfunction]
#[pyo3(signature = (document, /))]
pub(crate) fn may_overflow(document: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Ok(bytes) = document.cast::<PyBytes>() {
        return Ok(json::may_overflow(bytes.as_bytes()));
    }
    let text = document.cast::<PyString>()?;
    Ok(text.to_str().map_or(true, |text| json::may_overflow(text.as_bytes())))
}

/// The encoder of `FastAPI` recurses in Python, three frames a level, and fails where this does not.
const PLAIN_DEPTH_MAX: usize = 100;

/// Recursion is bounded by `depth_left`, which a value that contains itself runs out of too.
fn write_value(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, depth_left: usize) -> Option<()> {
    if let Ok(text) = value.cast_exact::<PyString>() {
        write_string(out, text.to_str().ok()?);
    } else if let Ok(number) = value.cast_exact::<PyInt>() {
        write_number(out, number)?;
    } else if let Ok(dict) = value.cast_exact::<PyDict>() {
        write_dict(out, dict, depth_left.checked_sub(1)?)?;
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        write_items(out, list.iter(), depth_left.checked_sub(1)?)?;
    } else if value.is_none() {
        out.extend_from_slice(b"null");
    } else if let Ok(flag) = value.cast_exact::<PyBool>() {
        out.extend_from_slice(if flag.is_true() { b"true" } else { b"false" });
    } else if let Ok(number) = value.cast_exact::<PyFloat>() {
        return write_float(out, number.value()).then_some(());
    } else {
        let tuple = value.cast_exact::<PyTuple>().ok()?;
        write_items(out, tuple.iter(), depth_left.checked_sub(1)?)?;
    }
    Some(())
}

fn write_dict(out: &mut Vec<u8>, dict: &Bound<'_, PyDict>, depth_left: usize) -> Option<()> {
    out.push(b'{');
    let (mut items, size) = (dict.iter(), dict.len());
    for index in 0..size {
        // The iterator panics where a dictionary has changed meanwhile (by another thread): Python finds an answer.
        let (key, value) = if dict.len() == size {
            items.next()?
        } else {
            return None;
        };
        if index > 0 {
            out.push(b',');
        }
        if let Ok(text) = key.cast_exact::<PyString>() {
            write_string(out, text.to_str().ok()?);
        } else {
            write_scalar_key(out, &key)?;
        }
        out.push(b':');
        write_value(out, &value, depth_left)?;
    }
    out.push(b'}');
    Some(())
}

/// Keys that are numbers, booleans or None become strings; containers are no keys, whatever they hold.
fn write_scalar_key(out: &mut Vec<u8>, key: &Bound<'_, PyAny>) -> Option<()> {
    out.push(b'"');
    write_value(out, key, 0)?;
    out.push(b'"');
    Some(())
}

fn write_items<'py>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    depth_left: usize,
) -> Option<()> {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_value(out, &item, depth_left)?;
    }
    out.push(b']');
    Some(())
}

fn write_number(out: &mut Vec<u8>, number: &Bound<'_, PyInt>) -> Option<()> {
    if let Ok(small) = number.extract::<i64>() {
        write_int(out, small);
    } else {
        // Python's own digits: it refuses numbers of more digits than its limit allows.
        out.extend_from_slice(number.repr().ok()?.to_str().ok()?.as_bytes());
    }
    Some(())
}

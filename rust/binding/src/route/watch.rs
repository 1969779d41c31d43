//! Watches the classes of routes, to notice if a method that the table replaces is patched.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};

use super::entry::{Entry, RouteKind};

/// The classes of the routes that a table matches natively, with their methods when it was built.
pub(super) struct Watch(Box<[Watched]>);

struct Watched {
    class: Py<PyType>,
    matches: Option<Py<PyAny>>,
    handle: Option<Py<PyAny>>,
    /// The version of the class when it was last found to have these methods.
    version: AtomicU32,
}

/// True for each method that is unchanged in all classes since the table was built.
#[derive(Clone, Copy)]
pub(super) struct Unchanged {
    pub(super) matches: bool,
    pub(super) handle: bool,
}

impl Watch {
    pub(super) fn new(py: Python<'_>, entries: &[Entry]) -> PyResult<Self> {
        let mut known = HashSet::new();
        let mut watched = Vec::new();
        for entry in entries.iter().filter(|entry| entry.kind != RouteKind::Opaque) {
            let class = entry.route.bind(py).get_type();
            if known.insert(class.as_ptr() as usize) {
                watched.push(Watched {
                    matches: method(&class, intern!(py, "matches"))?,
                    handle: method(&class, intern!(py, "handle"))?,
                    class: class.unbind(),
                    version: AtomicU32::new(0),
                });
            }
        }
        Ok(Self(watched.into()))
    }

    pub(super) fn look(&self, py: Python<'_>) -> PyResult<Unchanged> {
        let mut unchanged = Unchanged {
            matches: true,
            handle: true,
        };
        for watched in &self.0 {
            let version = version_of(watched.class.bind(py));
            if version == 0 || version != watched.version.load(Ordering::Relaxed) {
                watched.look_closely(py, &mut unchanged)?;
            }
        }
        Ok(unchanged)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for watched in &self.0 {
            visit.call(&watched.class)?;
            visit.call(&watched.matches)?;
            visit.call(&watched.handle)?;
        }
        Ok(())
    }
}

impl Watched {
    #[cold]
    fn look_closely(&self, py: Python<'_>, unchanged: &mut Unchanged) -> PyResult<()> {
        let class = self.class.bind(py);
        let matches = is_same(method(class, intern!(py, "matches"))?.as_ref(), self.matches.as_ref());
        let handle = is_same(method(class, intern!(py, "handle"))?.as_ref(), self.handle.as_ref());
        unchanged.matches &= matches;
        unchanged.handle &= handle;
        if matches && handle {
            // The lookup of the methods has assigned a version to the class if it had none.
            self.version.store(version_of(class), Ordering::Relaxed);
        }
        Ok(())
    }
}

fn method(class: &Bound<'_, PyType>, name: &Bound<'_, PyString>) -> PyResult<Option<Py<PyAny>>> {
    Ok(class.getattr_opt(name)?.map(Bound::unbind))
}

fn is_same(now: Option<&Py<PyAny>>, then: Option<&Py<PyAny>>) -> bool {
    match (now, then) {
        (Some(now), Some(then)) => now.is(then),
        (None, None) => true,
        _ => false,
    }
}

/// A number that is unique to the current attributes of the class and its bases: it changes if one of them does. 0 if
/// the class has no version; the attributes must then be compared.
///
/// To look up two attributes of a class costs 460 instructions, for each class and request; this costs ten.
#[cfg(not(feature = "abi3"))]
pub(crate) fn version_of(class: &Bound<'_, PyType>) -> u32 {
    let class = class.as_type_ptr();
    // SAFETY: `class` is a live type object, kept alive by the `Bound`. The field is an aligned `unsigned int` that is
    // only written to with the interpreter attached, or atomically where threads run freely: an atomic load suits both.
    unsafe { AtomicU32::from_ptr(&raw mut (*class).tp_version_tag) }.load(Ordering::Relaxed)
}

/// The stable ABI does not expose the version.
#[cfg(feature = "abi3")]
pub(crate) fn version_of(_class: &Bound<'_, PyType>) -> u32 {
    0
}

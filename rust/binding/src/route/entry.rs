//! One route as the table holds it.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::pattern::PathPattern;

/// What kind of route an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Http,
    WebSocket,
    Mount,
    Host,
    /// Only the route's own `matches` knows.
    Opaque,
}

pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) route: Py<PyAny>,
    pub(super) pattern: Option<Py<PathPattern>>,
    /// The route's own set, looked into at each match, so that changing it in place counts.
    pub(super) methods: Option<Py<PyAny>>,
    /// Whether `route.app` may stand in for `route.handle`.
    pub(super) is_direct: bool,
}

type Parts<'py> = (
    u8,
    Bound<'py, PyAny>,
    Option<Bound<'py, PathPattern>>,
    Option<Bound<'py, PyAny>>,
    bool,
);

impl Entry {
    pub(super) fn from_parts(parts: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (kind, route, pattern, methods, is_direct) = parts.extract::<Parts<'_>>()?;
        let kind = match kind {
            0 => Kind::Http,
            1 => Kind::WebSocket,
            2 => Kind::Mount,
            3 => Kind::Host,
            4 => Kind::Opaque,
            _ => {
                return Err(PyValueError::new_err(format!(
                    "unknown kind of route: {kind}"
                )));
            }
        };
        Ok(Self {
            kind: if fits(kind, pattern.as_ref()) {
                kind
            } else {
                Kind::Opaque
            },
            route: route.unbind(),
            pattern: pattern.map(Bound::unbind),
            methods: methods.map(Bound::unbind),
            is_direct,
        })
    }

    /// The pattern, if it is one of a path that a tree can hold.
    pub(super) fn path(&self) -> Option<&PathPattern> {
        self.indexed().filter(|pattern| !pattern.core().is_host())
    }

    /// The pattern, if it is one of a host that a tree can hold.
    pub(super) fn host(&self) -> Option<&PathPattern> {
        self.indexed().filter(|pattern| pattern.core().is_host())
    }

    /// The pattern, unless the route has to be asked each time.
    pub(super) fn indexed(&self) -> Option<&PathPattern> {
        let pattern = self
            .pattern
            .as_ref()
            .filter(|_| self.kind != Kind::Opaque)?
            .get();
        (!pattern.is_unpredictable()).then_some(pattern)
    }
}

/// Whether the pattern is what a route of this kind has.
fn fits(kind: Kind, pattern: Option<&Bound<'_, PathPattern>>) -> bool {
    let Some(pattern) = pattern.map(Bound::get) else {
        return false;
    };
    let is_host = pattern.core().is_host();
    match kind {
        Kind::Http | Kind::WebSocket => !is_host,
        Kind::Mount => !is_host && pattern.has_rest(),
        Kind::Host => is_host,
        Kind::Opaque => false,
    }
}

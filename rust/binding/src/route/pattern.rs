//! `PathPattern`: one path or host pattern with its convertors.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

use pallasite_core::route::{Pattern, Piece, Spans, format_text, parse, regex_text};
use pyo3::exceptions::{PyAssertionError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};

use super::convert::{Conversion, conversion_of, convert};
use super::scope::required;
use crate::text::{new_text, slice, text_of};

struct Parameter {
    name: Py<PyString>,
    convertor: Py<PyAny>,
    conversion: Conversion,
}

/// See `_core.pyi`.
#[pyclass(frozen, module = "pallasite._core")]
pub(crate) struct PathPattern {
    core: Pattern,
    parameters: Box<[Parameter]>,
    convertors: Py<PyDict>,
    /// The arguments, for copies and pickles: the path, and the convertors by the names that it uses.
    made_from: (Py<PyString>, Py<PyDict>),
    format: Py<PyString>,
    regex: Py<PyString>,
    /// `re.Pattern.match`, for patterns that only Python's `re` can match.
    matcher: Option<Py<PyAny>>,
    /// True if it is unknown what the pattern matches: a custom expression is invalid by itself (`a)|(b`), or a host
    /// has letters outside ASCII, which may match others.
    is_unpredictable: bool,
    /// True if nothing in Python is called to match and convert. Only the conversion of too long a number can fail.
    is_stock: bool,
    /// True if the last parameter is named `path`.
    has_rest: bool,
}

#[pymethods]
impl PathPattern {
    #[new]
    fn new<'py>(path: &Bound<'py, PyString>, convertors: &Bound<'py, PyAny>) -> PyResult<Self> {
        let source = text_of(path)?;
        let pieces = parse(&source);
        let chosen = Chosen::by(&pieces, convertors)?;
        check_names(path, &pieces)?;
        compile(path, &source, &pieces, chosen)
    }

    #[getter]
    fn format(&self, py: Python<'_>) -> Py<PyString> {
        self.format.clone_ref(py)
    }

    #[getter]
    fn regex(&self, py: Python<'_>) -> Py<PyString> {
        self.regex.clone_ref(py)
    }

    #[getter]
    fn convertors(&self, py: Python<'_>) -> Py<PyDict> {
        self.convertors.clone_ref(py)
    }

    #[getter]
    fn is_host(&self) -> bool {
        self.core.is_host()
    }

    fn r#match<'py>(&self, text: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let subject = Subject {
            text: text_of(text)?,
            start: 0,
            string: text,
        };
        self.find(text.py(), &subject, &mut Spans::new(), || Ok(PyDict::new(text.py())))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyType>, (Py<PyString>, Py<PyDict>)) {
        (
            py.get_type::<Self>(),
            (self.made_from.0.clone_ref(py), self.made_from.1.clone_ref(py)),
        )
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<PathPattern {:?}>", self.format.bind(py).to_string_lossy())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for parameter in &self.parameters {
            visit.call(&parameter.convertor)?;
        }
        visit.call(&self.convertors)?;
        visit.call(&self.made_from.1)?;
        visit.call(&self.matcher)
    }
}

/// A text to match: part of a Python string, from byte `start` on.
pub(super) struct Subject<'a, 'py> {
    pub(super) text: Cow<'a, [u8]>,
    pub(super) start: usize,
    pub(super) string: &'a Bound<'py, PyString>,
}

impl<'py> Subject<'_, 'py> {
    /// The bytes to match, from `start` on.
    pub(super) fn bytes(&self) -> &[u8] {
        self.text.split_at(self.start).1
    }

    /// The text to match, from `start` on.
    pub(super) fn string(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        if self.start == 0 {
            return Ok(self.string.clone());
        }
        slice(py, &self.text, self.start..self.text.len())
    }
}

impl PathPattern {
    pub(super) fn core(&self) -> &Pattern {
        &self.core
    }

    pub(super) fn is_unpredictable(&self) -> bool {
        self.is_unpredictable
    }

    pub(super) fn is_stock(&self) -> bool {
        self.is_stock
    }

    /// True if the last parameter is named `path`, as in every mount.
    pub(super) fn has_rest(&self) -> bool {
        self.has_rest
    }

    /// Matches `subject` and adds the converted parameters to the dictionary that `base` returns. None if it does not
    /// match, or a convertor refuses its text. `base` is called only for a match.
    pub(super) fn find<'py>(
        &self,
        py: Python<'py>,
        subject: &Subject<'_, 'py>,
        spans: &mut Spans,
        base: impl FnOnce() -> PyResult<Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        if let Some(matcher) = &self.matcher {
            let found = matcher.bind(py).call1((subject.string(py)?,))?;
            return if found.is_none() {
                Ok(None)
            } else {
                self.convert_groups(&found, base()?)
            };
        }
        if !self.core.find(subject.bytes(), spans) {
            return Ok(None);
        }
        let values = base()?;
        for (parameter, span) in self.parameters.iter().zip(spans.iter()) {
            let span = span.start + subject.start..span.end + subject.start;
            let (conversion, convertor) = self.convertor_of(py, parameter)?;
            let value = convert(conversion, &convertor, &subject.text, span)?;
            let Some(value) = value else { return Ok(None) };
            values.set_item(parameter.name.bind(py), value)?;
        }
        Ok(Some(values))
    }

    /// The current convertor of the parameter in the dictionary, which the application may change.
    fn convertor_of<'py>(&self, py: Python<'py>, parameter: &Parameter) -> PyResult<(Conversion, Bound<'py, PyAny>)> {
        let convertor = required(self.convertors.bind(py), parameter.name.bind(py))?;
        let conversion = if convertor.is(&parameter.convertor) {
            parameter.conversion
        } else {
            Conversion::Python
        };
        Ok((conversion, convertor))
    }

    /// Adds the groups that Python's `re` found, converted.
    #[cold]
    fn convert_groups<'py>(
        &self,
        found: &Bound<'py, PyAny>,
        values: Bound<'py, PyDict>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let py = found.py();
        for parameter in &self.parameters {
            let group = found.call_method1(intern!(py, "group"), (parameter.name.bind(py),))?;
            let (conversion, convertor) = self.convertor_of(py, parameter)?;
            let value = match group.cast::<PyString>() {
                Ok(group) => {
                    let text = text_of(group)?;
                    let end = text.len();
                    convert(conversion, &convertor, &text, 0..end)?
                }
                // The group did not participate in the match.
                Err(_) => Some(convertor.call_method1(intern!(py, "convert"), (group,))?),
            };
            let Some(value) = value else { return Ok(None) };
            values.set_item(parameter.name.bind(py), value)?;
        }
        Ok(Some(values))
    }
}

/// The convertors of a pattern, looked up by name.
struct Chosen<'py> {
    by_parameter: Bound<'py, PyDict>,
    by_kind: Bound<'py, PyDict>,
    parameters: Vec<Parameter>,
    regexes: Vec<Bound<'py, PyString>>,
}

impl<'py> Chosen<'py> {
    fn by(pieces: &[Piece<'_>], convertors: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = convertors.py();
        let mut chosen = Self {
            by_parameter: PyDict::new(py),
            by_kind: PyDict::new(py),
            parameters: Vec::new(),
            regexes: Vec::new(),
        };
        for (name, kind) in parameters(pieces) {
            if !convertors.contains(kind)? {
                return Err(PyAssertionError::new_err(format!("Unknown path convertor '{kind}'")));
            }
            chosen.add(PyString::intern(py, name), kind, convertors.get_item(kind)?)?;
        }
        Ok(chosen)
    }

    fn add(&mut self, name: Bound<'py, PyString>, kind: &str, convertor: Bound<'py, PyAny>) -> PyResult<()> {
        self.by_kind.set_item(kind, &convertor)?;
        self.by_parameter.set_item(&name, &convertor)?;
        self.regexes
            .push(convertor.getattr(intern!(name.py(), "regex"))?.str()?);
        self.parameters.push(Parameter {
            name: name.unbind(),
            conversion: conversion_of(&convertor)?,
            convertor: convertor.unbind(),
        });
        Ok(())
    }
}

/// The parameters of a pattern, each with the name of its convertor.
fn parameters<'a>(pieces: &[Piece<'a>]) -> impl DoubleEndedIterator<Item = (&'a str, &'a str)> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Parameter { name, convertor } => Some((*name, *convertor)),
        Piece::Literal(_) => None,
    })
}

/// Refuses a pattern that uses the name of a parameter twice.
fn check_names(path: &Bound<'_, PyString>, pieces: &[Piece<'_>]) -> PyResult<()> {
    let mut known = HashSet::new();
    let repeated: BTreeSet<_> = parameters(pieces)
        .map(|(name, _)| name)
        .filter(|name| !known.insert(*name))
        .collect();
    if repeated.is_empty() {
        return Ok(());
    }
    let ending = if repeated.len() > 1 { "s" } else { "" };
    let names = repeated.into_iter().collect::<Vec<_>>().join(", ");
    Err(PyValueError::new_err(format!(
        "Duplicated param name{ending} {names} at path {path}"
    )))
}

fn compile(
    path: &Bound<'_, PyString>,
    source: &[u8],
    pieces: &[Piece<'_>],
    chosen: Chosen<'_>,
) -> PyResult<PathPattern> {
    let py = path.py();
    let regexes = chosen.regexes.iter().map(text_of).collect::<PyResult<Vec<_>>>()?;
    let regex_of = |number: usize| &**regexes.get(number).expect("there is one for each parameter");
    let core = Pattern::new(source, pieces, regex_of);
    let regex = new_text(py, &regex_text(source, pieces, regex_of))?;
    let is_foreign = core.is_foreign();
    let has_foreign_case = core.is_host() && !source.is_ascii();
    let is_native = |parameter: &Parameter| parameter.conversion != Conversion::Python;
    Ok(PathPattern {
        matcher: if is_foreign {
            Some(matcher(&regex, core.is_host())?)
        } else {
            None
        },
        is_unpredictable: has_foreign_case || is_foreign && !regexes.iter().all(|regex| compiles_alone(py, regex)),
        is_stock: !is_foreign && chosen.parameters.iter().all(is_native),
        has_rest: parameters(pieces).next_back().is_some_and(|(name, _)| name == "path"),
        core,
        parameters: chosen.parameters.into(),
        convertors: chosen.by_parameter.unbind(),
        made_from: (path.clone().unbind(), chosen.by_kind.unbind()),
        format: new_text(py, &format_text(pieces))?.unbind(),
        regex: regex.unbind(),
    })
}

/// `re.compile(regex).match`. Ignores case for a host.
fn matcher(regex: &Bound<'_, PyString>, is_host: bool) -> PyResult<Py<PyAny>> {
    static COMPILE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = regex.py();
    let compile = COMPILE.import(py, "re", "compile")?;
    let pattern = if is_host {
        static IGNORE_CASE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        compile.call1((regex, IGNORE_CASE.import(py, "re", "IGNORECASE")?))?
    } else {
        compile.call1((regex,))?
    };
    Ok(pattern.getattr(intern!(py, "match"))?.unbind())
}

/// True if an expression is valid by itself, so that it cannot end the group that it is put into.
fn compiles_alone(py: Python<'_>, regex: &[u8]) -> bool {
    new_text(py, regex).and_then(|regex| matcher(&regex, false)).is_ok()
}

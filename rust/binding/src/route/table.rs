//! `RouteTable`: finds the route of a request among those of a router.

use std::iter::Peekable;

use pallasite_core::route::{Cover, Search, Spans, Tree};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::errors::Result;
use crate::text::text_of;

use super::entry::{Entry, RouteKind};
use super::pattern::{PathPattern, Subject};
use super::request::{Found, Request, ask_route};
use super::scope::{Protocol, host_name, protocol, required, root_length, root_path};
use super::watch::Watch;

/// Earlier routes that [`RouteTable::unreachable`] compares with one route, so that the report is linear.
const COMPARED_ROUTES: usize = 64;

/// The key of the scope for the methods that the routes of a path take. The same text is in `_http.scope_keys`.
const ALLOWED_KEY: &str = "pallasite.allowed_methods";

pub(super) const ENTRY_EXISTS: &str = "the trees hold the numbers of these entries";

/// See `_core.pyi`.
#[pyclass(frozen, module = "pallasite._core")]
pub(crate) struct RouteTable {
    entries: Box<[Entry]>,
    paths: Tree,
    hosts: Tree,
    has_hosts: bool,
    /// Entries that are in no tree: tried at every match, in order.
    always: Box<[usize]>,
    /// The result of `matches` for no match, recognised by identity.
    no_match: Option<Py<PyAny>>,
    watch: Watch,
}

#[pymethods]
impl RouteTable {
    #[new]
    #[pyo3(signature = (entries, no_match = None))]
    fn new(entries: &Bound<'_, PyAny>, no_match: Option<Py<PyAny>>) -> Result<Self> {
        let py = entries.py();
        let entries = entries.try_iter()?.map(|parts| Entry::from_parts(&parts?));
        let entries = entries.collect::<PyResult<Box<[_]>>>()?;
        let indexed = entries.iter().enumerate();
        let always = indexed
            .filter(|(_, entry)| entry.indexed().is_none())
            .map(|(index, _)| index)
            .collect();
        Ok(Self {
            paths: build(&entries, Entry::path)?,
            hosts: build(&entries, Entry::host)?,
            has_hosts: entries.iter().any(|entry| entry.kind == RouteKind::Host),
            always,
            no_match,
            watch: Watch::new(py, &entries)?,
            entries,
        })
    }

    fn r#match<'py>(&self, scope: &Bound<'py, PyDict>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = scope.py();
        let protocol = protocol(scope)?;
        if protocol == Protocol::Other {
            // Only opaque routes may match it.
            return self.match_asking(scope, |entry| entry.kind == RouteKind::Opaque);
        }
        let unchanged = self.watch.look(py)?;
        if !unchanged.matches {
            return self.match_asking(scope, |_| true);
        }
        let path = required(scope, intern!(py, "path"))?.cast_into::<PyString>()?;
        let root = root_path(scope)?;
        let text = text_of(&path)?;
        let start = match root.cast::<PyString>() {
            Ok(root) => root_length(&text, &text_of(root)?),
            Err(_) => 0,
        };
        let subject = Subject {
            text,
            start,
            string: &path,
        };
        let host = if self.has_hosts { host_name(scope)? } else { None };
        let mut request = Request::new(
            scope,
            protocol,
            &subject,
            &root,
            host.as_deref(),
            self.no_match.as_ref(),
        );
        let mut trial = Trial {
            spans: Spans::new(),
            partial: None,
        };
        let paths = self.paths.search(subject.bytes());
        let winner = if self.always.is_empty() && !self.has_hosts {
            trial.first_full(&self.entries, &mut request, paths)?
        } else {
            let hosts = host.iter().flat_map(|host| self.hosts.search_host(host.as_bytes()));
            let candidates = Candidates {
                paths: paths.peekable(),
                hosts: hosts.peekable(),
                always: self.always.iter().copied().peekable(),
            };
            trial.first_full(&self.entries, &mut request, candidates)?
        };
        let partial = trial.partial.as_ref().map(|(_, entry)| entry.kind);
        if winner.is_none() && partial == Some(RouteKind::Http) {
            let methods = request.other_methods(&self.entries, self.paths.search(subject.bytes()))?;
            scope.set_item(intern!(py, ALLOWED_KEY), methods)?;
        }
        match winner.or(trial.partial) {
            Some((found, entry)) => {
                let is_direct = entry.is_direct && unchanged.handle;
                found.win(scope, entry, is_direct).map(Some)
            }
            None => Ok(None),
        }
    }

    fn unreachable(&self, py: Python<'_>) -> PyResult<Vec<(usize, usize)>> {
        let mut report = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let Some(pattern) = entry.indexed() else {
                continue;
            };
            let cover = Cover::new(pattern.core());
            let sample = cover.sample();
            let search = if entry.kind == RouteKind::Host {
                self.hosts.search_host(sample)
            } else {
                self.paths.search(sample)
            };
            for earlier in search.take_while(|earlier| *earlier < index).take(COMPARED_ROUTES) {
                let other = self.entries.get(earlier).expect(ENTRY_EXISTS);
                let wins = other
                    .indexed()
                    .is_some_and(|other| other.is_stock() && cover.is_within(other.core()));
                if wins && answers_all_of(py, other, entry)? {
                    report.push((index, earlier));
                    break;
                }
            }
        }
        Ok(report)
    }

    fn __len__(&self) -> usize {
        self.entries.len()
    }

    // No `__clear__`: the table is immutable. A cycle through it also contains the attributes of a Python object (a
    // router), which the collector can clear. Tuples have none for the same reason.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for entry in &self.entries {
            visit.call(&entry.route)?;
            visit.call(&entry.pattern)?;
            visit.call(&entry.methods)?;
        }
        visit.call(&self.no_match)?;
        self.watch.traverse(&visit)
    }
}

impl RouteTable {
    /// Matches with the `matches` and `handle` of the routes, one after the other.
    #[cold]
    fn match_asking<'py>(
        &self,
        scope: &Bound<'py, PyDict>,
        is_asked: impl Fn(&Entry) -> bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut partial = None;
        for entry in self.entries.iter().filter(|entry| is_asked(entry)) {
            match ask_route(scope, entry, self.no_match.as_ref())? {
                Some(found) if found.is_full => return found.win(scope, entry, false).map(Some),
                Some(found) if partial.is_none() => partial = Some((found, entry)),
                _ => {}
            }
        }
        match partial {
            Some((found, entry)) => found.win(scope, entry, false).map(Some),
            None => Ok(None),
        }
    }
}

/// The state of a search for the first match.
struct Trial<'a, 'py> {
    spans: Spans,
    /// The first partial match.
    partial: Option<(Found<'py>, &'a Entry)>,
}

impl<'a, 'py> Trial<'a, 'py> {
    /// The first full match.
    fn first_full(
        &mut self,
        entries: &'a [Entry],
        request: &mut Request<'_, 'py>,
        candidates: impl Iterator<Item = usize>,
    ) -> PyResult<Option<(Found<'py>, &'a Entry)>> {
        for index in candidates {
            let entry = entries.get(index).expect(ENTRY_EXISTS);
            match request.try_entry(entry, &mut self.spans, self.partial.is_some())? {
                Some(found) if found.is_full => return Ok(Some((found, entry))),
                Some(found) if self.partial.is_none() => self.partial = Some((found, entry)),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// The routes to try, in declaration order, from three ascending sources.
struct Candidates<'a, H: Iterator<Item = usize>, A: Iterator<Item = usize>> {
    paths: Peekable<Search<'a>>,
    hosts: Peekable<H>,
    always: Peekable<A>,
}

impl<H: Iterator<Item = usize>, A: Iterator<Item = usize>> Iterator for Candidates<'_, H, A> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let path = self.paths.peek().copied().unwrap_or(usize::MAX);
        let host = self.hosts.peek().copied().unwrap_or(usize::MAX);
        let always = self.always.peek().copied().unwrap_or(usize::MAX);
        if path < host && path < always {
            self.paths.next()
        } else if host < always {
            self.hosts.next()
        } else {
            self.always.next()
        }
    }
}

/// The tree of the entries for which `pattern_of` returns a pattern.
fn build(entries: &[Entry], pattern_of: fn(&Entry) -> Option<&PathPattern>) -> Result<Tree> {
    let numbered = entries.iter().enumerate();
    let patterns = numbered.filter_map(|(index, entry)| Some((index, pattern_of(entry)?.core())));
    Ok(Tree::build(patterns)?)
}

/// True if `earlier` accepts every type and method of request that `later` accepts.
fn answers_all_of(py: Python<'_>, earlier: &Entry, later: &Entry) -> PyResult<bool> {
    match (earlier.kind, later.kind) {
        (RouteKind::Mount, _) | (RouteKind::WebSocket, RouteKind::WebSocket) | (RouteKind::Host, RouteKind::Host) => {
            Ok(true)
        }
        (RouteKind::Http, RouteKind::Http) => {
            let methods = |entry: &Entry| -> PyResult<Option<Py<PyAny>>> {
                let Some(methods) = &entry.methods else {
                    return Ok(None);
                };
                Ok(if methods.bind(py).is_truthy()? {
                    Some(methods.clone_ref(py))
                } else {
                    None
                })
            };
            match (methods(earlier)?, methods(later)?) {
                (None, _) => Ok(true),
                (Some(_), None) => Ok(false),
                (Some(earlier), Some(later)) => {
                    for method in later.bind(py).try_iter()? {
                        if !earlier.bind(py).contains(method?)? {
                            return Ok(false);
                        }
                    }
                    Ok(true)
                }
            }
        }
        _ => Ok(false),
    }
}

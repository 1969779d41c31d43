//! `PathPattern` and `RouteTable`: routing for Python.

mod convert;
mod entry;
mod pattern;
mod request;
mod scope;
mod table;
mod watch;

pub(crate) use convert::register_stock_convertors;
pub(crate) use entry::RouteKind;
pub(crate) use pattern::PathPattern;
pub(crate) use table::RouteTable;
pub(crate) use watch::version_of;

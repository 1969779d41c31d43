//! `_core.dumps`, `_core.loads` and their kin: JSON of plain Python values.

mod decode;
mod encode;
mod items;

pub(crate) use decode::{loads, may_overflow};
pub(crate) use encode::{dumps, dumps_plain};

//! Every bound that a parser keeps, in one place, with its unit.

/// Containers inside containers that the JSON encoder follows natively; deeper values go to Python's encoder,
/// which knows how deep its own stack may grow.
pub const JSON_DEPTH_MAX: usize = 128;

/// Elements of an Accept-like header that are looked at; a browser sends about ten.
pub const MAX_ACCEPT_ELEMENTS: usize = 256;

/// Parameters kept of one header element (`;name=value`); a form's Content-Type has one or two.
pub const MAX_HEADER_PARAMETERS: usize = 32;

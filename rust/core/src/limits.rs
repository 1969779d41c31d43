//! Every bound that a parser keeps, in one place, with its unit.

/// Containers inside containers that the JSON encoder follows natively; deeper values go to Python's encoder,
/// which knows how deep its own stack may grow.
pub const JSON_DEPTH_MAX: usize = 128;

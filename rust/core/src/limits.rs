//! Every bound that a parser keeps, in one place, with its unit.

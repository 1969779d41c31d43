//! The map on the crate's page is complete.

use std::collections::BTreeSet;

#[test]
fn map_has_a_line_for_each_public_module() {
    let page = include_str!("../src/lib.rs");
    let find_all = |start: &'static str, end: char| -> BTreeSet<&str> {
        let names = page
            .lines()
            .filter_map(|line| line.strip_prefix(start)?.split_once(end));
        names.map(|(name, _)| name).collect()
    };
    let mut modules = find_all("pub mod ", ';');
    // Only there with the feature `steps`, for checks.
    modules.remove("scan");
    assert!(modules.len() > 15);
    assert_eq!(find_all("//! | [`", '`'), modules);
}

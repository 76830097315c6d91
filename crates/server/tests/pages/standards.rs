//! docs/standards.md says what is: no row without tests that exist.

use crate::page::{cells, shown};

#[test]
fn each_row_is_shown_by_tests_that_exist() {
    let page = crate::page::page("docs/standards.md");
    let mut rows = 0;
    // Tables of three cells: clause, what Segue does, tests. What is not done stands in lists.
    for line in page.lines().filter(|line| line.starts_with('|')) {
        if line.starts_with("| clause |") || line.starts_with("|---") {
            continue;
        }
        let [clause, does, tests] = cells(line);
        assert!(!does.is_empty(), "{clause} says nothing");
        shown(clause, tests);
        rows += 1;
    }
    assert!(rows > 0, "the page has no row");
}

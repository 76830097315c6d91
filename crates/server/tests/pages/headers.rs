//! docs/headers.md says what becomes of each header: the table is the code's.

use crate::page::{cells, quoted};
use segue_b2bua::HEADERS;

#[test]
fn the_table_is_the_one_that_holds() {
    let page = crate::page::page("docs/headers.md");
    let written = page.lines().filter(|line| line.starts_with("| `"));
    let written: Vec<[String; 5]> = written
        .map(|line| {
            let [name, within, leaving, untrusted, withheld, _] = cells(line);
            [
                quoted(name).concat(),
                within.into(),
                leaving.into(),
                untrusted.into(),
                withheld.into(),
            ]
        })
        .collect();
    let holds: Vec<[String; 5]> = HEADERS
        .iter()
        .map(|rule| {
            let fates = [rule.within, rule.leaving, rule.untrusted, rule.withheld].map(|fate| fate.as_str().to_owned());
            let [within, leaving, untrusted, withheld] = fates;
            [rule.name.to_owned(), within, leaving, untrusted, withheld]
        })
        .collect();
    assert_eq!(written, holds);
}

//! docs/headers.md says what becomes of each header: the table is the code's.

use crate::page::{cells, quoted};
use segue_b2bua::HEADERS;

#[test]
fn the_table_is_the_one_that_holds() {
    let page = crate::page::page("docs/headers.md");
    let written = page.lines().filter(|line| line.starts_with("| `"));
    let written: Vec<[String; 7]> = written
        .map(|line| {
            let [name, within, leaving, untrusted, withheld, responses, dialog, _] = cells(line);
            [
                quoted(name).concat(),
                within.into(),
                leaving.into(),
                untrusted.into(),
                withheld.into(),
                responses.into(),
                dialog.into(),
            ]
        })
        .collect();
    let holds: Vec<[String; 7]> = HEADERS
        .iter()
        .map(|rule| {
            let fates = [rule.within, rule.leaving, rule.untrusted, rule.withheld].map(|fate| fate.as_str().to_owned());
            let [within, leaving, untrusted, withheld] = fates;
            let beyond = [rule.responses, rule.dialog].map(|beyond| beyond.as_str().to_owned());
            let [responses, dialog] = beyond;
            let name = rule.name.to_owned();
            [name, within, leaving, untrusted, withheld, responses, dialog]
        })
        .collect();
    assert_eq!(written, holds);
}

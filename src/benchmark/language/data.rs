//! `data`: a CSV file whose rows requests take in turn, and whether they fit where requests name them.

use std::path::Path;
use std::sync::Arc;

use super::SCENARIO;
use crate::benchmark::data::Table;
use crate::benchmark::scenario::RequestChoice;
use crate::benchmark::template::columns;
use crate::document::name::key;
use crate::document::{Fields, suggest};
use crate::problem::{Problem, Problems};

const BYTES_MAX: u64 = 64 * 1024 * 1024;

pub fn read(
    fields: &Fields<'_>,
    folder: &Path,
    requests: &[RequestChoice],
    problems: &mut Problems,
) -> Option<Arc<Table>> {
    let mut named = Vec::new();
    for request in requests {
        let body = std::str::from_utf8(&request.body).unwrap_or_default();
        named.extend(columns(&request.path).into_iter().chain(columns(body)).map(|column| (column, false)));
        named.extend(request.headers.iter().flat_map(|(_, value)| columns(value)).map(|column| (column, true)));
    }
    let Some(name) = fields.text_written(key!(SCENARIO, "data")) else {
        if let Some((column, _)) = named.first() {
            let detail = format!("a request has `${{csv.{column}}}`, and the scenario names no `data`");
            let problem = fields.problem(key!(SCENARIO, "requests"), "No data", detail);
            problems.push(problem.hint("`data: users.csv` names a CSV file whose first line has the columns' names"));
        }
        return None;
    };
    match table(folder, &name).and_then(|table| fits(&table, &named).map(|()| table)) {
        Ok(table) => return Some(Arc::new(table)),
        Err(why) => problems.push(
            Problem::usage("Cannot read the data", why)
                .at(fields.place(key!(SCENARIO, "data")))
                .hint("a CSV file has the columns' names in its first line, and a row in each further one"),
        ),
    }
    None
}

fn table(folder: &Path, name: &str) -> Result<Table, String> {
    let text = super::text_beside(folder, name, BYTES_MAX)?;
    Table::parse(&text).map_err(|why| format!("{}: {why}", folder.join(name).display()))
}

/// Whether every column is there, and what is in headers can stand there.
fn fits(table: &Table, named: &[(&str, bool)]) -> Result<(), String> {
    for (column, in_header) in named {
        let Some(index) = table.columns.iter().position(|known| known == column) else {
            let hint = suggest::hint(column, table.columns.iter().map(String::as_str));
            return Err(format!("a request has `${{csv.{column}}}`, which the file does not: {hint}"));
        };
        let visible = |text: &str| text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        if let Some(row) = table.rows.iter().position(|row| *in_header && !visible(&row[index])) {
            return Err(format!(
                "row {} has a {column} that cannot stand in a header: visible ASCII characters and spaces can",
                row + 1
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::problem::Source;

    fn read(csv: &str, request: &str) -> Result<Arc<Table>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("users.csv"), csv).expect("written");
        let text = format!("data: users.csv\nrequests: [{request}]\nphases: [{{rate: 1/s, duration: 1s}}]\n");
        let scenario = parse(Arc::new(Source { name: "load.yaml".into(), text }), "load", folder.path());
        scenario.map(|scenario| scenario.data.expect("a table")).map_err(|problems| problems.0[0].to_string())
    }

    #[test]
    fn columns_that_a_request_names_must_be_there_and_fit() {
        let request = "{name: a, path: '/u/${csv.user}', headers: {X-Key: '${csv.key}'}}";
        assert_eq!(read("user,key\nana,1\nbo,2\n", request).expect("it fits").rows.len(), 2);
        for (csv, why) in [
            ("", "it is empty"),
            ("user,kye\nana,1\n", "`${csv.key}`, which the file does not: known: `user`, `kye`"),
            ("user,key\nana,\u{e9}\n", "row 1 has a key that cannot stand in a header"),
        ] {
            let found = read(csv, request).expect_err(csv);
            assert!(found.contains(why), "{found}");
        }
    }

    #[test]
    fn a_column_without_a_file_is_a_mistake() {
        let text = "requests: [{name: a, body: 'x${csv.user}'}]\nphases: [{rate: 1/s, duration: 1s}]\n".to_owned();
        let problems = parse(Arc::new(Source { name: "load.yaml".into(), text }), "load", Path::new(""));
        assert!(problems.expect_err("no data").0[0].to_string().contains("the scenario names no `data`"));
    }
}

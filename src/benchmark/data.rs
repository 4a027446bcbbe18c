//! A CSV file whose rows requests take in turn: `${csv.user}` stands for the row's field of that name.
//!
//! RFC 4180: fields are separated by commas, quoted where they hold a comma, a quote or a line's end; the first line names the
//! columns.

/// More fields are not read.
const FIELDS_MAX: usize = 5_000_000;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub columns: Vec<String>,
    /// Each as long as `columns`; at least one.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// # Errors
    /// Why the text is no table, with its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut records = records(text.trim_start_matches('\u{feff}'))?.into_iter();
        let (_, columns) = records.next().ok_or("it is empty")?;
        let columns: Vec<String> = columns.iter().map(|column| column.trim().to_owned()).collect();
        for (number, column) in columns.iter().enumerate() {
            if column.is_empty() || columns[..number].contains(column) {
                return Err(format!("line 1: column {} has no name of its own", number + 1));
            }
        }
        let mut rows = Vec::new();
        for (line, row) in records {
            if row.len() != columns.len() {
                return Err(format!("line {line} has {} fields, and line 1 names {}", row.len(), columns.len()));
            }
            rows.push(row);
        }
        if rows.is_empty() { Err("it names columns and has no row".to_owned()) } else { Ok(Self { columns, rows }) }
    }
}

/// Each record with the line that it begins at; empty lines are none.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let mut records = Vec::new();
    let (mut record, mut field) = (Vec::new(), String::new());
    let (mut line, mut began, mut fields) = (1, 1, 0);
    let mut characters = text.chars().peekable();
    loop {
        let character = characters.next();
        match character {
            Some('"') if field.is_empty() => {
                quoted(&mut characters, &mut field, &mut line)?;
                if !matches!(characters.peek(), None | Some(',' | '\n' | '\r')) {
                    return Err(format!("line {line}: something stands behind a closing quote"));
                }
            }
            Some('\r') if characters.peek() == Some(&'\n') => {}
            Some(',') => record.push(std::mem::take(&mut field)),
            Some('\n') | None => {
                if !(record.is_empty() && field.is_empty()) {
                    record.push(std::mem::take(&mut field));
                    fields += record.len();
                    if fields > FIELDS_MAX {
                        return Err(format!("it has more than {FIELDS_MAX} fields"));
                    }
                    records.push((began, std::mem::take(&mut record)));
                }
                line += 1;
                began = line;
                if character.is_none() {
                    return Ok(records);
                }
            }
            Some(other) => field.push(other),
        }
    }
}

/// What stands between two quotes; two of them are one.
fn quoted(
    characters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    field: &mut String,
    line: &mut usize,
) -> Result<(), String> {
    let opened = *line;
    while let Some(character) = characters.next() {
        match character {
            '"' if characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' => return Ok(()),
            other => {
                *line += usize::from(other == '\n');
                field.push(other);
            }
        }
    }
    Err(format!("line {opened}: a quote is not closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted_and_hold_commas_quotes_and_lines() {
        let table = Table::parse("\u{feff}user, note\r\nana,\"a, \"\"b\"\"\nc\"\n\nbo,\n").expect("a table");
        assert_eq!(table.columns, ["user", "note"]);
        assert_eq!(table.rows, [["ana", "a, \"b\"\nc"], ["bo", ""]]);
    }

    #[test]
    fn what_is_no_table_says_why_and_where() {
        for (text, why) in [
            ("", "it is empty"),
            ("user\n", "it names columns and has no row"),
            ("user,user\na,b\n", "line 1: column 2 has no name of its own"),
            ("user,\na,b\n", "line 1: column 2 has no name of its own"),
            ("user,note\na,b\n\"c\nd\"\n", "line 3 has 1 fields, and line 1 names 2"),
            ("user\n\"a\n", "line 2: a quote is not closed"),
            ("user\n\"a\"b\n", "line 2: something stands behind a closing quote"),
        ] {
            assert_eq!(Table::parse(text).expect_err(text), why);
        }
    }
}

//! Tables: one look for all of them, never wider than the terminal.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::printable::one_line;

/// A table with a header; the columns named in `right` hold numbers and are aligned right.
pub fn table(header: &[&str], right: &[usize], rows: Vec<Vec<String>>, width: u16) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_header(header.iter().map(|name| one_line(name).to_uppercase()).collect::<Vec<_>>());
    let cells = |row: Vec<String>| row.iter().map(|cell| one_line(cell)).collect::<Vec<_>>();
    table.add_rows(rows.into_iter().map(cells));
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_aligned_right_and_nothing_is_wider_than_asked() {
        let rows = vec![
            vec!["light".to_owned(), "4".to_owned(), "short".to_owned()],
            vec!["heavy".to_owned(), "15".to_owned(), "a reason that does not fit on one line of the table".to_owned()],
        ];
        let text = table(&["cluster", "desired", "reason"], &[1], rows, 40);
        insta::assert_snapshot!(text, @r"
        CLUSTER  DESIRED  REASON
        light          4  short
        heavy         15  a reason that does
                          not fit on one line
                          of the table
        ");
        assert!(text.lines().all(|line| line.chars().count() <= 40));
    }

    #[test]
    fn a_cell_can_neither_move_the_cursor_nor_begin_a_row() {
        let rows = vec![vec!["i-1\u{1b}[1A".to_owned(), "healthy\ni-2  healthy \u{202e}".to_owned()]];
        let text = table(&["instance", "health"], &[], rows, 80);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }
}

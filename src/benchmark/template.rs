//! A request with `${csv.COLUMN}` in it: pieces that stay and fields of a row, written into one buffer before it is sent.

use super::data::Table;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<[u8]>),
    /// In the path: what cannot stand there is percent-encoded (RFC 3986, section 2.1).
    Path(usize),
    /// In a header or the body.
    Field(usize),
    /// The length of the body that follows.
    BodyLength,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
    /// Where in `pieces` the body begins.
    body: usize,
}

/// Text, and the columns between it.
enum Part<'a> {
    Text(&'a str),
    Column(&'a str),
}

const OPEN: &str = "${csv.";

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let Some((column, behind)) = after.split_once('}') else { break };
        parts.extend([Part::Text(before), Part::Column(column)]);
        rest = behind;
    }
    parts.push(Part::Text(rest));
    parts
}

/// The columns that a text names.
pub fn columns(text: &str) -> Vec<&str> {
    let named = |part| if let Part::Column(column) = part { Some(column) } else { None };
    parts(text).into_iter().filter_map(named).collect()
}

impl Template {
    /// `head` is all before the body, without its length; `None` where nothing names a column.
    pub fn of(path: &str, head: &str, body: &[u8], table: &Table) -> Option<Self> {
        let text = std::str::from_utf8(body).unwrap_or_default();
        if [path, head, text].iter().all(|text| columns(text).is_empty()) {
            return None;
        }
        let mut template = Self::default();
        template.push(path, table, Piece::Path);
        template.push(head, table, Piece::Field);
        if !body.is_empty() {
            template.pieces.push(Piece::Literal((*b"Content-Length: ").into()));
            template.pieces.push(Piece::BodyLength);
            template.pieces.push(Piece::Literal((*b"\r\n").into()));
        }
        template.pieces.push(Piece::Literal((*b"\r\n").into()));
        template.body = template.pieces.len();
        match columns(text).is_empty() {
            true => template.pieces.push(Piece::Literal(body.into())),
            false => template.push(text, table, Piece::Field),
        }
        Some(template)
    }

    fn push(&mut self, text: &str, table: &Table, piece: fn(usize) -> Piece) {
        for part in parts(text) {
            self.pieces.push(match part {
                Part::Text(text) => Piece::Literal(text.as_bytes().into()),
                // The language has refused columns that are not there.
                Part::Column(column) => piece(table.columns.iter().position(|known| known == column).unwrap_or(0)),
            });
        }
    }

    /// Writes the request of a row in place of what `out` held.
    pub fn write(&self, row: &[String], out: &mut Vec<u8>) {
        out.clear();
        let field = |column: &usize| row.get(*column).map_or("", String::as_str);
        let body = || self.pieces[self.body..].iter();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(bytes) => out.extend_from_slice(bytes),
                Piece::Field(column) => out.extend_from_slice(field(column).as_bytes()),
                Piece::Path(column) => encode(field(column), out),
                Piece::BodyLength => {
                    let length = body().map(|piece| match piece {
                        Piece::Literal(bytes) => bytes.len(),
                        Piece::Field(column) => field(column).len(),
                        Piece::Path(_) | Piece::BodyLength => 0,
                    });
                    digits(length.sum(), out);
                }
            }
        }
    }
}

/// As [`Template::write`] writes a field into a path.
fn encode(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte) {
            out.push(byte);
        } else {
            let digit = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble)];
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

fn digits(number: usize, out: &mut Vec<u8>) {
    let start = out.len();
    let mut rest = number;
    loop {
        out.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out[start..].reverse();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_in_path_header_and_body_and_the_length_is_the_bodys() {
        let table = Table::parse("id,name\n1,Ana\n22,J o/\u{e9}\n").expect("a table");
        let head = " HTTP/1.1\r\nX-Name: ${csv.name}\r\n";
        let template = Template::of("PUT /o/${csv.name}?n=${csv.id}", head, b"<${csv.id}>", &table).expect("columns");
        let mut out = Vec::new();
        let mut text = |row: usize| {
            template.write(&table.rows[row], &mut out);
            String::from_utf8(out.clone()).expect("text")
        };
        assert_eq!(text(0), "PUT /o/Ana?n=1 HTTP/1.1\r\nX-Name: Ana\r\nContent-Length: 3\r\n\r\n<1>");
        let second = "PUT /o/J%20o/%C3%A9?n=22 HTTP/1.1\r\nX-Name: J o/\u{e9}\r\nContent-Length: 4\r\n\r\n<22>";
        assert_eq!(text(1), second);
        assert_eq!(Template::of("GET /", " HTTP/1.1\r\n", b"${other.x}", &table), None);
    }

    #[test]
    fn the_columns_of_a_text_are_found_and_nothing_else() {
        assert_eq!(columns("/a/${csv.user}/${csv.id}?x=${var.y}&z=${csv."), ["user", "id"]);
    }
}

//! YAML text to values that know their place in it. The only file that names the parser.
//!
//! The parser's events are composed into a tree of [`Node`]s, because a deserializer stops at the first mistake and loses
//! places on the way. What cannot be a file that a person wrote is refused before it costs memory: size, depth, and what
//! aliases expand to are bounded.

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde_saphyr::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use crate::problem::{Place, Problem, Problems, Source};

/// The summary of what is no YAML at all.
pub const SYNTAX: &str = "Not valid YAML";
/// The largest file that is read.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
const DEPTH_MAX: usize = 32;
/// What a file may hold after its aliases are expanded.
const NODES_MAX: usize = 100_000;
/// More is no help to anyone, and finding the line of each takes time.
pub const PROBLEMS_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 4 << 20;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub value: Value,
    /// Of a scalar: its text. Of a list or a map: the key that it belongs to, else its first part.
    pub bytes: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    /// In file order, each key once.
    Map(Vec<Entry>),
    /// Something that is broken; see [`recovery`](super::recovery).
    Unread,
}

/// A scalar as written; what it means depends on where it stands, so `8080` can be a port and a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    pub text: String,
    /// In quotes or a block: a text even where it reads as a number or as nothing.
    pub quoted: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_bytes: Range<usize>,
    pub value: Node,
}

impl Node {
    /// Whether nothing is written: `key:`, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if !scalar.quoted && matches!(scalar.text.as_str(), "" | "~" | "null"))
    }
}

/// Reads a file and its YAML. A file with any problem has no tree.
pub fn read(path: &Path) -> Result<(Arc<Source>, Node), Problems> {
    let source = source(path)?;
    let root = parse(&source)?;
    Ok((source, root))
}

/// Reads a text file of a bounded size.
///
/// # Errors
/// A file that is missing, not a file, too large, not UTF-8 or binary.
pub fn source(path: &Path) -> Result<Arc<Source>, Problems> {
    let name = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        let problem = Problem::usage("Cannot read the file", format!("{name}: {error}"));
        if error.kind() == std::io::ErrorKind::NotFound { problem.hint("check the path") } else { problem }
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Problem::usage("Cannot read the file", format!("{name} is not a regular file")).into());
    }
    let too_large = || {
        Problem::usage("The file is too large", format!("{name} holds more than {} KiB", FILE_BYTES_MAX / 1024))
            .hint("check the path; a file that a person wrote is much smaller")
    };
    if metadata.len() > FILE_BYTES_MAX {
        return Err(too_large().into());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(too_large().into());
    }
    text(name, bytes)
}

fn text(name: String, bytes: Vec<u8>) -> Result<Arc<Source>, Problems> {
    let (text, refused) = match String::from_utf8(bytes) {
        Ok(text) => {
            let refused = text.find('\0').map(|at| (at, "Not a text file", "there is a NUL byte"));
            (text, refused)
        }
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).replace('\0', "\u{fffd}");
            (text, Some((at, "Not UTF-8", "the bytes here are no UTF-8 text")))
        }
    };
    let source = Arc::new(Source { name, text });
    let Some((at, summary, detail)) = refused else { return Ok(source) };
    let place = Place { source: Arc::clone(&source), bytes: at..at + 1 };
    Err(Problem::usage(summary, detail).at(place).hint("save the file as UTF-8 text").into())
}

/// Composes one document.
pub fn parse(source: &Arc<Source>) -> Result<Node, Problems> {
    parse_part(source, 0..source.text.len())
}

/// Composes a part of a document, such as an entry of its mapping. Places are those of the whole.
pub fn parse_part(source: &Arc<Source>, part: Range<usize>) -> Result<Node, Problems> {
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let parser = Parser::new_from_str_with_options(&source.text[part.clone()], options);
    let mut composer = Composer {
        source,
        part,
        parser,
        anchors: HashMap::new(),
        spent: Size::default(),
        problems: Problems::default(),
    };
    let root = match composer.document() {
        Ok(root) => root,
        Err(problem) => {
            composer.problems.push(problem);
            return Err(composer.problems);
        }
    };
    if composer.problems.has_errors() { Err(composer.problems) } else { Ok(root) }
}

/// How much a node holds, itself included.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    text_bytes: usize,
    depth: usize,
}

impl Size {
    fn of(node: &Node) -> Self {
        let of_all = |nodes: &mut dyn Iterator<Item = &Node>| {
            nodes.map(Size::of).fold(Size::default(), |sum, size| Size {
                nodes: sum.nodes + size.nodes,
                text_bytes: sum.text_bytes + size.text_bytes,
                depth: sum.depth.max(size.depth + 1),
            })
        };
        let inner = match &node.value {
            Value::Scalar(scalar) => Size { text_bytes: scalar.text.len(), ..Size::default() },
            Value::Unread => Size::default(),
            Value::List(items) => of_all(&mut items.iter()),
            Value::Map(entries) => of_all(&mut entries.iter().map(|entry| &entry.value)),
        };
        Size { nodes: inner.nodes + 1, ..inner }
    }
}

struct Composer<'s> {
    source: &'s Arc<Source>,
    /// The part that is read.
    part: Range<usize>,
    parser: Parser<'s, StrInput<'s>>,
    /// Finished nodes by anchor.
    anchors: HashMap<usize, (Node, Size)>,
    spent: Size,
    /// What is wrong but does not hide the rest of the file.
    problems: Problems,
}

/// The rest of the file cannot be understood.
type Composed<T> = Result<T, Problem>;

impl<'s> Composer<'s> {
    fn document(&mut self) -> Composed<Node> {
        let root = loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd, _) => return Err(self.empty()),
                (event, span) => break self.node(event, &span, 0)?,
            }
        };
        loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => break,
                (_, span) => {
                    let problem = Problem::usage("More than one document", "a second document starts here");
                    return Err(problem
                        .at(self.place(self.bytes(&span)))
                        .hint("keep one document per file; remove `---`"));
                }
            }
        }
        if root.is_null() { Err(self.empty()) } else { Ok(root) }
    }

    fn next(&mut self) -> Composed<(Event<'s>, Span)> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Err(self.empty()),
        }
    }

    fn node(&mut self, event: Event<'s>, span: &Span, depth: usize) -> Composed<Node> {
        if depth > DEPTH_MAX {
            return Err(self.too_deep(self.bytes(span)));
        }
        let (value, own_bytes, anchor) = match event {
            Event::Alias(id) => return self.alias(id, span, depth),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                self.spend(Size { nodes: 1, text_bytes: text.len(), depth: 0 }, span)?;
                let quoted = style != ScalarStyle::Plain;
                (Value::Scalar(Scalar { text: text.into_owned(), quoted }), self.bytes(span), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                self.spend(Size { nodes: 1, ..Size::default() }, span)?;
                let items = self.list(depth)?;
                let bytes = items.first().map_or_else(|| self.bytes(span), |item| item.bytes.clone());
                (Value::List(items), bytes, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                self.spend(Size { nodes: 1, ..Size::default() }, span)?;
                let entries = self.map(depth)?;
                let bytes = entries.first().map_or_else(|| self.bytes(span), |entry| entry.key_bytes.clone());
                (Value::Map(entries), bytes, anchor)
            }
            _ => return Err(Problem::usage(SYNTAX, "a value is expected here").at(self.place(self.bytes(span)))),
        };
        let node = Node { value, bytes: own_bytes };
        if anchor != 0 {
            let size = Size::of(&node);
            self.spend(size, span)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Composed<Vec<Node>> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, &span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Composed<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, Range<usize>> = HashMap::new();
        loop {
            let (event, key_span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let key_node = self.node(event, &key_span, depth + 1)?;
            let (event, value_span) = self.next()?;
            let mut value = self.node(event, &value_span, depth + 1)?;
            let Value::Scalar(Scalar { text: key, .. }) = key_node.value else {
                let problem = Problem::usage("Not a key", "a key must be a plain text");
                self.problems.push(problem.at(self.place(key_node.bytes)));
                continue;
            };
            if let Some(first) = seen.get(&key) {
                if self.problems.0.len() >= PROBLEMS_MAX {
                    continue;
                }
                let line = self.place(first.clone()).line_column().0;
                let problem = Problem::usage("Duplicate key", format!("`{key}` is already on line {line}"));
                self.problems.push(problem.at(self.place(key_node.bytes)).hint("keep one of the two"));
                continue;
            }
            if !matches!(value.value, Value::Scalar(_)) || value.bytes.is_empty() {
                value.bytes = key_node.bytes.clone();
            }
            seen.insert(key.clone(), key_node.bytes.clone());
            entries.push(Entry { key, key_bytes: key_node.bytes, value });
        }
    }

    fn alias(&mut self, id: usize, span: &Span, depth: usize) -> Composed<Node> {
        let Some(size) = self.anchors.get(&id).map(|(_, size)| *size) else {
            let problem = Problem::usage("Endless alias", "the alias stands inside the value that it repeats");
            return Err(problem.at(self.place(self.bytes(span))));
        };
        if depth + size.depth > DEPTH_MAX {
            return Err(self.too_deep(self.bytes(span)));
        }
        self.spend(size, span)?;
        Ok(Node { value: self.anchors[&id].0.value.clone(), bytes: self.bytes(span) })
    }

    /// Before anything is stored, so that a bomb costs no memory.
    fn spend(&mut self, size: Size, span: &Span) -> Composed<()> {
        self.spent.nodes += size.nodes;
        self.spent.text_bytes += size.text_bytes;
        if self.spent.nodes <= NODES_MAX && self.spent.text_bytes <= TEXT_BYTES_MAX {
            return Ok(());
        }
        let detail =
            format!("with its aliases it holds more than {NODES_MAX} values or {} MiB of text", TEXT_BYTES_MAX >> 20);
        let hint = if self.anchors.is_empty() {
            "check the path; a file that a person wrote is much smaller"
        } else {
            "use fewer aliases"
        };
        Err(Problem::usage("The file holds too much", detail).at(self.place(self.bytes(span))).hint(hint))
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, span: &Span) {
        let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) else { return };
        let bytes = span.tag_span().as_ref().map_or_else(|| self.bytes(span), |span| self.bytes(span));
        let problem = Problem::usage("Unknown tag", format!("`{}` means nothing here", tag.original()));
        self.problems
            .push(problem.at(self.place(bytes)).hint("remove the tag; put a text that starts with `!` in quotes"));
    }

    fn bytes(&self, span: &Span) -> Range<usize> {
        let bytes = span.byte_range().unwrap_or_default();
        self.part.start + bytes.start..self.part.start + bytes.end
    }

    fn place(&self, bytes: Range<usize>) -> Place {
        Place { source: Arc::clone(self.source), bytes }
    }

    fn empty(&self) -> Problem {
        Problem::usage("The file is empty", format!("{} holds nothing", self.source.name))
            .hint("`cloudscale init` writes an example")
    }

    fn too_deep(&self, bytes: Range<usize>) -> Problem {
        Problem::usage("Nested too deeply", format!("values may nest {DEPTH_MAX} levels")).at(self.place(bytes))
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let text = &self.source.text;
        let at = error.marker().byte_offset().map_or(self.part.end, |at| self.part.start + at).min(self.part.end);
        // Behind a part comes another that has nothing to do with it.
        let last = text[self.part.clone()].trim_end().char_indices().next_back();
        let last = last.map_or(self.part.start, |(last, _)| self.part.start + last);
        let at = if self.part.end < text.len() { at.min(last) } else { at };
        let end = text[at..].chars().next().map_or(at, |character| at + character.len_utf8());
        if *error.kind() == ErrorKind::RecursionLimitExceeded {
            return self.too_deep(at..end);
        }
        let problem = Problem::usage(SYNTAX, error.info()).at(self.place(at..end));
        if text[at..].starts_with('\t') || error.info().contains("tab") {
            problem.hint("indent with spaces; YAML does not allow tabs")
        } else {
            problem
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str) -> String {
        let source = Arc::new(Source { name: "s.yaml".into(), text: text.into() });
        parse(&source).expect_err("there is a problem").to_string()
    }

    fn refusal_of(bytes: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let problems = read(file.path()).expect_err("there is a problem").to_string();
        problems.replace(&file.path().display().to_string(), "FILE")
    }

    #[test]
    fn scalars_lists_and_maps_know_their_place() {
        let source = Arc::new(Source { name: "s.yaml".into(), text: "a: 1\nb:\n  c: [x, 'y']\nd:\n".into() });
        let Value::Map(entries) = parse(&source).unwrap().value else { panic!("a map") };
        let texts: Vec<_> = entries.iter().map(|entry| &source.text[entry.value.bytes.clone()]).collect();
        assert_eq!(texts, ["1", "b", "d"], "a container and a missing value are underlined at their key");
        assert!(entries[2].value.is_null());
    }

    #[test]
    fn an_alias_stands_for_its_value() {
        let source = Arc::new(Source { name: "s.yaml".into(), text: "a: &a {x: 1}\nb: *a\n".into() });
        let Value::Map(entries) = parse(&source).unwrap().value else { panic!("a map") };
        assert_eq!(entries[0].value.value, entries[1].value.value);
    }

    #[test]
    fn duplicate_keys_are_all_reported() {
        insta::assert_snapshot!(problems_of("a: 1\nb: 2\na: 3\nb: 4\n"), @r"
        s.yaml:3:1: Duplicate key: `a` is already on line 1
        s.yaml:4:1: Duplicate key: `b` is already on line 2
        ");
    }

    #[test]
    fn broken_syntax_names_the_place() {
        insta::assert_snapshot!(problems_of("a: [1, 2\nb: 3\n"), @"s.yaml:2:2: Not valid YAML: illegal placement of ':' indicator");
    }

    #[test]
    fn a_second_document_is_refused() {
        insta::assert_snapshot!(problems_of("a: 1\n---\nb: 2\n"), @"s.yaml:2:1: More than one document: a second document starts here");
    }

    #[test]
    fn an_empty_file_is_refused() {
        insta::assert_snapshot!(problems_of("# only a comment\n"), @"The file is empty: s.yaml holds nothing");
    }

    #[test]
    fn a_tag_is_refused() {
        insta::assert_snapshot!(problems_of("a: !Ref b\n"), @"s.yaml:1:4: Unknown tag: `!Ref` means nothing here");
    }

    #[test]
    fn nul_bytes_are_refused() {
        insta::assert_snapshot!(refusal_of(b"name: a\0b\n"), @"FILE:1:8: Not a text file: there is a NUL byte");
    }

    #[test]
    fn bytes_that_are_no_utf8_are_refused() {
        insta::assert_snapshot!(refusal_of(b"name: x\nbody: \xff\n"), @"FILE:2:7: Not UTF-8: the bytes here are no UTF-8 text");
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
            text += &format!("a{level}: &a{level} [{aliases}]\n");
        }
        insta::assert_snapshot!(problems_of(&text), @"s.yaml:5:9: The file holds too much: with its aliases it holds more than 100000 values or 4 MiB of text");
    }

    #[test]
    fn a_long_text_repeated_by_aliases_is_refused() {
        let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), vec!["*a"; 1000].join(", "));
        insta::assert_snapshot!(problems_of(&text), @"s.yaml:2:29: The file holds too much: with its aliases it holds more than 100000 values or 4 MiB of text");
    }

    #[test]
    fn an_alias_of_itself_is_refused() {
        insta::assert_snapshot!(problems_of("a: &a [*a]\n"), @"s.yaml:1:8: Endless alias: the alias stands inside the value that it repeats");
    }

    #[test]
    fn deep_nesting_is_refused() {
        insta::assert_snapshot!(problems_of(&format!("a: {}\n", "[".repeat(100_000))), @"s.yaml:1:36: Nested too deeply: values may nest 32 levels");
        insta::assert_snapshot!(problems_of(&format!("a:\n  {}x\n", "- ".repeat(100_000))), @"s.yaml:2:65: Nested too deeply: values may nest 32 levels");
    }

    #[test]
    fn nesting_through_aliases_is_refused() {
        let mut text = String::from("a0: &a0 [x]\n");
        for level in 1..100 {
            text += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
        }
        insta::assert_snapshot!(problems_of(&text), @"s.yaml:32:12: Nested too deeply: values may nest 32 levels");
    }

    #[test]
    fn a_file_too_large_is_refused_unread() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(100 << 20).unwrap();
        let problems = read(file.path()).expect_err("there is a problem");
        assert_eq!(problems.0[0].summary, "The file is too large");
    }

    #[test]
    fn a_folder_and_a_device_are_refused() {
        let summary = |path: &str| read(Path::new(path)).expect_err("there is a problem").0[0].summary;
        assert_eq!(summary("/tmp"), "Cannot read the file");
        assert_eq!(summary("/dev/zero"), "Cannot read the file");
        assert_eq!(summary("/nowhere/stack.yaml"), "Cannot read the file");
    }
}

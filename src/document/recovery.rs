//! What can be read of a file whose YAML is broken in places: its parts one by one, so that one mistake does not hide the others.
//!
//! A block mapping falls into its entries: a key, and the lines below it that are indented deeper. An entry that does not
//! parse falls into its own entries in turn. What is left unread is [`Value::Unread`], and nothing is said of it beyond its
//! mistake.

use std::ops::Range;
use std::sync::Arc;

use super::yaml::{self, Entry, Node, Value};
use crate::problem::{Problem, Problems, Source};

/// More mistakes of syntax are of no help: a file that is broken throughout is no YAML.
const MISTAKES_MAX: usize = 20;

/// The readable parts of a file, and every mistake that was met; `None` where it does not fall into parts.
pub fn read_parts(source: &Arc<Source>) -> Option<(Node, Problems)> {
    let mut reader = Reader { source, problems: Problems::default() };
    let entries = reader.entries(0..source.text.len())?;
    let bytes = entries.first().map_or(0..0, |entry| entry.key_bytes.clone());
    (!reader.problems.0.is_empty()).then_some((Node { value: Value::Map(entries), bytes }, reader.problems))
}

struct Reader<'s> {
    source: &'s Arc<Source>,
    problems: Problems,
}

impl Reader<'_> {
    /// The entries of a block mapping; `None` where the lines are something else.
    fn entries(&mut self, lines: Range<usize>) -> Option<Vec<Entry>> {
        let blocks = blocks(&self.source.text, lines)?;
        let mut entries = Vec::new();
        for block in blocks {
            if self.problems.0.len() >= MISTAKES_MAX {
                break;
            }
            entries.extend(self.block(&block));
        }
        Some(entries)
    }

    fn block(&mut self, block: &Block) -> Vec<Entry> {
        let problem = match yaml::parse_part(self.source, block.whole()) {
            Ok(Node { value: Value::Map(entries), .. }) => return entries,
            // A line that is no entry: the whole file's mistake says where.
            Ok(_) => return Vec::new(),
            Err(problems) => problems,
        };
        let before = self.problems.0.len();
        let inner = block.has_body_only().then(|| self.entries(block.body.clone())).flatten();
        let value = match inner {
            Some(entries) if self.problems.0.len() > before => Value::Map(entries),
            _ => {
                self.report(problem);
                Value::Unread
            }
        };
        let value = Node { value, bytes: block.key_bytes.clone() };
        vec![Entry { key: block.key.clone(), key_bytes: block.key_bytes.clone(), value }]
    }

    fn report(&mut self, problems: Problems) {
        // A part does not know the anchors of the others.
        let known = |problem: &Problem| !problem.detail.contains("anchor");
        self.problems.0.extend(problems.0.into_iter().filter(known));
    }
}

/// A key, and all lines that belong to it.
struct Block {
    key: String,
    key_bytes: Range<usize>,
    /// Behind the colon, on the key's own line, is nothing but a comment.
    alone: bool,
    /// The lines below the key's.
    body: Range<usize>,
    start: usize,
}

impl Block {
    fn whole(&self) -> Range<usize> {
        self.start..self.body.end
    }

    fn has_body_only(&self) -> bool {
        self.alone && !self.body.is_empty()
    }
}

/// Splits lines into blocks by the indentation of the first; `None` where a line stands outside of every block.
fn blocks(text: &str, lines: Range<usize>) -> Option<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut indentation = None;
    let mut start = lines.start;
    for line in text[lines].split_inclusive('\n') {
        let (at, end) = (start, start + line.len());
        start = end;
        let content = line.trim_start_matches(' ');
        let depth = line.len() - content.len();
        let is_blank = content.trim().is_empty() || content.starts_with('#') || content.trim_end() == "---";
        let own = *indentation.get_or_insert(if is_blank { usize::MAX } else { depth });
        if own == usize::MAX {
            indentation = None;
        }
        if is_blank || depth > own || depth == own && content.starts_with(['-', ']', '}']) && !blocks.is_empty() {
            if let Some(block) = blocks.last_mut() {
                block.body.end = end;
            }
            continue;
        }
        if depth < own {
            return None;
        }
        let (key, alone) = key(content)?;
        let key_bytes = at + depth..at + depth + key.len();
        let key = key.trim_matches(['"', '\'']).to_owned();
        blocks.push(Block { key, key_bytes, alone, body: end..end, start: at });
    }
    (!blocks.is_empty()).then_some(blocks)
}

/// The key that a line begins with, and whether nothing follows its colon.
fn key(content: &str) -> Option<(&str, bool)> {
    let line = content.trim_end();
    if line.starts_with(['[', '{', '?', '&', '*', '!']) || line == "-" || line.starts_with("- ") {
        return None;
    }
    let colon = line.match_indices(':').map(|(at, _)| at).find(|at| {
        let rest = &line[at + 1..];
        rest.is_empty() || rest.starts_with([' ', '\t'])
    })?;
    let rest = line[colon + 1..].trim_start();
    let key = line[..colon].trim_end();
    (!key.is_empty()).then_some((key, rest.is_empty() || rest.starts_with('#')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let source = Arc::new(Source { name: "s.yaml".into(), text: text.into() });
        let found = read_parts(&source).map(|(_, problems)| problems).unwrap_or_default();
        found.0.iter().map(|problem| problem.to_string().chars().take(30).collect()).collect()
    }

    #[test]
    fn every_broken_part_is_found_where_it_is() {
        let text = concat!(
            "name: \"shop\nclusters:\n  web:\n    image: [a, b\n    port: 80\n  api:\n    port: {x: 1\n",
            "tags:\n  owner: @me\n"
        );
        let found = mistakes(text);
        let lines: Vec<_> = found.iter().filter_map(|problem| problem.split(':').nth(1)).collect();
        assert_eq!(lines.len(), 4, "{found:?}");
        assert!(found.iter().all(|problem| problem.contains("Not valid YAML")), "{found:?}");
    }

    #[test]
    fn what_is_whole_beside_a_broken_part_is_read() {
        let text = "name: [x\nclusters:\n  web: {port: 80}\n  api:\n    a: b: c\n    port: 81\n";
        let source = Arc::new(Source { name: "s.yaml".into(), text: text.into() });
        let (root, problems) = read_parts(&source).expect("parts");
        assert_eq!(problems.0.len(), 2);
        let Value::Map(entries) = &root.value else { panic!("a map") };
        assert_eq!(entries[0].value.value, Value::Unread);
        let Value::Map(clusters) = &entries[1].value.value else { panic!("a map") };
        let texts: Vec<_> = clusters.iter().map(|entry| &text[entry.key_bytes.clone()]).collect();
        assert_eq!(texts, ["web", "api"], "places hold in the whole file");
        let Value::Map(api) = &clusters[1].value.value else { panic!("a map") };
        assert_eq!(&text[api[1].value.bytes.clone()], "81");
    }

    #[test]
    fn a_file_that_falls_into_no_parts_is_left_alone() {
        for text in ["[a, b\n", "- a: [\n- b\n", "  a: 1\n b: [\n", "just words\n"] {
            assert_eq!(mistakes(text), Vec::<String>::new(), "{text:?}");
        }
    }
}

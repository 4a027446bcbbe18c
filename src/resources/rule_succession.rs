//! Which rule takes over from which: by the paths that they lead to, not by whose they are.
//!
//! A rule that leads a path to somebody else afterwards is the same rule: it turns by one call, so no request finds it
//! missing. What moves to a rule that has others, or to a new one, stays where it is until that one serves.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::rule_order::PRIORITY_MAX;
use crate::cloud::address::Address;
use crate::resource::fields::Value;
use crate::resource::succession::{Place, Succession};
use crate::stack::routes::covers;

/// A rule as far as it counts here.
struct Route<'a> {
    address: &'a Address,
    paths: Vec<&'a str>,
    priority: i32,
}

impl<'a> Route<'a> {
    fn of((address, fields): &Place<'a>) -> Self {
        let text = |path: &str| match fields.get(path) {
            Some(Value::Text(text)) => text.as_str(),
            _ => "",
        };
        // No path pattern holds a comma (ELBv2 API, path conditions).
        let paths = text("paths").split(", ").filter(|path| !path.is_empty()).collect();
        Self { address, paths, priority: text("priority").parse().unwrap_or(PRIORITY_MAX) }
    }

    /// How many paths both have.
    fn shares(&self, other: &Route<'_>) -> usize {
        self.paths.iter().filter(|path| other.paths.contains(path)).count()
    }
}

/// Rules, by their indices, by what they match.
#[derive(Debug, Default)]
pub struct Table<'a> {
    exact: BTreeMap<&'a str, usize>,
    /// All patterns, first the one that is tried first.
    all: Vec<(&'a str, usize)>,
    /// Those with wildcards.
    wild: Vec<(&'a str, usize)>,
}

impl<'a> Table<'a> {
    /// Of (priority, path patterns).
    pub fn of(rules: impl IntoIterator<Item = (i32, Vec<&'a str>)>) -> Self {
        let mut rules: Vec<_> = rules.into_iter().enumerate().collect();
        rules.sort_by_key(|(_, (priority, _))| *priority);
        let mut table = Self::default();
        for (index, (_, paths)) in rules {
            for path in paths {
                table.exact.entry(path).or_insert(index);
                table.all.push((path, index));
                if path.contains(['*', '?']) {
                    table.wild.push((path, index));
                }
            }
        }
        table
    }

    /// The rule that gets all that a pattern matches.
    pub fn serves(&self, path: &str) -> Option<usize> {
        let wild = || self.wild.iter().find(|(pattern, _)| covers(pattern, path)).map(|(_, index)| *index);
        self.exact.get(path).copied().or_else(wild)
    }

    /// The rule that gets all that a pattern matches, or the first that gets some of it.
    pub fn touches(&self, path: &str) -> Option<usize> {
        let within = || self.all.iter().find(|(pattern, _)| covers(path, pattern)).map(|(_, index)| *index);
        let wild = path.contains(['*', '?']);
        self.serves(path).or_else(|| if wild { within() } else { None })
    }
}

/// Who takes over from whom among the rules.
pub fn succession(observed: &[Place<'_>], desired: &[Place<'_>]) -> Succession {
    let now: Vec<Route<'_>> = observed.iter().map(Route::of).collect();
    let then: Vec<Route<'_>> = desired.iter().map(Route::of).collect();
    let (heirs, moves) = heirs(&now, &then);
    let mut yields = Vec::new();
    let mut waits = vec![Vec::new(); then.len()];
    let mut yield_to = |from: usize, to: usize| {
        if heirs[from] == Some(to) || yields.contains(&(from, to)) {
            return;
        }
        // Two that would wait for each other go at once.
        match heirs[from] {
            Some(heir) if reaches(&waits, to, heir) => return,
            Some(heir) => waits[heir].push(to),
            None => {}
        }
        yields.push((from, to));
    };
    let before = Table::of(now.iter().map(|route| (route.priority, route.paths.clone())));
    let after = Table::of(then.iter().map(|route| (route.priority, route.paths.clone())));
    for (from, route) in now.iter().enumerate() {
        route.paths.iter().filter_map(|path| after.serves(path)).for_each(|to| yield_to(from, to));
    }
    for (to, route) in then.iter().enumerate() {
        route.paths.iter().filter_map(|path| before.serves(path)).for_each(|from| yield_to(from, to));
    }
    Succession { moves, yields }
}

/// For each of the observed which of the desired it becomes, and those of them that move.
fn heirs(now: &[Route<'_>], then: &[Route<'_>]) -> (Vec<Option<usize>>, Vec<(usize, usize)>) {
    let places: BTreeMap<&Address, usize> =
        then.iter().enumerate().map(|(index, route)| (route.address, index)).collect();
    let own = |route: &Route<'_>| places.get(route.address).copied();
    let mut heirs: Vec<Option<usize>> =
        now.iter().map(|route| own(route).filter(|to| route.shares(&then[*to]) > 0)).collect();
    let mut taken: Vec<bool> = (0..then.len()).map(|to| heirs.contains(&Some(to))).collect();
    let mut by_path = BTreeMap::<&str, Vec<usize>>::new();
    for (to, route) in then.iter().enumerate().filter(|(to, _)| !taken[*to]) {
        route.paths.iter().for_each(|path| by_path.entry(path).or_default().push(to));
    }
    let mut pairs = Vec::new();
    for (from, route) in now.iter().enumerate().filter(|(from, _)| heirs[*from].is_none()) {
        let to = route.paths.iter().filter_map(|path| by_path.get(path)).flatten();
        pairs.extend(to.map(|to| (Reverse(route.shares(&then[*to])), *to, from)));
    }
    pairs.sort_unstable();
    let mut moves = Vec::new();
    for (_, to, from) in pairs {
        if heirs[from].is_none() && !taken[to] {
            (heirs[from], taken[to]) = (Some(to), true);
            moves.push((from, to));
        }
    }
    for (from, route) in now.iter().enumerate() {
        if heirs[from].is_none() {
            heirs[from] = own(route).filter(|to| !taken[*to]);
        }
    }
    (heirs, moves)
}

/// Whether `from` waits for `to`, or for one that does.
fn reaches(waits: &[Vec<usize>], from: usize, to: usize) -> bool {
    let (mut open, mut seen) = (vec![from], vec![false; waits.len()]);
    while let Some(next) = open.pop() {
        if next == to {
            return true;
        }
        if !std::mem::replace(&mut seen[next], true) {
            open.extend(&waits[next]);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::fields::Fields;

    /// `a: /a /b` lines, in the order of their priorities.
    fn rules(text: &str) -> Vec<(Address, Fields)> {
        let rule = |(index, line): (usize, &str)| {
            let (name, paths) = line.split_once(':').expect("a name and paths");
            let paths: Vec<_> = paths.split_whitespace().collect();
            let fields = Fields::default().text("priority", (index + 1) * 10).text("paths", paths.join(", "));
            (Address::in_cluster(name, "rule"), fields)
        };
        text.split(';').map(str::trim).filter(|line| !line.is_empty()).enumerate().map(rule).collect()
    }

    /// `a→b` for a move, `a<b` where a waits for b.
    fn told(now: &str, then: &str) -> String {
        let (now, then) = (rules(now), rules(then));
        fn places(rules: &[(Address, Fields)]) -> Vec<Place<'_>> {
            rules.iter().map(|(address, fields)| (address, fields)).collect()
        }
        let found = succession(&places(&now), &places(&then));
        let name = |rules: &[(Address, Fields)], index: usize| rules[index].0.cluster().unwrap().to_owned();
        let pair = |sign: &'static str| {
            let (now, then) = (&now, &then);
            move |(from, to): &(usize, usize)| format!("{}{sign}{}", name(now, *from), name(then, *to))
        };
        let moves = found.moves.iter().map(pair("→"));
        moves.chain(found.yields.iter().map(pair("<"))).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_rule_follows_its_paths_and_not_its_name() {
        assert_eq!(told("old: /a; b: /b", "old: /a; b: /b"), "");
        assert_eq!(told("old: /a; b: /b", "new: /a; b: /b"), "old→new");
        assert_eq!(told("a: /a; b: /b", "a: /b; b: /a"), "b→a a→b", "they change places");
        assert_eq!(told("a: /a", "a: /other"), "", "its paths change, and nobody takes any over");
        assert_eq!(told("a: /a; b: /b", "b: /a"), "a→b");
        assert_eq!(told("old: /a /b /c", "one: /a; two: /b /c"), "old→two old<one", "most of them decide");
    }

    #[test]
    fn what_loses_a_path_waits_for_whoever_gets_it() {
        assert_eq!(told("a: /a /b", "a: /a; new: /b"), "a<new");
        assert_eq!(told("a: /a /x; b: /b", "a: /a; b: /b /x"), "a<b");
        assert_eq!(told("a: /a; b: /b", "c: /a /b"), "a→c b<c");
        assert_eq!(told("a: /a/*", "new: /a/v2; a: /a/*"), "a<new", "what is carved out of a wider pattern");
        assert_eq!(told("a: /a/v1 /a/v2", "new: /a/*"), "a<new");
    }

    #[test]
    fn a_wider_pattern_touches_the_rules_of_the_narrower_ones() {
        let table = Table::of([(20, vec!["/cart", "/shop"]), (10, vec!["/a/*"])]);
        let touched = ["/cart", "/ca*", "/a/b", "/*", "/other", "/o*"].map(|path| table.touches(path));
        assert_eq!(touched, [Some(0), Some(0), Some(1), Some(1), None, None]);
    }

    #[test]
    fn nobody_waits_in_a_circle() {
        assert_eq!(told("a: /a /x; b: /b /y", "a: /a /y; b: /b /x"), "a<b");
        let circle = told("a: /a /x; b: /b /y; c: /c /z", "a: /a /z; b: /b /x; c: /c /y");
        assert_eq!(circle, "a<b b<c");
    }
}

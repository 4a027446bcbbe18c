//! Path patterns: what the load balancer accepts, and which routes can never be reached.
//!
//! Rules are tried in order: clusters as in the file, a cluster's routes as written. A route is shadowed when everything that
//! it matches is already matched by one earlier pattern. `*` stands for any characters (also `/`, also none), `?` for one.

use std::collections::{HashMap, HashSet};

use crate::document::{Fields, scalar_text};
use crate::problem::{Place, Problem, Problems};

/// A rule's path patterns (quota "condition values per rule").
const PATTERNS_PER_RULE_MAX: usize = 5;
/// `*` and `?` over all patterns of a rule (quota "condition wildcards per rule").
const WILDCARDS_PER_RULE_MAX: usize = 5;
const PATTERN_CHARACTERS_MAX: usize = 128;
/// Beyond this many steps two patterns count as different: only contrived ones get there.
const COMPARISON_STEPS_MAX: usize = 20_000;

/// A pattern of a cluster or of a weighted route, in the order of the rules.
#[derive(Clone, Debug)]
pub struct Route {
    /// The cluster, or `routes.NAME`.
    pub owner: String,
    pub pattern: String,
    pub place: Place,
}

/// The patterns of a list; they are added to `routes` in the name of `owner`.
pub(super) fn read(
    fields: &Fields,
    key: &str,
    owner: &str,
    routes: &mut Vec<Route>,
    problems: &mut Problems,
) -> Vec<String> {
    let mut patterns = Vec::new();
    for node in fields.list(key) {
        let Some(pattern) = scalar_text(node) else { continue };
        let place = fields.place_of(node);
        if let Err(mistake) = check_pattern(pattern) {
            let problem = Problem::usage("Invalid route", format!("`{pattern}`: {mistake}"));
            problems.push(problem.at(place).hint("for example `/cluster1` and `/cluster1/*`"));
            continue;
        }
        routes.push(Route { owner: owner.to_owned(), pattern: pattern.to_owned(), place });
        patterns.push(pattern.to_owned());
    }
    let wildcards: usize = patterns.iter().map(|pattern| wildcards(pattern)).sum();
    let limits =
        [(patterns.len(), PATTERNS_PER_RULE_MAX, "patterns"), (wildcards, WILDCARDS_PER_RULE_MAX, "wildcards")];
    for (count, max, what) in limits {
        if count > max {
            let detail =
                format!("a rule of the load balancer holds {max} {what}, but the routes of `{owner}` have {count}");
            let problem = fields.problem(key, "Too many routes", detail);
            problems.push(problem.hint("let one pattern with a wildcard stand for several"));
        }
    }
    patterns
}

/// What the load balancer would refuse, or could never match.
fn check_pattern(pattern: &str) -> Result<(), String> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "_-.$/~\"'@:+&*?".contains(character);
    if pattern.is_empty() {
        return Err("it is empty".to_owned());
    }
    if pattern.chars().count() > PATTERN_CHARACTERS_MAX {
        return Err(format!("it is longer than {PATTERN_CHARACTERS_MAX} characters"));
    }
    if let Some(character) = pattern.chars().find(|character| !allowed(*character)) {
        return Err(format!("the load balancer allows letters, digits and _-.$/~\"'@:+&*? but not {character:?}"));
    }
    if !pattern.starts_with(['/', '*', '?']) {
        return Err("every path starts with `/`, so it would match nothing".to_owned());
    }
    Ok(())
}

fn wildcards(pattern: &str) -> usize {
    pattern.chars().filter(|character| is_wildcard(*character)).count()
}

/// Routes that cannot be reached (errors), and those that match more or less than they seem to (warnings).
pub fn lint(routes: &[Route]) -> Problems {
    let mut problems = Problems::default();
    // Earlier routes by the text before their first wildcard: only those can cover a pattern that starts with it.
    let mut earlier: HashMap<&str, Vec<&Route>> = HashMap::new();
    for route in routes {
        let prefix = literal_prefix(&route.pattern);
        let shadow = (0..=prefix.len())
            .filter_map(|end| earlier.get(&prefix[..end]))
            .flatten()
            .find(|candidate| covers(&candidate.pattern, &route.pattern));
        match shadow {
            Some(shadow) => problems.push(shadowed(route, shadow)),
            None => problems.0.extend(loose_end(route)),
        }
        earlier.entry(prefix).or_default().push(route);
    }
    problems
}

fn shadowed(route: &Route, by: &Route) -> Problem {
    let line = by.place.line_column().0;
    let (pattern, other) = (&route.pattern, &by.pattern);
    if route.owner == by.owner {
        let detail = format!("`{other}` on line {line} already matches everything that `{pattern}` matches");
        return Problem::warning("Redundant route", detail).at(route.place.clone()).hint("remove one of the two");
    }
    let detail = format!(
        "`{pattern}` of `{}` never gets a request: `{other}` of `{}` on line {line} matches it first",
        route.owner, by.owner
    );
    let hint = match pattern == other {
        true => "give each cluster routes of its own".to_owned(),
        false => format!("put `{}` before `{}`: rules follow the order of the file", route.owner, by.owner),
    };
    Problem::usage("Unreachable route", detail).at(route.place.clone()).hint(hint)
}

/// `/cluster1*` is meant to be the path and what is under it, but matches its neighbours, too.
fn loose_end(route: &Route) -> Option<Problem> {
    let stem = route
        .pattern
        .strip_suffix('*')
        .filter(|stem| stem.ends_with(|character: char| character.is_ascii_alphanumeric()))?;
    let detail = format!("`{}` also matches `{stem}0` and `{stem}-other`", route.pattern);
    let hint = format!("write `{stem}` and `{stem}/*` for the path and what is under it");
    Some(Problem::warning("Route matches more than it seems to", detail).at(route.place.clone()).hint(hint))
}

fn is_wildcard(character: char) -> bool {
    matches!(character, '*' | '?')
}

fn literal_prefix(pattern: &str) -> &str {
    pattern.split(is_wildcard).next().unwrap_or_default()
}

/// Whether every path that `later` matches is matched by `earlier`.
///
/// Walks both as automata: a position in `later` together with all positions in `earlier` that the same text can lead to.
pub fn covers(earlier: &str, later: &str) -> bool {
    if earlier == later {
        return true;
    }
    let (earlier, later): (Vec<char>, Vec<char>) = (earlier.chars().collect(), later.chars().collect());
    let mut alphabet: Vec<char> =
        earlier.iter().chain(&later).copied().filter(|character| !is_wildcard(*character)).collect();
    // Stands for every character that is in neither.
    alphabet.push('\0');
    alphabet.sort_unstable();
    alphabet.dedup();

    let mut pending: Vec<(usize, Vec<usize>)> =
        closure(&later, vec![0]).into_iter().map(|position| (position, closure(&earlier, vec![0]))).collect();
    let mut seen: HashSet<(usize, Vec<usize>)> = pending.iter().cloned().collect();
    while let Some((position, positions)) = pending.pop() {
        if seen.len() > COMPARISON_STEPS_MAX || (position == later.len() && !positions.contains(&earlier.len())) {
            return false;
        }
        for character in &alphabet {
            let reached = step(&earlier, &positions, *character);
            for position in step(&later, &[position], *character) {
                if seen.insert((position, reached.clone())) {
                    pending.push((position, reached.clone()));
                }
            }
        }
    }
    true
}

/// Where one character leads from any of the positions.
fn step(pattern: &[char], positions: &[usize], character: char) -> Vec<usize> {
    let moved = positions.iter().filter_map(|&position| match pattern.get(position)? {
        '*' => Some(position),
        '?' => Some(position + 1),
        literal if *literal == character => Some(position + 1),
        _ => None,
    });
    closure(pattern, moved.collect())
}

/// The positions, and those behind a `*` that stands for nothing; sorted.
fn closure(pattern: &[char], mut positions: Vec<usize>) -> Vec<usize> {
    let mut index = 0;
    while index < positions.len() {
        if pattern.get(positions[index]) == Some(&'*') {
            positions.push(positions[index] + 1);
        }
        index += 1;
    }
    positions.sort_unstable();
    positions.dedup();
    positions
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::problem::Source;

    fn lint_of(routes: &[(&str, &str)]) -> String {
        let text = routes.iter().map(|(_, pattern)| format!("{pattern}\n")).collect::<String>();
        let source = Arc::new(Source { name: "s".into(), text });
        let mut start = 0;
        let routes: Vec<Route> = routes
            .iter()
            .map(|(cluster, pattern)| {
                let bytes = start..start + pattern.len();
                start = bytes.end + 1;
                Route {
                    owner: (*cluster).to_owned(),
                    pattern: (*pattern).to_owned(),
                    place: Place { source: Arc::clone(&source), bytes },
                }
            })
            .collect();
        lint(&routes).to_string()
    }

    #[test]
    fn a_star_matches_slashes_and_nothing() {
        assert!(covers("/a*", "/a"));
        assert!(covers("/a*", "/a/b/c"));
        assert!(covers("*", "/?*x"));
        assert!(covers("/a/*", "/a/?"));
        assert!(covers("/*b*", "/a*b"));
        assert!(covers("/?*", "/ab*"));
        assert!(!covers("/a/*", "/a"));
        assert!(!covers("/a/?", "/a/*"));
        assert!(!covers("/a", "/A"));
        assert!(!covers("/a*b", "/a*"));
        assert!(!covers("/ab", "/abc"));
    }

    #[test]
    fn a_route_that_an_earlier_cluster_takes_is_an_error() {
        insta::assert_snapshot!(lint_of(&[("all", "/*"), ("one", "/one")]), @"s:2:1: Unreachable route: `/one` of `one` never gets a request: `/*` of `all` on line 1 matches it first");
        insta::assert_snapshot!(lint_of(&[("one", "/x"), ("two", "/x")]), @"s:2:1: Unreachable route: `/x` of `two` never gets a request: `/x` of `one` on line 1 matches it first");
    }

    #[test]
    fn a_more_special_route_first_is_fine() {
        assert_eq!(lint_of(&[("one", "/one"), ("one", "/one/*"), ("all", "/*")]), "");
    }

    #[test]
    fn a_route_twice_in_one_cluster_is_a_warning() {
        insta::assert_snapshot!(lint_of(&[("one", "/x/*"), ("one", "/x/y")]), @"s:2:1: Redundant route: `/x/*` on line 1 already matches everything that `/x/y` matches");
    }

    #[test]
    fn a_loose_star_is_a_warning() {
        insta::assert_snapshot!(lint_of(&[("one", "/cluster1*")]), @"s:1:1: Route matches more than it seems to: `/cluster1*` also matches `/cluster10` and `/cluster1-other`");
        assert_eq!(lint_of(&[("one", "/cluster1/*")]), "");
    }

    #[test]
    fn patterns_that_the_load_balancer_refuses_are_named() {
        assert!(check_pattern("/a b").is_err());
        assert!(check_pattern("/ä").is_err());
        assert!(check_pattern("cluster1").is_err());
        assert!(check_pattern("").is_err());
        assert!(check_pattern(&format!("/{}", "x".repeat(128))).is_err());
        assert!(check_pattern("/a-b_c.d$~\"'@:+&*?").is_ok());
        assert!(check_pattern("*.png").is_ok());
    }

    #[test]
    fn many_routes_and_contrived_patterns_are_compared_in_bounded_time() {
        let contrived = format!("/*a{}", "?".repeat(40));
        assert!(!covers(&contrived, &format!("/*b{}", "?".repeat(40))));
        let patterns: Vec<String> = (0..5000).map(|index| format!("/cluster{index}/*")).collect();
        let routes: Vec<(&str, &str)> = patterns.iter().map(|pattern| ("c", pattern.as_str())).collect();
        assert_eq!(lint_of(&routes), "");
    }
}

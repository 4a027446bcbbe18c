//! No line hides behind an equal one: of lines that lie on each other, each shows a dash of its own in turn.

/// In pixels: nearer than this nobody sees a difference.
const NEAR: f64 = 0.75;
const DASH: f64 = 9.0;

/// Of each line, which of those that lie on each other it is, and how many they are; (0, 1) of one that lies alone.
pub fn ranks(lines: &[Vec<(f64, f64)>]) -> Vec<(usize, usize)> {
    let equal = |one: &[(f64, f64)], other: &[(f64, f64)]| {
        let near = |(a, b): (&(f64, f64), &(f64, f64))| (a.0 - b.0).abs() < NEAR && (a.1 - b.1).abs() < NEAR;
        !one.is_empty() && one.len() == other.len() && one.iter().zip(other).all(near)
    };
    let rank = |(index, line): (usize, &Vec<(f64, f64)>)| {
        let before = lines[..index].iter().filter(|other| equal(line, other)).count();
        let after = lines[index + 1..].iter().filter(|other| equal(line, other)).count();
        (before, before + after + 1)
    };
    lines.iter().enumerate().map(rank).collect()
}

/// A dash, a gap and where the line begins in them; `None` of the first, which lies whole under the others.
#[expect(clippy::cast_precision_loss, reason = "a few lines")]
pub fn dashes((rank, of): (usize, usize)) -> Option<(f64, f64, f64)> {
    (rank > 0).then(|| (DASH, DASH * (of as f64 - 1.0), -DASH * rank as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lines_show_in_turn_and_others_are_whole() {
        let (flat, other) = (vec![(0.0, 5.0), (10.0, 5.0)], vec![(0.0, 5.0), (10.0, 9.0)]);
        let near = vec![(0.2, 5.3), (10.0, 5.0)];
        let lines = [flat.clone(), other, near, flat, Vec::new(), Vec::new()];
        let ranks = ranks(&lines);
        assert_eq!(ranks, [(0, 3), (0, 1), (1, 3), (2, 3), (0, 1), (0, 1)]);
        assert_eq!(dashes(ranks[0]), None);
        assert_eq!((dashes(ranks[2]), dashes(ranks[3])), (Some((9.0, 18.0, -9.0)), Some((9.0, 18.0, -18.0))));
    }
}

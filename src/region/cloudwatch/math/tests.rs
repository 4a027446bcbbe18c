//! Metric math: what an expression evaluates to, and which ones are refused.

use super::*;

fn series(points: &[(i64, f64)]) -> Value {
    Value::Series(Series { label: String::new(), period: 60, points: points.iter().copied().collect() })
}

/// `m1` is 1, 2, –, 4 and `m2` is 10, 0, 30, – at 0, 60, 120, 180 seconds.
fn result(text: &str) -> Result<Value, String> {
    let search = |_: &str, _: &str, _: i64| Ok(Vec::new());
    let mut scope = Scope::new(0..240, false, &search);
    scope.results = vec![
        ("m1".to_owned(), series(&[(0, 1.0), (60, 2.0), (180, 4.0)])),
        ("m2".to_owned(), series(&[(0, 10.0), (60, 0.0), (120, 30.0)])),
    ];
    scope.metrics = vec!["m1".to_owned(), "m2".to_owned()];
    evaluate(&parse(text)?, &scope)
}

fn points(text: &str) -> Vec<(i64, f64)> {
    match result(text) {
        Ok(Value::Series(series)) => series.points.into_iter().collect(),
        other => panic!("{text} gives {other:?}"),
    }
}

#[test]
fn operators_bind_as_in_arithmetic() {
    for (text, value) in [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("-2 ^ 2", -4.0),
        ("10 - 4 - 3", 3.0),
        ("1 < 2 && 3 != 3 || 1 == 1", 1.0),
        ("4 / -2", -2.0),
        ("1 > 0 AND 0 > 1", 0.0),
        (".5 * 4", 2.0),
    ] {
        assert_eq!(result(text), Ok(Value::Number(value)), "{text}");
    }
}

#[test]
fn a_missing_value_is_zero_between_series_and_a_division_by_zero_is_left_out() {
    assert_eq!(points("m1 + m2"), [(0, 11.0), (60, 2.0), (120, 30.0), (180, 4.0)]);
    assert_eq!(points("m1 / m2"), [(0, 0.1), (120, 0.0)]);
    assert_eq!(points("m1 * 100"), [(0, 100.0), (60, 200.0), (180, 400.0)]);
    assert_eq!(points("m2 >= 10"), [(0, 1.0), (60, 0.0), (120, 1.0)]);
}

/// Each operator with its operands both ways round, between every two kinds of values.
#[test]
fn operands_keep_their_order() {
    assert_eq!(points("m1 - m2"), [(0, -9.0), (60, 2.0), (120, -30.0), (180, 4.0)]);
    assert_eq!(points("m2 - m1"), [(0, 9.0), (60, -2.0), (120, 30.0), (180, -4.0)]);
    assert_eq!(points("m1 - 1"), [(0, 0.0), (60, 1.0), (180, 3.0)]);
    assert_eq!(points("1 - m1"), [(0, 0.0), (60, -1.0), (180, -3.0)]);
    assert_eq!(points("m1 ^ 2"), [(0, 1.0), (60, 4.0), (180, 16.0)]);
    assert_eq!(points("2 ^ m1"), [(0, 2.0), (60, 4.0), (180, 16.0)]);
    assert_eq!(points("8 / m1"), [(0, 8.0), (60, 4.0), (180, 2.0)]);
    assert_eq!(points("m1 / 4"), [(0, 0.25), (60, 0.5), (180, 1.0)]);
    assert_eq!(points("m1 < 2"), [(0, 1.0), (60, 0.0), (180, 0.0)]);
    assert_eq!(points("m1 <= 2"), [(0, 1.0), (60, 1.0), (180, 0.0)]);
    assert_eq!(points("2 < m1"), [(0, 0.0), (60, 0.0), (180, 1.0)]);
    assert_eq!(points("2 <= m1"), [(0, 0.0), (60, 1.0), (180, 1.0)]);
    assert_eq!(points("m1 > 2"), [(0, 0.0), (60, 0.0), (180, 1.0)]);
    assert_eq!(points("m1 == 2"), [(0, 0.0), (60, 1.0), (180, 0.0)]);
    assert_eq!(points("m1 != 2"), [(0, 1.0), (60, 0.0), (180, 1.0)]);
    assert_eq!(points("m1 > 1 && m1 < 4"), [(0, 0.0), (60, 1.0), (180, 0.0)]);
    assert_eq!(points("m1 < 2 || m1 > 3"), [(0, 1.0), (60, 0.0), (180, 1.0)]);
    let all = |text: &str| match result(text) {
        Ok(Value::List(list)) => list.into_iter().map(|one| one.points.into_iter().collect()).collect::<Vec<Vec<_>>>(),
        other => panic!("{text} gives {other:?}"),
    };
    let (same, other) = (vec![(0, 0.0), (60, 0.0), (180, 0.0)], vec![(0, 9.0), (60, -2.0), (120, 30.0), (180, -4.0)]);
    assert_eq!(all("[m1, m2] - m1"), [same.clone(), other.clone()]);
    let turned = other.into_iter().map(|(time, value)| (time, -value)).collect();
    assert_eq!(all("m1 - [m1, m2]"), [same, turned]);
    assert_eq!(all("[m1, m2] - 1")[1], [(0, 9.0), (60, -1.0), (120, 29.0)]);
    assert_eq!(all("1 - [m1, m2]")[1], [(0, -9.0), (60, 1.0), (120, -29.0)]);
    assert!(result("[m1] - [m2]").unwrap_err().contains("two arrays"));
}

/// Where periods are mixed, the longer one is the result's, whichever stands first.
#[test]
fn of_two_periods_the_longer_one_is_the_results() {
    let search = |_: &str, _: &str, _: i64| Ok(Vec::new());
    let mut scope = Scope::new(0..600, false, &search);
    let of = |period: i64, points: &[(i64, f64)]| {
        Value::Series(Series { label: String::new(), period, points: points.iter().copied().collect() })
    };
    scope.results = vec![
        ("fine".to_owned(), of(60, &[(0, 1.0), (60, 2.0), (300, 3.0)])),
        ("coarse".to_owned(), of(300, &[(0, 10.0), (300, 20.0)])),
    ];
    let period = |text: &str| match evaluate(&parse(text).unwrap(), &scope) {
        Ok(Value::Series(series)) => (series.period, series.points.into_iter().collect::<Vec<_>>()),
        other => panic!("{text} gives {other:?}"),
    };
    assert_eq!(period("coarse - fine"), (300, vec![(0, 9.0), (60, -2.0), (300, 17.0)]));
    assert_eq!(period("fine - coarse"), (300, vec![(0, -9.0), (60, 2.0), (300, -17.0)]));
    assert_eq!(period("fine * 2").0, 60);
    assert_eq!(evaluate(&parse("PERIOD(coarse - fine)").unwrap(), &scope), Ok(Value::Number(300.0)));
    assert_eq!(evaluate(&parse("PERIOD(fine)").unwrap(), &scope), Ok(Value::Number(60.0)));
}

#[test]
fn functions_of_a_series_are_numbers_and_of_an_array_series() {
    assert_eq!(result("SUM(m1)"), Ok(Value::Number(7.0)));
    assert_eq!(result("MAX(m2)"), Ok(Value::Number(30.0)));
    assert_eq!(result("METRIC_COUNT(METRICS())"), Ok(Value::Number(2.0)));
    assert_eq!(result("PERIOD(m1)"), Ok(Value::Number(60.0)));
    assert_eq!(points("SUM(METRICS())"), [(0, 11.0), (60, 2.0), (120, 30.0), (180, 4.0)]);
    assert_eq!(points("AVG([m1, m2])"), [(0, 5.5), (60, 1.0), (120, 30.0), (180, 4.0)]);
    assert_eq!(points("SUM(METRICS('m2'))"), [(0, 10.0), (60, 0.0), (120, 30.0)]);
}

#[test]
fn gaps_are_filled_as_asked() {
    assert_eq!(points("FILL(m1, 0)"), [(0, 1.0), (60, 2.0), (120, 0.0), (180, 4.0)]);
    assert_eq!(points("FILL(m1, LINEAR)"), [(0, 1.0), (60, 2.0), (120, 3.0), (180, 4.0)]);
    assert_eq!(points("FILL(m2, REPEAT)"), [(0, 10.0), (60, 0.0), (120, 30.0), (180, 30.0)]);
}

#[test]
fn changes_and_sums_run_along_a_series() {
    assert_eq!(points("DIFF(m1)"), [(60, 1.0), (180, 2.0)]);
    assert_eq!(points("RATE(m2)"), [(60, -10.0 / 60.0), (120, 0.5)]);
    assert_eq!(points("RUNNING_SUM(m1)"), [(0, 1.0), (60, 3.0), (180, 7.0)]);
}

#[test]
fn a_condition_chooses_time_by_time() {
    assert_eq!(points("IF(m2 > 5, m1, 0)"), [(0, 1.0), (60, 0.0)]);
    assert_eq!(points("IF(m2 > 5, 1)"), [(0, 1.0), (120, 1.0)]);
    assert_eq!(result("IF(1, 2, 3)"), Ok(Value::Number(2.0)));
}

#[test]
fn nonsense_is_explained() {
    for (text, part) in [
        ("m1 +", "too early"),
        ("m1 + m3", "m3 is not known"),
        ("SUM(m1", "')' is missing"),
        ("m1 m2", "unexpected 'm' at character 4"),
        ("FOO(m1)", "FOO"),
        ("'a' + 1", "'a' is not a metric"),
        ("1.2.3", "not a number"),
        ("é", "unexpected"),
        (&"(".repeat(1000), "nested"),
        ("SUM()", "needs an argument"),
        ("ABS(m1, 2)", "2 argument"),
    ] {
        let error = result(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

/// The examples of the user guide, "Using metric math": the third of January 1970 was a Saturday.
#[test]
fn the_time_of_a_point_is_a_number_too() {
    let search = |_: &str, _: &str, _: i64| Ok(Vec::new());
    let at = 2 * 86_400 + 13 * 3_600 + 7 * 60;
    let mut scope = Scope::new(at..at + 60, false, &search);
    scope.results = vec![("m1".to_owned(), series(&[(at, 5.0)]))];
    let expected = [
        ("MINUTE", 7.0),
        ("HOUR", 13.0),
        ("DAY", 6.0),
        ("DATE", 3.0),
        ("MONTH", 1.0),
        ("YEAR", 1970.0),
        ("EPOCH", at as f64),
    ];
    for (function, value) in expected {
        let expression = parse(&format!("{function}(m1)")).unwrap();
        assert_eq!(evaluate(&expression, &scope), Ok(series(&[(at, value)])), "{function}");
    }
    let weekend = parse("IF(DAY(m1) > 5, 1, 0)").unwrap();
    assert_eq!(evaluate(&weekend, &scope), Ok(series(&[(at, 1.0)])));
}

#[test]
fn arrays_are_sorted_and_cut() {
    let first = |text: &str| match result(text) {
        Ok(Value::List(list)) => list.iter().map(|series| series.points[&0]).collect::<Vec<_>>(),
        other => panic!("{text} gives {other:?}"),
    };
    assert_eq!(first("SORT(METRICS(), AVG, DESC)"), [10.0, 1.0]);
    assert_eq!(first("SORT(METRICS(), MIN, ASC)"), [10.0, 1.0], "the smallest of m2 is 0");
    assert_eq!(first("SORT(METRICS(), LAST, ASC)"), [1.0, 10.0]);
    assert_eq!(first("SORT(METRICS(), SUM, DESC, 1)"), [10.0]);
    assert_eq!(first("SLICE(SORT(METRICS(), MAX, DESC), 1)"), [1.0]);
    assert_eq!(first("SLICE(METRICS(), 0, 1)"), [1.0]);
    for wrong in ["SORT(METRICS(), MEDIAN, ASC)", "SORT(m1, AVG, ASC)", "SLICE(METRICS(), 2, 1)", "SLICE(m1, 0)"] {
        assert!(result(wrong).is_err(), "{wrong}");
    }
}

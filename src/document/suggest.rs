//! "Did you mean": the known word that is nearest to a wrong one.

/// Below this two words have too little in common to be a slip of the keyboard.
const SIMILARITY_MIN: f64 = 0.8;

/// The candidate nearest to `word`, where one is near enough.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let similarity = |candidate: &str| strsim::jaro_winkler(&word, &candidate.to_lowercase());
    candidates
        .into_iter()
        .map(|candidate| (similarity(candidate), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}

/// `did you mean `x`?`, else the list of what is known.
pub fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match closest(word, candidates.clone()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => {
            let known: Vec<_> = candidates.into_iter().map(|candidate| format!("`{candidate}`")).collect();
            if known.is_empty() { "there are none".to_owned() } else { format!("known: {}", known.join(", ")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_keyboard_is_recognised() {
        let known = ["instances", "instance_type", "image"];
        assert_eq!(closest("instnaces", known), Some("instances"));
        assert_eq!(closest("instance-type", known), Some("instance_type"));
        assert_eq!(closest("colour", known), None);
    }
}

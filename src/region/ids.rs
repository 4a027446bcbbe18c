//! Identifiers as AWS writes them, from a seeded sequence: the same seed gives the same ids, so a run can be replayed.

/// A source of identifiers, and of the choices that AWS makes at random. Each has a sequence of its own: one id more or
/// less changes no choice.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(from = "Seeds", into = "Seeds")]
pub struct Ids {
    ids: fastrand::Rng,
    ties: fastrand::Rng,
}

/// Where both sequences are.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Seeds {
    ids: u64,
    ties: u64,
}

impl From<Seeds> for Ids {
    fn from(Seeds { ids, ties }: Seeds) -> Self {
        Self { ids: fastrand::Rng::with_seed(ids), ties: fastrand::Rng::with_seed(ties) }
    }
}

impl From<Ids> for Seeds {
    fn from(ids: Ids) -> Self {
        Self { ids: ids.ids.get_seed(), ties: ids.ties.get_seed() }
    }
}

/// What sets the sequence of choices apart from that of the ids.
const TIES: u64 = 0x9e37_79b9_7f4a_7c15;

impl Ids {
    pub fn with_seed(seed: u64) -> Self {
        Self { ids: fastrand::Rng::with_seed(seed), ties: fastrand::Rng::with_seed(seed ^ TIES) }
    }

    /// `count` lower-case hexadecimal digits.
    pub fn hex(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b"0123456789abcdef"[self.ids.usize(..16)])).collect()
    }

    /// `i-0123456789abcdef0` for the prefix `i`.
    pub fn resource(&mut self, prefix: &str) -> String {
        format!("{prefix}-0{}", self.hex(16))
    }

    /// A version-4 UUID, as in alarm and activity ids.
    pub fn uuid(&mut self) -> String {
        let variant = ['8', '9', 'a', 'b'][self.ids.usize(..4)];
        format!("{}-{}-4{}-{variant}{}-{}", self.hex(8), self.hex(4), self.hex(3), self.hex(3), self.hex(12))
    }

    /// A number below `bound`, for the random choices that AWS documents (ties).
    pub fn below(&mut self, bound: usize) -> usize {
        self.ties.usize(..bound)
    }
}

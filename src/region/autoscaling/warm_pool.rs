//! A warm pool: instances that are prepared and wait, so that a scale-out takes a start instead of a boot; `pooling` says
//! what becomes of it (aws-semantics §10).

use super::parameters::invalid;
use crate::region::wire::{ApiError, Params, Value};

/// Where prepared instances wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum PoolState {
    #[default]
    Stopped,
    Running,
}

impl PoolState {
    /// AWS's name.
    pub fn name(self) -> &'static str {
        match self {
            PoolState::Stopped => "Stopped",
            PoolState::Running => "Running",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WarmPool {
    /// `MaxGroupPreparedCapacity`: instances of the group and its pool together. `None` is the group's maximum.
    pub max_prepared: Option<i64>,
    pub min_size: i64,
    pub state: PoolState,
    /// Whether instances return when the group scales in.
    pub reuses: bool,
    /// `PendingDelete`: it goes when its last instance has gone.
    pub deleting: bool,
}

impl WarmPool {
    /// This pool with what `PutWarmPool` says changed; what it leaves out is AWS's default again.
    ///
    /// # Errors
    /// `ValidationError` for sizes that AWS refuses.
    pub fn parse(params: &Params) -> Result<Self, ApiError> {
        let max_prepared = params.int("MaxGroupPreparedCapacity")?;
        if max_prepared.is_some_and(|max| !(-1..=i64::from(i32::MAX)).contains(&max)) {
            return Err(invalid("MaxGroupPreparedCapacity must be at least -1, which takes it away"));
        }
        let min_size = params.int("MinSize")?.unwrap_or(0);
        if !(0..=i64::from(i32::MAX)).contains(&min_size) {
            return Err(invalid("MinSize must not be negative"));
        }
        let state = match params.text("PoolState") {
            Some("Running") => PoolState::Running,
            _ => PoolState::Stopped,
        };
        let reuse = params.map("InstanceReusePolicy").unwrap_or_default();
        Ok(Self {
            max_prepared: max_prepared.filter(|max| *max >= 0),
            min_size,
            state,
            reuses: reuse.bool("ReuseOnScaleIn")?.unwrap_or(false),
            deleting: false,
        })
    }

    /// How many instances shall wait beside so many desired ones in a group with that maximum.
    pub fn size(&self, desired: i64, max: i64) -> i64 {
        if self.deleting {
            return 0;
        }
        (self.max_prepared.unwrap_or(max) - desired).max(self.min_size)
    }

    /// `WarmPoolConfiguration` as AWS shows it.
    pub fn value(&self) -> Value {
        let reuse = Value::map().with("ReuseOnScaleIn", Value::from(self.reuses));
        Value::map()
            .with("MaxGroupPreparedCapacity", self.max_prepared.map(Value::from))
            .with("MinSize", Value::from(self.min_size))
            .with("PoolState", Value::from(self.state.name()))
            .with("Status", self.deleting.then(|| Value::from("PendingDelete")))
            .with("InstanceReusePolicy", self.reuses.then_some(reuse))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of the user guide, "Warm pools": a maximum of 10 and 6 desired keep 4; with a prepared capacity of 8, 2;
    /// at a desired capacity of 10 nothing is left but the minimum.
    #[test]
    fn a_pool_fills_up_what_the_group_is_short_of() {
        let pool = WarmPool::default();
        assert_eq!((pool.size(6, 10), pool.size(10, 10)), (4, 0));
        let prepared = WarmPool { max_prepared: Some(8), ..WarmPool::default() };
        assert_eq!((prepared.size(6, 10), prepared.size(9, 10)), (2, 0));
        let never_empty = WarmPool { min_size: 3, ..prepared };
        assert_eq!((never_empty.size(6, 10), never_empty.size(10, 10)), (3, 3));
        assert_eq!(WarmPool { deleting: true, ..never_empty }.size(6, 10), 0);
    }
}

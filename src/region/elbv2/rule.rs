//! One rule of a listener; `rules` has the operations.

use super::actions::Action;
use super::conditions::Condition;
use super::tags::Tags;
use super::transforms::Transforms;

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Rule {
    pub arn: String,
    pub conditions: Vec<Condition>,
    pub action: Action,
    #[serde(default)]
    pub transforms: Transforms,
    /// The `Order` that the action was given.
    pub order: Option<i64>,
    pub tags: Tags,
}

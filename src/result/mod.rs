//! What a benchmark leaves behind, and where: the record of a run, its folder on disk, and figures in a reader's units.
//!
//! It knows neither how a run is measured (`benchmark`) nor how it is shown (`report`, `ui`): those import it.
//! `record.rs` is the schema of `result.json`, `store.rs` the folder of a run, `confidence.rs` what one run says about its
//! quantiles, `figures.rs` how numbers are written, `csv.rs` a run as tables, `listing.rs` the runs of a folder.

pub mod calibration;
pub mod confidence;
pub mod csv;
pub mod figures;
pub mod listing;
pub mod live;
pub mod record;
pub mod store;

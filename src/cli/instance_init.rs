//! `cloudscale instance-init`: the first process of an instance of the embedded region. Not for users.

use std::path::PathBuf;

use super::Outcome;
use crate::exit::Exit;
use crate::problem::Problem;
use crate::region::ec2::processes::init;

/// The first process of an instance of the embedded region
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The instance's folder
    folder: PathBuf,
}

pub fn run(args: &Args) -> Outcome {
    init::run(&args.folder).map_err(|error| {
        init::report(&args.folder, &error);
        Problem::new("The instance does not boot", error.to_string())
    })?;
    Ok(Exit::Ok)
}

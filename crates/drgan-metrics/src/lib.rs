#![doc = include_str!("../README.md")]
pub mod attributes;
pub mod diversity;
pub mod fid;
pub mod inception_score;
pub mod interval;
pub mod kid;
pub mod r_precision;
pub mod statistics;

pub use attributes::AttributeAccuracy;
pub use diversity::{diversity, diversity_within};
pub use fid::{fid, frechet_distance};
pub use inception_score::{InceptionScore, inception_score};
pub use interval::{Hits, share_interval};
pub use kid::kid;
pub use r_precision::{RPrecision, r_precision};
pub use statistics::Statistics;

//! How a run is shown: what a page or a message says of it, and its pictures. Pure.

pub mod analysis;
pub mod beside;
pub mod chart;
pub mod closing;
pub mod forest;
pub mod interval;
pub mod map;
pub mod often;
pub mod series;
pub mod sparkline;
pub mod spread;
mod thin;
pub mod view;

//! What people look at: pure presentation of what was judged.

pub mod chart;

mod assign;
mod attribution;
mod explain;
mod promotion;
mod properties;
mod pull;
pub mod update;

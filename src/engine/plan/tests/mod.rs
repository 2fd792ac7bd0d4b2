mod assign;
mod attribution;
mod explain;
mod promotion;
mod properties;
mod pull;
mod shapes;
pub mod update;

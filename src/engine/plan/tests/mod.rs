mod attribution;
mod promotion;
mod properties;
mod pull;
mod update;

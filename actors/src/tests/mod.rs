//! The actors together: real store, scripted peers, and a clock that jumps to the next timer when nothing runs.

mod delivery;
mod fixture;
mod operations;
mod reports;
mod routing;
mod supervision;
mod webhooks;
mod writer;

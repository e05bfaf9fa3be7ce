//! The real program over loopback.

mod access;
mod admission;
mod caps;
mod cli;
mod crash;
mod harness;
mod live;
mod pull;
mod streams;
mod www;

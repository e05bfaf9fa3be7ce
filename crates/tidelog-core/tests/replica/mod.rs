//! Support: [`disk`] and [`server`] are models of their contracts, [`tab`] is a host of one replica, [`world`] moves
//! everything by a seed, [`oracle`] knows what was promised.

mod app;
mod dice;
mod disk;
mod oracle;
mod server;
mod simulation;
mod tab;
mod world;

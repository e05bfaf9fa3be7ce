//! Support: [`disk`] and [`server`] are models of their contracts, [`tab`] is a host of one replica, [`bench`] holds one
//! device still, [`world`] moves
//! everything by a seed, [`oracle`] knows what was promised.

mod app;
mod appending;
mod bench;
mod conflicts;
mod crash;
mod dice;
mod disk;
mod local;
mod oracle;
mod parked;
mod recovery;
mod server;
mod simulation;
mod syncing;
mod tab;
mod upkeep;
mod world;

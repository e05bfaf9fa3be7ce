//! PostgreSQL stopped and started again under a server that stays.

use crate::cluster::{Cluster, Fsync, Stop};
use crate::fleet;
use crate::harness::Server;
use crate::kill;

const WRITERS: u64 = 16;

/// Whoever asks meanwhile is told to come again ([`crate::writers`] takes no other answer), and live streams go on or are opened again.
#[test]
fn a_restart_of_postgres_loses_nothing_and_needs_no_other() {
    let mut cluster = Cluster::start(&Fsync(true));
    let store = cluster.database("postgres").url();
    let stops = kill::kills().unwrap_or(2);
    let ended = fleet::run(&store, WRITERS, |fleet| {
        let server = Server::on(&store);
        fleet.add(&server);
        for round in 0..stops {
            fleet.wait_for_pushes(200);
            let is_crash = round % 2 == 0;
            cluster.stop(if is_crash {
                Stop::Immediate
            } else {
                Stop::Fast
            });
            cluster.run_again();
        }
        fleet.wait_for_pushes(200);
        // Gone for longer than a server bears without a word.
        cluster.stop(Stop::Fast);
        fleet.wait_for_refusals(503, 1);
        // That may have been of a stop before this one.
        while server.get("/readyz").status == 200 {
            fleet.rest();
        }
        server.get("/readyz").is_problem(503, "unavailable");
        assert_eq!(server.get("/healthz").status, 200, "the process answers");
        cluster.run_again();
        fleet.wait_for_pushes(200);
        assert_eq!(server.get("/readyz").status, 200);
        vec![server]
    });
    println!(
        "all of {} acknowledged commits are there, once, after {} stops of PostgreSQL; {} answers 503",
        ended.acknowledged,
        stops + 1,
        ended.unavailable
    );
    assert_eq!(ended.full, 0);
}

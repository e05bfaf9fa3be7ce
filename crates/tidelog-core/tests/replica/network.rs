//! What a replica does while the network, the server or a person stands in its way: when it tries again, how much it sends
//! at once, and what its status says meanwhile.

use super::app::event;
use super::bench::{Bench, stream};
use tidelog_core::replica::{Appended, Phase, Request, StoreRequest, SyncError};
use tidelog_core::store::StoreError;
use tidelog_core::{Commit, CommitId, Epoch, Policy, Position};

fn network() -> SyncError {
    SyncError::Network {
        detail: String::from("cut"),
    }
}

fn unavailable(retry_after_millis: Option<u64>) -> SyncError {
    SyncError::Unavailable {
        status: 503,
        detail: String::from("busy"),
        retry_after_millis,
    }
}

fn unauthorized() -> SyncError {
    SyncError::Unauthorized {
        detail: String::from("expired"),
    }
}

/// A fact with a payload of about so many bytes, that expects nothing.
fn fact(bench: &mut Bench, on: &str, bytes: usize) -> CommitId {
    let data = format!("\"{}\"", "x".repeat(bytes));
    let events = vec![event(&stream(on), "facts.learnt", &data)];
    bench.append(0, Vec::new(), events, None, Policy::Rebase)
}

/// Answers the pull under way with what the server has.
fn answer_pull(bench: &mut Bench, request: &Request) {
    let Request::Pull { cursor, filter, .. } = request else {
        panic!("{request:?} is no pull");
    };
    let time = bench.time();
    let (frames, head) = bench.server.pull(*cursor, filter, 9, 9).unwrap();
    let replica = bench.replica(0);
    replica
        .handle_pulled(time, *cursor, filter, frames, head)
        .unwrap();
    bench.drain(0);
}

/// A replica that leads, has something to send, and has no request under way.
fn one_to_send() -> Bench {
    let mut bench = Bench::new(1);
    fact(&mut bench, "facts/0", 1);
    bench.save(0);
    bench
}

/// Pushes what there is, which fails; gives how many commits it was.
fn fail(bench: &mut Bench, error: SyncError) -> usize {
    let commits = bench.pushes(0);
    assert!(!commits.is_empty(), "nothing is pushed");
    bench.pushed(0, Err(error));
    commits.len()
}

/// The network fails so often that the next try is far off.
fn fail_for_long(bench: &mut Bench) {
    for _ in 0..10 {
        fail(bench, network());
        bench.now = retry_at(bench);
    }
    fail(bench, network());
    assert!(retry_at(bench) > bench.now + 10_000);
}

/// The server takes these.
fn accept(bench: &mut Bench, commits: &[Commit]) {
    let answer = bench.at_server(commits);
    bench.pushed(0, Ok(answer));
}

/// When it is tried again by itself.
fn retry_at(bench: &mut Bench) -> i64 {
    let at = bench.replica(0).status().retry_at;
    at.expect("it is tried again by itself").millis()
}

fn is_tried_within_a_second(bench: &mut Bench) -> bool {
    (bench.now..=bench.now + 1_000).contains(&retry_at(bench))
}

/// The only commit that is pending, a note on `facts/0`, is in the way of somebody else's.
fn be_parked(bench: &mut Bench) {
    bench.stranger("facts/0", "facts.learnt", "7");
    assert!(bench.pull(0));
    bench.save(0);
    bench.requests(0);
    bench.save(0);
    assert_eq!(bench.replica(0).parked().len(), 1);
}

/// As many facts of about so many bytes, each on a stream of its own.
fn facts(bench: &mut Bench, count: usize, bytes: usize) {
    for number in 0..count {
        fact(bench, &format!("facts/{number}"), bytes);
    }
    bench.save(0);
}

#[test]
fn pauses_double_up_to_half_a_minute_and_end_with_the_first_success() {
    let mut bench = one_to_send();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        assert_eq!(fail(&mut bench, network()), 1);
        let status = bench.replica(0).status();
        assert_eq!(status.phase, Phase::Offline);
        let at = status.retry_at.expect("it is tried again by itself");
        pauses.push(at.millis() - bench.now);
        assert!(bench.pushes(0).is_empty(), "not before the pause is over");
        bench.now = at.millis();
    }
    for (round, pause) in pauses.iter().enumerate() {
        let longest = (250_i64 << round).min(30_000);
        assert!((longest / 2..=longest).contains(pause), "{pauses:?}");
    }
    let commits = bench.pushes(0);
    accept(&mut bench, &commits);
    assert_eq!(bench.replica(0).status().sync_error, None);
    fact(&mut bench, "facts/1", 1);
    bench.save(0);
    assert_eq!(fail(&mut bench, network()), 1);
    let at = bench.replica(0).status().retry_at.unwrap();
    assert!(at.millis() - bench.now <= 250, "it begins anew");
}

#[test]
fn what_the_server_asks_to_wait_is_waited_also_when_somebody_looks_at_the_page() {
    for asked in [5_000, 240_000] {
        for error in [
            unavailable(Some(asked)),
            SyncError::RateLimited {
                retry_after_millis: Some(asked),
            },
        ] {
            let mut bench = one_to_send();
            assert_eq!(fail(&mut bench, error), 1);
            let begun = bench.now;
            bench.now += i64::try_from(asked).unwrap() - 1;
            let time = bench.time();
            bench.replica(0).handle_kick(time);
            fact(&mut bench, "facts/1", 1);
            assert!(bench.pushes(0).is_empty(), "{asked} ms were asked");
            let at = bench.replica(0).status().retry_at.unwrap();
            assert!((begun..=begun + 300_000).contains(&at.millis()));
            bench.now = at.millis();
            assert_eq!(bench.pushes(0).len(), 2);
        }
    }
}

#[test]
fn a_push_whose_commits_are_confirmed_before_it_fails_leaves_no_trouble_behind() {
    let mut bench = one_to_send();
    let commits = bench.pushes(0);
    bench.at_server(&commits);
    // The answer is lost, and the news of what was stored comes first.
    assert!(bench.pull(0));
    bench.save(0);
    assert_eq!(bench.replica(0).counts().pending, 0);
    bench.pushed(0, Err(network()));
    let status = bench.replica(0).status();
    assert_eq!((status.phase, status.retry_at), (Phase::Live, None));
    assert_eq!(status.sync_error, None);
}

#[test]
fn what_kept_a_commit_from_being_sent_is_over_when_it_is_parked() {
    for error in [network(), SyncError::TooLarge { max: None }] {
        let mut bench = Bench::new(1);
        bench.note(0, "facts/0", "1");
        fail(&mut bench, error);
        assert!(bench.replica(0).status().sync_error.is_some());
        be_parked(&mut bench);
        let status = bench.replica(0).status();
        assert_eq!((status.phase, status.sync_error), (Phase::Live, None));
    }
}

#[test]
fn what_the_server_asked_to_wait_outlives_what_was_to_be_sent() {
    let mut bench = Bench::new(1);
    bench.note(0, "facts/0", "1");
    assert_eq!(fail(&mut bench, unavailable(Some(240_000))), 1);
    be_parked(&mut bench);
    assert_eq!(bench.replica(0).status().phase, Phase::Live);
    fact(&mut bench, "facts/1", 1);
    assert!(bench.pushes(0).is_empty());
    bench.now += 600_000;
    assert_eq!(bench.pushes(0).len(), 1);
}

#[test]
fn a_clock_that_is_set_back_does_not_hold_anything_up() {
    let mut bench = one_to_send();
    bench.now = 1_900_000_000_000;
    for _ in 0..10 {
        fail(&mut bench, network());
        bench.now += 60_000;
    }
    fail(&mut bench, network());
    bench.now -= 10 * 365 * 86_400_000;
    assert_eq!(bench.pushes(0).len(), 1);
}

#[test]
fn what_is_appended_while_it_waits_is_tried_within_a_second() {
    let mut bench = one_to_send();
    fail_for_long(&mut bench);
    fact(&mut bench, "facts/1", 1);
    bench.save(0);
    assert!(is_tried_within_a_second(&mut bench));
    bench.now = retry_at(&mut bench);
    assert_eq!(bench.pushes(0).len(), 2);
}

#[test]
fn what_another_tab_appends_while_it_waits_is_tried_within_a_second() {
    let mut bench = Bench::new(2);
    bench.note(0, "facts/0", "1");
    fail_for_long(&mut bench);
    bench.hint(1);
    bench.note(1, "facts/1", "2");
    bench.save(1);
    bench.hint(0);
    assert!(is_tried_within_a_second(&mut bench));
}

#[test]
fn what_another_tab_tells_of_while_it_waits_is_tried_within_a_second() {
    let mut bench = Bench::new(2);
    bench.note(0, "facts/0", "1");
    fail_for_long(&mut bench);
    bench.hint(1);
    bench.note(1, "facts/1", "2");
    bench.save(1);
    let stored = bench.disk.load(Position::START, 1_000);
    let appended = Appended {
        replica: stored.replica,
        generation: stored.head.generation,
        next_seq: stored.head.next_seq,
        frames: stored.pending.last().unwrap().frame.clone(),
    };
    bench.replica(0).handle_appended(&appended);
    assert_eq!(bench.replica(0).counts().pending, 2);
    assert!(bench.requests(0).is_empty(), "not at once");
    assert!(is_tried_within_a_second(&mut bench));
}

#[test]
fn pulls_that_work_do_not_hide_that_pushes_fail_nor_hasten_them() {
    let mut bench = Bench::new(1);
    let waiting = bench.requests(0);
    assert!(waiting.is_empty(), "a pull waits at the server already");
    fact(&mut bench, "facts/0", 1);
    for round in 0..6 {
        assert_eq!(fail(&mut bench, unavailable(None)), 1);
        // Somebody else's event ends the pull that waits, and the next one waits again.
        bench.stranger("facts/1", "facts.learnt", "1");
        assert!(bench.pull(0), "round {round}");
        bench.save(0);
        let status = bench.replica(0).status();
        assert_eq!(status.phase, Phase::Offline);
        assert_eq!(status.sync_error.unwrap().code(), "server_unavailable");
        assert!(bench.pushes(0).is_empty());
        let requests = bench.requests(0);
        assert!(requests.is_empty(), "{requests:?}");
        bench.now = status.retry_at.unwrap().millis();
    }
    let pause = {
        assert_eq!(fail(&mut bench, unavailable(None)), 1);
        retry_at(&mut bench) - bench.now
    };
    assert!(pause > 5_000, "{pause}: each failure counted");
}

#[test]
fn what_a_push_failed_of_is_forgotten_when_nothing_is_left_to_send() {
    let mut bench = one_to_send();
    let commits = bench.pushes(0);
    bench.at_server(&commits);
    bench.pushed(0, Err(network()));
    assert_eq!(bench.replica(0).status().phase, Phase::Offline);
    // The answer was lost, and a pull brings what it said.
    assert!(bench.pull(0));
    bench.save(0);
    let status = bench.replica(0).status();
    assert_eq!((status.phase, status.sync_error), (Phase::Live, None));
}

#[test]
fn a_server_that_is_back_for_pulls_gets_the_pushes_at_once() {
    let mut bench = one_to_send();
    fail_for_long(&mut bench);
    let time = bench.time();
    bench.replica(0).handle_pull_failed(time, network());
    bench.hang_up(0);
    bench.now += 300;
    let requests = bench.requests(0);
    answer_pull(&mut bench, &requests[0]);
    assert_eq!(bench.pushes(0).len(), 1);
}

#[test]
fn a_person_who_has_to_sign_in_is_waited_for_and_any_sign_of_them_tries_again() {
    let mut bench = one_to_send();
    for sign in 0..3 {
        assert_eq!(fail(&mut bench, unauthorized()), 1 + sign);
        let status = bench.replica(0).status();
        assert_eq!(status.phase, Phase::Blocked);
        assert_eq!(status.counts.pending, 1 + sign);
        bench.now += 50_000;
        assert!(bench.pushes(0).is_empty(), "time alone leads nowhere");
        fact(&mut bench, "facts/2", 1);
        bench.save(0);
        bench.now += 2_000;
        assert!(bench.pushes(0).is_empty(), "nor do more changes");
        let time = bench.time();
        match sign {
            0 => bench.replica(0).handle_kick(time),
            1 => bench.replica(0).handle_online(time, true),
            // Or the token's source has a new one by now.
            _ => bench.now = retry_at(&mut bench),
        }
    }
    bench.sync(0);
    assert_eq!(bench.server.log.len(), 4);
}

#[test]
fn a_build_that_is_too_old_keeps_what_it_has_and_asks_seldom() {
    let mut bench = one_to_send();
    assert_eq!(fail(&mut bench, SyncError::ClientTooOld), 1);
    bench.now += 299_000;
    fact(&mut bench, "facts/1", 1);
    assert!(bench.pushes(0).is_empty());
    let status = bench.replica(0).status();
    assert_eq!(status.phase, Phase::Blocked);
    assert_eq!(status.counts.pending, 2);
    assert_eq!(status.sync_error, Some(SyncError::ClientTooOld));
    // The server may be rolled back to one that takes it.
    bench.now = status.retry_at.unwrap().millis();
    assert_eq!(bench.pushes(0).len(), 2);
}

#[test]
fn a_push_that_is_too_large_is_halved_at_once_and_the_size_is_remembered() {
    let mut bench = Bench::new(1);
    facts(&mut bench, 16, 1_000);
    let takes = 5_000;
    let weight = |commits: &[Commit]| commits.iter().map(Commit::weight).sum::<usize>();
    let mut refused = 0;
    let mut left = 16;
    while left > 0 {
        let commits = bench.pushes(0);
        assert!(!commits.is_empty(), "without a pause");
        if weight(&commits) > takes {
            refused += 1;
            bench.pushed(0, Err(SyncError::TooLarge { max: None }));
            assert_eq!(bench.replica(0).status().sync_error, None);
        } else {
            left -= commits.len();
            accept(&mut bench, &commits);
        }
    }
    assert_eq!(refused, 2, "17,000, then 8,500, and from then on what fits");
    bench.sync(0);
    assert!(bench.replica(0).parked().is_empty());
}

#[test]
fn a_cap_that_the_server_names_is_kept_from_then_on() {
    for (error, commits_at_most) in [
        (SyncError::TooManyCommits { max: Some(3) }, 3),
        (SyncError::TooLarge { max: Some(2_500) }, 2),
    ] {
        let mut bench = Bench::new(1);
        facts(&mut bench, 16, 1_000);
        assert_eq!(fail(&mut bench, error), 16);
        for _ in 0..5 {
            let commits = bench.pushes(0);
            assert_eq!(commits.len(), commits_at_most);
            accept(&mut bench, &commits);
        }
    }
}

#[test]
fn a_commit_that_is_too_large_by_itself_stays_pending_is_named_and_holds_up_nobody() {
    let mut bench = Bench::new(1);
    let small = fact(&mut bench, "facts/0", 10);
    let large = fact(&mut bench, "facts/1", 9_000);
    let behind = fact(&mut bench, "facts/1", 10);
    let other = fact(&mut bench, "facts/2", 10);
    bench.save(0);
    let refuse = |commits: &[Commit]| commits.iter().any(|commit| commit.id == large);
    let mut rounds = 0;
    loop {
        let commits = bench.pushes(0);
        if commits.is_empty() {
            break;
        }
        rounds += 1;
        assert!(rounds < 20, "it ends");
        if refuse(&commits) {
            bench.pushed(0, Err(SyncError::TooLarge { max: None }));
        } else {
            accept(&mut bench, &commits);
        }
    }
    while bench.pull(0) {
        bench.save(0);
    }
    assert!(bench.server.has(small) && bench.server.has(other));
    assert!(!bench.server.has(behind), "order on the stream is kept");
    let status = bench.replica(0).status();
    assert_eq!(status.phase, Phase::Error);
    assert_eq!(
        status.sync_error,
        Some(SyncError::CommitOversized { commit: large })
    );
    assert!(status.retry_at.is_some());
    assert_eq!((status.counts.pending, status.counts.parked), (2, 0));

    // What is made meanwhile is sent together, not one by one.
    for number in 3..8 {
        fact(&mut bench, &format!("facts/{number}"), 10);
    }
    bench.save(0);
    let commits = bench.pushes(0);
    assert_eq!(commits.len(), 5);
    accept(&mut bench, &commits);

    // The cap was raised: it goes by itself, now and then.
    bench.sync(0);
    assert!(bench.server.has(large) && bench.server.has(behind));
    assert_eq!(bench.replica(0).status().sync_error, None);
}

#[test]
fn a_new_leader_sends_nothing_before_it_has_looked_at_the_database() {
    let mut bench = Bench::new(2);
    bench.note(1, "facts/0", "1");
    bench.save(1);
    bench.replica(0).handle_leadership(false);
    bench.note(0, "facts/0", "2");
    bench.replica(1).handle_leadership(true);
    assert!(bench.pushes_now(1).is_empty());
    let time = bench.time();
    bench.tabs[1].ask(time);
    assert!(
        bench.pushes_now(1).is_empty(),
        "the look has not been answered"
    );
    assert_eq!(bench.pushes(1).len(), 1);
}

/// The frozen leader wakes: it still believes that it leads, and what it knows is what was so before it slept.
#[test]
fn a_leader_that_slept_while_another_took_over_sends_nothing_of_what_it_knew() {
    let mut bench = Bench::new(2);
    let id = bench.note(0, "facts/0", "1");
    bench.run(0, "counter/0", "counter.add", "1", Policy::Rerun);
    bench.save(0);
    bench.hint(1);
    // It sleeps, fresh from its own write, and with nothing sent.
    bench.now += 60_000;
    bench.replica(1).handle_leadership(true);
    bench.stranger("counter/0", "counter.added", "5");
    bench.sync(1);
    assert!(bench.server.has(id));
    let at_server = bench.server.log.len();
    assert!(bench.pushes_now(0).is_empty(), "not on what it remembers");
    assert!(bench.pushes(0).is_empty(), "and nothing after a look");
    assert_eq!(bench.server.log.len(), at_server);
    assert_eq!(bench.position(0), bench.position(1));
}

/// The hole of world 306,043: a receipt for an attempt that another leader made lets nothing out that is old by now.
#[test]
fn an_answer_to_a_former_leader_lets_nothing_out_that_another_has_stamped_anew() {
    let mut bench = Bench::new(2);
    let first = bench.run(0, "counter/0", "counter.add", "1", Policy::Rerun);
    let data = vec![event(&stream("counter/0"), "counter.added", "1")];
    let second = bench.append(0, Vec::new(), data, None, Policy::Rebase);
    bench.save(0);
    bench.hint(1);
    // Both believe that they lead; the first one's push is on its way.
    let sent = bench.pushes(0);
    assert_eq!(sent.len(), 1, "what may fail goes ahead alone");
    bench.stranger("counter/0", "counter.added", "5");
    bench.replica(1).handle_leadership(true);
    bench.save(1);
    assert!(!bench.pushes_now(1).is_empty());
    bench.pushed(1, Err(network()));
    while bench.pull(1) {
        bench.save(1);
    }
    bench.now += 1_000;
    let again = bench.pushes(1);
    assert_eq!((again[0].id, again[0].attempt.value()), (first, 2));
    let answer = bench.at_server(&again);
    bench.pushed(1, Ok(answer));
    assert!(
        bench.server.has(first),
        "decided again by the second leader"
    );
    let receipt = bench.at_server(&sent);
    bench.pushed(0, Ok(receipt));
    let late: Vec<Commit> = bench.pushes_now(0);
    assert!(late.is_empty(), "{late:?}");
    for commit in bench.pushes(0) {
        let stamped = bench.replica(1).queue();
        let stamped = stamped.map(|queued| queued.local.commit.clone());
        let stamped: Vec<Commit> = stamped.collect();
        assert!(stamped.contains(&commit), "as the database has it");
    }
    bench.sync(1);
    let reached = bench.server.log.iter();
    let reached: Vec<_> = reached
        .map(|recorded| recorded.commit.id)
        .filter(|id| [first, second].contains(id))
        .collect();
    assert_eq!(reached, [first, second]);
}

/// A backup of the first hour: the history has the same name, and nothing in it.
#[test]
fn a_server_that_is_put_back_to_its_empty_beginning_gets_everything_again() {
    for commits in [0, 1] {
        let mut bench = Bench::new(1);
        let epoch = bench.server.epoch;
        let first = fact(&mut bench, "facts/0", 1);
        bench.sync(0);
        let second = fact(&mut bench, "facts/1", 1);
        bench.sync(0);
        // Of the same name, but another one: what is here until it is noticed.
        let gone = bench.server.chains.clone();
        bench.oracle.histories.insert(Epoch::default(), gone);
        bench.server = bench.server.restored(epoch, commits);
        let third = fact(&mut bench, "facts/2", 1);
        bench.sync(0);
        for id in [first, second, third] {
            assert!(bench.server.has(id), "put back to {commits}");
        }
        let status = bench.replica(0).status();
        assert_eq!((status.phase, status.counts.pending), (Phase::Live, 0));
        assert_eq!(bench.position(0), bench.server.head().position);
    }
}

#[test]
fn a_look_at_the_head_that_fails_only_puts_the_push_off() {
    let mut bench = one_to_send();
    fail(&mut bench, network());
    bench.now += 300;
    let time = bench.time();
    let asked = bench.replica(0).poll_store(time);
    assert_eq!(asked, Some(StoreRequest::Head));
    let error = StoreError::Aborted {
        detail: String::from("injected"),
    };
    bench.replica(0).handle_load_failed(time, error);
    assert!(bench.pushes_now(0).is_empty());
    bench.now += 2_000;
    bench.sync(0);
    assert_eq!(bench.server.log.len(), 1);
}

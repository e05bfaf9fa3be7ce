//! A device as a build left it that knew no erasures: of a pruned log there is a state that holds what the log said to be gone, and
//! frames that hold it, too.

use super::World;
use crate::disk::Snapshot;
use std::rc::Rc;
use tidelog_core::erasure::version_ranges;
use tidelog_core::{Attempt, Commit, CommitId, Seq, StreamId};

/// More rounds than a device without faults needs for a commit.
const MOST_ROUNDS: usize = 100;

impl World {
    /// The device has followed a log in which things were erased, some of them its own, and has pruned a part of it.
    pub(super) fn leave_unfollowed(&mut self, device: usize) {
        let rates = vec![0; self.options.rates.len()];
        let rates = core::mem::replace(&mut self.options.rates, rates);
        self.open(device);
        self.tabs[0].replica.handle_leadership(true);
        let commits = 3 + self.erasures.dice.below(6) as u64;
        for number in 1..=commits {
            self.befall(device, number);
            self.catch_up();
        }
        // What it shows, and what it keeps, is what it has read.
        let rows = self.tabs[0].rows().clone();
        let log = self.devices[device].disk.content.log.clone();
        self.follow(0, crate::disk::Fault::None);
        self.catch_up();
        let disk = &mut self.devices[device].disk;
        self.tabs[0].save(disk, &mut self.oracle);
        if let Some(saved) = disk.content.snapshot.take() {
            disk.content.snapshot = Some(Rc::new(Snapshot {
                rows,
                unfollowed: true,
                ..Rc::unwrap_or_clone(saved)
            }));
            disk.content.log = log;
            disk.content.forget_erasing();
            disk.prune(1 + self.erasures.dice.below(6));
            disk.flush_all();
            self.oracle.saw("a state that an older build left");
        }
        self.say(|| format!("an older build leaves device {device}"));
        self.kill_all(device);
        self.options.rates = rates;
    }

    /// Somebody, or this device, appends a fact; now and then the server erases one.
    fn befall(&mut self, device: usize, number: u64) {
        let dice = &mut self.erasures.dice;
        let on = StreamId::new(format!("facts/{}", dice.below(2))).unwrap();
        let replica = self.devices[device].disk.content.replica;
        let own = dice.percent(50);
        let other = tidelog_core::ReplicaId::from_bytes(dice.id());
        let commit = Commit {
            id: CommitId::from_bytes(dice.id()),
            attempt: Attempt::FIRST,
            replica: if own { replica } else { other },
            // Never used by what the device appends later.
            seq: Seq::new(u64::from(u32::MAX) + number),
            conditions: Vec::new(),
            events: vec![crate::app::event(
                &on,
                "facts.learnt",
                &format!("\"older {number}\""),
            )],
        };
        self.server.push(self.now, &[commit], &mut |_| false);
        if self.erasures.dice.percent(40) {
            let id = CommitId::from_bytes(self.erasures.dice.id());
            let first = self.server.first_whole();
            if let Some((stream, version)) = first {
                let named = version_ranges([version]);
                self.server.redact(self.now, id, &stream, &named);
                self.erasures_said();
            }
        }
        self.oracle.check_server(&self.server);
    }

    /// Everything moves until nothing does, but nothing is erased.
    fn catch_up(&mut self) {
        for _ in 0..MOST_ROUNDS {
            let mut moved = self.work_off(0);
            moved |= self.land_all();
            if !moved {
                return;
            }
        }
    }
}

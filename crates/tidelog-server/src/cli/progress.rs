//! How far a command has come: a bar on a terminal, a line now and then elsewhere.

use crate::cli::output;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many events lie between two lines.
const EVERY: u64 = 50_000;

#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    counts_bytes: bool,
    /// What was done to them, where a command does several things.
    did: &'static str,
    events: AtomicU64,
}

impl Progress {
    pub(super) fn of_bytes(length: u64) -> Self {
        let template = "{bar:40} {bytes}/{total_bytes} {msg} events, {elapsed} (left: {eta})";
        Self::new(
            ProgressBar::with_draw_target(Some(length), target()),
            template,
            true,
        )
    }

    pub(super) fn of_events(events: u64) -> Self {
        Self::of_events_that_are(events, "")
    }

    /// Of one of the things that a command does to all events: ` checked`, say.
    pub(super) fn of_events_that_are(events: u64, did: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(events), target());
        let template =
            format!("{{bar:40}} {{pos}}/{{len}} events{did}, {{elapsed}} (left: {{eta}})");
        let progress = Self::new(bar, &template, false);
        Self { did, ..progress }
    }

    pub(super) fn without_end() -> Self {
        let bar = ProgressBar::with_draw_target(None, target());
        Self::new(bar, "{spinner} {bytes} {msg} events, {elapsed}", true)
    }

    fn new(bar: ProgressBar, template: &str, counts_bytes: bool) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            counts_bytes,
            did: "",
            events: AtomicU64::new(0),
        }
    }

    /// The bar, to be moved by whoever reads bytes.
    pub(super) const fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// So many more events are done.
    pub(super) fn done(&self, events: usize) {
        let before = self.events.fetch_add(events as u64, Ordering::Relaxed);
        let now = before + events as u64;
        if self.bar.is_hidden() {
            if before / EVERY != now / EVERY {
                output::note(format_args!("{now} events{}", self.did));
            }
        } else if self.counts_bytes {
            self.bar.set_message(now.to_string());
        } else {
            self.bar.set_position(now);
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn target() -> ProgressDrawTarget {
    match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    }
}

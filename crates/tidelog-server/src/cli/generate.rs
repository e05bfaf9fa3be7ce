//! Made-up loan applications in the shape of the real ones: the same number always gives the same events.

/// The steps of an application that is approved; others end earlier.
const STEPS: [&str; 14] = [
    "A_SUBMITTED.complete",
    "A_PARTLYSUBMITTED.complete",
    "A_PREACCEPTED.complete",
    "W_Completeren aanvraag.schedule",
    "W_Completeren aanvraag.start",
    "A_ACCEPTED.complete",
    "O_SELECTED.complete",
    "A_FINALIZED.complete",
    "O_CREATED.complete",
    "O_SENT.complete",
    "W_Nabellen offertes.start",
    "O_ACCEPTED.complete",
    "A_REGISTERED.complete",
    "A_APPROVED.complete",
];
/// How applications end that are not approved.
const ENDS: [&str; 2] = ["A_DECLINED.complete", "A_CANCELLED.complete"];
/// How many applications are open at once.
const OPEN: u64 = 40;
/// 2011-10-01T00:38:44.546+02:00, when the real ones begin.
const BEGIN: i64 = 1_317_422_324_546;

/// Lines of NDJSON without an end.
#[derive(Debug)]
pub(super) struct Applications {
    random: u64,
    time: i64,
    next_key: u64,
    open: Vec<Application>,
}

#[derive(Debug)]
struct Application {
    key: u64,
    version: u64,
    is_approved: bool,
    /// At which step one that is not approved ends.
    last_step: usize,
}

impl Default for Applications {
    fn default() -> Self {
        Self {
            random: 2011,
            time: BEGIN,
            next_key: 173_688,
            open: Vec::new(),
        }
    }
}

impl Applications {
    /// SplitMix64 (Steele, Lea and Flood 2014), below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }

    fn begin(&mut self) -> Application {
        let key = self.next_key;
        self.next_key += 3;
        let is_approved = self.below(6) == 0;
        let steps = STEPS.len() as u64;
        let last_step = usize::try_from(2 + self.below(steps - 3)).unwrap_or(2);
        Application {
            key,
            version: 0,
            is_approved,
            last_step,
        }
    }
}

impl Iterator for Applications {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let open = self.open.len() as u64;
        let at = match self.below(OPEN) {
            at if at < open => usize::try_from(at).unwrap_or(0),
            _ => {
                let application = self.begin();
                self.open.push(application);
                self.open.len() - 1
            }
        };
        let mut application = self.open.swap_remove(at);
        let step = usize::try_from(application.version).unwrap_or(0);
        application.version += 1;
        let ends_badly = !application.is_approved && step == application.last_step;
        let name = match ENDS.get(usize::from(application.key.is_multiple_of(2))) {
            Some(end) if ends_badly => end,
            _ => STEPS.get(step)?,
        };
        self.time += i64::try_from(self.below(50_000)).unwrap_or(0);
        let amount = match step {
            0 => format!("\"amountRequested\":{},", 500 * (1 + self.below(100))),
            _ => String::new(),
        };
        let resource = 112 + self.below(60);
        let time = String::from(tidelog_core::protocol::json::Instant(
            tidelog_core::Timestamp::from_millis(self.time),
        ));
        let Application { key, version, .. } = application;
        if !ends_badly && step + 1 < STEPS.len() {
            self.open.push(application);
        }
        Some(format!(
            r#"{{"stream":"application-{key}","version":{version},"type":"{name}","time":"{time}","data":{{{amount}"resource":"{resource}"}}}}"#
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::Applications;
    use crate::cli::ndjson::Line;
    use std::collections::BTreeMap;

    #[test]
    fn generated_lines_are_valid_gap_free_and_always_the_same() {
        let lines: Vec<String> = Applications::default().take(5_000).collect();
        let again: Vec<String> = Applications::default().take(5_000).collect();
        assert_eq!(lines, again);
        let mut heads = BTreeMap::new();
        for line in &lines {
            let (event, version) = Line::parse(line).expect("a valid line");
            let head = heads.entry(event.stream).or_insert(0);
            *head += 1;
            assert_eq!(version.value(), *head);
        }
        assert!(heads.len() > 200, "{} applications", heads.len());
        assert!(
            lines
                .iter()
                .any(|line| line.contains("A_APPROVED.complete"))
        );
    }
}

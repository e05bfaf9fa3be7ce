//! What really ran, read from the words of each runner.

/// How many checks passed and failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// One check with this result.
    pub(crate) fn one(success: bool) -> Self {
        Self {
            passed: u64::from(success),
            failed: u64::from(!success),
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// This tally, with a failure that the runner did not count: it ended badly although no test
    /// failed (it did not compile, it crashed), or it ran nothing at all.
    pub(crate) fn judged(mut self, success: bool) -> Self {
        if (self.failed == 0 && !success) || self == Self::default() {
            self.failed += 1;
        }
        self
    }
}

/// `test result: ok. 12 passed; 0 failed; …`, once for each test binary: libtest and wasm-bindgen.
pub(crate) fn libtest(text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in plain(text).lines() {
        if let Some(result) = line.trim().strip_prefix("test result:") {
            tally.passed += before(result, "passed");
            tally.failed += before(result, "failed");
        }
    }
    tally
}

/// ` Tests  1 failed | 12 passed (13)` of vitest.
pub(crate) fn vitest(text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in plain(text).lines() {
        if let Some(result) = line.trim().strip_prefix("Tests ") {
            tally.passed += before(result, "passed");
            tally.failed += before(result, "failed");
        }
    }
    tally
}

/// `# pass 3` and `# fail 1` of node's TAP reporter; a cancelled test did not pass.
pub(crate) fn tap(text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in plain(text).lines() {
        let mut words = line.split_whitespace();
        if words.next() == Some("#") {
            let (kind, count) = (
                words.next(),
                words.next().and_then(|word| word.parse::<u64>().ok()),
            );
            match (kind, count) {
                (Some("pass"), Some(count)) => tally.passed += count,
                (Some("fail" | "cancelled"), Some(count)) => tally.failed += count,
                _ => {}
            }
        }
    }
    tally
}

/// The indented summary lines of Playwright: `  1 failed`, `  2 did not run`, `  12 passed (30s)`.
pub(crate) fn playwright(text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in plain(text).lines() {
        let mut words = line.split_whitespace();
        let Some(count) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
            continue;
        };
        match words.next() {
            Some("passed" | "flaky") => tally.passed += count,
            Some("failed" | "interrupted") => tally.failed += count,
            Some("did") if words.eq(["not", "run"]) => tally.failed += count,
            _ => {}
        }
    }
    tally
}

/// `12 passed, 1 failed` as the last line: our own programs.
pub(crate) fn last_line(text: &str) -> Tally {
    let line = plain(text);
    let line = line.trim().lines().next_back().unwrap_or_default();
    Tally {
        passed: before(&line.replace(',', ";"), "passed"),
        failed: before(line, "failed"),
    }
}

/// The number just before `word`, or 0.
fn before(line: &str, word: &str) -> u64 {
    let words: Vec<&str> = line
        .split([' ', ';', '|', '.'])
        .filter(|w| !w.is_empty())
        .collect();
    words
        .windows(2)
        .find_map(|pair| match pair {
            [count, named] if *named == word => count.parse().ok(),
            _ => None,
        })
        .unwrap_or(0)
}

/// `text` without terminal colours.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_every_binary_of_libtest() {
        let text = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured\n\
                    test result: FAILED. 3 passed; 2 failed; 0 ignored\n";
        assert_eq!(
            libtest(text),
            Tally {
                passed: 15,
                failed: 2
            }
        );
    }

    #[test]
    fn reads_vitest_through_its_colours() {
        let text = " Test Files  2 passed (2)\n\
                    \u{1b}[2m      Tests \u{1b}[22m \u{1b}[31m1 failed\u{1b}[39m | \u{1b}[1m12 passed\u{1b}[22m (13)\n";
        assert_eq!(
            vitest(text),
            Tally {
                passed: 12,
                failed: 1
            }
        );
    }

    #[test]
    fn reads_the_totals_of_tap_and_not_its_diagnostics() {
        let text = "# Subtest: pass 4\nok 1 - x\n# tests 3\n# pass 2\n# fail 1\n# cancelled 0\n";
        assert_eq!(
            tap(text),
            Tally {
                passed: 2,
                failed: 1
            }
        );
    }

    #[test]
    fn counts_what_playwright_did_not_run_as_failed() {
        let text = "  1 failed\n    [chromium] › a.e2e.spec.ts:1:1 › 3 passed the test\n  2 did not run\n  12 passed (30.1s)\n";
        assert_eq!(
            playwright(text),
            Tally {
                passed: 12,
                failed: 3
            }
        );
    }

    #[test]
    fn reads_the_last_line_of_our_own_programs() {
        let text = "one\n3 passed, 4 failed of something else\n12 passed, 1 failed\n";
        assert_eq!(
            last_line(text),
            Tally {
                passed: 12,
                failed: 1
            }
        );
    }

    #[test]
    fn a_suite_that_ran_nothing_failed() {
        assert_eq!(
            Tally::default().judged(true),
            Tally {
                passed: 0,
                failed: 1
            }
        );
    }

    #[test]
    fn a_bad_end_without_a_failed_test_is_a_failure() {
        assert_eq!(
            Tally {
                passed: 4,
                failed: 0
            }
            .judged(false),
            Tally {
                passed: 4,
                failed: 1
            }
        );
        assert_eq!(
            Tally {
                passed: 4,
                failed: 2
            }
            .judged(false),
            Tally {
                passed: 4,
                failed: 2
            }
        );
    }
}

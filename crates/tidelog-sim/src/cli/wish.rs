//! What the words of the command line ask for.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

#[derive(Debug)]
pub(crate) enum Mode {
    Seeds,
    Replay(String),
    Canaries,
    Exhaustive(usize),
    Hashes,
}

#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) mode: Mode,
    pub(crate) seeds: u64,
    pub(crate) first: u64,
    pub(crate) steps: u32,
    /// Worlds where much is erased.
    pub(crate) erasing: bool,
    /// No new world is begun after so long.
    pub(crate) most: Option<Duration>,
    pub(crate) threads: usize,
    /// So many failing worlds end the run.
    pub(crate) failures: usize,
    /// Where failing worlds are written to, one file each.
    pub(crate) out: Option<PathBuf>,
    /// Only canaries with these names.
    pub(crate) only: Vec<String>,
    /// So many lines of a failing world's story are told.
    pub(crate) lines: usize,
}

pub(crate) const USAGE: &str = "\
usage: cargo xtask sim [--seeds N] [--steps M] [--seed S | --first S] [--seconds T] [--threads N]
                       [--erasing] [--failures N] [--out FOLDER] [--lines N] | --replay FILE | --canaries [NAME…]
                       | --exhaustive OPERATIONS";

impl Wish {
    pub(crate) fn read(words: &[String]) -> Result<Self, String> {
        let mut wish = Self {
            mode: Mode::Seeds,
            seeds: 1_000,
            first: 0,
            steps: 2_000,
            erasing: false,
            most: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            failures: 1,
            out: None,
            only: Vec::new(),
            lines: 60,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                let next = words.next();
                next.ok_or_else(|| format!("{word} needs a value\n{USAGE}"))
            };
            match word.as_str() {
                "--seeds" => wish.seeds = number(value()?)?,
                "--first" => wish.first = number(value()?)?,
                "--seed" => {
                    wish.first = number(value()?)?;
                    wish.seeds = 1;
                }
                "--erasing" => wish.erasing = true,
                "--steps" => wish.steps = number(value()?)?,
                "--seconds" => wish.most = Some(Duration::from_secs(number(value()?)?)),
                "--threads" => wish.threads = number::<usize>(value()?)?.max(1),
                "--failures" => wish.failures = number::<usize>(value()?)?.max(1),
                "--lines" => wish.lines = number(value()?)?,
                "--out" => wish.out = Some(value()?.into()),
                "--replay" => wish.mode = Mode::Replay(value()?.clone()),
                "--canaries" => wish.mode = Mode::Canaries,
                "--exhaustive" => wish.mode = Mode::Exhaustive(number(value()?)?),
                "--hashes" => {
                    wish.mode = Mode::Hashes;
                    wish.seeds = number(value()?)?;
                }
                name if matches!(wish.mode, Mode::Canaries) && !name.starts_with('-') => {
                    wish.only.push(name.to_owned());
                }
                _ => return Err(format!("there is no option {word}\n{USAGE}")),
            }
        }
        Ok(wish)
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_cause| format!("{text} is not a number that fits\n{USAGE}"))
}

//! Child processes: said in a line, run in the checkout, their failure turned into a sentence.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::Outcome;

/// Says what is going on now.
pub(crate) fn say(line: &str) {
    println!("» {line}");
}

/// A command in `folder`, with no input to wait for.
pub(crate) fn command<I, A>(folder: &Path, program: impl AsRef<OsStr>, arguments: I) -> Command
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// Runs `command` with its output on ours; an exit code other than 0 is an error.
pub(crate) fn check(mut command: Command) -> Outcome {
    let status = command
        .status()
        .map_err(|error| cannot_start(&command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} ended with {status}", name(&command)))
    }
}

/// Runs `command` without showing its output and returns what it wrote to stdout.
pub(crate) fn read(mut command: Command) -> Outcome<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| cannot_start(&command, &error))?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", name(&command), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a child process wrote, and whether it ended with exit code 0.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Stdout and stderr, line by line in the order they came.
    pub(crate) text: String,
    /// Whether the exit code was 0.
    pub(crate) success: bool,
}

/// Runs `command`, shows its output as it comes and keeps a copy to read counts from.
pub(crate) fn tee(mut command: Command) -> Outcome<Heard> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_start(&command, &error))?;
    let text = Arc::new(Mutex::new(String::new()));
    let readers = [
        child
            .stdout
            .take()
            .map(|pipe| copy(pipe, Arc::clone(&text))),
        child
            .stderr
            .take()
            .map(|pipe| copy(pipe, Arc::clone(&text))),
    ];
    let status = child
        .wait()
        .map_err(|error| format!("{} was lost: {error}", name(&command)))?;
    for reader in readers.into_iter().flatten() {
        if reader.join().is_err() {
            return Err(format!(
                "the output of {} could not be read",
                name(&command)
            ));
        }
    }
    let text = text.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Heard {
        text,
        success: status.success(),
    })
}

fn copy(pipe: impl Read + Send + 'static, text: Arc<Mutex<String>>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(lines.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            let shown = String::from_utf8_lossy(&line);
            print!("{shown}");
            text.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&shown);
            line.clear();
        }
    })
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("cannot start {}: {error}", name(command))
}

fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args().take(3));
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    format!("`{}`", words.join(" "))
}

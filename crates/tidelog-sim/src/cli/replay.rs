//! One world again, from a file.

use crate::options::Options;
use crate::run::{Ending, play};

pub(crate) fn run(path: &str, lines: usize) -> Result<bool, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let options: Options = text.parse()?;
    let ending = play(&options, lines);
    tell(&ending);
    let passed = ending.violation.is_none();
    println!("{} passed, {} failed", u8::from(passed), u8::from(!passed));
    Ok(passed)
}

/// The end of a world's story, and what broke.
pub(crate) fn tell(ending: &Ending) {
    for line in &ending.lines {
        println!("  {line}");
    }
    match &ending.violation {
        None => println!(
            "all is well after {} steps, trace {:016x}",
            ending.steps, ending.hash
        ),
        Some((violation, step)) => println!("{violation} (step {step})"),
    }
}

//! Every short story of two devices.

use crate::exhaustive::{check, stories};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) fn run(most: usize, threads: usize) -> Result<bool, String> {
    let stories = stories(most);
    let next = AtomicUsize::new(0);
    let cases = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(story) = stories.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match check(story) {
                        Ok(played) => _ = cases.fetch_add(played, Ordering::Relaxed),
                        Err((end, violation)) => {
                            let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                            failed.push(format!("{violation}\n  {story:?}\n  ended by {end:?}"));
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    for failure in failed.iter().take(5) {
        println!("{failure}");
    }
    println!(
        "{} stories of up to {most} operations of 2 devices, {} cases with a crash at every effect",
        stories.len(),
        cases.into_inner()
    );
    println!(
        "{} passed, {} failed",
        stories.len() - failed.len(),
        failed.len()
    );
    Ok(failed.is_empty())
}

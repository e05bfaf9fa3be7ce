//! Debian packages, by root, by `sudo`, or by a sentence that says what to type.

use std::path::Path;

use crate::Outcome;
use crate::project::Project;
use crate::run::{check, command, read, say};

/// Installs Debian packages; where that is not possible the error says what to do by hand.
pub(crate) fn install(project: &Project, packages: &[&str]) -> Outcome {
    let list = packages.join(" ");
    let by_hand = format!("install {list} (Debian: apt-get install {list}) and run this again");
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!("this is not Debian: {by_hand}"));
    }
    let root = read(command(&project.root, "id", ["-u"]))?.trim() == "0";
    if !root && !Path::new("/usr/bin/sudo").exists() {
        return Err(format!("neither root nor sudo: {by_hand}"));
    }
    say(&format!("apt: installing {list}"));
    let apt = |words: &[&str]| {
        let mut all = vec!["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
        all.extend(words);
        if root {
            all.remove(0);
            command(&project.root, "env", all)
        } else {
            command(&project.root, "sudo", all)
        }
    };
    check(apt(&["update", "-q"]))?;
    let mut words = vec!["install", "-y", "-q", "--no-install-recommends"];
    words.extend(packages);
    check(apt(&words)).map_err(|error| format!("{error}; {by_hand}"))
}

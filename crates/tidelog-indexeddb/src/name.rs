//! What a database is called.

use std::fmt::Write as _;
use tidelog_core::{LogName, Subject};

/// `tidelog/{log}/{user}`, the user empty if nobody is signed in. A log's name has no slash; of the user's everything
/// but ASCII letters, digits and `-._~@` is percent-encoded, so that two users never share a database.
pub(crate) fn database_name(log: &LogName, user: Option<&Subject>) -> String {
    let mut name = format!("tidelog/{log}/");
    for byte in user.map_or("", |user| user.as_str()).bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            name.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(name, "%{byte:02X}");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_users_never_share_a_database() {
        let log = LogName::new("todos").unwrap();
        let name = |user: &str| database_name(&log, Some(&Subject::new(user).unwrap()));
        assert_eq!(database_name(&log, None), "tidelog/todos/");
        assert_eq!(name("ada@example.com"), "tidelog/todos/ada@example.com");
        assert_eq!(name("a/b"), "tidelog/todos/a%2Fb");
        assert_eq!(name("a%2Fb"), "tidelog/todos/a%252Fb");
        assert_eq!(name("é"), "tidelog/todos/%C3%A9");
        assert_ne!(
            name("é"),
            name("e\u{301}"),
            "twins in Unicode are two users"
        );
    }
}

//! A file with what is otherwise said by options: `tidelog serve --config tidelog.toml`.
//!
//! Each key is the name of an option. An option on the command line counts before its environment variable, and that before
//! the file. So the file is turned into options, but for those that are there already, and clap reads all of them:
//! there is one place that says what an option takes.

use super::{Cli, Failure};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command, CommandFactory};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// What the program is asked, from wherever.
#[derive(Debug)]
pub(super) struct Arguments {
    /// What was typed, and behind it what the file says.
    pub(super) all: Vec<OsString>,
    /// The file, if there is one.
    pub(super) file: Option<PathBuf>,
}

/// The arguments, and behind them what the file says that they name.
///
/// # Errors
/// If two databases are named, or there is a file and it cannot be read, is not TOML, or says what is no option.
pub(super) fn arguments(given: impl IntoIterator<Item = OsString>) -> Result<Arguments, Failure> {
    let mut all: Vec<OsString> = given.into_iter().collect();
    let mut file = None;
    // Whatever else is wrong with them is said when all are read.
    let early = Cli::command().ignore_errors(true);
    let matches = early.try_get_matches_from(&all).ok();
    let Some((command, matches)) = matches.as_ref().and_then(ArgMatches::subcommand) else {
        return Ok(Arguments { all, file });
    };
    if ["db", "store"].iter().all(|id| is_typed(matches, id)) {
        return Err(Failure::Refused(TWO_DATABASES.into()));
    }
    let named = matches.try_get_one::<PathBuf>("config").ok().flatten();
    if let (Some(path), "serve") = (named, command) {
        all.extend(from_file(path, matches)?);
        file = Some(path.clone());
    }
    Ok(Arguments { all, file })
}

/// One of them would be left out, and which one cannot be guessed.
const TWO_DATABASES: &str =
    "which database? Both --db and --store name one; give --db FILE or --store URL";

/// Is it on the command line itself?
fn is_typed(given: &ArgMatches, id: &str) -> bool {
    // A command without the option would panic at the second question.
    given.try_contains_id(id).is_ok() && given.value_source(id) == Some(ValueSource::CommandLine)
}

fn from_file(path: &Path, given: &ArgMatches) -> Result<Vec<OsString>, Failure> {
    let refused = |why: String| Failure::Refused(format!("--config {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    let table: Table = text.parse().map_err(|error| refused(format!("{error}")))?;
    let cli = Cli::command();
    let serve = cli.find_subcommand("serve");
    let serve = serve.ok_or_else(|| refused("there is no command for it".into()))?;
    if ["db", "store"].iter().all(|key| table.contains_key(*key)) {
        return Err(refused(TWO_DATABASES.into()));
    }
    let mut arguments = Vec::new();
    for (key, value) in &table {
        let added = option(serve, given, key, value).map_err(refused)?;
        arguments.extend(added);
    }
    Ok(arguments)
}

/// What a key says, as options.
fn option(
    serve: &Command,
    given: &ArgMatches,
    key: &str,
    value: &Value,
) -> Result<Vec<OsString>, String> {
    let mut options = serve.get_arguments().filter(|arg| is_for_files(arg));
    let Some(arg) = options.find(|arg| arg.get_long() == Some(key)) else {
        return Err(unknown(serve, key));
    };
    // Two options say which database: either of them goes before both of the file's.
    let same: &[&str] = match key {
        "db" | "store" => &["db", "store"],
        _ => &[arg.get_id().as_str()],
    };
    let is_given = |id: &&str| {
        let source = given.value_source(id);
        matches!(
            source,
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        )
    };
    if same.iter().any(is_given) {
        return Ok(Vec::new());
    }
    let flag = OsString::from(format!("--{key}"));
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return match value {
            Value::Boolean(true) => Ok(vec![flag]),
            Value::Boolean(false) => Ok(Vec::new()),
            _ => Err(format!("`{key}` is neither true nor false")),
        };
    }
    let values = match value {
        Value::Array(values) if matches!(arg.get_action(), ArgAction::Append) => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    let mut options = Vec::new();
    for value in values {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            _ => {
                return Err(format!(
                    "`{key}` is a {}, which it cannot be",
                    value.type_str()
                ));
            }
        };
        // In one word, so that a value that begins with a dash is one.
        let mut option = flag.clone();
        option.push("=");
        option.push(text);
        options.push(option);
    }
    Ok(options)
}

fn is_for_files(arg: &clap::Arg) -> bool {
    arg.get_long()
        .is_some_and(|long| !["config", "help", "version"].contains(&long))
}

fn unknown(serve: &Command, key: &str) -> String {
    let names = serve.get_arguments().filter(|arg| is_for_files(arg));
    let nearest = names
        .filter_map(clap::Arg::get_long)
        .max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
    let nearest = nearest.unwrap_or_default();
    format!("there is no option `{key}`; the nearest one is `{nearest}`")
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Cli, Failure, arguments};
    use clap::CommandFactory;
    use std::ffi::OsString;

    fn with(file: &str, more: &[&str]) -> Result<Vec<String>, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("tidelog.toml");
        std::fs::write(&path, file).expect("a file");
        let path = path.display().to_string();
        let given = ["tidelog", "serve", "--config", path.as_str()];
        let given = given.iter().chain(more).map(OsString::from);
        match arguments(given) {
            Ok(Arguments { all, .. }) => Ok(all[4 + more.len()..]
                .iter()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect()),
            Err(Failure::Refused(why) | Failure::Failed(why)) => Err(why),
        }
    }

    #[test]
    fn keys_become_options_but_for_those_that_are_given() {
        let file = "listen = '127.0.0.1:1'\nlog = ['a', 'b']\nrate-limit = 7\ndev = true\n";
        assert_eq!(
            with(file, &[]),
            Ok([
                "--dev",
                "--listen=127.0.0.1:1",
                "--log=a",
                "--log=b",
                "--rate-limit=7"
            ]
            .map(String::from)
            .to_vec())
        );
        let rest = with(file, &["--log", "c", "--listen=127.0.0.1:2"]);
        assert_eq!(rest, Ok(vec!["--dev".into(), "--rate-limit=7".into()]));
        assert_eq!(with("dev = false", &[]), Ok(vec![]));
    }

    #[test]
    fn a_database_that_is_given_goes_before_the_file_s() {
        assert_eq!(with("db = 'a.db'", &[]), Ok(vec!["--db=a.db".into()]));
        assert_eq!(with("db = 'a.db'", &["--store", "b.db"]), Ok(vec![]));
    }

    #[test]
    fn two_databases_are_one_too_many() {
        for (file, typed) in [
            ("dev = true", &["--db", "a.db", "--store", "b.db"][..]),
            ("db = 'a.db'\nstore = 'b.db'", &[]),
        ] {
            let said = with(file, typed).expect_err("an error");
            assert!(said.contains("Both --db and --store"), "{said}");
        }
        let without = ["tidelog", "openapi"].map(OsString::from);
        assert!(arguments(without).is_ok());
    }

    #[test]
    fn what_is_no_option_is_named_with_the_nearest_one() {
        for (file, says) in [
            (
                "lisen = 'x'",
                "no option `lisen`; the nearest one is `listen`",
            ),
            ("tokns = 'x'", "the nearest one is `tokens`"),
            ("config = 'x'", "no option `config`"),
            ("dev = 1", "`dev` is neither true nor false"),
            ("listen = ['a']", "`listen` is a array"),
            ("[serve]\nlisten = 'a'", "no option `serve`"),
            ("listen =", "line 1"),
        ] {
            let said = with(file, &[]).expect_err("an error");
            assert!(said.contains(says), "{said:?} should say {says:?}");
        }
    }

    #[test]
    fn every_command_shows_how_it_is_used() {
        let cli = Cli::command();
        for command in cli.get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string);
            let example = format!("tidelog {}", command.get_name());
            let shows =
                help.is_some_and(|help| help.contains("Example") && help.contains(&example));
            assert!(shows, "{} has no example", command.get_name());
        }
    }

    #[test]
    fn every_option_has_a_variable_of_its_name() {
        let cli = Cli::command();
        let serve = cli.find_subcommand("serve").expect("a command");
        for arg in serve.get_arguments().filter(|arg| super::is_for_files(arg)) {
            let long = arg.get_long().expect("an option");
            if long == "db" {
                // TIDELOG_STORE takes a file, too.
                continue;
            }
            let name = format!("TIDELOG_{}", long.replace('-', "_").to_uppercase());
            assert_eq!(
                arg.get_env(),
                Some(OsString::from(name).as_os_str()),
                "--{long}"
            );
        }
    }
}

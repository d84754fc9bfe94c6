//! What is said when the arguments are not understood: one line, without the values, which may be secrets.

use std::{error::Error as _, io::Write};

use anyhow::anyhow;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Failure, Outcome};

/// Prints the help or the version that was asked for; all else is bad usage.
pub(super) fn answer(stopped: &clap::Error, out: &mut dyn Write) -> Outcome {
    if matches!(stopped.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Ok(write!(out, "{}", stopped.render())?);
    }
    Err(Failure::usage(anyhow!("usage: {}; try --help", cause(stopped))))
}

/// What is wrong, put together from names alone: clap's own texts repeat the values.
fn cause(stopped: &clap::Error) -> String {
    let argument = match stopped.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => Some(argument.as_str()),
        _ => None,
    };
    match (stopped.kind(), argument, stopped.source()) {
        (ErrorKind::ValueValidation, Some(argument), Some(reason)) => format!("{argument}: {reason}"),
        (ErrorKind::UnknownArgument, Some(argument), _) => match argument
            .split('=')
            .next()
            .filter(|name| is_option(name))
        {
            Some(name) => format!("unexpected argument {name}{}", suggestion(stopped)),
            None => {
                "a value that belongs to no option (write --option=VALUE for one that begins with a dash; quote one \
                     that has spaces or & in it)"
                    .to_owned()
            }
        },
        (ErrorKind::InvalidValue, Some(argument), _) => match stopped.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(words)) if !words.is_empty() => {
                format!("{argument}: must be one of {}", words.join(", "))
            }
            _ => format!("{argument}: needs a value"),
        },
        (ErrorKind::InvalidSubcommand, ..) => "no such command".to_owned(),
        (ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues, Some(argument), _) => {
            format!("{argument}: takes no value, or fewer")
        }
        // These name options and commands alone.
        (ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand | ErrorKind::ArgumentConflict, ..) => {
            let text = stopped.render().to_string();
            let first = text.split("\n\n").next().unwrap_or_default();
            first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ")
        }
        (_, Some(argument), _) if is_option(argument) => format!("{argument} is not understood"),
        _ => "the arguments are not understood".to_owned(),
    }
}

/// Whether a text can be no more than the name of an option.
fn is_option(text: &str) -> bool {
    let name = text.trim_start_matches('-');
    let dashes = text.len() - name.len();
    (1..=2).contains(&dashes)
        && (1..=40).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

fn suggestion(stopped: &clap::Error) -> String {
    match stopped.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(name)) => format!(" (did you mean {name}?)"),
        _ => String::new(),
    }
}

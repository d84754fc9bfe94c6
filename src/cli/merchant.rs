//! The options of `dev` and `simulate` for the orders of the simulated Wonder.

use std::time::Duration;

use crate::{
    config::values::duration_of,
    simulator::{CURRENCIES, Currency, Options},
};

/// The settings of the merchants of the simulated Wonder.
#[derive(Debug, clap::Args)]
pub(super) struct MerchantArgs {
    /// How many customers, payment tokens and orders the simulated Wonder keeps; a new order above that evicts the oldest finished one
    #[arg(long, value_name = "NUMBER", default_value = "100000", value_parser = capacity)]
    capacity: usize,
    /// Enabled currencies, separated by commas; an order in any other currency gets error EO100102
    #[arg(long, value_name = "CODES", value_delimiter = ',', default_value = CURRENCIES, value_parser = currency)]
    currencies: Vec<Currency>,
    /// How long a second identical refund of a transaction gets error 100701, such as 5m [default: never]
    #[arg(long, value_name = "DURATION", value_parser = duration_of)]
    refund_window: Option<Duration>,
}

impl MerchantArgs {
    /// Adds these settings to the options of a simulator.
    pub(super) fn apply(&self, options: Options) -> Options {
        Options {
            capacity: self.capacity,
            currencies: self.currencies.clone(),
            refund_window: self.refund_window.unwrap_or_default(),
            ..options
        }
    }
}

fn capacity(text: &str) -> Result<usize, &'static str> {
    let number = text.parse().ok().filter(|number| (1..=100_000_000).contains(number));
    number.ok_or("not a whole number from 1 to 100000000")
}

fn currency(text: &str) -> Result<Currency, &'static str> {
    Currency::parse(text.trim()).ok_or("not a currency; write three capital letters such as HKD")
}

//! The options of `dev` and `simulate` that say how the simulated Wonder treats orders.

use std::time::Duration;

use crate::{
    config::values::duration_of,
    simulator::{CURRENCIES, Currency, Options},
};

/// What is set for the merchants of the simulated Wonder.
#[derive(Debug, clap::Args)]
pub(super) struct MerchantArgs {
    /// How many customers, payment tokens and orders the simulated Wonder remembers; a further order evicts the oldest finished one
    #[arg(long, value_name = "NUMBER", default_value = "100000", value_parser = capacity)]
    capacity: usize,
    /// Currencies that are enabled, with commas between them; an order in another one is denied with EO100102
    #[arg(long, value_name = "CODES", value_delimiter = ',', default_value = CURRENCIES, value_parser = currency)]
    currencies: Vec<Currency>,
    /// For how long the same refund of a transaction is denied with 100701, such as 5m; not at all unless set
    #[arg(long, value_name = "DURATION", value_parser = duration_of)]
    refund_window: Option<Duration>,
}

impl MerchantArgs {
    /// The options of a simulator, with these.
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

//! The state machine as a table over every state and call, and its sums as a property.

use proptest::prelude::*;
use uuid::Uuid;

use super::{Action, Amount, Currency, Denial, Draft, Kind, Order, Outcome, Payment, Refund, Status};

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn uuid(number: usize) -> Uuid {
    Uuid::from_u128(number as u128 + 1)
}

fn order(total: &str) -> Order {
    let draft = Draft {
        reference_number: "r".into(),
        currency: Currency::DEFAULT,
        total: amount(total),
        tips: Amount::ZERO,
        note: None,
        due_date: None,
        callback_url: None,
        redirect_url: None,
        line_items: Box::default(),
        only_pre_auth: false,
    };
    Order::new(93_000_000_001, "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11".parse().unwrap(), draft, 0)
}

/// One call on an order, in the words of the table: `pay`, `pay 50`, `fail`, `pend`, `hold`, `settle`, `reject`, `void`, `void 1`
/// (the first transaction), `refund 20 of 1`.
fn call(order: &mut Order, text: &str) -> Result<Option<Action>, Denial> {
    let words: Vec<&str> = text.split(' ').collect();
    let at = |at: usize| words.get(at).map(|text| amount(text));
    let nth = |at: usize| words[at].parse::<usize>().map(|number| order.transactions[number - 1].uuid).unwrap();
    let new = uuid(order.transactions.len());
    let payment = |amount, outcome| Payment { uuid: new, method: None, amount, authorize: words[0] == "hold", outcome };
    match words[0] {
        "pay" | "hold" => order.pay(payment(at(1), Outcome::Success), 0),
        "fail" => order.pay(payment(at(1), Outcome::Failure), 0),
        "pend" => order.pay(payment(at(1), Outcome::Pending), 0),
        "settle" => order.pay_or_settle(payment(None, Outcome::Success), 0),
        "reject" => order.pay_or_settle(payment(None, Outcome::Failure), 0),
        "void" if words.len() == 1 => order.void().map(Some),
        "void" => order.void_transaction(nth(1)).map(Some),
        "refund" => {
            let sale = nth(3);
            order.refund(Refund { uuid: new, sale, amount: at(1).unwrap(), note: None, window: 0 }, 0).map(Some)
        }
        other => panic!("{other}"),
    }
}

fn states(order: &Order) -> String {
    format!("{}/{}", order.state(), order.correspondence_state())
}

/// How each state is reached, and the result of each call in it: the next state and the reported action, or the denial's code. The total
/// of every order is 100.
const TABLE: &str = "\
STATE invoiced/unpaid FROM (nothing)
  void            -> voided/unpaid order.voided
  pay             -> completed/paid order.paid
  pay 40          -> in_completed/partial_paid order.paid
  pay 100.01      -> 100903
  fail            -> invoiced/unpaid order.payment_failure
  pend            -> invoiced/unpaid (nothing)
  hold            -> in_completed/authorized (nothing)
  settle          -> completed/paid order.paid
STATE invoiced/unpaid FROM pend
  void            -> voided/unpaid order.voided
  void 1          -> 100905
  refund 10 of 1  -> 100906
  pay             -> completed/paid order.paid
  pend            -> invoiced/unpaid (nothing)
  settle          -> completed/paid order.paid
  reject          -> invoiced/unpaid order.payment_failure
STATE invoiced/unpaid FROM fail
  void            -> voided/unpaid order.voided
  void 1          -> 100905
  refund 10 of 1  -> 100906
  pay             -> completed/paid order.paid
  fail            -> invoiced/unpaid order.payment_failure
STATE voided/unpaid FROM void
  void            -> 100901
  pay             -> 100902
  fail            -> 100902
  pend            -> 100902
  hold            -> 100902
  settle          -> 100902
STATE voided/unpaid FROM pend, void
  settle          -> 100902
  void 1          -> 100905
  refund 10 of 1  -> 100906
STATE in_completed/partial_paid FROM pay 40
  void            -> 100901
  pay             -> completed/paid order.paid
  pay 60.01       -> 100903
  fail            -> in_completed/partial_paid order.payment_failure
  pend            -> in_completed/partial_paid (nothing)
  hold            -> in_completed/partial_paid (nothing)
  void 1          -> completed/voided transaction.voided
  refund 10 of 1  -> in_completed/partial_paid order.refunded
  refund 40 of 1  -> completed/refunded order.refunded
  refund 40.01 of 1 -> 100907
STATE in_completed/partial_paid FROM pay 40, pay 20
  void 1          -> in_completed/partial_paid transaction.voided
  refund 40 of 1  -> in_completed/partial_paid order.refunded
STATE in_completed/partial_paid FROM pay 40, pend
  settle          -> completed/paid order.paid
  reject          -> in_completed/partial_paid order.payment_failure
STATE completed/paid FROM pay
  void            -> 100901
  pay             -> 100902
  fail            -> 100902
  pend            -> 100902
  hold            -> 100902
  settle          -> 100902
  void 1          -> completed/voided transaction.voided
  refund 30 of 1  -> in_completed/partial_paid order.refunded
  refund 100 of 1 -> completed/refunded order.refunded
  refund 100.01 of 1 -> 100907
STATE completed/paid FROM pay 40, pay
  void 1          -> in_completed/partial_paid transaction.voided
  void 2          -> in_completed/partial_paid transaction.voided
  refund 40.01 of 1 -> 100907
  refund 60 of 2  -> in_completed/partial_paid order.refunded
STATE completed/paid FROM pend, pay
  void            -> 100901
  pay             -> 100902
  settle          -> completed/over_paid order.paid
  reject          -> completed/paid order.payment_failure
STATE completed/over_paid FROM pend, pay, settle
  void            -> 100901
  pay             -> 100902
  void 1          -> completed/paid transaction.voided
  refund 30 of 1  -> completed/over_paid order.refunded
  refund 100 of 1 -> completed/paid order.refunded
  refund 100.01 of 1 -> 100907
STATE in_completed/partial_paid FROM pay, refund 30 of 1
  void            -> 100901
  pay             -> 100902
  pend            -> 100902
  void 1          -> 100905
  void 2          -> 100905
  refund 10 of 2  -> 100906
  refund 30 of 1  -> in_completed/partial_paid order.refunded
  refund 70 of 1  -> completed/refunded order.refunded
  refund 70.01 of 1 -> 100907
STATE completed/refunded FROM pay, refund 100 of 1
  void            -> 100901
  pay             -> 100902
  fail            -> 100902
  pend            -> 100902
  void 1          -> 100905
  refund 0.01 of 1 -> 100907
STATE completed/voided FROM pay, void 1
  void            -> 100901
  pay             -> 100902
  fail            -> 100902
  pend            -> 100902
  void 1          -> 100905
  refund 10 of 1  -> 100906
STATE in_completed/partial_paid FROM pay 40, pay, void 1
  void            -> 100901
  pay             -> completed/paid order.paid
  void 1          -> 100905
  void 2          -> completed/voided transaction.voided
  refund 40 of 1  -> 100906
  refund 60 of 2  -> completed/refunded order.refunded
STATE in_completed/authorized FROM hold
  void            -> 100901
  pay             -> 100902
  hold            -> 100902
  void 1          -> completed/voided transaction.voided
  refund 10 of 1  -> 100906
STATE in_completed/authorized FROM hold 40
  pay             -> in_completed/partial_paid order.paid
  pay 60.01       -> 100903
  void 1          -> completed/voided transaction.voided
STATE completed/voided FROM hold, void 1
  void            -> 100901
  pay             -> 100902
  void 1          -> 100905
";

#[test]
fn every_call_in_every_state_has_the_result_of_the_table() {
    let mut seen = 0;
    let mut from = order("100");
    for line in TABLE.lines() {
        if let Some(rest) = line.strip_prefix("STATE ") {
            let (state, path) = rest.split_once(" FROM ").unwrap();
            from = order("100");
            for step in path.split(", ").filter(|step| *step != "(nothing)") {
                call(&mut from, step).unwrap();
            }
            assert_eq!(states(&from), state, "{path}");
            continue;
        }
        let (text, expected) = line.split_once("->").unwrap();
        let mut to = from.clone();
        let result = match call(&mut to, text.trim()) {
            Ok(action) => format!("{} {}", states(&to), action.unwrap_or("(nothing)")),
            Err(denial) => {
                assert_eq!(to.view(), from.view(), "a denied call changes nothing: {line}");
                denial.code().to_string()
            }
        };
        assert_eq!(result, expected.trim(), "{} after {text}", states(&from));
        seen += 1;
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn the_state_of_each_action_is_that_of_the_documents() {
    // Action, full or partial, state, correspondence state: the table of the webhook page.
    for (steps, action, expected) in [
        (&["pay 40"][..], "order.paid", "in_completed/partial_paid"),
        (&["pay"], "order.paid", "completed/paid"),
        (&["fail"], "order.payment_failure", "invoiced/unpaid"),
        (&["void"], "order.voided", "voided/unpaid"),
        (&["pay", "refund 1 of 1"], "order.refunded", "in_completed/partial_paid"),
        (&["pay", "refund 100 of 1"], "order.refunded", "completed/refunded"),
        (&["pay 40", "pay", "void 1"], "transaction.voided", "in_completed/partial_paid"),
        (&["pay", "void 1"], "transaction.voided", "completed/voided"),
    ] {
        let mut order = order("100");
        let last = steps.iter().map(|step| call(&mut order, step).unwrap()).last().unwrap();
        assert_eq!((last, &states(&order)[..]), (Some(action), expected), "{steps:?}");
    }
}

#[test]
fn the_same_refund_is_denied_within_the_window_alone() {
    let mut order = order("100");
    call(&mut order, "pay").unwrap();
    let mut refund = |number: usize, text: &str, now| {
        let refund = Refund { uuid: uuid(number), sale: uuid(0), amount: amount(text), note: None, window: 300 };
        order.refund(refund, now)
    };
    refund(1, "10", 1000).unwrap();
    assert_eq!(refund(2, "10.00", 1299), Err(Denial::RefundRepeated));
    refund(3, "10.01", 1299).unwrap();
    refund(4, "10", 1300).unwrap();
}

#[test]
fn the_original_payment_comes_first_and_refunds_after_it() {
    let mut order = order("100");
    for step in ["fail", "pend 10", "pay 40", "refund 10 of 3", "pay", "refund 10 of 5"] {
        call(&mut order, step).unwrap();
    }
    let view = order.view();
    let types: Vec<_> =
        view["transactions"].as_array().unwrap().iter().map(|row| row["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["Sales", "Sales", "Refund", "Refund", "Sales", "Sales"]);
    assert_eq!(view["transactions"][0]["uuid"], uuid(2).to_string());
    assert_eq!(view["transactions"][4]["is_pending"], true);
}

/// Any call; the number of a transaction is taken modulo their count.
fn calls() -> impl Strategy<Value = Vec<(u8, u32, usize)>> {
    prop::collection::vec((0..9_u8, 1..12_000_u32, 0..8_usize), 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sums_match_the_transactions_after_any_calls(calls in calls()) {
        let mut order = order("100");
        for (kind, cents, nth) in calls {
            let text = format!("{}.{:02}", cents / 100, cents % 100);
            let nth = if order.transactions.is_empty() { 0 } else { nth % order.transactions.len() + 1 };
            let line = match kind {
                0 => format!("pay {text}"),
                1 => "pay".to_owned(),
                2 => format!("pend {text}"),
                3 => "settle".to_owned(),
                4 => "reject".to_owned(),
                5 => "void".to_owned(),
                6 if nth > 0 => format!("void {nth}"),
                7 if nth > 0 => format!("refund {text} of {nth}"),
                _ => format!("hold {text}"),
            };
            let before = order.view();
            if call(&mut order, &line).is_err() {
                prop_assert_eq!(order.view(), before);
            }
            holds(&order)?;
        }
    }
}

/// The invariants of every order.
fn holds(order: &Order) -> Result<(), TestCaseError> {
    let sum = |of: &dyn Fn(&super::Transaction) -> bool| -> Amount {
        order.transactions.iter().filter(|transaction| of(transaction)).map(|transaction| transaction.amount).sum()
    };
    let paid = sum(&|of| of.kind == Kind::Sale && of.status == Status::Success && !of.voided);
    let refunded = sum(&|of| of.kind == Kind::Refund);
    prop_assert_eq!((order.paid(), order.refunded()), (paid, refunded));
    prop_assert!(refunded <= paid, "never more refunded than paid");
    prop_assert_eq!(order.unpaid(), (amount("100") - paid).or_zero());
    for sale in &order.transactions {
        let of_sale = sum(&|of| of.original == Some(sale.uuid));
        let most = if sale.is_live_sale() { sale.amount } else { Amount::ZERO };
        prop_assert!(of_sale <= most, "never more than the payment");
    }
    // The view agrees.
    let view = order.view();
    prop_assert_eq!(&view["paid_total"], &paid.to_string());
    prop_assert_eq!(&view["unpaid_total"], &order.unpaid().to_string());
    let rows = view["transactions"].as_array().unwrap();
    let parse = |value: &serde_json::Value| amount(&value.to_string());
    let of_type = |wanted: &str| -> Amount {
        let rows = rows.iter().filter(|row| row["type"] == wanted && row["success"] == true && row["voided"] == false);
        rows.map(|row| parse(&row["amount"])).sum()
    };
    prop_assert_eq!((of_type("Sales"), of_type("Refund")), (paid, refunded));
    let flagged: Amount = rows.iter().map(|row| parse(&row["refunded_amount"])).sum();
    prop_assert_eq!(flagged, refunded);
    for row in rows {
        let both = row["allow_void"] == true && row["allow_refund"] == true;
        prop_assert!(!both && (row["success"] == true || row["allow_refund"] == false));
    }
    let net = paid - refunded;
    let expected = match order.correspondence_state() {
        "paid" => net == amount("100"),
        "over_paid" => net > amount("100"),
        "partial_paid" => net.is_positive() && net < amount("100"),
        "unpaid" | "refunded" | "voided" | "authorized" => net == Amount::ZERO,
        _ => false,
    };
    prop_assert!(expected, "{} with {} paid and {} refunded", order.correspondence_state(), paid, refunded);
    Ok(())
}

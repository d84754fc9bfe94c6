use std::time::Duration;

use http::StatusCode;

use super::*;

/// Times are in milliseconds after the request head.
#[derive(Debug, Clone, Copy)]
enum Event {
    BodyRead { at: u64, took: u64, bytes: u64 },
    Signed { at: u64, took: u64 },
    AttemptStarted(u64),
    AttemptFailed(u64, Sent),
    ResponseHead { at: u64, connected: u64 },
    HeadForwarded(u16),
    ResponseData(usize),
    ResponseEnd(u64),
    Failed(u64, Code, Sent),
    ResponseBroken(Code),
    Cancelled(u64, Sent),
    Drained(u64, Sent),
    Closed(u64),
}

use Code::{BodyTooLarge, Draining, UpstreamDns, UpstreamReset, UpstreamTimeout};
use Event::{
    AttemptFailed, AttemptStarted, BodyRead, Cancelled, Closed, Drained, Failed, HeadForwarded, ResponseBroken,
    ResponseData, ResponseEnd, ResponseHead, Signed,
};
use Sent::{Maybe, No};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn record(events: &[Event]) -> Record {
    let mut record = Record::default();
    for event in events {
        match *event {
            BodyRead { at, took, bytes } => record.body_read(ms(at), ms(took), bytes),
            Signed { at, took } => record.signed(ms(at), ms(took)),
            AttemptStarted(at) => record.attempt_started(ms(at)),
            AttemptFailed(at, sent) => record.attempt_failed(ms(at), sent),
            ResponseHead { at, connected } => _ = record.response_head(ms(at), ms(connected)),
            HeadForwarded(status) => record.head_forwarded(StatusCode::from_u16(status).unwrap(), None),
            ResponseData(bytes) => record.response_data(bytes),
            ResponseEnd(at) => _ = record.response_end(ms(at)),
            Failed(at, code, sent) => record.failed(ms(at), code.row(sent).status, code, sent, "cause".to_owned()),
            ResponseBroken(code) => record.response_broken(code, "cause".to_owned()),
            Cancelled(at, sent) => record.cancelled(ms(at), sent),
            Drained(at, sent) => record.drained(ms(at), sent, "cause".to_owned()),
            Closed(at) => record.closed(ms(at)),
        }
    }
    record
}

/// Read, signed and handed to the upstream client at 10 ms.
const STARTED: [Event; 3] = [BodyRead { at: 4, took: 4, bytes: 20 }, Signed { at: 10, took: 5 }, AttemptStarted(10)];
/// Answered over a pooled connection, and the head forwarded.
const FORWARDED: [Event; 2] = [ResponseHead { at: 30, connected: 0 }, HeadForwarded(200)];

fn after(earlier: &[&[Event]], later: &[Event]) -> Record {
    record(&[&earlier.concat(), later].concat())
}

/// Status, origin, error, `sent`, whether cancelled, and the entry in a drain's receipt.
type Outcome = (Option<u16>, &'static str, Option<Code>, Option<Sent>, bool, End);

struct Case {
    name: &'static str,
    earlier: &'static [&'static [Event]],
    later: &'static [Event],
    outcome: Outcome,
}

const ENDS: &[Case] = &[
    Case {
        name: "a whole response",
        earlier: &[&STARTED, &FORWARDED],
        later: &[ResponseData(7), ResponseEnd(40), Closed(40)],
        outcome: (Some(200), "upstream", None, None, false, End::Answered),
    },
    Case {
        name: "rejected before its body was read",
        earlier: &[],
        later: &[Failed(1, BodyTooLarge, No), ResponseEnd(2), Closed(2)],
        outcome: (Some(413), "signer", Some(BodyTooLarge), Some(No), false, End::Answered),
    },
    Case {
        name: "rejected, and the caller hung up before it read that",
        earlier: &[],
        later: &[Failed(1, BodyTooLarge, No), Closed(2)],
        outcome: (Some(413), "signer", Some(BodyTooLarge), Some(No), false, End::GivenUp),
    },
    Case {
        name: "no connection",
        earlier: &[&STARTED],
        later: &[AttemptFailed(50, No), Failed(51, UpstreamDns, No), ResponseEnd(52), Closed(52)],
        outcome: (Some(502), "signer", Some(UpstreamDns), Some(No), false, End::Answered),
    },
    Case {
        name: "no response in time",
        earlier: &[&STARTED],
        later: &[Failed(51, UpstreamTimeout, Maybe), ResponseEnd(52), Closed(52)],
        outcome: (Some(504), "signer", Some(UpstreamTimeout), Some(Maybe), false, End::Answered),
    },
    Case {
        name: "broken off before the head was forwarded",
        earlier: &[&STARTED],
        later: &[ResponseHead { at: 30, connected: 0 }, Failed(35, UpstreamReset, Maybe), ResponseEnd(36), Closed(36)],
        outcome: (Some(502), "signer", Some(UpstreamReset), Some(Maybe), false, End::Answered),
    },
    Case {
        name: "broken off after the head was forwarded",
        earlier: &[&STARTED, &FORWARDED],
        later: &[ResponseData(7), ResponseBroken(UpstreamReset), Closed(40)],
        outcome: (Some(200), "upstream", Some(UpstreamReset), Some(Maybe), false, End::GivenUp),
    },
    Case {
        name: "the caller hung up before the request was sent",
        earlier: &[],
        later: &[Cancelled(3, No), Closed(3)],
        outcome: (None, "upstream", None, Some(No), true, End::GivenUp),
    },
    Case {
        name: "the caller hung up before the response head",
        earlier: &[&STARTED],
        later: &[Cancelled(20, Maybe), Closed(20)],
        outcome: (None, "upstream", None, Some(Maybe), true, End::GivenUp),
    },
    Case {
        name: "the caller hung up within the response",
        earlier: &[&STARTED, &FORWARDED],
        later: &[ResponseData(7), Cancelled(40, Maybe), Closed(40)],
        outcome: (Some(200), "upstream", None, Some(Maybe), true, End::GivenUp),
    },
    Case {
        name: "the drain ended first, before the request was sent",
        earlier: &[&STARTED],
        later: &[Failed(20, Draining, No), ResponseEnd(21), Closed(21)],
        outcome: (Some(503), "signer", Some(Draining), Some(No), false, End::Cut(No)),
    },
    Case {
        name: "the drain ended first, after the request was sent",
        earlier: &[&STARTED],
        later: &[Failed(20, Draining, Maybe), ResponseEnd(21), Closed(21)],
        outcome: (Some(504), "signer", Some(Draining), Some(Maybe), false, End::Cut(Maybe)),
    },
    Case {
        name: "the drain broke the response off",
        earlier: &[&STARTED, &FORWARDED],
        later: &[ResponseBroken(Draining), Closed(40)],
        outcome: (Some(200), "upstream", Some(Draining), Some(Maybe), false, End::Cut(Maybe)),
    },
    Case {
        name: "the drain closed the connection before there was a response",
        earlier: &[&STARTED],
        later: &[Drained(20, Maybe), Closed(20)],
        outcome: (None, "upstream", Some(Draining), Some(Maybe), false, End::Cut(Maybe)),
    },
];

#[test]
fn each_way_to_end_has_its_outcome() {
    for Case { name, earlier, later, outcome } in ENDS {
        let record = after(earlier, later);
        let recorded = (
            record.status().map(|status| status.as_u16()),
            record.responder().as_str(),
            record.error(),
            record.sent(),
            record.is_cancelled(),
            record.end(),
        );
        assert_eq!(recorded, *outcome, "{name}");
        assert_eq!(record.cause().is_some(), record.error().is_some(), "{name}");
    }
}

#[test]
fn each_phase_is_the_time_between_its_events() {
    /// Body, sign, connect, upstream, response; each as its end and its length.
    type Spent = [(u64, u64); 5];
    let (body, sign) = ((4, 4), (10, 5));
    let cases: &[(&str, &[Event], Spent, u64, u32)] = &[
        (
            "over a pooled connection",
            &[ResponseHead { at: 30, connected: 0 }, HeadForwarded(200), ResponseEnd(40), Closed(41)],
            [body, sign, (0, 0), (30, 20), (40, 10)],
            20,
            1,
        ),
        (
            "over a new connection",
            &[ResponseHead { at: 30, connected: 18 }, HeadForwarded(200), ResponseEnd(40), Closed(41)],
            [body, sign, (18, 8), (30, 12), (40, 10)],
            20,
            1,
        ),
        (
            "without a connection",
            &[AttemptFailed(25, Sent::No), Failed(26, Code::UpstreamConnect, Sent::No), ResponseEnd(27), Closed(27)],
            [body, sign, (25, 15), (0, 0), (0, 0)],
            15,
            1,
        ),
        (
            "without a response",
            &[Failed(25, Code::UpstreamReset, Sent::Maybe), ResponseEnd(27), Closed(27)],
            [body, sign, (0, 0), (25, 15), (0, 0)],
            15,
            1,
        ),
        (
            "at the second attempt",
            &[
                AttemptFailed(25, Sent::No),
                Signed { at: 28, took: 3 },
                AttemptStarted(28),
                ResponseHead { at: 48, connected: 33 },
                HeadForwarded(200),
                ResponseEnd(50),
                Closed(51),
            ],
            [body, (28, 3), (33, 5), (48, 15), (50, 2)],
            35,
            2,
        ),
        (
            "until the caller hung up",
            &[ResponseHead { at: 30, connected: 0 }, HeadForwarded(200), Cancelled(44, Sent::Maybe), Closed(44)],
            [body, sign, (0, 0), (30, 20), (44, 14)],
            20,
            1,
        ),
    ];
    for (name, later, spent, waiting, attempts) in cases {
        let record = after(&[&STARTED], later);
        let Phases { body, sign, connect, upstream, response, waiting: waited, .. } = record.phases();
        let phases = [body, sign, connect, upstream, response];
        assert_eq!(phases, spent.map(|(ended, took)| Phase { ended: ms(ended), took: ms(took) }), "{name}");
        assert_eq!((waited, record.attempts()), (ms(*waiting), *attempts), "{name}");
    }
}

#[test]
fn what_is_added_is_the_time_that_neither_the_caller_nor_wonder_took() {
    let whole = [ResponseHead { at: 30, connected: 18 }, HeadForwarded(200), ResponseEnd(40), Closed(41)];
    // Between the body and the attempt, and after the response.
    assert_eq!(after(&[&STARTED], &whole).added(), Some(ms(6 + 1)));
    let hung_up = [ResponseHead { at: 30, connected: 18 }, HeadForwarded(200), Cancelled(40, Sent::Maybe), Closed(41)];
    assert_eq!(after(&[&STARTED], &hung_up).added(), None);
    assert_eq!(record(&[Failed(1, Code::Overloaded, Sent::No), ResponseEnd(2), Closed(3)]).added(), None);
}

#[test]
fn only_a_response_of_wonder_has_a_body_phase() {
    let mut record = after(&[&STARTED, &FORWARDED], &[]);
    assert_eq!(record.response_end(ms(42)), Some(ms(12)));
    let mut record =
        after(&[&STARTED], &[ResponseHead { at: 30, connected: 0 }, Failed(31, Code::UpstreamReset, Sent::Maybe)]);
    assert_eq!(record.response_end(ms(42)), None);
}

#[test]
fn a_record_is_open_until_its_response_or_an_error_ends_it() {
    for (events, open) in [
        (&[][..], true),
        (&STARTED, true),
        (&FORWARDED, true),
        (&[ResponseEnd(40)], false),
        (&[ResponseBroken(Code::UpstreamReset)], false),
        (&[Failed(1, Code::NotWonder, Sent::No)], false),
    ] {
        assert_eq!(record(events).is_open(), open, "{events:?}");
    }
}

#[test]
fn bytes_are_those_of_the_bodies() {
    let record = after(&[&STARTED, &FORWARDED], &[ResponseData(7), ResponseData(0), ResponseData(5), ResponseEnd(40)]);
    assert_eq!((record.request_bytes(), record.response_bytes()), (20, 12));
}

#[test]
fn only_an_error_that_the_caller_caused_is_a_rejection() {
    for (events, rejected) in [
        (&[Failed(1, Code::BodyTooLarge, Sent::No)][..], true),
        (&[Failed(1, Code::UpstreamDns, Sent::No)], false),
        (&[ResponseHead { at: 1, connected: 0 }, HeadForwarded(404)], false),
    ] {
        assert_eq!(record(events).is_rejected(), rejected, "{events:?}");
    }
}

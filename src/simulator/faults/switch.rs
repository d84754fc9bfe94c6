//! Faults that are switched on for some calls until they are switched off.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Fault, WebhookFault};
use crate::{
    operations::{CATALOGUE, Operation},
    signing::AppId,
    simulator::{
        Wonder,
        answer::Answer,
        fields::{self, Fields, TEXT},
        ledger::{ACTION_NAMES, ACTIONS, Action},
        path::Segment,
        refusal::{Refusal, Rule as FieldRule},
    },
};

/// How many can be on at the same time.
const MOST: usize = 100;

/// One switch.
#[derive(Clone)]
pub(crate) struct Rule {
    pub(crate) id: u64,
    pub(crate) fault: Fault,
    /// Of calls of this operation only.
    pub(crate) operation: Option<&'static str>,
    /// Of calls of this AppID only.
    pub(crate) app_id: Option<AppId>,
    /// Of webhooks with this action only.
    pub(crate) action: Option<Action>,
    /// The number of calls or webhooks that it still affects; `None` for all.
    pub(crate) calls: Option<u64>,
}

impl Rule {
    fn view(&self) -> Value {
        json!({
            "id": self.id, "fault": self.fault.to_string(), "operation": self.operation, "action": self.action,
            "app_id": self.app_id.as_ref().map(AppId::as_str), "calls": self.calls,
        })
    }
}

/// All switches that are on.
#[derive(Default)]
pub(crate) struct Switches(Mutex<On>);

#[derive(Default)]
struct On {
    rules: Vec<Rule>,
    made: u64,
}

impl Switches {
    fn on(&self) -> MutexGuard<'_, On> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn any(&self) -> bool {
        !self.on().rules.is_empty()
    }

    pub(crate) fn all(&self) -> Vec<Rule> {
        self.on().rules.clone()
    }

    /// The fault of a call: that of the newest matching switch.
    pub(super) fn pick(&self, operation: &str, app_id: &str) -> Option<Fault> {
        self.pick_where(app_id, |rule| {
            rule.fault.of_webhook().is_none() && rule.operation.is_none_or(|wanted| wanted == operation)
        })
    }

    /// The fault of a webhook: that of the newest matching switch.
    pub(super) fn pick_for_webhook(&self, action: &str, app_id: &str) -> Option<WebhookFault> {
        let fault = self.pick_where(app_id, |rule| {
            rule.fault.of_webhook().is_some() && rule.action.is_none_or(|wanted| wanted == action)
        });
        fault.and_then(Fault::of_webhook)
    }

    fn pick_where(&self, app_id: &str, fits: impl Fn(&Rule) -> bool) -> Option<Fault> {
        let mut on = self.on();
        let is_of =
            |rule: &Rule| rule.app_id.as_ref().is_none_or(|wanted| wanted.as_str().eq_ignore_ascii_case(app_id));
        let at = on.rules.iter().rposition(|rule| is_of(rule) && fits(rule))?;
        let rule = &mut on.rules[at];
        let fault = rule.fault;
        if let Some(calls) = &mut rule.calls {
            *calls -= 1;
            if *calls == 0 {
                on.rules.remove(at);
            }
        }
        Some(fault)
    }

    /// Switches a fault on. Its fields are `fault` and optionally `operation` or `action`, `app_id` and `calls`.
    pub(crate) fn add(&self, fields: &Fields<'_>) -> Result<Rule, Refusal> {
        fields.only(&["fault", "operation", "action", "app_id", "calls"])?;
        let fault = fields.required("fault", TEXT)?;
        let fault: Fault = fault.parse().map_err(|()| fields.broken("fault", FieldRule::OneOf(Fault::FORMS)))?;
        let operation = fields.filled("operation", TEXT)?.map(|wanted| {
            let known = CATALOGUE.iter().map(Operation::name).find(|name| *name == wanted);
            known.ok_or_else(|| {
                fields.broken("operation", FieldRule::OneOf("the operations of deploy/docs/wonder.md §5.3"))
            })
        });
        let action = fields.filled("action", TEXT)?.map(|wanted| {
            let known = ACTIONS.into_iter().find(|action| *action == wanted);
            known.ok_or_else(|| fields.broken("action", FieldRule::OneOf(ACTION_NAMES)))
        });
        let app_id = fields
            .uuid("app_id")?
            .map(|wanted| wanted.to_string().parse::<AppId>().map_err(|_| fields.broken("app_id", FieldRule::Uuid)));
        let (operation, action, app_id) = (operation.transpose()?, action.transpose()?, app_id.transpose()?);
        match fault.of_webhook() {
            Some(_) if operation.is_some() => return Err(fields.broken("operation", FieldRule::OfCalls)),
            None if action.is_some() => return Err(fields.broken("action", FieldRule::OfWebhooks)),
            _ => {}
        }
        let calls = match fields.value("calls").unwrap_or(&Value::Null) {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text.parse().ok()),
            // JSON does not distinguish 3 from 3.0.
            Value::Number(number) => Some(fields::plain(number).parse().ok()),
            _ => Some(None),
        };
        let calls = calls.map(|calls| {
            let calls = calls.filter(|calls| (1..=1_000_000).contains(calls));
            calls.ok_or_else(|| fields.broken("calls", FieldRule::Number(1, 1_000_000)))
        });
        let rule = Rule { id: 0, fault, operation, action, app_id, calls: calls.transpose()? };
        let mut on = self.on();
        if on.rules.len() >= MOST {
            return Err(Refusal::Full(MOST));
        }
        on.made += 1;
        let rule = Rule { id: on.made, ..rule };
        on.rules.push(rule.clone());
        Ok(rule)
    }

    /// Switches one fault or all off; returns whether any was on.
    pub(crate) fn remove(&self, id: Option<u64>) -> bool {
        let mut on = self.on();
        let before = on.rules.len();
        on.rules.retain(|rule| id.is_some_and(|id| id != rule.id));
        before != on.rules.len()
    }
}

/// `POST /simulator/faults` with `{"fault", "operation"?, "action"?, "app_id"?, "calls"?}`.
pub(crate) async fn add(State(wonder): State<Arc<Wonder>>, body: Bytes) -> Result<Answer, Refusal> {
    let body = fields::json(&body)?;
    wonder.faults.add(&Fields::of(&body)?).map(|rule| Answer::new(json!({ "fault": rule.view() })))
}

/// `GET /simulator/faults`.
pub(crate) async fn list(State(wonder): State<Arc<Wonder>>) -> Answer {
    let faults: Vec<Value> = wonder.faults.all().iter().map(Rule::view).collect();
    Answer::new(json!({ "faults": faults }))
}

/// `DELETE /simulator/faults`: all.
pub(crate) async fn clear(State(wonder): State<Arc<Wonder>>) -> Answer {
    wonder.faults.remove(None);
    Answer::new(json!({}))
}

/// `DELETE /simulator/faults/{id}`.
pub(crate) async fn remove(State(wonder): State<Arc<Wonder>>, id: Segment) -> Result<Answer, Refusal> {
    let id = id.ok().and_then(|Path(id)| id.parse().ok());
    if id.is_some_and(|id| wonder.faults.remove(Some(id))) { Ok(Answer::new(json!({}))) } else { Err(Refusal::NoFault) }
}

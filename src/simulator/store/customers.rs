//! Customers and their payment tokens.
//!
//! Chosen here, because Wonder does not document it:
//!
//! * If a customer has no default token, the first token that reaches `success` becomes the default.
//! * A call that makes a token the default sets `default_payment_method` to its kind, unless it names another method.
//! * The deletion of the default token leaves the customer without default token and method.
//! * A call that creates a customer again updates the fields that it names and no others.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    super::{
        ids::Ids,
        language::Language,
        path::parse_uuid,
        refusal::{Refusal, Rule},
        state::{Batch, Journal, Row, Rows, Touched},
    },
    records::{Change, Customer, Means, Profile, Token, TokenState},
};
use crate::signing::AppId;

/// All customers and tokens, with their indexes.
pub(crate) struct Customers {
    /// The maximum number of customers, and of tokens.
    capacity: usize,
    /// In order of creation, which is the order of lists.
    rows: BTreeMap<u64, Customer>,
    made: u64,
    by_uuid: HashMap<Uuid, u64>,
    by_reference: HashMap<AppId, HashMap<String, u64>>,
    tokens: HashMap<Uuid, Token>,
    by_verify_uuid: HashMap<Uuid, Uuid>,
    ids: Arc<Ids>,
    touched: Touched<u64>,
    touched_tokens: Touched<Uuid>,
}

impl Customers {
    pub(super) fn new(capacity: usize, ids: Arc<Ids>, journal: Option<&Arc<Journal>>) -> Self {
        Self {
            capacity,
            ids,
            touched: Touched::new(journal.cloned()),
            touched_tokens: Touched::new(journal.cloned()),
            rows: BTreeMap::new(),
            made: 0,
            by_uuid: HashMap::new(),
            by_reference: HashMap::new(),
            tokens: HashMap::new(),
            by_verify_uuid: HashMap::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        for at in std::mem::take(&mut self.rows).into_keys() {
            self.touched.add(at);
        }
        for token in std::mem::take(&mut self.tokens).into_keys() {
            self.touched_tokens.add(token);
        }
        self.by_uuid.clear();
        self.by_reference.clear();
        self.by_verify_uuid.clear();
    }

    /// The number of customers created so far.
    pub(super) fn made(&self) -> u64 {
        self.made
    }

    pub(super) fn go_on_from(&mut self, made: u64) {
        self.made = made;
    }

    /// Takes the rows that changed since the last time.
    pub(super) fn changed_rows(&mut self) -> (Rows<u64>, Rows<Uuid>) {
        let customers = self.touched.take().into_iter().map(|at| (at, self.rows.get(&at).map(Row::of)));
        let tokens = self.touched_tokens.take().into_iter().map(|token| (token, self.tokens.get(&token).map(Row::of)));
        (customers.collect(), tokens.collect())
    }

    pub(super) fn put_back(&mut self, batch: &Batch) {
        self.touched.put_back(batch.customers.iter().map(|(at, _)| *at));
        self.touched_tokens.put_back(batch.tokens.iter().map(|(token, _)| *token));
    }

    /// Adds a customer from the state file.
    pub(crate) fn restore(&mut self, at: u64, row: &[u8]) -> Result<(), serde_json::Error> {
        let customer: Customer = serde_json::from_slice(row)?;
        self.made = self.made.max(at);
        self.insert(at, customer);
        Ok(())
    }

    /// Adds a token from the state file.
    pub(crate) fn restore_token(&mut self, row: &[u8]) -> Result<(), serde_json::Error> {
        let token: Token = serde_json::from_slice(row)?;
        self.by_verify_uuid.insert(token.verify_uuid, token.uuid);
        self.tokens.insert(token.uuid, token);
        Ok(())
    }

    /// Adds a customer of a seed, whose tokens were added before.
    pub(crate) fn seed(&mut self, customer: Customer) -> Result<(), Refusal> {
        if self.rows.len() >= self.capacity {
            return Err(Refusal::Full(self.capacity));
        }
        if self.by_uuid.contains_key(&customer.uuid) {
            return Err(Refusal::NoCustomer);
        }
        self.made += 1;
        self.insert(self.made, customer);
        self.touched.add(self.made);
        Ok(())
    }

    /// Adds a token of a seed.
    pub(crate) fn seed_token(&mut self, token: Token) -> Result<(), Refusal> {
        if self.tokens.len() >= self.capacity {
            return Err(Refusal::Full(self.capacity));
        }
        if self.tokens.contains_key(&token.uuid) || self.by_verify_uuid.contains_key(&token.verify_uuid) {
            return Err(Refusal::NoToken);
        }
        self.touched_tokens.add(token.uuid);
        self.by_verify_uuid.insert(token.verify_uuid, token.uuid);
        self.tokens.insert(token.uuid, token);
        Ok(())
    }

    fn insert(&mut self, at: u64, customer: Customer) {
        self.by_uuid.insert(customer.uuid, at);
        let references = self.by_reference.entry(customer.app_id.clone()).or_default();
        references.insert(customer.reference_number.clone(), at);
        self.rows.insert(at, customer);
    }

    /// All customers, the newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Customer> {
        self.rows.values().rev()
    }

    /// Creates the customer with this reference number, or updates it; its uuid stays the same.
    pub(crate) fn save(
        &mut self,
        app_id: &AppId,
        reference_number: &str,
        change: &Change<'_>,
    ) -> Result<Uuid, Refusal> {
        if let Ok(customer) = self.by_reference(app_id, reference_number) {
            let uuid = customer.uuid;
            return self.edit(app_id, uuid, change).map(|()| uuid);
        }
        if self.rows.len() >= self.capacity {
            return Err(Refusal::Full(self.capacity));
        }
        let mut customer = Customer {
            app_id: app_id.clone(),
            uuid: self.ids.uuid(),
            profile: Profile::default(),
            reference_number: reference_number.to_owned(),
            default_method: String::new(),
            default_token: None,
            tokens: Vec::new(),
        };
        self.apply(&mut customer, change)?;
        let uuid = customer.uuid;
        self.made += 1;
        self.insert(self.made, customer);
        self.touched.add(self.made);
        Ok(uuid)
    }

    /// Applies a change to a customer completely or not at all.
    pub(crate) fn edit(&mut self, app_id: &AppId, uuid: Uuid, change: &Change<'_>) -> Result<(), Refusal> {
        let mut customer = self.customer(app_id, uuid)?.clone();
        self.apply(&mut customer, change)?;
        *self.customer_mut(app_id, uuid)? = customer;
        Ok(())
    }

    fn apply(&self, customer: &mut Customer, change: &Change<'_>) -> Result<(), Refusal> {
        let set = |field: &mut String, new: Option<&str>| {
            if let Some(new) = new {
                new.clone_into(field);
            }
        };
        set(&mut customer.profile.name, change.name);
        set(&mut customer.profile.email, change.email);
        set(&mut customer.profile.dial_code, change.dial_code);
        set(&mut customer.profile.phone, change.phone);
        match change.default_token {
            None => {}
            Some("") => customer.default_token = None,
            Some(text) => {
                let token = self.token(customer.uuid, parse_uuid(text).ok_or(Refusal::NoToken)?)?;
                if token.state != TokenState::Success {
                    return Err(Refusal::FieldValue(change.default_token_field.clone(), Rule::UsableToken));
                }
                customer.default_token = Some(token.uuid);
                token.means.method().clone_into(&mut customer.default_method);
            }
        }
        set(&mut customer.default_method, change.default_method);
        Ok(())
    }

    /// The customer with this uuid.
    pub(crate) fn customer(&self, app_id: &AppId, uuid: Uuid) -> Result<&Customer, Refusal> {
        let customer = self.by_uuid.get(&uuid).and_then(|at| self.rows.get(at));
        customer.filter(|customer| customer.app_id == *app_id).ok_or(Refusal::NoCustomer)
    }

    /// The customer with this uuid, mutable.
    fn customer_mut(&mut self, app_id: &AppId, uuid: Uuid) -> Result<&mut Customer, Refusal> {
        let at = *self.by_uuid.get(&uuid).ok_or(Refusal::NoCustomer)?;
        let customer = self.rows.get_mut(&at).filter(|customer| customer.app_id == *app_id);
        let customer = customer.ok_or(Refusal::NoCustomer)?;
        self.touched.add(at);
        Ok(customer)
    }

    /// The customer with this reference number.
    pub(crate) fn by_reference(&self, app_id: &AppId, reference_number: &str) -> Result<&Customer, Refusal> {
        let at = self.by_reference.get(app_id).and_then(|references| references.get(reference_number));
        at.and_then(|at| self.rows.get(at)).ok_or(Refusal::NoCustomer)
    }

    /// The customer that owns this token.
    pub(crate) fn by_token(&self, app_id: &AppId, token: Uuid) -> Result<&Customer, Refusal> {
        self.customer(app_id, self.any_token(app_id, token)?.customer)
    }

    /// All customers of an AppID, the oldest first.
    pub(crate) fn of(&self, app_id: &AppId) -> impl Iterator<Item = &Customer> {
        self.rows.values().filter(move |customer| customer.app_id == *app_id)
    }

    /// Deletes a customer and its tokens.
    pub(crate) fn remove_customer(&mut self, app_id: &AppId, uuid: Uuid) -> Result<(), Refusal> {
        self.customer(app_id, uuid)?;
        let at = self.by_uuid.remove(&uuid).ok_or(Refusal::NoCustomer)?;
        let customer = self.rows.remove(&at).ok_or(Refusal::NoCustomer)?;
        if let Some(references) = self.by_reference.get_mut(app_id) {
            references.remove(&customer.reference_number);
        }
        self.touched.add(at);
        for token in customer.tokens {
            self.forget_token(token);
        }
        Ok(())
    }

    /// Adds a new token of a customer, in state `pending`.
    pub(crate) fn add_token(
        &mut self,
        app_id: &AppId,
        customer: Uuid,
        means: Means,
        return_urls: [Option<String>; 2],
        language: Language,
    ) -> Result<Token, Refusal> {
        if self.tokens.len() >= self.capacity {
            return Err(Refusal::Full(self.capacity));
        }
        let token = Token {
            uuid: self.ids.uuid(),
            verify_uuid: self.ids.uuid(),
            customer,
            means,
            state: TokenState::Pending,
            return_urls,
            language,
        };
        self.customer_mut(app_id, customer)?.tokens.push(token.uuid);
        self.by_verify_uuid.insert(token.verify_uuid, token.uuid);
        self.tokens.insert(token.uuid, token.clone());
        self.touched_tokens.add(token.uuid);
        Ok(token)
    }

    /// This token of this customer.
    pub(crate) fn token(&self, customer: Uuid, token: Uuid) -> Result<&Token, Refusal> {
        self.tokens.get(&token).filter(|token| token.customer == customer).ok_or(Refusal::NoToken)
    }

    /// This token of any customer of an AppID.
    pub(crate) fn any_token(&self, app_id: &AppId, token: Uuid) -> Result<&Token, Refusal> {
        let token = self.tokens.get(&token).ok_or(Refusal::NoToken)?;
        self.customer(app_id, token.customer).map(|_| token).map_err(|_| Refusal::NoToken)
    }

    /// The token whose verification page has this uuid.
    pub(crate) fn to_verify(&self, verify_uuid: Uuid) -> Result<&Token, Refusal> {
        let id = self.by_verify_uuid.get(&verify_uuid).ok_or(Refusal::NoToken)?;
        self.tokens.get(id).ok_or(Refusal::NoToken)
    }

    /// Sets the outcome of a pending token. A token with an outcome is not changed.
    pub(crate) fn decide(&mut self, verify_uuid: Uuid, approved: bool) -> Result<(), Refusal> {
        let id = self.to_verify(verify_uuid)?.uuid;
        let token = self.tokens.get_mut(&id).ok_or(Refusal::NoToken)?;
        if token.state != TokenState::Pending {
            return Ok(());
        }
        token.state = if approved { TokenState::Success } else { TokenState::Failed };
        let (owner, method) = (token.customer, token.means.method());
        self.touched_tokens.add(id);
        let at = *self.by_uuid.get(&owner).ok_or(Refusal::NoCustomer)?;
        let customer = self.rows.get_mut(&at).ok_or(Refusal::NoCustomer)?;
        self.touched.add(at);
        if approved && customer.default_token.is_none() {
            customer.default_token = Some(id);
            method.clone_into(&mut customer.default_method);
        }
        Ok(())
    }

    /// Deletes a token.
    pub(crate) fn remove_token(&mut self, app_id: &AppId, customer: Uuid, token: Uuid) -> Result<(), Refusal> {
        self.token(customer, token)?;
        let customer = self.customer_mut(app_id, customer)?;
        customer.tokens.retain(|other| *other != token);
        if customer.default_token == Some(token) {
            customer.default_token = None;
            customer.default_method.clear();
        }
        self.forget_token(token);
        Ok(())
    }

    fn forget_token(&mut self, token: Uuid) {
        if let Some(token) = self.tokens.remove(&token) {
            self.by_verify_uuid.remove(&token.verify_uuid);
            self.touched_tokens.add(token.uuid);
        }
    }
}

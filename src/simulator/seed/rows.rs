//! The text of a seed, read row by row: only one row at a time is a tree of values in memory. The tree of a whole seed is many times larger
//! than its text.

use std::{
    fmt,
    io::{self, BufReader, Read, Seek as _},
    sync::{Arc, Mutex, PoisonError},
};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tempfile::SpooledTempFile;

use super::{SCHEMA, SEED, SeedError, unknown};
use crate::simulator::{
    fields::Fields,
    refusal::{JsonType, Refusal},
};

/// The longest text in memory, in bytes. A longer text is in a temporary file without a name.
const IN_MEMORY: usize = 1024 * 1024;

/// A copy of a seed file, because a reset reads it again.
#[derive(Clone)]
pub struct Seed(Arc<Mutex<SpooledTempFile>>);

impl Seed {
    /// Copies a file. Errors in its content are found when the simulator is bound.
    ///
    /// # Errors
    /// When the file cannot be read, or its copy cannot be written.
    pub fn read(mut file: impl Read) -> io::Result<Self> {
        let mut copy = SpooledTempFile::new(IN_MEMORY);
        io::copy(&mut file, &mut copy)?;
        Ok(Self(Arc::new(Mutex::new(copy))))
    }

    /// Calls `sow` with each row of a list. The text is checked to its end.
    pub(super) fn for_each_row(
        &self,
        list: &'static str,
        sow: impl FnMut(&Fields<'_>) -> Result<(), SeedError>,
    ) -> Result<(), SeedError> {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.rewind().map_err(|error| SeedError(format!("cannot be read: {error}")))?;
        let mut reader = serde_json::Deserializer::from_reader(BufReader::new(&mut *text));
        let (mut refused, mut is_in_list) = (None, false);
        let lists = Lists { list, sow, refused: &mut refused, is_in_list: &mut is_in_list };
        let done = lists.deserialize(&mut reader).and_then(|()| reader.end());
        match (refused, done) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(()),
            // Only the types of the seed and of its lists are data errors.
            (None, Err(error)) if error.is_data() && is_in_list => {
                Err(Refusal::FieldType(list.to_owned(), JsonType::List).into())
            }
            (None, Err(error)) if error.is_data() => {
                Err(SeedError("must be a JSON object with customers and orders".to_owned()))
            }
            (None, Err(error)) if error.is_io() => Err(SeedError(format!("cannot be read: {error}"))),
            (None, Err(error)) => Err(SeedError(format!("is not JSON: {error}"))),
        }
    }
}

/// Visits the object of a seed, and the rows of one list.
struct Lists<'a, F> {
    list: &'static str,
    sow: F,
    /// Why a row or a member was refused.
    refused: &'a mut Option<SeedError>,
    is_in_list: &'a mut bool,
}

impl<'de, F: FnMut(&Fields<'_>) -> Result<(), SeedError>> DeserializeSeed<'de> for Lists<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&Fields<'_>) -> Result<(), SeedError>> Visitor<'de> for Lists<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut seen = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            let problem = if name != SCHEMA && !SEED.contains(&&name[..]) {
                Some(unknown(&name, &name, SEED))
            } else if seen.contains(&name) {
                Some(SeedError(format!("{name} is in the seed twice; write one list")))
            } else {
                None
            };
            if problem.is_some() {
                *self.refused = problem;
                return Err(A::Error::custom("refused"));
            }
            if name == self.list {
                *self.is_in_list = true;
                members.next_value_seed(Rows { list: self.list, sow: &mut self.sow, refused: self.refused })?;
                *self.is_in_list = false;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
            seen.push(name);
        }
        Ok(())
    }
}

/// Visits the rows of a list; `null` has none.
struct Rows<'a, F> {
    list: &'static str,
    sow: &'a mut F,
    refused: &'a mut Option<SeedError>,
}

impl<'de, F: FnMut(&Fields<'_>) -> Result<(), SeedError>> DeserializeSeed<'de> for Rows<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(&Fields<'_>) -> Result<(), SeedError>> Visitor<'de> for Rows<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        let mut at = 0_usize;
        while let Some(row) = rows.next_element::<Value>()? {
            let fields = Fields::at(format!("{}[{at}]", self.list), &row).map_err(SeedError::from);
            if let Err(error) = fields.and_then(|fields| (self.sow)(&fields)) {
                *self.refused = Some(error);
                return Err(A::Error::custom("refused"));
            }
            at += 1;
        }
        Ok(())
    }
}

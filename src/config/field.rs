//! One row per key: a field of a section, its key, and the form of its value.
//!
//! A section declares its fields with [`section!`]. The reader, the list of known keys, the names of environment variables,
//! the masking, `--print-config`, `/config`, the configuration's hash and its JSON Schema all follow from that declaration.

use figment::value::Value;
use serde_json::Value as Json;

use super::{ConfigError, Sources, keys::Key, layers::Layers, shapes::Schema};

/// A table of the configuration with all its keys.
pub(super) trait Section: Sized {
    /// Adds its keys in the order of `config/default.toml`.
    fn keys(all: &mut Vec<Key>);
    /// Reads each key. Rules between keys are checked elsewhere.
    fn read(layers: &Layers) -> Result<Self, ConfigError>;
    /// Adds the effective value of each key that is in force.
    fn show(&self, shown: &mut Shown<'_>);
}

/// The source of a field: usually one key, or several that are valid only together.
pub(super) trait Field<T> {
    /// Adds the field's keys. `own` is the key, or the table, that the section names.
    fn keys(&self, own: &'static str, all: &mut Vec<Key>);
    fn read(&self, own: &'static str, layers: &Layers) -> Result<T, ConfigError>;
    fn show(&self, own: &'static str, value: &T, shown: &mut Shown<'_>);
}

/// The form of a single value: how it is parsed, shown and described.
pub(super) struct Kind<T> {
    pub(super) parse: Parse<T>,
    pub(super) show: fn(&T) -> Json,
    /// See [`Key::schema`].
    pub(super) schema: Schema,
}

type Parse<T> = Box<dyn Fn(&Value) -> Result<T, String>>;

/// A key that every configuration has.
impl<T> Field<T> for Kind<T> {
    fn keys(&self, own: &'static str, all: &mut Vec<Key>) {
        all.push(Key { name: own, secret: false, schema: self.schema.clone() });
    }

    fn read(&self, own: &'static str, layers: &Layers) -> Result<T, ConfigError> {
        layers.read(own, &self.parse)
    }

    fn show(&self, own: &'static str, value: &T, shown: &mut Shown<'_>) {
        shown.add(own, (self.show)(value));
    }
}

/// A key that may be left out.
pub(super) struct Optional<T>(pub(super) Kind<T>);

impl<T> Field<Option<T>> for Optional<T> {
    fn keys(&self, own: &'static str, all: &mut Vec<Key>) {
        self.0.keys(own, all);
    }

    fn read(&self, own: &'static str, layers: &Layers) -> Result<Option<T>, ConfigError> {
        layers.read_optional(own, &self.0.parse)
    }

    fn show(&self, own: &'static str, value: &Option<T>, shown: &mut Shown<'_>) {
        if let Some(value) = value {
            shown.add(own, (self.0.show)(value));
        }
    }
}

/// Keys with their effective values, in the order in which they were added.
pub(super) struct Shown<'a> {
    pub(super) sources: &'a Sources,
    pub(super) entries: Vec<(String, Json)>,
}

impl Shown<'_> {
    pub(super) fn add(&mut self, key: impl Into<String>, value: Json) {
        self.entries.push((key.into(), value));
    }
}

/// Declares a section: for each field its documentation, name and type, its key, and the form of the value.
///
/// ```ignore
/// section! {
///     /// `[limits]`: sizes and numbers above which a request is rejected.
///     #[derive(Debug, Clone)]
///     pub Limits {
///         /// Bytes of a request body.
///         body: usize = "limits.body", size(1..=64 * MIB);
///     }
/// }
/// ```
macro_rules! section {
    ($(#[$about:meta])* $vis:vis $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty = $key:literal, $kind:expr;)+ }) => {
        $(#[$about])*
        $vis struct $name {
            $($(#[$doc])* $vis $field: $type,)+
        }

        impl $crate::config::field::Section for $name {
            fn keys(all: &mut Vec<$crate::config::keys::Key>) {
                $($crate::config::field::Field::<$type>::keys(&$kind, $key, all);)+
            }

            fn read(layers: &$crate::config::layers::Layers) -> Result<Self, $crate::config::ConfigError> {
                Ok(Self { $($field: $crate::config::field::Field::<$type>::read(&$kind, $key, layers)?,)+ })
            }

            fn show(&self, shown: &mut $crate::config::field::Shown<'_>) {
                $($crate::config::field::Field::<$type>::show(&$kind, $key, &self.$field, shown);)+
            }
        }
    };
}

pub(super) use section;

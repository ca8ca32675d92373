//! Descriptions of pictures: the fields of a JSON object or of a row of a table, whoever wrote them.
use super::text;
use crate::record::{COLOR_TAG, Record};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// The fields that captions are given in: Hugging Face's `text`, and what others call it.
pub(super) const CAPTIONS: [&str; 4] = ["text", "texts", "caption", "captions"];

/// The fields of a JSON object, or of a row of a table, in their order.
#[derive(Debug, Default)]
pub(super) struct Row(Vec<(String, Value)>);

impl Row {
    /// The JSON object that `bytes` are, a byte order mark aside.
    ///
    /// # Errors
    /// Not JSON, or no object.
    pub(super) fn of_json(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text::unmarked(bytes))
    }

    /// A row of a table: the values of its columns, empty ones as null.
    pub(super) fn of_table<'a>(columns: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let value = |value: &str| if value.trim().is_empty() { Value::Null } else { value.into() };
        Self(columns.map(|(column, text)| (column.to_owned(), value(text))).collect())
    }

    /// The names of its fields, for messages.
    pub(super) fn names(&self) -> String {
        let names: Vec<String> = self.0.iter().map(|(name, _)| format!("`{name}`")).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    /// Whether it has a field of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    /// Takes the value of a field out; none where there is no such field.
    ///
    /// # Errors
    /// The field is given twice: which counts nobody can say.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<Value>, String> {
        let mut fields = self.0.iter_mut().filter(|(own, _)| own == name);
        match (fields.next(), fields.next()) {
            (Some(_), Some(_)) => Err(format!("`{name}` is given twice; leave one")),
            (found, _) => Ok(found.map(|(_, value)| value.take())),
        }
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Row;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object, such as {\"file_name\": \"a.png\", \"text\": \"a caption\"}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Row(fields))
            }
        }
        from.deserialize_map(Fields)
    }
}

/// What kind of value it is, for messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The captions of a picture.
#[derive(Debug, Default)]
pub(super) struct Captions {
    /// Trimmed, in their order, none of them blank.
    pub(super) texts: Vec<String>,
    /// How many nulls and blank texts there are beside them.
    pub(super) empty: usize,
}

impl Captions {
    /// Adds a text, or the texts of a list, in which lists may be; a number is a text of digits.
    ///
    /// # Errors
    /// Something else, by its kind.
    pub(super) fn add(&mut self, value: &Value) -> Result<(), &'static str> {
        match value {
            Value::Null => self.empty += 1,
            Value::Number(number) => self.texts.push(number.to_string()),
            Value::String(text) => match text::trimmed(text) {
                "" => self.empty += 1,
                text => self.texts.push(text.to_owned()),
            },
            Value::Array(all) => return all.iter().try_for_each(|value| self.add(value)),
            Value::Bool(_) | Value::Object(_) => return Err(kind(value)),
        }
        Ok(())
    }

    /// The captions in all of a row's fields for them; none where it has no such field.
    ///
    /// # Errors
    /// A field that holds neither texts nor null, by its name; one that is given twice.
    pub(super) fn take(row: &mut Row) -> Result<Option<Self>, String> {
        let mut found = None;
        for field in CAPTIONS {
            let Some(value) = row.take(field)? else { continue };
            let captions = found.get_or_insert_with(Self::default);
            captions
                .add(&value)
                .map_err(|kind| format!("`{field}` holds {kind}; expected a text or a list of texts"))?;
        }
        Ok(found)
    }
}

/// What is known of a picture beside its captions; all other fields are left to their readers.
#[derive(Debug, Default)]
pub(super) struct Description {
    class_id: Option<u32>,
    label: Option<String>,
    group: Option<String>,
    tags: Vec<String>,
    /// The label names a color: the tag [`COLOR_TAG`].
    names_color: bool,
}

impl Description {
    /// Takes the fields `class_id`, `label`, `group`, `tags` and `names_colour` out of a row. Null is as good as no such field.
    ///
    /// # Errors
    /// A class that is no whole number, a `names_colour` that is neither true nor false, a field that is given twice.
    pub(super) fn take(row: &mut Row) -> Result<Self, String> {
        let mut field = |name| row.take(name).map(Option::unwrap_or_default);
        Ok(Self {
            class_id: class(&field("class_id")?)?,
            label: text_of(field("label")?),
            group: text_of(field("group")?),
            tags: tags(&field("tags")?),
            names_color: truth(&field("names_colour")?)?,
        })
    }

    /// The record of a key and its captions. [`COLOR_TAG`] is `names_colour` alone: the word among `tags` does not count.
    pub(super) fn record(self, key: String, captions: Vec<String>) -> Record {
        let Self { class_id, label, group, mut tags, names_color } = self;
        // Descriptions of other programs use the word for something else, and batches must not depend on it.
        tags.retain(|tag| tag != COLOR_TAG);
        if names_color {
            tags.push(COLOR_TAG.to_owned());
        }
        Record { key, captions, class_id, tags, label, group, part: None }
    }
}

/// A class: a whole number, which may be in quotes or end in `.0`.
fn class(value: &Value) -> Result<Option<u32>, String> {
    let whole = |x: f64| (x.fract() == 0. && (0. ..=f64::from(u32::MAX)).contains(&x)).then_some(x as u32);
    let class = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64().and_then(whole),
        Value::String(text) => text.trim().parse().ok().and_then(whole),
        _ => None,
    };
    class
        .map(Some)
        .ok_or_else(|| format!("`class_id` is {value}; expected a whole number from 0 to {}", u32::MAX))
}

/// A label or a group as text. Something else under this name is of another program.
fn text_of(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The texts of a list. Something else under this name is of another program.
fn tags(value: &Value) -> Vec<String> {
    let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
}

/// True or false, which a table has as text.
fn truth(value: &Value) -> Result<bool, String> {
    match value {
        Value::Null => Ok(false),
        Value::Bool(truth) => Ok(*truth),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(format!("`names_colour` is {value}; expected true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Row {
        Row::of_json(json.as_bytes()).unwrap()
    }

    fn record(json: &str) -> Result<Record, String> {
        Ok(Description::take(&mut row(json))?.record(String::new(), vec![]))
    }

    #[test]
    fn labels_and_classes_of_every_type() {
        let label = |json: &str| record(&format!("{{\"label\": {json}}}")).unwrap().label;
        for (json, text) in [("0", "0"), ("-7", "-7"), ("1.5", "1.5"), ("true", "true"), ("\"cat\"", "cat")] {
            assert_eq!(label(json).as_deref(), Some(text), "{json}");
        }
        for json in ["null", "[0, 1]", "{\"a\": 1}", "[]"] {
            assert_eq!(label(json), None, "{json}");
        }
        let class = |json: &str| record(&format!("{{\"class_id\": {json}}}")).map(|r| r.class_id);
        for (json, value) in [
            ("3", Some(3)),
            ("3.0", Some(3)),
            ("\" 3\"", Some(3)),
            ("null", None),
            ("4294967295", Some(u32::MAX)),
        ] {
            assert_eq!(class(json), Ok(value), "{json}");
        }
        for json in ["-1", "0.5", "4294967296", "true", "[3]", "\"cat\"", "\"\"", "\"nan\""] {
            let e = class(json).unwrap_err();
            assert!(e.contains("`class_id`") && e.contains("whole number") && e.contains(json), "{e}");
        }
        assert!(record("{\"names_colour\": 1}").unwrap_err().contains("`names_colour` is 1"));
    }

    #[test]
    fn captions_in_lists_of_lists_with_nulls_between() {
        let take = |json: &str| Captions::take(&mut row(json));
        let found = take(r#"{"text": ["a", null, ["b", [" c ", ""]], 7], "caption": "d"}"#).unwrap().unwrap();
        assert_eq!((found.texts.join("|").as_str(), found.empty), ("a|b|c|7|d", 2));
        assert!(take("{\"file_name\": 1}").unwrap().is_none());
        assert!(take("{\"captions\": null}").unwrap().unwrap().texts.is_empty());
        for (json, words) in [
            (r#"{"text": true}"#, "`text` holds true or false"),
            (r#"{"captions": ["a", {"b": 1}]}"#, "`captions` holds an object"),
            (r#"{"text": "a", "text": "b"}"#, "`text` is given twice"),
        ] {
            let e = take(json).unwrap_err();
            assert!(e.contains(words), "{e}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused_and_a_mark_is_passed() {
        for json in ["[1]", "null", "7", "{\"a\": 1,}", "{\"a\": NaN}", ""] {
            assert!(Row::of_json(json.as_bytes()).is_err(), "{json}");
        }
        let mut row = row("\u{feff}{\"a\": 1, \"b\": {}}");
        assert_eq!(row.names(), "`a`, `b`");
        assert_eq!(row.take("a"), Ok(Some(1.into())));
        assert_eq!(row.take("c"), Ok(None));
    }
}

//! Lists of an answer, of which no more is read than may be.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// A list of at most `N` elements; `null` is an empty one.
pub fn at_most<'de, const N: usize, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(if_any::<N, T, D>(deserializer)?.unwrap_or_default())
}

/// A list of at most `N` elements; `null` is none.
pub fn if_any<'de, const N: usize, T, D>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct AtMost<const N: usize, T>(PhantomData<T>);
    impl<'de, const N: usize, T: Deserialize<'de>> Visitor<'de> for AtMost<N, T> {
        type Value = Option<Vec<T>>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_some<D: Deserializer<'de>>(self, list: D) -> Result<Self::Value, D::Error> {
            list.deserialize_seq(self)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut read = Vec::new();
            while let Some(element) = list.next_element()? {
                if read.len() == N {
                    return Err(A::Error::custom(format!(
                        "a list of more than {N} elements"
                    )));
                }
                read.push(element);
            }
            Ok(Some(read))
        }
    }
    deserializer.deserialize_option(AtMost::<N, T>(PhantomData))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn no_more_is_read_than_may_be() {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default, deserialize_with = "at_most::<2, _, _>")]
            list: Vec<u8>,
        }
        let read = |json| serde_json::from_str::<Answer>(json).map(|answer| answer.list);
        assert_eq!(read(r#"{"list": [1, 2]}"#).unwrap(), [1, 2]);
        for nothing in [r#"{"list": null}"#, "{}", r#"{"list": []}"#] {
            assert!(read(nothing).unwrap().is_empty(), "{nothing}");
        }
        let told = read(r#"{"list": [1, 2, 3]}"#).unwrap_err().to_string();
        assert!(told.contains("more than 2 elements"), "{told}");
    }
}

//! A listing that is told page by page: whole, or not at all.

use futures::stream::{self, BoxStream, StreamExt};

use super::guarded::Failure;
use super::objects::ObjectEntry;
use super::over_http::wrong;

/// What a page has, and how to ask for the next one.
pub type Page = Result<(Vec<ObjectEntry>, Option<String>), Failure>;

enum Place {
    Start,
    After(String),
    End,
}

/// `page` asks for the first, or for what comes after a mark.
pub fn pages<'a, P, A>(page: P) -> BoxStream<'a, Result<Vec<ObjectEntry>, Failure>>
where
    P: Fn(Option<String>) -> A + Send + 'a,
    A: Future<Output = Page> + Send + 'a,
{
    stream::try_unfold(Place::Start, move |place| {
        let after = match place {
            Place::Start => Some(None),
            Place::After(mark) => Some(Some(mark)),
            Place::End => None,
        };
        let asked = after.map(|after| (page(after.clone()), after));
        async move {
            let Some((asked, after)) = asked else {
                return Ok(None);
            };
            let (entries, next) = asked.await?;
            let next = match next.filter(|mark| !mark.is_empty()) {
                None => Place::End,
                Some(mark) if Some(&mark) == after.as_ref() => return Err(cut_short()),
                Some(mark) => Place::After(mark),
            };
            Ok(Some((entries, next)))
        }
    })
    .boxed()
}

/// Half a listing would pass for a whole one.
pub fn cut_short() -> Failure {
    wrong("the listing is cut short, and the server does not tell how to go on")
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_listing_goes_on_until_there_is_no_other_mark() {
        let cases = [
            // what each page says comes next, how many are asked for; none, if that is no listing
            (vec![None], Some(1)),
            (vec![Some("")], Some(1)),
            (vec![Some("a"), Some("b"), None], Some(3)),
            (vec![Some("a"), Some("a")], None),
        ];
        for (marks, expected) in cases {
            let asked = std::sync::Mutex::new(Vec::new());
            let listed = pages(|after| {
                let mut asked = asked.lock().unwrap();
                let mark = marks[asked.len()].map(str::to_owned);
                asked.push(after);
                async { Ok((Vec::new(), mark)) }
            });
            let listed = listed.try_collect::<Vec<_>>().await;
            assert_eq!(listed.ok().map(|pages| pages.len()), expected, "{marks:?}");
            let asked = asked.into_inner().unwrap();
            assert_eq!(asked[0], None);
            let after = asked[1..].iter().map(Option::as_deref);
            assert!(after.eq(marks.iter().copied().take(asked.len() - 1)));
        }
    }
}

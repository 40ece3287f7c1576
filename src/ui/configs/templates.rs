//! `/ui/configs/templates`: metrics of the library, to begin one with.

use axum::Json;
use axum::extract::{Query, State};
use serde::Serialize;
use serde_json::Value;

use crate::access::Caller;
use crate::app::App;
use crate::error::{Error, Result};
use crate::metrics::{self, library};
use crate::ui::forms::Fields;

/// A template as the form offers it.
#[derive(Debug, Serialize)]
pub struct Offered {
    name: String,
    says: String,
    needs: &'static str,
    /// As a config would hold it.
    metric: Value,
}

/// Those for queries of `type`; where there are none, what a new config begins with.
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(address): Query<Fields>,
) -> Result<Json<Vec<Offered>>> {
    app.seen_by(&caller).reads()?;
    let kind = address.text("type");
    let language = metrics::language(kind).ok_or_else(|| {
        let kinds = metrics::kinds().join("', '");
        Error::Invalid(format!(
            "'{kind}' is no type of queries: there are '{kinds}'"
        ))
    })?;
    let templates = match language.templates() {
        none if none.is_empty() => language.examples(),
        templates => templates,
    };
    Ok(Json(templates.iter().map(offered).collect()))
}

fn offered(template: &library::Template) -> Offered {
    Offered {
        metric: template.metric(),
        name: template.name.clone(),
        says: template.says.clone(),
        needs: template.needs,
    }
}

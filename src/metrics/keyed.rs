//! Sources whose accounts say what a scope and a location are called.

use super::MetricRequest;
use crate::error::{Error, Result};

/// Parameters of a scope that begin with it are no filters.
const HIDDEN: char = '_';

/// What a scope and a location are called; parameters of the scope win.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    pub scope: Option<String>,
    pub location: Option<String>,
}

/// What a request asks for, by name.
pub struct Keyed<'a> {
    pub scope: (String, &'a str),
    pub location: Option<(String, &'a str)>,
    /// The parameters of the scope that are filters, in their order.
    pub params: Vec<(&'a str, &'a str)>,
}

impl Keys {
    /// What stands in where there is no account, as where a config is only looked at.
    pub fn some() -> Self {
        Self {
            scope: Some("scope".to_owned()),
            location: None,
        }
    }

    /// `what` is what the keys are in the language of the source.
    ///
    /// # Errors
    /// `Invalid` when a key is not known, or the request has nothing for one.
    pub fn of<'a>(&self, request: &MetricRequest<'a>, what: &str) -> Result<Keyed<'a>> {
        let scope = request.scope;
        let params = scope.extended_scope_params.iter().flatten();
        let given = |name: &str| {
            let mut params = params.clone();
            let found = params.find(|(key, _)| *key == name);
            found.map(|(_, value)| value.clone())
        };
        let Some(key) = given("_scope_key").or_else(|| self.scope.clone()) else {
            return Err(invalid(
                request,
                &format!(
                    "it is not said which {what} holds the scope: the parameter _scope_key of the scope, or \
                     defaultScopeKey of the account"
                ),
            ));
        };
        let Some(name) = &scope.scope else {
            let why = format!("the request has no scope for '{key}'");
            return Err(invalid(request, &why));
        };
        let location = match given("_location_key").or_else(|| self.location.clone()) {
            None => None,
            Some(key) => {
                let why = format!("the request has no location for '{key}'");
                let location = scope.location.as_deref();
                Some((key, location.ok_or_else(|| invalid(request, &why))?))
            }
        };
        let shown = params.filter(|(name, _)| !name.starts_with(HIDDEN));
        Ok(Keyed {
            scope: (key, name),
            location,
            params: shown
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect(),
        })
    }
}

/// What is wrong with what a metric asks for.
pub fn invalid(request: &MetricRequest<'_>, what: &str) -> Error {
    let name = request.metric.name.as_deref().unwrap_or_default();
    Error::Invalid(format!("metric '{name}': {what}"))
}

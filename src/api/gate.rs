//! The paths of Spinnaker's Gate, for its clients where there is no Spinnaker.

use axum::http::{Request, Uri};

/// Turns a path of Gate into the one that Gate itself would call; leaves every other as it is.
pub fn without_gate<B>(mut request: Request<B>) -> Request<B> {
    let uri = request.uri();
    if let Some(direct) = direct(uri.path(), uri.query().unwrap_or_default())
        && let Ok(direct) = direct.parse::<Uri>()
    {
        *request.uri_mut() = direct;
    }
    request
}

fn direct(path: &str, query: &str) -> Option<String> {
    let parts: Vec<&str> = path.strip_prefix("/v2/")?.split('/').collect();
    let to = |path: String| Some(with_query(path, query));
    match parts[..] {
        ["canaryConfig"] => to("/canaryConfig".to_owned()),
        ["canaryConfig", id] => to(format!("/canaryConfig/{id}")),
        ["canaries", list @ ("credentials" | "judges")] => to(format!("/{list}")),
        ["canaries", "metadata", "metricsService"] => to("/metadata/metricsService".to_owned()),
        ["canaries", "metricSetPairList", id] => Some(with_query(
            format!("/metricSetPairList/{id}"),
            &renamed(query, "storageAccountName", "accountName"),
        )),
        ["canaries", application, "executions"] => {
            let application = as_query_value(application);
            let rest = if query.is_empty() { "" } else { "&" };
            Some(format!(
                "/canary/executions?application={application}{rest}{query}"
            ))
        }
        ["canaries", "canary"] => to("/canary".to_owned()),
        // The second is deprecated; it tells the config, which nobody needs to find the execution.
        ["canaries", "canary", id] | ["canaries", "canary", _, id] => to(format!("/canary/{id}")),
        _ => None,
    }
}

fn with_query(path: String, query: &str) -> String {
    if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    }
}

/// The query with another name for one of its parameters; all else stays as it was escaped.
fn renamed(query: &str, from: &str, to: &str) -> String {
    let parameters = query.split('&').map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name == from {
            format!("{to}={value}")
        } else {
            parameter.to_owned()
        }
    });
    parameters.collect::<Vec<_>>().join("&")
}

/// What stands for itself in a path and means more in a query.
fn as_query_value(segment: &str) -> String {
    segment
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_gate_becomes_the_one_that_gate_calls() {
        let cases = [
            (
                "/v2/canaryConfig?application=web",
                "/canaryConfig?application=web",
            ),
            ("/v2/canaryConfig/a.b%20c", "/canaryConfig/a.b%20c"),
            ("/v2/canaries/credentials", "/credentials"),
            ("/v2/canaries/judges", "/judges"),
            (
                "/v2/canaries/metadata/metricsService?filter=cpu&metricsAccountName=p",
                "/metadata/metricsService?filter=cpu&metricsAccountName=p",
            ),
            ("/v2/canaries/canary", "/canary"),
            (
                "/v2/canaries/canary/c?application=web",
                "/canary/c?application=web",
            ),
            (
                "/v2/canaries/canary/c/e?storageAccountName=s",
                "/canary/e?storageAccountName=s",
            ),
            (
                "/v2/canaries/my%20app+a&b/executions?limit=20&page=1",
                "/canary/executions?application=my%20app%2Ba%26b&limit=20&page=1",
            ),
            // An application may have the name of a path; an execution is never named so.
            (
                "/v2/canaries/canary/executions",
                "/canary/executions?application=canary",
            ),
            (
                "/v2/canaries/metricSetPairList/l?storageAccountName=a%2Fb&x",
                "/metricSetPairList/l?accountName=a%2Fb&x",
            ),
            // What Gate does not have stays.
            ("/v2/canaries/judges/judge", "/v2/canaries/judges/judge"),
            ("/v2/canaries", "/v2/canaries"),
            ("/canary/v2", "/canary/v2"),
        ];
        for (given, expected) in cases {
            let request = Request::builder().uri(given).body(()).unwrap();
            assert_eq!(without_gate(request).uri(), expected, "{given}");
        }
    }
}

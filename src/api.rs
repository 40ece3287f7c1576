//! The doors for HTTP: the router and what surrounds every request.

#![expect(
    unused_qualifications,
    reason = "utoipa names the trait of a door's parameters"
)]

mod accounts;
mod actions;
mod archive;
mod audit;
mod bodies;
mod by_hand;
mod calibrations;
mod callers;
mod canary;
mod canary_config;
mod charts;
mod credentials;
mod document;
mod documents;
mod doors;
mod events;
mod examples;
mod executions;
mod fetch;
mod flagger;
mod gate;
mod health;
mod hosts;
mod idempotency;
mod judges;
mod layers;
mod lint;
mod mcp;
mod metric_sets;
mod metrics;
mod pipelines;
mod problem;
mod query;
mod refusal;
mod replay;
mod request;
mod retention;
mod scores;
mod security;
mod sentence;
mod standalone;
mod stored_config;
mod swagger;
mod verdict;
mod wait;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;

use crate::app::App;
use crate::config::Tools;
use crate::ui;
use bodies::Bodies;
pub use document::document;
use documents::Documents;
use doors::doors;
pub use gate::without_gate;
use hosts::Hosts;
use layers::Edge;
pub use mcp::{Agents, Call, Door};
use problem::Problem;
use scores::series;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "serin",
        description = "Judges canaries: the API of Kayenta, served by serin.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "The serin that the document is read from")),
    tags(
        (name = "canary-config", description = "How to judge"),
        (name = "canary", description = "Start an execution and read its result"),
        (name = "analysis", description = "Canaries over one window after the other"),
        (name = "judges", description = "Judge what has been fetched"),
        (name = "calibration", description = "How often a config would stop a release in which nothing changed"),
        (name = "accounts", description = "Where series come from and documents lie"),
        (name = "documents", description = "Metric sets, their pairs, and archived results"),
        (name = "delivery", description = "Gates for Flagger, Argo Rollouts and scripts"),
        (name = "operations", description = "Health and metrics of serin itself"),
    )
)]
struct Api;

doors! {
    of_everybody, OfEverybody:
    canary_config::list_canary_configs,
    canary_config::store_canary_config,
    canary_config::find_canary_config,
    canary_config::update_canary_config,
    canary_config::delete_canary_config,
    lint::lint_canary_config,
    canary::initiate_adhoc_canary,
    verdict::ask_for_verdict,
    canary::list_canary_executions,
    canary::initiate_canary,
    canary::find_canary_execution,
    canary::cancel_canary_execution,
    standalone::initiate_adhoc_analysis,
    standalone::list_analyses,
    standalone::initiate_analysis,
    standalone::find_analysis,
    standalone::cancel_analysis,
    flagger::answer_flagger_hook,
    scores::query_scores,
    scores::query_scores_by_form,
    scores::query_course,
    scores::query_course_by_form,
    scores::tell_build,
    series::list_labels,
    series::list_labels_by_form,
    series::list_label_values,
    series::list_series,
    series::list_series_by_form,
    series::describe_metrics,
    series::list_rules,
    events::watch_canary,
    events::watch_analysis,
    actions::list_canary_actions,
    actions::list_analysis_actions,
    by_hand::repeat_canary,
    by_hand::repeat_analysis,
    by_hand::accept_canary,
    by_hand::accept_analysis,
    retention::pin_canary,
    retention::unpin_canary,
    retention::pin_analysis,
    retention::unpin_analysis,
    archive::list_archives,
    archive::create_archive,
    metric_sets::list_metric_set_lists,
    metric_sets::store_metric_set_list,
    metric_sets::list_metric_set_pair_lists,
    metric_sets::store_metric_set_pair_list,
    calibrations::list_calibrations,
    calibrations::start_calibration,
    calibrations::find_calibration,
    calibrations::delete_calibration,
    calibrations::cancel_calibration,
    calibrations::list_learned,
    calibrations::find_learned,
    calibrations::store_learned,
    calibrations::delete_learned,
    judges::list_judges,
    judges::judge,
    judges::initiate_judge_comparison,
    judges::find_judge_comparison,
    replay::replay_runs,
    credentials::list_credentials,
    metrics::list_metrics_services,
    metrics::list_metrics_service_metadata,
    fetch::query_prometheus,
    fetch::query_service,
    pipelines::list_pipelines,
    pipelines::find_pipeline,
    pipelines::delete_pipeline,
    pipelines::start_pipeline,
    pipelines::cancel_pipeline,
    retention::show_retention,
    retention::run_retention,
}

doors! {
    /// Documents that may be large.
    of_documents, OfDocuments:
    archive::find_archive,
    archive::update_archive,
    archive::delete_archive,
    metric_sets::find_metric_set_list,
    metric_sets::delete_metric_set_list,
    metric_sets::find_metric_set_pair_list,
    metric_sets::delete_metric_set_pair_list,
    metric_sets::find_metric_set_pair,
}

doors! {
    /// What concerns the process, and has an address of its own where one is configured.
    of_operators, OfOperators:
    credentials::delete_credentials,
    pipelines::enable_instance,
    audit::list_deeds,
    audit::find_deed,
    health::metrics,
}

doors! {
    of_health, OfHealth:
    health::health,
    health::liveness,
    health::readiness,
}

/// The document as the code has it; `openapi/serin.json` is its text, which is what the program has.
pub fn openapi() -> Document {
    let doors = [
        OfEverybody::openapi(),
        OfDocuments::openapi(),
        OfOperators::openapi(),
        OfHealth::openapi(),
    ];
    document::completed(doors.into_iter().fold(Api::openapi(), Document::merge_from))
}

/// The service that listens there: every route, and what surrounds it.
pub fn router(app: &App, address: IpAddr) -> Router {
    let server = &app.config.server;
    let documents = Documents::of(server.answer_memory);
    let large = middleware::from_fn(move |request: Request, next: Next| {
        documents.clone().answer(request, next)
    });
    let routes = of_everybody()
        .merge(of_documents().layer(large))
        .merge(of_health());
    let routes = match server.admin_address {
        None => routes.merge(of_operators()),
        Some(_) => routes,
    };
    let routes = match server.mcp {
        Tools::None => routes,
        tools => {
            let api = surrounded(routes.clone(), app, address);
            routes.route("/mcp", mcp::route(api, tools))
        }
    };
    let routes = if server.cors {
        routes
    } else {
        // A page of another site could send what needs no leave of the browser.
        routes.layer(ui::own_pages_only(server))
    };
    let of_gate = Router::new().route("/version", get(gate::version));
    let routes = if server.gate_aliases {
        routes.merge(of_gate)
    } else {
        routes
    };
    let routes = routes
        .merge(swagger::routes())
        .route("/v3/api-docs", get(document::show))
        .route("/prometheus/api/v1/{*rest}", any(scores::refuse_rest))
        .route("/ui/charts/{file}", get(charts::show))
        .merge(ui::routes(app))
        .fallback(answer_unknown_path)
        .method_not_allowed_fallback(answer_unknown_method);
    surrounded(routes, app, address)
}

/// What operators find at an address of their own.
pub fn router_of_operators(app: &App, address: IpAddr) -> Router {
    let routes = of_operators()
        .merge(of_health())
        .layer(ui::own_pages_only(&app.config.server))
        .fallback(answer_unknown_path)
        .method_not_allowed_fallback(answer_unknown_method);
    surrounded(routes, app, address)
}

fn surrounded(routes: Router<App>, app: &App, address: IpAddr) -> Router {
    let server = &app.config.server;
    let edge = Edge {
        hosts: Hosts::new(server, address),
        bodies: Bodies::new(server, app.closing.clone()),
        documents: Documents::of(server.answer_memory),
        callers: Arc::clone(&app.callers),
        record: Some(app.clone()),
    };
    layers::surround(routes, server, edge).with_state(app.clone())
}

/// On a request beyond those that can be answered at once.
#[derive(Clone, Copy, Debug)]
pub struct TooMany;

/// Makes paths plain before they are routed: `//canary/` is `/canary`.
pub fn plain_path<B>(mut request: Request<B>) -> Request<B> {
    let uri = request.uri();
    let path = uri.path();
    let trailing = path.len() > 1 && path.ends_with('/') && !path.starts_with("/swagger-ui");
    if !trailing && !path.contains("//") {
        return request;
    }
    let kept: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let slash = if path.starts_with("/swagger-ui") && path.ends_with('/') {
        "/"
    } else {
        ""
    };
    let query = uri
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    if let Ok(plain) = format!("/{}{slash}{query}", kept.join("/")).parse::<Uri>() {
        *request.uri_mut() = plain;
    }
    request
}

async fn answer_unknown_path() -> Response {
    Problem::spring(StatusCode::NOT_FOUND, "No message available").into_response()
}

async fn answer_unknown_method(request: Request) -> Response {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} is not allowed here", request.method()),
    )
    .into_response()
}

//! `/mcp`: operations of the API as tools for agents, by the Model Context Protocol.

mod offers;
mod schema;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use serde_json::Value;
use tower::ServiceExt;

use crate::access::Caller;
use crate::app::App;
use crate::config::Tools;
use crate::error::Result;
use offers::OFFERS;
use schema::Offered;

/// What an agent is told of an answer at most, in bytes.
const MOST_TOLD: usize = 64 * 1024;

/// What is read of an answer at most, in bytes: as a tree it takes several times as much.
const MOST_READ: usize = 2 * 1024 * 1024;

const INSTRUCTIONS: &str = "serin judges canaries: it compares the metrics of a new version \
    (experiment) with those of the old one (control). List canaries and explain one to see why it \
    passed or failed; lint a config before it is used, and try it on past canaries, which asks no \
    metric source anything. A tool that cannot do its work says why.";

/// A call of the API.
#[derive(Debug)]
pub struct Call {
    pub method: Method,
    /// With its query.
    pub path: String,
    pub body: Option<Value>,
}

/// Who answers calls: the routes of this process, or a serin elsewhere.
pub trait Door: Send + Sync + 'static {
    /// `asked` is the request that the agent sent, where it came over HTTP.
    ///
    /// # Errors
    /// What the agent is to be told, when the call is refused or fails.
    fn call(
        &self,
        call: Call,
        asked: Option<&Parts>,
    ) -> impl Future<Output = Result<Value, String>> + Send;
}

/// The tools, and who answers them.
pub struct Agents<D> {
    door: D,
    offered: Arc<[Offered]>,
}

impl<D: Door> Agents<D> {
    pub fn new(door: D, tools: Tools) -> Self {
        Self {
            door,
            offered: offered(tools),
        }
    }

    async fn answer(
        &self,
        request: CallToolRequestParams,
        asked: Option<&Parts>,
    ) -> Result<String, String> {
        let tool = self.offered.iter().find(|tool| tool.is(&request.name));
        let tool = tool.ok_or_else(|| {
            let names: Vec<&str> = self.offered.iter().map(|tool| &*tool.tool.name).collect();
            let names = names.join(", ");
            format!(
                "there is no tool '{}' here: there are {names}",
                request.name
            )
        })?;
        let call = tool.call(request.arguments.unwrap_or_default())?;
        let answer = self.door.call(call, asked).await?;
        Ok((tool.told)(&answer).to_string())
    }
}

fn offered(tools: Tools) -> Arc<[Offered]> {
    let document = super::document();
    let may = |changes: bool| match tools {
        Tools::None => false,
        Tools::Read => !changes,
        Tools::All => true,
    };
    let offers = OFFERS.iter().filter(|offer| may(offer.changes));
    offers
        .filter_map(|offer| Offered::of(offer, &document))
        .collect()
}

impl<D: Door> ServerHandler for Agents<D> {
    fn get_info(&self) -> ServerConfig {
        let tools = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(tools)
            .with_server_info(Implementation::new("serin", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.offered.iter().map(|offered| offered.tool.clone());
        Ok(ListToolsResult::with_all_items(tools.collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let asked = context.extensions.get::<Parts>();
        let told = match self.answer(request, asked).await {
            Ok(told) => CallToolResult::success(vec![ContentBlock::text(bounded(told))]),
            // An agent reads it, and mends its call.
            Err(wrong) => CallToolResult::error(vec![ContentBlock::text(bounded(wrong))]),
        };
        Ok(told.into())
    }
}

/// With a word on what was left out.
fn bounded(text: String) -> String {
    let bytes = text.len();
    if bytes <= MOST_TOLD {
        return text;
    }
    let kept = &text[..text.floor_char_boundary(MOST_TOLD)];
    format!(
        "{kept}\n… cut here: the answer has {bytes} bytes, {MOST_TOLD} are told at most; ask for less"
    )
}

/// The routes of this process, with all that surrounds them.
#[derive(Clone)]
struct Here(Router);

impl Door for Here {
    async fn call(&self, call: Call, asked: Option<&Parts>) -> Result<Value, String> {
        let body = call.body.as_ref().map(Value::to_string);
        let mut request = Request::new(body.map_or_else(Body::empty, Body::from));
        *request.method_mut() = call.method;
        *request.uri_mut() = call.path.parse().map_err(|_| "no such path".to_owned())?;
        if let Some(asked) = asked {
            take_over(&mut request, asked);
        }
        if call.body.is_some() {
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(header::CONTENT_TYPE, json);
        }
        let answer = self.0.clone().oneshot(request).await;
        let answer = answer.unwrap_or_else(|never| match never {});
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), MOST_READ).await;
        let bytes = bytes.map_err(|_| {
            format!("the answer has more than {MOST_READ} bytes: ask for less, as by 'limit'")
        })?;
        read(status, &bytes)
    }
}

/// Who asks, from where, and by which name of serin: known already, and the same.
fn take_over(request: &mut Request, asked: &Parts) {
    *request.extensions_mut() = asked.extensions.clone();
    let of_its_own = [
        header::ACCEPT,
        header::ACCEPT_ENCODING,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::TRANSFER_ENCODING,
    ];
    let headers = asked.headers.iter();
    for (name, value) in headers.filter(|(name, _)| !of_its_own.contains(name)) {
        request.headers_mut().append(name, value.clone());
    }
    // HTTP/2 tells the host in the address.
    if let Some(host) = asked.uri.authority()
        && let Ok(host) = HeaderValue::from_str(host.as_str())
    {
        request.headers_mut().entry(header::HOST).or_insert(host);
    }
}

fn read(status: StatusCode, bytes: &[u8]) -> Result<Value, String> {
    let told: Value = serde_json::from_slice(bytes).unwrap_or_default();
    if status.is_success() {
        return Ok(told);
    }
    let message = told.get("message").and_then(Value::as_str);
    let message = message.map_or_else(|| String::from_utf8_lossy(bytes), Into::into);
    Err(format!("{status}: {message}"))
}

type Service = StreamableHttpService<Agents<Here>, NeverSessionManager>;

/// The door for agents; `api` answers what they call.
pub fn route(api: Router, tools: Tools) -> MethodRouter<App> {
    let offered = offered(tools);
    // Hosts and sizes have been looked at before.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(usize::MAX)
        .disable_allowed_hosts();
    let agents = move || {
        Ok(Agents {
            door: Here(api.clone()),
            offered: Arc::clone(&offered),
        })
    };
    let service = Service::new(agents, Arc::default(), config);
    post(
        async move |State(app): State<App>, caller: Caller, request: Request| {
            answer(&service, &app, &caller, request).await
        },
    )
}

async fn answer(
    service: &Service,
    app: &App,
    caller: &Caller,
    mut request: Request,
) -> Result<Response> {
    app.seen_by(caller).reads()?;
    // There is but one way that it answers.
    let both = HeaderValue::from_static("application/json, text/event-stream");
    request.headers_mut().insert(header::ACCEPT, both);
    Ok(service.handle(request).await.map(Body::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offer_is_an_operation_and_small_enough_to_be_read() {
        let all = offered(Tools::All);
        assert_eq!(all.len(), OFFERS.len());
        assert!(offered(Tools::None).is_empty());
        let reads = offered(Tools::Read);
        assert!(reads.iter().all(|tool| !tool.is("start_canary")));
        let bytes: usize = all
            .iter()
            .map(|offered| serde_json::to_string(&offered.tool).unwrap().len())
            .sum();
        assert!(bytes < 64 * 1024, "{bytes}");
    }

    #[test]
    fn what_is_told_is_bounded() {
        assert_eq!(bounded("short".to_owned()), "short");
        let told = bounded("ä".repeat(MOST_TOLD));
        assert!(told.contains("… cut here: the answer has 131072 bytes"));
        assert!(told.len() < MOST_TOLD + 200);
    }
}

//! Who may what: each operation of the API and each page, asked by everybody about everything.

mod pages;
mod rows;
mod things;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::{Value, json};

use crate::callers::hash;
use crate::harness::{Client, Serin};
use crate::scripted_prometheus::ScriptedPrometheus;
use rows::{Body, Row};
use things::Things;

const TENANTS: [&str; 3] = ["acme", "quasar", "zenith"];

/// The roles that concern applications, each alone and all together: `admin` concerns the process.
const ROLES: [(&str, &str); 6] = [
    ("read", "read"),
    ("start", "start"),
    ("config", "config"),
    ("delete", "delete"),
    ("actions", "actions"),
    ("all", "read, start, config, delete, actions"),
];

/// What something is done to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Nobody is asked.
    Open,
    /// What belongs to no application, and lists, which leave out what is not seen.
    Nothing,
    /// What belongs to one.
    Tenant,
    Everything,
}

/// Somebody with one of the roles, for one of the tenants.
struct Somebody {
    name: String,
    /// None for nobody, and for admins.
    tenant: Option<usize>,
    role: &'static str,
    client: Client,
}

impl Somebody {
    fn has(&self, role: &str) -> bool {
        match self.role {
            "admin" => true,
            "all" => role != "admin",
            own => own == role,
        }
    }

    /// Whether that role holds for what belongs to a tenant.
    fn may(&self, role: &str, on: On, tenant: usize) -> bool {
        let concerned = match on {
            On::Open => return true,
            On::Nothing => self.role != "nobody",
            On::Tenant => self.role == "admin" || self.tenant == Some(tenant),
            On::Everything => self.role == "admin",
        };
        concerned && self.has(role)
    }

    async fn ask(&self, row: &Row, fill: impl Fn(&str) -> String) -> (u16, String) {
        let uri = format!("{}{}", self.client.url, fill(row.asked));
        let method = Method::from_bytes(row.method().as_bytes()).unwrap();
        let request = self.client.http.request(method, uri);
        let request = match &row.body {
            None => request,
            Some(Body::Json(body)) => request
                .header("content-type", "application/json")
                .body(fill(&body.to_string())),
            Some(Body::Form(fields)) => request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(fill(fields)),
        };
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.text().await.unwrap_or_default())
    }
}

fn token(name: &str) -> String {
    format!("serin_token-of-{name}-for-the-tests-of-access")
}

fn access() -> String {
    let all = TENANTS.iter().flat_map(|tenant| {
        ROLES.map(|(role, may)| {
            let name = format!("{tenant}-{role}");
            let sha256 = hash(&token(&name));
            (
                format!("  - {{name: {name}, sha256: {sha256}}}\n"),
                format!("  - {{who: {{token: {name}}}, may: [{may}], applications: [{tenant}]}}\n"),
            )
        })
    });
    let (tokens, rules): (String, String) = all.unzip();
    let ops = hash(&token("ops"));
    let glass = token("root");
    format!(
        "access:\n  breakGlassToken: {glass}\n  tokens:\n  - {{name: ops, sha256: {ops}}}\n{tokens}  \
         rules:\n  - {{who: {{token: ops}}, may: [admin]}}\n{rules}"
    )
}

fn client(url: &str, name: Option<&str>) -> Client {
    let mut headers = HeaderMap::new();
    if let Some(name) = name {
        let shown = format!("Bearer {}", token(name));
        headers.insert(AUTHORIZATION, shown.parse().unwrap());
    }
    let http = reqwest::Client::builder().default_headers(headers);
    let http = http.redirect(reqwest::redirect::Policy::none());
    // Each asks again after all others have: by then serin may just be closing what it kept open.
    let http = http.pool_max_idle_per_host(0);
    Client {
        http: http.build().unwrap(),
        url: url.to_owned(),
    }
}

fn everybody(url: &str) -> Vec<Somebody> {
    let of_tenants = TENANTS.iter().enumerate().flat_map(|(at, tenant)| {
        ROLES.map(|(role, _)| {
            let name = format!("{tenant}-{role}");
            Somebody {
                client: client(url, Some(&name)),
                name,
                tenant: Some(at),
                role,
            }
        })
    });
    let nobody = Somebody {
        client: client(url, None),
        name: "nobody".to_owned(),
        tenant: None,
        role: "nobody",
    };
    let admins = ["ops", "root"].map(|name| Somebody {
        client: client(url, Some(name)),
        name: name.to_owned(),
        tenant: None,
        role: "admin",
    });
    of_tenants.chain([nobody]).chain(admins).collect()
}

/// What a row says of its things by name, other than whose they are.
fn thing(row: &Row) -> Option<String> {
    let body = row.body.as_ref().map(|body| match body {
        Body::Json(body) => body.to_string(),
        Body::Form(fields) => (*fields).to_owned(),
    });
    let text = format!("{}{}", row.asked, body.unwrap_or_default());
    let mut names = text.split('<').skip(1);
    names.find_map(|rest| {
        let name = rest.split('>').next()?;
        (!["app", "new"].contains(&name)).then(|| name.to_owned())
    })
}

fn is_about_a_tenant(row: &Row) -> bool {
    thing(row).is_some() || row.asked.contains("<app>") || row.on == On::Tenant
}

/// Flagger is told by 403 of what is not decided yet, too.
fn is_refused(status: u16, text: &str) -> bool {
    status == 401 || status == 403 && text.contains("have the role")
}

/// Everybody asks for it; what is wrong with the answers.
async fn asked_by_all(
    row: &Row,
    everybody: &[Somebody],
    things: &mut [Things],
    made: &mut usize,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let root = &everybody.last().unwrap().client;
    for who in everybody {
        // To an admin all tenants are alike.
        let is_one = who.role == "admin" || !is_about_a_tenant(row);
        let targets = if is_one { 0..1 } else { 0..3 };
        for tenant in targets {
            *made += 1;
            let new = format!("new-{made}");
            let fill = |text: &str| things[tenant].fill(&text.replace("<new>", &new));
            let (status, text) = who.ask(row, fill).await;
            let unknown = |text: &str| things[tenant].fill_unknown(&text.replace("<new>", &new));
            let mut tell = |what: &str| {
                let about = TENANTS[tenant];
                let start: String = text.chars().take(300).collect();
                wrong.push(format!(
                    "{}: {} of {about}: {what}: {status} {start}",
                    row.of, who.name
                ));
            };
            let reads = who.may("read", On::Tenant, tenant);
            let may = who.may(row.role, row.on, tenant)
                && (!row.reads || who.may("read", On::Nothing, tenant));
            // Of what is nobody's, only who sees all hears.
            let hears = match row.on {
                On::Everything => may,
                On::Tenant => reads || may,
                On::Nothing | On::Open => reads,
            };
            if row.on == On::Open {
                if is_refused(status, &text) {
                    tell("is refused, and nobody should be asked");
                }
            } else if who.role == "nobody" {
                if status != 401 {
                    tell("is not 401");
                }
            } else if thing(row).is_some() && !hears {
                let (other, told) = who.ask(row, unknown).await;
                let same = things[tenant].forgotten(&text) == things[tenant].forgotten(&told);
                if status != other || !same {
                    tell(&format!("is not what an unknown id is: {other} {told}"));
                }
                if !may && status < 400 {
                    tell("is let in");
                }
            } else if may {
                // Some rows ask for what is nowhere.
                let is_missing = status == 404 && !row.asked.contains(things::UNKNOWN);
                if is_refused(status, &text) || is_missing || 500 <= status {
                    tell("is refused, and may");
                }
            } else if status != 403 || !is_refused(status, &text) {
                tell("is not 403");
            }
            if who.role != "admin" {
                let request = format!(
                    "{}{}",
                    fill(row.asked),
                    match &row.body {
                        Some(Body::Json(body)) => fill(&body.to_string()),
                        Some(Body::Form(fields)) => fill(fields),
                        None => String::new(),
                    }
                );
                let others = things.iter().enumerate();
                let others = others.filter(|(at, _)| who.tenant != Some(*at));
                let mut marks = others.flat_map(|(_, things)| things.marks());
                let leak = marks.find(|mark| text.contains(mark) && !request.contains(mark));
                if let Some(mark) = leak {
                    tell(&format!("tells '{mark}'"));
                }
            }
            let is_deed = row.method() == "DELETE" || row.of.ends_with("/delete");
            let takes_away = is_deed && row.role != rows::START && !row.of.ends_with("/pin");
            if let (true, true, Some(thing)) = (may, takes_away, thing(row)) {
                things[tenant].renew(root, &thing).await;
            }
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_may_what_the_rules_say_and_hears_of_nothing_else() {
    let prometheus = ScriptedPrometheus::start(things::answer).await;
    let serin = Serin::start_with(&prometheus.url, &[], Some(&access())).await;
    let everybody = everybody(&serin.client.url);
    let root = &everybody.last().unwrap().client;
    let mut things = Vec::new();
    for tenant in TENANTS {
        things.push(Things::make(root, tenant).await);
    }
    // Who tries to put margins in the place of others' does not hear whose those are.
    let acme = everybody.iter().find(|who| who.name == "acme-all").unwrap();
    let own = json!({"calibrationId": things[0].fill("<calibration>")});
    let taken = things[1].fill("/learnedMargins/<margins>");
    let (status, told) = acme.client.put(&taken, &own).await;
    assert_eq!(status, 403, "{told}");
    assert!(!told.to_string().contains(TENANTS[1]), "{told}");
    let (mut wrong, mut made) = (Vec::new(), 0);
    for row in rows::all() {
        wrong.extend(asked_by_all(&row, &everybody, &mut things, &mut made).await);
    }
    assert!(
        wrong.is_empty(),
        "{} of {made} answers are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// The operations of the document, as in `GET /canary/{id}`.
fn operations() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(include_str!("../../openapi/serin.json")).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, operations)| {
        let methods = operations.as_object().unwrap().keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    all.collect()
}

/// The pages, as the source routes them.
fn pages() -> BTreeSet<String> {
    let mut files = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ui.rs")];
    let mut folders = vec![files[0].with_extension("")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    let mut pages = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        for route in text.split(".route(").skip(1) {
            let mut parts = route.splitn(3, '"');
            let path = parts.nth(1).unwrap_or_default();
            let rest = parts.next().unwrap_or_default();
            let handlers = rest.split(['\n', ';']).take(3).collect::<String>();
            let handlers = handlers.split("        .").next().unwrap_or_default();
            for (word, method) in [("get(", "GET"), ("post(", "POST")] {
                if path.starts_with("/ui") && handlers.contains(word) {
                    pages.insert(format!("{method} {path}"));
                }
            }
        }
    }
    pages
}

#[test]
fn each_operation_and_page_has_a_row() {
    // Of a protocol of its own, and so not in the document.
    let of_agents = ["POST /mcp".to_owned()];
    let wanted = operations().into_iter().chain(pages()).chain(of_agents);
    let wanted: BTreeSet<String> = wanted.collect();
    let rows = rows::all();
    let told: BTreeSet<String> = rows.iter().map(|row| row.of.to_owned()).collect();
    assert_eq!(told.len(), rows.len(), "a row stands there twice");
    let missing: Vec<_> = wanted.difference(&told).collect();
    assert!(missing.is_empty(), "who may these? {missing:?}");
    let gone: Vec<_> = told.difference(&wanted).collect();
    assert!(gone.is_empty(), "there is no longer {gone:?}");
}

//! How long names may be: they stand in every list, and in the labels of metrics.

use super::{CanaryConfig, CanaryExecutionRequest, CanaryScope, Fault, Path};

/// Characters.
const MOST_OF_NAME: usize = 255;

/// Bytes of what fills a template.
const MOST_OF_SCOPE: usize = 4 * 1024;

/// As much of a name as is shown: some were taken before names had a bound.
pub fn cut(mut name: String) -> String {
    if let Some((end, _)) = name.char_indices().nth(MOST_OF_NAME) {
        name.truncate(end);
        name.shrink_to_fit();
    }
    name
}

/// Why nothing can have that name.
pub fn name_fault(path: &Path, name: &str) -> Option<Fault> {
    let told = || format!("{path} is longer than {MOST_OF_NAME} characters");
    is_long_name(name).then(|| Fault::new(path.clone(), told()))
}

fn is_long_name(name: &str) -> bool {
    // Most need not be counted.
    MOST_OF_NAME < name.len() && MOST_OF_NAME < name.chars().count()
}

/// Of the names in a map, which are too long to be told.
fn key_fault(path: &Path, name: &str) -> Option<Fault> {
    let told = || format!("a name in {path} is longer than {MOST_OF_NAME} characters");
    is_long_name(name).then(|| Fault::new(path.clone(), told()))
}

fn scope_fault(path: &Path, scope: &str) -> Option<Fault> {
    let told = || format!("{path} is longer than {MOST_OF_SCOPE} bytes");
    (MOST_OF_SCOPE < scope.len()).then(|| Fault::new(path.clone(), told()))
}

impl CanaryConfig {
    /// Names that are too long for lists and labels.
    pub fn name_faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut check = |path: Path, name: Option<&str>| {
            faults.extend(name.and_then(|name| name_fault(&path, name)));
        };
        check(Path::of("name"), self.name.as_deref());
        let judge = self.judge.as_ref();
        let judge = judge.and_then(|judge| judge.name.as_deref());
        check(Path::of("judge.name"), judge);
        for (at, application) in self.applications.iter().flatten().enumerate() {
            check(Path::element("applications", at), Some(application));
        }
        for (at, metric) in self.metrics.iter().flatten().enumerate() {
            let member = |name: &str| Path::element("metrics", at).member(name);
            check(member("name"), metric.name.as_deref());
            check(member("scopeName"), metric.scope_name.as_deref());
            for (at, group) in metric.groups.iter().flatten().enumerate() {
                check(member("groups").nth(at), Some(group));
            }
        }
        let weights = self.classifier.as_ref();
        let weights = weights.and_then(|classifier| classifier.group_weights.as_ref());
        let mut groups = weights.into_iter().flatten();
        let path = Path::of("classifier.groupWeights");
        faults.extend(groups.find_map(|(group, _)| key_fault(&path, group)));
        faults
    }
}

impl CanaryExecutionRequest {
    /// The first name or scope that is too long for lists, labels and templates.
    pub fn name_fault(&self) -> Option<Fault> {
        let path = Path::of("scopes");
        let mut scopes = self.scopes.iter().flatten();
        scopes.find_map(|(name, pair)| {
            let side = |side: &str, scope: &Option<CanaryScope>| {
                let path = path.clone().member(name).member(side);
                scope.as_ref()?.fault(&path)
            };
            key_fault(&path, name)
                .or_else(|| side("controlScope", &pair.control_scope))
                .or_else(|| side("experimentScope", &pair.experiment_scope))
        })
    }
}

impl CanaryScope {
    fn fault(&self, path: &Path) -> Option<Fault> {
        let text = |member: &str, text: &Option<String>| {
            scope_fault(&path.clone().member(member), text.as_deref()?)
        };
        let parameters = path.clone().member("extendedScopeParams");
        text("scope", &self.scope)
            .or_else(|| text("location", &self.location))
            .or_else(|| {
                let mut given = self.extended_scope_params.iter().flatten();
                given.find_map(|(name, value)| {
                    key_fault(&parameters, name)
                        .or_else(|| scope_fault(&parameters.clone().member(name), value))
                })
            })
    }
}

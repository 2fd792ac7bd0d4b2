//! Checks what was asked and answered against GitHub's own description: the OpenAPI documents that GitHub publishes, as npm
//! packages them (`@octokit/openapi`, `@octokit/openapi-webhooks`). They are fetched once, into the target folder; where
//! they cannot be had, [`Description::get`] prints why.

use super::data::skipped;
use butler::sandbox::github::{Delivery, Record};
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock},
};

const REST: &str = "@octokit/openapi@23.0.2";
const WEBHOOKS: &str = "@octokit/openapi-webhooks@12.1.0";
const FILE: &str = "package/generated/api.github.com.json";

/// GitHub answers these to any request, whether or not an operation says so.
const EVERYWHERE: [u16; 4] = [304, 401, 403, 404];

/// GitHub's description of REST and webhooks.
pub struct Description {
    rest: Value,
    webhooks: Value,
    /// Compiled schemas by where they stand; compiling one takes longer than using it.
    compiled: Mutex<BTreeMap<String, Validator>>,
}

impl Description {
    /// The description, or `None` after saying why there is none.
    pub fn get() -> Option<&'static Self> {
        static DESCRIPTION: OnceLock<Option<Description>> = OnceLock::new();
        let load = || -> Result<Description, String> {
            let mut rest = fetch(REST)?;
            correct(&mut rest);
            nullable_to_type(&mut rest);
            Ok(Description { rest, webhooks: fetch(WEBHOOKS)?, compiled: Mutex::default() })
        };
        let report = |why: String| skipped(&format!("GitHub's description cannot be had: {why}"));
        DESCRIPTION.get_or_init(|| load().map_err(report).ok()).as_ref()
    }

    /// What GitHub would not have asked or answered, one line a fault. Records need their bodies
    /// (`Options::record_bodies`).
    pub fn check(&self, records: &[Record]) -> Vec<String> {
        let complain = |record: &Record| {
            let head = format!("{} {}", record.method, record.path);
            self.check_record(record).into_iter().map(move |fault| format!("{head}: {fault}")).collect::<Vec<_>>()
        };
        let faults: BTreeSet<String> = records.iter().flat_map(complain).collect();
        faults.into_iter().collect()
    }

    /// What is wrong with events' payloads.
    pub fn check_deliveries(&self, deliveries: &[Delivery]) -> Vec<String> {
        let mut faults = BTreeSet::new();
        for delivery in deliveries {
            let action = delivery.action.as_ref().map(|action| format!("-{action}")).unwrap_or_default();
            let name = format!("{}{action}", delivery.event).replace('_', "-");
            let pointer = format!("/webhooks/{name}/post/requestBody/content/application~1json/schema");
            if self.webhooks.pointer(&pointer).is_none() {
                faults.insert(format!("{name}: GitHub sends no such event"));
                continue;
            }
            for fault in self.validate(&self.webhooks, "webhooks", &pointer, &delivery.payload) {
                faults.insert(format!("{name}: {fault}"));
            }
        }
        faults.into_iter().collect()
    }

    fn check_record(&self, record: &Record) -> Vec<String> {
        let Some(template) = self.template(&record.path) else { return vec!["GitHub has no such path".into()] };
        let method = record.method.to_ascii_lowercase();
        let at = format!("/paths/{}/{method}", escape(&template));
        let Some(operation) = self.rest.pointer(&at) else { return vec![format!("{template} has no {method}")] };
        let mut faults = Vec::new();

        let known = self.query_parameters(operation);
        for name in record.query.keys().filter(|name| !known.contains(name.as_str())) {
            faults.push(format!("unknown query parameter {name}"));
        }
        let body = format!("{at}/requestBody/content/application~1json/schema");
        match self.rest.pointer(&body) {
            Some(schema) if !record.request.is_null() => {
                let found = self.validate(&self.rest, "request", &body, &record.request);
                faults.extend(found.into_iter().map(|fault| format!("request: {fault}")));
                let fields = self.properties(schema);
                let unknown =
                    record.request.as_object().into_iter().flatten().filter(|(name, _)| !fields.contains(*name));
                faults.extend(
                    unknown
                        .filter(|_| !fields.is_empty())
                        .map(|(name, _)| format!("unknown field {name} in the request")),
                );
            }
            Some(_) if operation.pointer("/requestBody/required") == Some(&json!(true)) => {
                faults.push("a body is required".into());
            }
            None if !record.request.is_null() => faults.push("a body where GitHub reads none".into()),
            _ => {}
        }

        let Some(status) = record.status else { return faults };
        let at = format!("{at}/responses/{status}");
        match self.rest.pointer(&at) {
            None if EVERYWHERE.contains(&status) || status >= 500 => {}
            None => faults.push(format!("{status} is not among its answers")),
            Some(response) => {
                let at = response.get("$ref").and_then(Value::as_str).map_or(at, |target| target[1..].to_owned());
                let schema = format!("{at}/content/application~1json/schema");
                if self.rest.pointer(&schema).is_some() && status != 304 {
                    let found = self.validate(&self.rest, &format!("{status}"), &schema, &record.response);
                    faults.extend(found.into_iter().map(|fault| format!("{status}: {fault}")));
                }
            }
        }
        faults
    }

    /// The path of the description that a request's path is an instance of: the one with most of its segments spelled out.
    /// A ref's name may have slashes.
    fn template(&self, path: &str) -> Option<String> {
        let segments: Vec<&str> = path.split('/').collect();
        let paths = self.rest["paths"].as_object()?;
        let fits = |template: &&String| matches(&template.split('/').collect::<Vec<_>>(), &segments);
        paths
            .keys()
            .filter(fits)
            .max_by_key(|template| template.split('/').filter(|s| !s.starts_with('{')).count())
            .cloned()
    }

    fn query_parameters<'a>(&'a self, operation: &'a Value) -> BTreeSet<&'a str> {
        let parameters = operation["parameters"].as_array().into_iter().flatten().map(|p| resolve(&self.rest, p));
        parameters.filter(|p| p["in"] == "query").filter_map(|p| p["name"].as_str()).collect()
    }

    /// The fields that a request's schema names, in any of its alternatives.
    fn properties(&self, schema: &Value) -> BTreeSet<String> {
        let schema = resolve(&self.rest, schema);
        let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
        let parts = ["oneOf", "anyOf", "allOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
        own.chain(parts.flat_map(|part| self.properties(part))).collect()
    }

    fn validate(&self, document: &Value, kind: &str, pointer: &str, instance: &Value) -> Vec<String> {
        let mut compiled = self.compiled.lock().unwrap();
        let validator = compiled.entry(format!("{kind} {pointer}")).or_insert_with(|| compile(document, pointer));
        let faults = validator.iter_errors(instance).map(|error| {
            let text: String = error.to_string().chars().take(300).collect();
            format!("{}: {text}", error.instance_path())
        });
        faults.collect()
    }
}

fn matches(template: &[&str], path: &[&str]) -> bool {
    match (template, path) {
        ([], []) => true,
        ([parameter, rest @ ..], [_, ..]) if ["{ref}", "{branch}", "{path}"].contains(parameter) => {
            (1..=path.len()).any(|taken| matches(rest, &path[taken..]))
        }
        ([parameter, rest @ ..], [value, tail @ ..]) => {
            (parameter.starts_with('{') || parameter == value) && matches(rest, tail)
        }
        _ => false,
    }
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(target) => document.pointer(&target[1..]).unwrap(),
        None => value,
    }
}

/// A schema as a document of its own: itself and the components that it reaches.
fn compile(document: &Value, pointer: &str) -> Validator {
    let schema = document.pointer(pointer).unwrap();
    let (mut components, mut queue) = (Map::new(), vec![schema]);
    while let Some(value) = queue.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(target) = fields.get("$ref").and_then(Value::as_str)
                    && let Some(name) = target.strip_prefix("#/components/schemas/")
                    && !components.contains_key(name)
                {
                    let component = &document["components"]["schemas"][name];
                    components.insert(name.to_owned(), component.clone());
                    queue.push(component);
                }
                queue.extend(fields.values());
            }
            Value::Array(items) => queue.extend(items),
            _ => {}
        }
    }
    let whole = json!({"allOf": [schema], "components": {"schemas": components}});
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        // GitHub's own `49699333+dependabot[bot]@users.noreply.github.com` is none.
        .with_format("email", |_: &str| true)
        .should_ignore_unknown_formats(true)
        .build(&whole)
        .unwrap_or_else(|error| panic!("{pointer}: {error}"))
}

/// A mistake of the description: an installation's account is a user *or* an enterprise, as elsewhere in it, never both.
fn correct(rest: &mut Value) {
    let account =
        "/paths/~1app~1installations/get/responses/200/content/application~1json/schema/items/properties/account";
    if let Some(account) = rest.pointer_mut(account).and_then(Value::as_object_mut)
        && let Some(both) = account.remove("allOf")
    {
        account.insert("anyOf".into(), both);
    }
}

/// OpenAPI 3.0's `nullable` in the words of JSON Schema.
fn nullable_to_type(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(nullable_to_type),
        Value::Object(fields) => {
            fields.values_mut().for_each(nullable_to_type);
            if fields.get("nullable") == Some(&json!(true)) {
                fields.remove("nullable");
                let plain = Value::Object(std::mem::take(fields));
                fields.insert("anyOf".into(), json!([plain, {"type": "null"}]));
            }
        }
        _ => {}
    }
}

fn escape(path: &str) -> String {
    path.replace('~', "~0").replace('/', "~1")
}

/// The package's document, from the target folder or else from the registry.
fn fetch(package: &str) -> Result<Value, String> {
    let name: String = package.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi");
    let file = folder.join(format!("{name}.json"));
    if !file.exists() {
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        // In a folder of its own, moved when complete: several processes may fetch at once.
        let scratch = tempfile::tempdir_in(&folder).map_err(|error| error.to_string())?;
        let packed = run(scratch.path(), "npm", &["pack", "--silent", package])?;
        let packed = packed.lines().last().unwrap_or_default().to_owned();
        run(scratch.path(), "tar", &["-xzf", &packed, FILE])?;
        let found: PathBuf = scratch.path().join(FILE);
        fs::rename(found, &file).map_err(|error| error.to_string())?;
    }
    let bytes = fs::read(&file).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", file.display()))
}

fn run(folder: &Path, program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .output()
        .map_err(|error| format!("{program} cannot be run: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{program} {}: {}", args.join(" "), text(&output.stderr)))
    }
}

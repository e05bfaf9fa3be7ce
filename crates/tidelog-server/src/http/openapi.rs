//! The protocol as an OpenAPI document: `GET /openapi.json`, and `tidelog openapi`.
//!
//! What each call takes and gives is said in `openapi/calls.rs`, as which JSON in `openapi/messages.rs`. The types that
//! really travel are `tidelog-core`'s, which a browser loads too and which therefore know nothing of schemas; so these are
//! mirrors of them. Tests hold them against what the server really answers, the document's calls against the router's, and
//! its codes against `problem::CODES`.

mod calls;
mod messages;

use super::problem::{self, Code};
use axum::Json;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use tidelog_core::protocol::{
    CHAIN_HEADER, CLIENT_HEADER, CLIENT_VERSION, EPOCH_HEADER, HEAD_HEADER, PROBLEM,
};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{
    AllOfBuilder, ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder, SecurityRequirement,
};
use utoipa::{Modify, OpenApi};

const BEARER: &str = "bearer";
/// The path below which calls ask who the caller is.
const PROTOCOL: &str = "/v1/";
/// The name of the problem document's schema.
const PROBLEM_SCHEMA: &str = "Problem";

/// The document of this build.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    calls::Document::openapi()
}

pub(super) async fn serve() -> Json<utoipa::openapi::OpenApi> {
    Json(document())
}

/// What all calls have in common: who asks, which headers go both ways, and which problems they answer with.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let scheme = SecurityScheme::Http(
            Http::builder()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some(
                    "A token that names a subject and what it may do with which logs: one of the server's list, or a JSON Web Token.",
                ))
                .build(),
        );
        components
            .security_schemes
            .insert(BEARER.to_owned(), scheme.into());
        for schema in components.schemas.values_mut() {
            if let RefOr::T(Schema::Object(object)) = schema {
                object.properties.values_mut().for_each(never_null);
            }
        }
        for (path, item) in &mut document.paths.paths {
            let operations = [&mut item.get, &mut item.post];
            for operation in operations.into_iter().flatten() {
                finish(path, operation);
            }
        }
    }
}

fn finish(path: &str, operation: &mut Operation) {
    let is_protocol = path.starts_with(PROTOCOL);
    if is_protocol {
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(
            BEARER,
            [],
        )]);
        let parameters = operation.parameters.get_or_insert_default();
        parameters.push(client_header().into());
    }
    let id = operation.operation_id.as_deref().unwrap_or_default();
    if calls::TELLS_THE_HEAD.contains(&id)
        && let Some(RefOr::T(response)) = operation.responses.responses.get_mut("200")
    {
        tell_the_head(response);
    }
    let mut by_status: BTreeMap<u16, Vec<&Code>> = BTreeMap::new();
    for code in calls::problems(id, is_protocol) {
        by_status
            .entry(code.status.as_u16())
            .or_default()
            .push(code);
    }
    for (status, codes) in by_status {
        let answers = &mut operation.responses.responses;
        answers.insert(status.to_string(), problem(status, &codes).into());
    }
}

/// A field that may be left out is not `null` instead.
fn never_null(field: &mut RefOr<Schema>) {
    let is_null = |kind: &Type| *kind == Type::Null;
    let simple = |kind: &mut SchemaType| {
        if let SchemaType::Array(kinds) = kind
            && let Some(other) = kinds.iter().find(|kind| !is_null(kind))
        {
            *kind = SchemaType::Type(other.clone());
        }
    };
    match field {
        RefOr::T(Schema::Object(object)) => simple(&mut object.schema_type),
        RefOr::T(Schema::Array(array)) => simple(&mut array.schema_type),
        RefOr::T(Schema::OneOf(one_of)) => {
            one_of.items.retain(|item| {
                !matches!(item, RefOr::T(Schema::Object(object))
                    if matches!(&object.schema_type, SchemaType::Type(kind) if is_null(kind)))
            });
            if let [only] = one_of.items.as_slice() {
                *field = only.clone();
            }
        }
        _ => {}
    }
}

fn client_header() -> Parameter {
    ParameterBuilder::new()
        .name(CLIENT_HEADER)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "Which version of this protocol's client asks. One that is too old is answered with 426.",
        ))
        .schema(Some(
            ObjectBuilder::new()
                .schema_type(SchemaType::new(Type::Integer))
                .minimum(Some(0))
                .examples([json!(CLIENT_VERSION)]),
        ))
        .build()
}

fn tell_the_head(response: &mut Response) {
    for (name, schema, description) in [
        (EPOCH_HEADER, "Epoch", "The log's history."),
        (HEAD_HEADER, "Position", "The newest position of the log."),
        (
            CHAIN_HEADER,
            "ChainHash",
            "The chain hash there, of a server with the feature `chain`.",
        ),
    ] {
        let header = HeaderBuilder::new()
            .schema(Some(Ref::from_schema_name(schema)))
            .description(Some(description))
            .build();
        response.headers.insert(name.to_owned(), header.into());
    }
}

/// An answer that says what went wrong, with one of these codes.
fn problem(status: u16, codes: &[&Code]) -> Response {
    let names = codes.iter().map(|code| Value::from(code.name));
    let narrowed = ObjectBuilder::new()
        .property(
            "code",
            ObjectBuilder::new()
                .schema_type(SchemaType::new(Type::String))
                .enum_values(Some(names)),
        )
        .property(
            "status",
            ObjectBuilder::new()
                .schema_type(SchemaType::new(Type::Integer))
                .enum_values(Some([status])),
        );
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name(PROBLEM_SCHEMA))
        .item(narrowed);
    let lines: Vec<String> = codes
        .iter()
        .map(|code| format!("`{}`: {}", code.name, code.advice))
        .collect();
    let mut response = ResponseBuilder::new()
        .description(lines.join("; "))
        .content(PROBLEM, ContentBuilder::new().schema(Some(schema)).build());
    if matches!(status, 429 | 503) {
        let header = HeaderBuilder::new()
            .schema(Some(
                ObjectBuilder::new()
                    .schema_type(SchemaType::new(Type::Integer))
                    .minimum(Some(0)),
            ))
            .description(Some("After so many seconds, ask again."))
            .build();
        response = response.header("retry-after", header);
    }
    response.build()
}

/// All codes of problems, as the values of `code`.
fn codes() -> Schema {
    let names = problem::CODES.iter().map(|code| Value::from(code.name));
    let names = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .description(Some("Stable: what a program decides by."))
        .enum_values(Some(names));
    Schema::Object(names.build())
}

/// A list of so many.
fn list_of(schema: &str, count: RangeInclusive<usize>) -> Schema {
    let list = ArrayBuilder::new()
        .items(Ref::from_schema_name(schema))
        .min_items(Some(*count.start()).filter(|least| *least > 0))
        .max_items(Some(*count.end()));
    Schema::Array(list.build())
}

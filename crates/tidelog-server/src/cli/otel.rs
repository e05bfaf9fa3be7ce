//! Traces, for those who collect them: OTLP over HTTP, told where by the variables that OpenTelemetry defines.

use super::Failure;

/// Either of these says where traces go.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// The variable that says where traces go, if one does and traces are wanted.
fn asked() -> Option<&'static str> {
    let said = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let disabled = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value == "true");
    ENDPOINTS.into_iter().find(said).filter(|_| !disabled)
}

#[cfg(feature = "otel")]
pub(super) use with::Traces;
#[cfg(not(feature = "otel"))]
pub(super) use without::Traces;

#[cfg(not(feature = "otel"))]
mod without {
    use super::{Failure, asked};

    /// Nothing: this build has no traces.
    #[derive(Debug)]
    pub(in crate::cli) struct Traces;

    impl Traces {
        pub(in crate::cli) fn begin() -> Result<Self, Failure> {
            if let Some(name) = asked() {
                tracing::warn!(
                    "{name} is set, and this program was built without the feature `otel`: no traces are sent"
                );
            }
            Ok(Self)
        }
    }
}

#[cfg(feature = "otel")]
mod with {
    use super::{Failure, asked};
    use async_trait::async_trait;
    use opentelemetry::global;
    use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
    use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use std::time::Duration;

    /// How long a collector may take.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Sends spans until it is dropped; then what waits is sent.
    #[derive(Debug)]
    pub(in crate::cli) struct Traces(Option<SdkTracerProvider>);

    impl Traces {
        pub(in crate::cli) fn begin() -> Result<Self, Failure> {
            let Some(name) = asked() else {
                return Ok(Self(None));
            };
            let agent = crate::agent::config()
                .http_status_as_error(false)
                .timeout_global(Some(PATIENCE))
                .build();
            let exporter = SpanExporter::builder()
                .with_http()
                .with_http_client(Client(agent.into()))
                .build()
                .map_err(|error| Failure::Refused(format!("{name}: {error}")))?;
            // The variables OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are read after it.
            let mut resource = Resource::builder();
            if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
                resource = resource.with_service_name("tidelog");
            }
            let provider = SdkTracerProvider::builder()
                .with_batch_exporter(exporter)
                .with_resource(resource.build())
                .build();
            global::set_text_map_propagator(TraceContextPropagator::new());
            global::set_tracer_provider(provider.clone());
            Ok(Self(Some(provider)))
        }
    }

    impl Drop for Traces {
        fn drop(&mut self) {
            if let Some(provider) = &self.0
                && let Err(error) = provider.shutdown()
            {
                tracing::warn!(%error, "the last traces were not sent");
            }
        }
    }

    /// Sends what the exporter encoded. It blocks: the exporter has a thread of its own.
    #[derive(Debug)]
    struct Client(ureq::Agent);

    #[async_trait]
    impl HttpClient for Client {
        async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
            let (head, body) = request.into_parts();
            let request = Request::from_parts(head, &body[..]);
            let (head, mut body) = self.0.run(request)?.into_parts();
            Ok(Response::from_parts(head, body.read_to_vec()?.into()))
        }
    }
}

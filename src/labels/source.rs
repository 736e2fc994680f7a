//! Where the value of a label comes from, and what becomes of it: the configuration, resolved.

use std::collections::BTreeMap;

/// A label of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelPlan {
    /// Its name in the scrape.
    pub name: String,
    /// The name of the list of its values; labels with the same list share a budget.
    pub values: String,
    /// The source of the value.
    pub source: SourcePlan,
    /// What becomes of the source's value.
    pub choice: Choice,
    /// Whether the value is replaced by a keyed hash.
    pub hash: bool,
    /// How many values there may be.
    pub max_values: usize,
}

/// What becomes of a source's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// From what was found to what is recorded: `map`, and `allow` as a map of each to itself.
    /// `None`: everything stays.
    pub listed: Option<BTreeMap<String, String>>,
    /// For an absent value.
    pub absent: String,
    /// For an unlisted value.
    pub unlisted: String,
}

impl Choice {
    /// Every value that can come out, where that is known beforehand.
    pub fn fixed_values(&self) -> impl Iterator<Item = &str> {
        self.listed
            .iter()
            .flat_map(BTreeMap::values)
            .chain([&self.absent, &self.unlisted])
            .map(String::as_str)
    }
}

/// Where a label's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourcePlan {
    /// The method.
    Method,
    /// The endpoint.
    Endpoint,
    /// The code.
    Status,
    /// The class of the code.
    StatusClass,
    /// What went wrong.
    ExceptionType,
    /// Envoy's route.
    RouteName,
    /// Envoy's cluster.
    ClusterName,
    /// Envoy's virtual host.
    VirtualHost,
    /// The protocol.
    Protocol,
    /// The gRPC service.
    GrpcService,
    /// The gRPC method.
    GrpcMethod,
    /// The gRPC status.
    GrpcStatus,
    /// Envoy's response flags.
    ResponseFlags,
    /// A request header, by its place in [`crate::plan::Plan::request_headers`].
    RequestHeader(usize),
    /// A response header, by its place in [`crate::plan::Plan::response_headers`].
    ResponseHeader(usize),
    /// A parameter of the query.
    QueryParam(String),
    /// A placeholder of the template.
    PathParam(String),
    /// Always this.
    Constant(String),
    /// What the application reports.
    Reported,
}

impl SourcePlan {
    /// Whether requests and responses can make up values, so that places for them must be earned;
    /// else they are of a closed set, or of Envoy's own configuration.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Endpoint
            | Self::ExceptionType
            | Self::GrpcService
            | Self::GrpcMethod
            | Self::RequestHeader(_)
            | Self::ResponseHeader(_)
            | Self::QueryParam(_)
            | Self::PathParam(_)
            | Self::Reported => true,
            Self::Method
            | Self::Status
            | Self::StatusClass
            | Self::RouteName
            | Self::ClusterName
            | Self::VirtualHost
            | Self::Protocol
            | Self::GrpcStatus
            | Self::ResponseFlags
            | Self::Constant(_) => false,
        }
    }

    /// Whether the values are few whatever the traffic, so that series made of them alone may take
    /// the places kept for configured ones.
    pub fn is_closed(&self) -> bool {
        matches!(
            self,
            Self::Method
                | Self::Status
                | Self::StatusClass
                | Self::Protocol
                | Self::GrpcStatus
                | Self::Constant(_)
        )
    }
}

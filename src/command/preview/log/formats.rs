//! The formats that are known: one line each. Readers, `--help` and docs/preview.md are made of
//! these tables; to add a format is to add a line here and a case to tests/data/log_cases.jsonl.

use super::units::Unit;
use super::units::Unit::{Microseconds, Milliseconds, Nanoseconds, Seconds};

/// How the lines of a text format are taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The request in quotes, the status behind it, then what [`super::text`] knows.
    Quoted,
    /// Words and quoted fields in this order, anywhere in the line; see [`super::layout`].
    Layout(&'static str),
    /// Keys and values; see [`PROGRAMS`].
    Keys,
    /// The first line of the log, or one of W3C's `#Fields:`, names the columns as [`PROGRAMS`]
    /// does.
    Columns,
    /// METHOD, PATH and, where it is known, STATUS.
    Tabs,
}

/// A format of lines.
#[derive(Debug)]
pub struct Known {
    /// Its name in reports.
    pub name: &'static str,
    /// How it is read.
    pub form: Form,
    /// Who writes it.
    pub writers: &'static str,
}

const fn known(name: &'static str, form: Form, writers: &'static str) -> Known {
    Known { name, form, writers }
}

/// All formats. Layouts are tried in this order.
///
/// Words of layouts: `METHOD`, `PATH` (or a URL), `REQUEST` (a request line in quotes), `STATUS`, `STATUS?` (or a dash),
/// `BYTES` (sent), `RECEIVED`, `TIME` (a duration with its unit), `MS` and `SECONDS` (without one;
/// several are added), `TIMERS` (HAProxy's; the last is the sum), `*` (any one), `…` (any number).
#[rustfmt::skip]
pub const FORMATS: &[Known] = &[
    known("Envoy", Form::Quoted, "Envoy, Contour, Emissary, Consul, Gloo: the default text format and what is appended to it"),
    known("Istio", Form::Quoted, "Istio since 1.3, its text format of any version"),
    known("common", Form::Quoted, "Apache, Tomcat, Jetty, uvicorn, Django, Werkzeug, lighttpd, Varnish: the common log format"),
    known("combined", Form::Quoted, "Apache, nginx, ingress-nginx, APISIX, Traefik, gunicorn, actix, Puma: the combined log format and what is often put around it"),
    known("JSON lines", Form::Keys, "see the table of programs; also behind a prefix or in a field of another JSON object"),
    known("tabs", Form::Tabs, "METHOD, PATH and STATUS, as `route-metrics label` reads them"),
    known("logfmt", Form::Keys, "Heroku's router, lograge, Logster, logrus, slog, tower-http"),
    known("columns", Form::Columns, "IIS, ASP.NET Core, CloudFront, Zeek: logs with a line of column names"),
    known("AWS load balancer", Form::Layout("SECONDS SECONDS SECONDS STATUS * RECEIVED BYTES REQUEST"), "AWS application and classic load balancers"),
    known("HAProxy", Form::Layout("TIMERS STATUS BYTES … REQUEST"), "HAProxy, option httplog"),
    known("CloudFront", Form::Layout("DATE CLOCK * BYTES * METHOD * PATH STATUS * * * * * * * * RECEIVED SECONDS"), "CloudFront's standard log"),
    known("IIS", Form::Layout("DATE CLOCK * METHOD PATH * NUMBER * * * * STATUS NUMBER NUMBER MS"), "IIS with its default columns"),
    known("Gin", Form::Layout("| STATUS | TIME | * | METHOD PATH"), "Gin"),
    known("Fiber", Form::Layout("| STATUS | TIME | * | METHOD | PATH"), "Fiber"),
    known("Fiber, plain", Form::Layout("STATUS - TIME METHOD PATH"), "Fiber, older"),
    known("chi", Form::Layout("REQUEST from * - STATUS BYTES in TIME"), "chi's middleware.Logger"),
    known("morgan dev", Form::Layout("METHOD PATH STATUS? TIME - BYTES"), "morgan's dev"),
    known("morgan tiny", Form::Layout("METHOD PATH STATUS? BYTES - TIME"), "morgan's tiny"),
    known("morgan short", Form::Layout("METHOD PATH HTTP STATUS? BYTES - TIME"), "morgan's short"),
    known("Serilog", Form::Layout("HTTP METHOD PATH responded STATUS in TIME"), "Serilog.AspNetCore"),
    known("ASP.NET", Form::Layout("finished HTTP METHOD PATH … STATUS BYTES * TIME"), "ASP.NET Core's hosting diagnostics"),
    known("Hubble", Form::Layout("HTTP STATUS TIME METHOD PATH"), "Cilium's Hubble"),
    known("status first", Form::Layout("STATUS REQUEST BYTES"), "nginx where $status stands before \"$request\""),
    known("Squid", Form::Layout("NUMBER.NUMBER MS * RESULT BYTES METHOD PATH"), "Squid's native format"),
    known("Tornado", Form::Layout("STATUS METHOD PATH * TIME"), "Tornado, Jupyter"),
    known("PHP", Form::Layout("[STATUS]: METHOD PATH"), "PHP's built-in server"),
    known("Sanic", Form::Layout("METHOD PATH STATUS BYTES"), "Sanic"),
    known("words", Form::Layout("METHOD PATH STATUS TIME"), "hand-made text"),
    known("words, arrow", Form::Layout("METHOD PATH → STATUS TIME"), "hand-made text"),
];

/// The program that wrote a JSON object or `key=value` pairs. What its line says is its keys; a
/// program is only told apart where the unit of its durations depends on it.
#[derive(Debug)]
pub struct Program {
    /// Its name in reports.
    pub name: &'static str,
    /// Keys by which its lines are known: one of each group (`a|b c|d`); empty for keys that any
    /// program may write.
    pub marks: &'static str,
    /// The unit of its durations, where their keys do not say.
    pub unit: Option<Unit>,
    /// `role=key,key`; a unit behind the role of a duration is what the key usually stands for.
    pub keys: &'static str,
}

const fn program(
    name: &'static str,
    marks: &'static str,
    unit: Option<Unit>,
    keys: &'static str,
) -> Program {
    Program { name, marks, unit, keys }
}

/// All programs; the first whose marks are there wins. Keys are compared without case and
/// separators, first by their whole path and then by its end.
#[rustfmt::skip]
pub const PROGRAMS: &[Program] = &[
    program("Envoy", "response_flags|response_code_details|upstream_transport_failure_reason|upstream_service_time|x_envoy_upstream_service_time|connection_termination_details|downstream_remote_address|upstream_cluster", Some(Milliseconds), "method=method,:method path=x-envoy-original-path,x-envoy-origin-path,req_x_envoy_original_path,original_path,path,:path status=response_code duration=duration,request_duration bytes=bytes_sent received=bytes_received flags=response_flags authority=authority,:authority,req_authority route=route_name cluster=upstream_cluster,cluster_name,upstream_cluster_raw protocol=protocol"),
    program("Linkerd", "total_ns", Some(Nanoseconds), "method=method path=uri status=status duration=total_ns bytes=response_bytes received=request_bytes protocol=version"),
    program("Hubble", "l7.latency_ns|flow.l7.latency_ns", Some(Nanoseconds), "method=l7.http.method path=l7.http.url status=l7.http.code duration=l7.latency_ns protocol=l7.http.protocol"),
    program("Kong", "latencies.request|latencies.proxy|latencies.kong", Some(Milliseconds), "method=request.method path=request.uri,request.url status=response.status duration=latencies.request bytes=response.size received=request.size route=route.name"),
    program("APISIX or Tyk", "apisix_latency|upstream_latency|latency_total|latency.total", Some(Milliseconds), "method=request.method,method path=request.uri,raw_path status=response.status,response_code duration=latency,latency_total,latency.total,request_time bytes=response.size"),
    program("Caddy", "logger|resp_headers|bytes_read|user_id request.uri", Some(Seconds), "method=request.method path=request.uri status=status duration=duration bytes=size received=bytes_read authority=request.host protocol=request.proto"),
    program("Traefik", "DownstreamStatus|OriginDuration|Overhead RequestPath|RequestMethod", Some(Nanoseconds), "method=RequestMethod path=RequestPath status=DownstreamStatus duration=Duration bytes=DownstreamContentSize received=RequestContentSize authority=RequestHost protocol=RequestProtocol"),
    program("Cloudflare", "EdgeResponseStatus|RayID", Some(Nanoseconds), "method=ClientRequestMethod path=ClientRequestURI,ClientRequestPath status=EdgeResponseStatus duration=EdgeTimeToFirstByteMs bytes=EdgeResponseBytes received=ClientRequestBytes authority=ClientRequestHost protocol=ClientRequestProtocol"),
    program("Fastly", "time_elapsed|fastly_server|fastly_is_edge", Some(Microseconds), "method=request_method path=url,request_url status=response_status,response_code duration:us=time_elapsed bytes=response_body_size received=request_body_size"),
    program("AWS API Gateway", "responseLatency|integrationLatency", Some(Milliseconds), "method=httpMethod path=path,resourcePath status=status duration=responseLatency bytes=responseLength"),
    program("CloudFront", "x-edge-location|x-edge-result-type", Some(Seconds), "method=cs-method path=cs-uri-stem status=sc-status duration=time-taken bytes=sc-bytes received=cs-bytes authority=x-host-header protocol=cs-protocol-version"),
    program("Azure App Service or IIS", "CsMethod CsUriStem", Some(Milliseconds), "method=CsMethod,cs-method path=CsUriStem,cs-uri-stem status=ScStatus,sc-status duration=TimeTaken,time-taken bytes=ScBytes,sc-bytes received=CsBytes,cs-bytes authority=CsHost,cs-host,x-host-header protocol=cs-version,cs-protocol-version"),
    program("Azure gateway", "properties.clientResponseTime|properties.timeTaken|properties.serverRouted", Some(Seconds), "method=httpMethod path=originalRequestUriWithArgs,requestUri status=httpStatus,httpStatusCode duration=timeTaken bytes=sentBytes,responseBytes received=receivedBytes,requestBytes authority=originalHost,host"),
    program("Google load balancer", "httpRequest.requestMethod", Some(Seconds), "method=httpRequest.requestMethod path=httpRequest.requestUrl status=httpRequest.status duration=httpRequest.latency bytes=httpRequest.responseSize received=httpRequest.requestSize protocol=httpRequest.protocol"),
    program("App Engine", "protoPayload.resource", Some(Seconds), "method=protoPayload.method path=protoPayload.resource status=protoPayload.status duration=protoPayload.latency bytes=protoPayload.responseSize"),
    program("Elastic Common Schema", "event.duration", Some(Nanoseconds), "method=http.request.method path=url.original,url.path,url.full status=http.response.status_code duration:ns=event.duration bytes=http.response.body.bytes,http.response.bytes received=http.request.body.bytes,http.request.bytes protocol=http.version authority=url.domain"),
    program("Datadog", "http.url_details.path|http.status_category", Some(Nanoseconds), "method=http.method path=http.url_details.path,http.url status=http.status_code duration=duration"),
    program("OpenTelemetry", "http.server.request.duration|http.server.duration|http.response.status_code", None, "method=http.request.method,http.method path=url.path,http.target,http.url,url.full status=http.response.status_code,http.status_code duration:s=http.server.request.duration duration:ms=http.server.duration bytes=http.response.body.size,http.response_content_length received=http.request.body.size,http.request_content_length authority=server.address"),
    program("lograge or Logster", "view|db|controller action|view", Some(Milliseconds), "method=method path=path status=status duration=duration"),
    program("logback-access", "requested_uri|requested_url|requestedUri|elapsed_time", Some(Milliseconds), "method=method path=requested_uri,requested_url status=status_code duration:ms=elapsed_time bytes=content_length"),
    program("pino or hapi", "req.url|req.method|reqId|statusCode responseTime", Some(Milliseconds), "method=req.method path=req.url,req.originalUrl status=res.statusCode,statusCode duration:ms=responseTime bytes=res.headers.content-length,res.contentLength authority=req.hostname"),
    program("express-winston", "meta.responseTime|meta.res.statusCode", Some(Milliseconds), "method=meta.req.method path=meta.req.originalUrl,meta.req.url status=meta.res.statusCode duration:ms=meta.responseTime"),
    program("bunyan or restify", "req.method res.statusCode", Some(Milliseconds), "method=req.method path=req.url status=res.statusCode duration=latency,duration"),
    program("Serilog", "RequestMethod|RequestPath Elapsed", Some(Milliseconds), "method=RequestMethod path=RequestPath status=StatusCode duration:ms=Elapsed,ElapsedMilliseconds"),
    program("Spring", "timeTaken response.status", Some(Milliseconds), "method=request.method path=request.uri status=response.status duration:ms=timeTaken"),
    program("nginx", "request_uri|request|remote_addr|body_bytes_sent request_time", Some(Seconds), "method=request_method path=request_uri,uri status=status duration:s=request_time bytes=body_bytes_sent,bytes_sent received=request_length line=request authority=http_host,host protocol=server_protocol"),
    program("Logstash or Fluentd", "clientip|referer|agent", None, "method=verb,method path=request,path status=response,code bytes=bytes,size line=request,rawrequest"),
    program("zap", "ts msg|logger|caller", Some(Seconds), "method=method path=path status=status duration=latency,duration,elapsed"),
    program("others", "", None, "method=method,request_method,http_method,req_method,verb,http_verb,http.request.method,req.verb path=path,url,uri,request_uri,request_path,request_url,req_path,req_url,req_uri,originalUrl,original_uri,http_target,http_path,http_url,http_uri,target,raw_path,raw_uri,raw_url,request_target,path_info,pathname,url.pathname,uri_path,uri_stem,resource,endpoint status=status,status_code,response_code,response_status,response_status_code,http_status,http_status_code,http_code,resp_status,resp_code,res_status,res_status_code,res_code,return_code,result_code,code,statusCode duration=duration,latency,elapsed,took,request_duration,total_duration,response_duration,total_time,total_latency,request_latency,response_latency,time_elapsed,duration_total,resp_time,req_time,run_time,exec_time,execution_time,round_trip,http_duration,serve_time,proc_time,service duration:ms=response_time,processing_time,process_time,elapsed_time,service_time duration:s=request_time duration=time_taken bytes=bytes_sent,body_bytes_sent,response_size,response_bytes,response_length,response_body_size,response_content_length,response_body_len,bytes,size,bytes_out,sent_bytes,res_bytes,res_size,content_length,res_content_length,res.headers.content-length,response.headers.content-length,length,body_size,bytes_written received=bytes_received,bytes_in,request_size,request_bytes,bytes_read,request_content_length,request_length,request_body_size,request_body_len,req_bytes,received_bytes line=request,request_line,req,http_request flags=response_flags protocol=protocol,server_protocol,request_protocol,request_proto,proto,http_version authority=authority,host,request_host,http_host,hostname,request_authority,vhost route=route_name cluster=upstream_cluster,cluster_name text=log,message,properties,msg,line,textPayload,MESSAGE,short_message,full_message,text,raw,_raw,event,event.original,body,body.stringValue,content,payload,data,log_line human=latency_human,duration_human,elapsed_human,latency_str,duration_str"),
];

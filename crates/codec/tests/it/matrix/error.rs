//! A provider's errors on their way to the caller: instead of an answer, within a stream, and when a stream breaks off.

use http::{HeaderMap, HeaderValue};
use trunkline_codec::dialect::Framing;
use trunkline_codec::ir::Event;
use trunkline_codec::{Error, Kind};

use super::answer::{cx, framings, is_terminated, read_stream};
use super::{Case, Feature, reply};

/// Status of the provider, status towards the caller, kind that the caller reads.
const STATUSES: [(u16, u16, Kind); 4] = [
    (429, 429, Kind::RateLimited),
    (400, 400, Kind::BadRequest),
    // The gateway's credential is none of the caller's.
    (401, 502, Kind::Server),
    (503, 503, Kind::Overloaded),
];

pub(crate) fn check(case: &mut Case<'_>) {
    for (status, towards, kind) in STATUSES {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("7"));
        let body = reply::error(case.provider.name, status).to_string();
        let error = case.provider.upstream.read_error(status, &headers, body.as_bytes(), 0);
        if status == 429 {
            case.expect(error.retry_after_seconds() == Some(7), format_args!("{status}: the wait is {:?}", error.retry));
        }
        let written = case.caller.downstream().write_error(&error, "req_1");
        let again = case.caller.upstream.read_error(error.caller_status(), &HeaderMap::new(), &written, 0);
        let text = String::from_utf8_lossy(&written);
        case.expect(error.caller_status() == towards, format_args!("{status}: becomes {}", error.caller_status()));
        case.expect(same(again.kind, kind), format_args!("{status}: {:?} instead of {kind:?} in {text}", again.kind));
        case.expect(again.message.contains("no, not now"), format_args!("{status}: the provider's words are missing in {text}"));
    }
    let sample = reply::samples(Feature::Text).remove(0);
    let whole = reply::stream(case.provider.name, &sample);
    // Up to the first piece of text, and the second begins.
    let mark = |frame: &&[u8]| !String::from_utf8_lossy(frame).contains("rain");
    let begun: Vec<u8> =
        frames(case.provider.upstream.framing(), &whole).into_iter().take_while(mark).flatten().copied().collect();
    let broken = [&begun[..], &reply::error_frame(case.provider.name)].concat();
    // Where an error within a stream is just words, its class is not known.
    let is_words =
        case.provider.name.starts_with("ollama") || case.provider.name == "hunyuan" || case.provider.name == "cohere-chat";
    fail(case, &broken, if is_words { Kind::Server } else { Kind::RateLimited });
    fail(case, &begun, Kind::Truncated);
}

/// The frames of a stream, as they stand in it.
fn frames(framing: Framing, stream: &[u8]) -> Vec<&[u8]> {
    if framing == Framing::EventStream {
        return crate::message::split(stream);
    }
    let text = std::str::from_utf8(stream).unwrap();
    text.split_inclusive(if framing == Framing::Ndjson { "\n" } else { "\n\n" }).map(str::as_bytes).collect()
}

/// Some words stand for two kinds.
fn same(found: Kind, expected: Kind) -> bool {
    let server = |kind| matches!(kind, Kind::Server | Kind::Network | Kind::Truncated | Kind::Malformed);
    found == expected || server(expected) && (server(found) || found == Kind::Overloaded)
}

/// A stream that fails gives what came before, then the error, and never a good end.
fn fail(case: &mut Case<'_>, stream: &[u8], kind: Kind) {
    let (events, error) = read_stream(case.provider, case.provider.upstream.framing(), stream);
    let stream = String::from_utf8_lossy(stream);
    let Some(error) = error else { return case.fault(format_args!("read as complete: {stream}")) };
    case.expect(error.kind == kind, format_args!("read as {:?} instead of {kind:?}: {stream}", error.kind));
    for framing in framings(case.caller) {
        let written = write_failed(case, &events, &error, framing);
        let text = String::from_utf8_lossy(&written);
        case.expect(!is_terminated(case.caller.name, framing, &text), format_args!("a failed stream ends well: {text}"));
        case.expect(text.contains("It is "), format_args!("what came before is missing: {text}"));
        let (again, found) = read_stream(case.caller, framing, &written);
        case.expect(!again.contains(&Event::End), format_args!("a failed stream has an end: {text}"));
        match found {
            None => case.fault(format_args!("a failed stream reads as complete: {text}")),
            Some(found) => {
                case.expect(same(found.kind, kind), format_args!("{:?} instead of {kind:?}: {text}", found.kind));
            }
        }
    }
}

fn write_failed(case: &Case<'_>, events: &[Event], error: &Error, framing: Framing) -> Vec<u8> {
    let mut writer = case.caller.downstream().write_stream(&cx(framing));
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.push(event, &mut out));
    writer.fail(error, &mut out);
    out
}

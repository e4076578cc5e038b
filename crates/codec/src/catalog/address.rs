//! Base addresses: is this one, and what moves with it when a user replaces it.

use http::Uri;

use super::placeholder::stand_in;

/// Splits `https://host:port/path` into origin (`https://host:port`) and path (`""` or `/path`, no slash at the end).
/// `None` when it is no such address, or carries a query. `ws` and `wss` are WebSockets, `sim` is the built-in simulator. Placeholders
/// are looked through, and stay.
pub(super) fn split_address(url: &str) -> Option<(&str, &str)> {
    let uri: Uri = stand_in(url).parse().ok()?;
    let known = matches!(uri.scheme_str(), Some("http" | "https" | "ws" | "wss" | "sim"));
    if !known || uri.host().is_none_or(str::is_empty) || uri.query().is_some() || url.contains('#') {
        return None;
    }
    let authority = url.split_once("://").map_or(url, |(_, authority)| authority);
    let at = authority.find('/').map_or(url.len(), |slash| url.len() - authority.len() + slash);
    let (origin, path) = url.split_at_checked(at)?;
    Some((origin, path.trim_end_matches('/')))
}

/// Fills in what the address of a local server may lack (its variable is often just `host` or `host:port`): scheme, port
/// and path come from the usual address. `0.0.0.0` is where a server listens; one calls it at `127.0.0.1`.
pub(super) fn complete_local(usual: &str, given: &str) -> String {
    let given = given.trim().trim_end_matches('/');
    let (scheme, rest) = given.split_once("://").unwrap_or(("http", given));
    let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or((rest, ""));
    let (usual_origin, usual_path) = split_address(usual).unwrap_or((usual, ""));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
        _ => (authority, None),
    };
    let host = if matches!(host, "" | "0.0.0.0" | "[::]") { "127.0.0.1" } else { host };
    let usual_port = usual_origin.rsplit_once(':').map(|(_, port)| port);
    // Only a bare host gets the usual port: `https://box` means 443.
    let port = port.or(if given.contains("://") { None } else { usual_port });
    let path = if path.is_empty() { usual_path } else { path };
    match port {
        Some(port) => format!("{scheme}://{host}:{port}{path}"),
        None => format!("{scheme}://{host}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_addresses() {
        assert_eq!(split_address("https://api.x.ai/v1/"), Some(("https://api.x.ai", "/v1")));
        assert_eq!(split_address("http://127.0.0.1:80"), Some(("http://127.0.0.1:80", "")));
        for wrong in ["api.x.ai/v1", "ftp://x/y", "https://", "https:///v1", "https://x/y?z=1", "https://x/#y", "https://x y", ""]
        {
            assert_eq!(split_address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn completes_local_addresses() {
        let usual = "http://127.0.0.1:11434/v1";
        for (given, full) in [
            ("0.0.0.0", "http://127.0.0.1:11434/v1"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080/v1"),
            (":8080", "http://127.0.0.1:8080/v1"),
            ("box", "http://box:11434/v1"),
            ("https://box", "https://box/v1"),
            ("http://box:1/other/", "http://box:1/other"),
            ("[::1]:9", "http://[::1]:9/v1"),
            ("[::1]", "http://[::1]:11434/v1"),
        ] {
            assert_eq!(complete_local(usual, given), full, "{given}");
        }
    }
}

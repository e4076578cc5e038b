//! The scanner judges as serde_json does, and a patched object is an object that says what it was patched to say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;
use trunkline_codec::json::{self, Patch};

fuzz_target!(|body: &[u8]| {
    match json::check(body) {
        Ok(_) => assert!(serde_json::from_slice::<&RawValue>(body).is_ok()),
        Err(fault) => {
            assert!(fault.at <= body.len() && !fault.describe(body).is_empty());
            // serde_json sets no bound to the depth of what it does not build.
            assert!(fault.what.starts_with("nested") || serde_json::from_slice::<&RawValue>(body).is_err());
        }
    }
    let Ok(members) = json::members(body) else {
        return;
    };
    let mut patch = Patch::new(body, &members);
    patch.set("model", "\"x\"").remove("stream").set("new", "{}");
    let out = patch.apply();
    let found = json::members(&out).expect("a patched object is an object");
    assert!(json::find(&out, &found, "stream").is_none());
    for (key, expected) in [("model", "\"x\""), ("new", "{}")] {
        let value = &out[json::find(&out, &found, key).expect("what was set is there").value.clone()];
        assert_eq!(value, expected.as_bytes());
    }
    for member in &members {
        let _ = serde_json::from_slice::<Value>(&body[member.value.clone()]);
    }
});

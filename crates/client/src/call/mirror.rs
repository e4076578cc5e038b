//! The copies of the library's calls.

use std::pin::pin;

use futures_util::StreamExt as _;

use super::{Begun, ask_stream, ask_whole, pieces};
use crate::client::Client;
use crate::ir::Request;
use crate::monitor::{OpenCall, reckon_whole};
use crate::relay::Stitched;
use crate::route::{Shadow, Tries};

/// Sends the copy of a call, if there is to be one.
pub(super) fn mirror(client: &Client, tries: &mut Tries, call: &OpenCall, request: &Request) {
    if let Some(shadow) = client.shadow(tries, call, String::new) {
        tokio::spawn(copy(client.clone(), request.clone(), shadow));
    }
}

async fn copy(client: Client, request: Request, shadow: Shadow) {
    if request.stream {
        let network = client.config().network.clone();
        let begun = shadow.answer(async |leg| ask_stream(&client, &leg, &request, &network).await).await;
        let Some((Begun { losses, events, .. }, mut call, slot)) = begun else { return };
        call.note(None, &losses);
        let mut pieces = pin!(pieces(Stitched::new(events, call, None)));
        slot.within(async { while pieces.next().await.is_some() {} }).await;
    } else if let Some((reply, mut call, _slot)) = shadow.answer(async |leg| ask_whole(&client, &leg, &request).await).await {
        call.note(Some(reckon_whole(&reply.response)), &reply.losses);
        call.close(None);
    }
}

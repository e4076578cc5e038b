//! The copies of the library's calls.

use super::{Asked, Begun, Tailor, ask_stream, ask_whole};
use crate::client::Client;
use crate::ir::Request;
use crate::monitor::{OpenCall, reckon_whole};
use crate::relay::Stitched;
use crate::route::{Shadow, Tries};

/// Sends the copy of a call, if there is to be one.
pub(super) fn mirror(client: &Client, tries: &mut Tries, call: &OpenCall, (request, tailor): (&Request, Option<&Tailor>)) {
    if let Some(shadow) = client.shadow(tries, call, String::new) {
        tokio::spawn(copy(client.clone(), (request.clone(), tailor.cloned()), shadow));
    }
}

async fn copy(client: Client, (request, tailor): (Request, Option<Tailor>), shadow: Shadow) {
    let ask = &Asked { client: &client, request: &request, tailor: tailor.as_ref() };
    if request.stream {
        let network = client.config().network.clone();
        let begun = shadow.answer(async |leg| ask_stream(ask, &leg, &network).await).await;
        let Some((Begun { losses, events, .. }, mut call, slot)) = begun else { return };
        call.note(None, &losses);
        let mut events = Stitched::new(events, call, None);
        slot.within(async { while events.next().await.is_some() {} }).await;
    } else if let Some((reply, mut call, _slot)) = shadow.answer(async |leg| ask_whole(ask, &leg).await).await {
        call.note(Some(reckon_whole(&reply.response)), &reply.losses);
        call.close(None);
    }
}

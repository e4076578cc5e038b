"""`trunkline chat`, `trunkline sessions` and `trunkline run` against a real model, without the gateway."""

import json

from check import check
from gateway import ROOT

MODEL = "house/smollm2"


def chat(gateway, lines, *arguments, most=16):
    stdin = "".join(line + "\n" for line in lines)
    return gateway.run("chat", "--model", MODEL, "--max-tokens", str(most), "--temperature", "0", *arguments, stdin=stdin)


@check("an assistant with a window of 3 turns: six questions, and no prompt has more than the last three turns")
def window(gateway):
    # As long as one another, so that the prompt stops growing when the window is full.
    names = ["Anna", "Bert", "Carl", "Dora", "Emil", "Fred"]
    lines = [f"My friend {name} likes tea. Say one word." for name in names]
    told, _ = chat(gateway, lines, "--system", "You are a customer assistant. Be brief.", "--window", "3 turns", "--json", most=4)
    turns = json.loads(told)
    assert len(turns) == 6 and all(turn["text"].strip() and not turn["error"] for turn in turns), turns
    prompts = [turn["usage"]["input"] for turn in turns]
    assert prompts[0] < prompts[1] < prompts[2] < prompts[3], prompts
    # The first is left out from the fifth question on; answers have up to 4 tokens, a whole turn has some 20.
    assert max(prompts[4:]) < prompts[3] + 13, prompts
    kept = json.loads(gateway.run("sessions", "show", turns[0]["session"], "--json")[0])
    assert len(kept["turns"]) == 6 and kept["session"]["kept"] == "3 turns", kept["session"]


@check("a conversation goes on: ask -c, /undo and /retry, another dialect in the middle, and an export")
def goes_on(gateway):
    lines = ["Say hello.", "/retry", "/model house-messages/smollm2", "Say it again.", "/undo", "Say goodbye."]
    answers, notes = chat(gateway, lines, "-v")
    assert answers.strip() and "taken back: Say it again." in notes, (answers, notes)
    assert "house/smollm2  " in notes and "house-messages/smollm2  " in notes, notes
    reply = json.loads(gateway.run("ask", "--continue", "--max-tokens", "16", "--json", "Thank you.")[0])
    assert reply["text"].strip() and reply["target"] == "house-messages/smollm2", reply
    text, _ = gateway.run("sessions", "export", reply["session"])
    asked = [text.index(line) for line in ("Say hello.", "Say goodbye.", "Thank you.")]
    assert asked == sorted(asked) and "Say it again." not in text, text
    assert reply["session"] in gateway.run("sessions", "search", "goodbye")[0]


@check("an error in the middle is told, and the conversation goes on")
def error(gateway):
    answers, notes = gateway.run(
        "chat",
        "--model",
        MODEL,
        "--max-tokens",
        "8",
        stdin="/model gone/any\nSay hello.\n/model house/smollm2\n/retry\n",
        code=3,
    )
    assert answers.strip() and "gone" in notes, (answers, notes)


@check("the product page of the examples, written by the model")
def product_page(gateway):
    workflow = ROOT / "examples" / "workflows" / "product-page.toml"
    description = "A kettle that keeps water at 80 degrees for green tea, 1 litre, steel."
    told, _ = gateway.run("run", str(workflow), "--model", MODEL, "--var", f"description={description}", "--json")
    page = json.loads(told)
    states = {step["name"]: step["state"] for step in page["steps"]}
    assert states == {"title": "done", "post": "done", "features": "done"}, page["steps"]
    features = page["outputs"]["features"]["features"]
    assert page["output"].startswith("# ") and features and all(set(one) >= {"name", "why"} for one in features), page
    assert all(f"**{one['name']}**" in page["output"] for one in features), page["output"]

